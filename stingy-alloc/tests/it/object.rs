//! Typed objects: a value has its slot, is dropped once, and the slot comes home whatever the drop does.

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use stingy_alloc::{
    Geometry, MemoryMap, Object, PermitError, Reason, SiteError, SiteId, Slab, StageId,
};

use crate::{slab, small};

const STAGE: StageId = StageId(0);

fn map() -> MemoryMap {
    MemoryMap::builder()
        .geometry(small())
        .site("small", 40, 8)
        .site_aligned("aligned", 256, 256, 4)
        .site("rest", 64, 2)
        .stage("both", &[], &[("small", 1), ("aligned", 1)])
        .stage("rest", &[], &[("rest", 1)])
        .build()
        .unwrap()
}

/// Counts its drops; the ones told to panic do so afterwards.
struct Counted {
    drops: Arc<AtomicUsize>,
    panics: bool,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        assert!(!self.panics, "as it was told");
    }
}

fn counted(drops: &Arc<AtomicUsize>) -> Counted {
    Counted { drops: Arc::clone(drops), panics: false }
}

fn put<T>(slab: &Slab, site: &str, value: T) -> Object<T> {
    let site = slab.site::<T>(site).unwrap();
    slab.admit(STAGE, 1).put(site, value).unwrap_or_else(|error| panic!("{error}"))
}

#[derive(Debug)]
#[repr(align(256))]
struct Aligned([u8; 256]);

#[repr(align(512))]
struct TooAligned(#[expect(dead_code, reason = "for its size")] u8);

#[test]
fn a_site_is_one_for_types_that_fit_and_for_no_others() {
    let slab = slab(&map());
    assert!(slab.site::<[u8; 40]>("small").is_ok() && slab.site::<()>("small").is_ok());
    assert!(slab.site::<Aligned>("aligned").is_ok());
    let (size, wanted) = (40, 41);
    let error = slab.site::<[u8; 41]>("small").unwrap_err();
    assert_eq!(error, SiteError::Size { site: "small".into(), size, wanted });
    assert!(error.to_string().contains("size=41"), "{error}");
    let (align, wanted) = (256, 512);
    let error = slab.site::<TooAligned>("aligned").unwrap_err();
    assert!(matches!(error, SiteError::Size { .. }), "512 bytes, as it is aligned: {error}");
    let error = slab.site::<[TooAligned; 0]>("aligned").unwrap_err();
    assert_eq!(error, SiteError::Align { site: "aligned".into(), align, wanted });
    assert!(error.to_string().contains("align=512"), "{error}");
    for name in ["", "smal", "small "] {
        assert_eq!(slab.site::<u8>(name).unwrap_err(), SiteError::Unknown(name.into()));
    }
}

#[test]
fn every_object_is_aligned_as_its_type_is() {
    let slab = slab(&map());
    let site = slab.site::<Aligned>("aligned").unwrap();
    let permit = slab.admit(STAGE, 4);
    let objects: Vec<_> = (0..4).map(|i| permit.put(site, Aligned([i; 256])).unwrap()).collect();
    for (i, object) in objects.iter().enumerate() {
        assert_eq!(std::ptr::from_ref(&**object).addr() % 256, 0);
        assert!(object.0.iter().all(|byte| usize::from(*byte) == i));
    }
}

#[test]
fn put_gives_the_value_back_on_every_error() {
    let (slab, other) = (slab(&map()), slab(&map()));
    let (site, foreign) = (slab.site("small").unwrap(), other.site("small").unwrap());
    let rest = slab.site("rest").unwrap();
    let permit = slab.admit(STAGE, 1);
    let id = SiteId(0);
    let value = String::from("precious");
    let error = permit.put(foreign, value).unwrap_err();
    assert_eq!((&*error.value, error.why), ("precious", PermitError::OtherSlab { site: id }));
    let error = permit.put(rest, error.value).unwrap_err();
    let foreign = PermitError::NotInStage { stage: STAGE, site: rest.id() };
    assert_eq!((&*error.value, error.why), ("precious", foreign));
    let object = permit.put(site, error.value).unwrap();
    let error = permit.put(site, String::from("second")).unwrap_err();
    assert_eq!(error.why, PermitError::Spent { stage: STAGE, site: id });
    assert_eq!((object.as_str(), error.value.as_str()), ("precious", "second"));
    assert_eq!(permit.lane(site).unwrap().put(error.value).unwrap_err(), "second");
    assert_eq!(slab.stats().fallback(Reason::NoPermit), 3);
}

#[test]
fn a_value_is_dropped_once_wherever_its_object_ends() {
    let slab = slab(&map());
    let drops = Arc::new(AtomicUsize::new(0));
    let dropped = || drops.swap(0, Ordering::Relaxed);
    drop(put(&slab, "small", counted(&drops)));
    assert_eq!((dropped(), slab.live()), (1, 0));
    let object = put(&slab, "small", counted(&drops));
    thread::spawn(move || drop(object)).join().unwrap();
    assert_eq!((dropped(), slab.live()), (1, 0));
    let value = Object::into_inner(put(&slab, "small", counted(&drops)));
    assert_eq!((dropped(), slab.live()), (0, 0), "the value is alive, its slot is free");
    drop(value);
    assert_eq!(dropped(), 1);
    drop(Object::from(Box::new(counted(&drops))));
    assert_eq!(dropped(), 1);
    stingy_alloc::free_all([
        put(&slab, "small", counted(&drops)),
        Box::new(counted(&drops)).into(),
    ]);
    assert_eq!((dropped(), slab.live()), (2, 0));
}

#[test]
fn the_slot_comes_home_also_when_the_drop_of_the_value_panics() {
    let slab = slab(&map());
    let drops = Arc::new(AtomicUsize::new(0));
    let bad = || Counted { drops: Arc::clone(&drops), panics: true };
    let panics = |work: Box<dyn FnOnce() + Send>| {
        assert!(catch_unwind(AssertUnwindSafe(work)).is_err(), "the panic was swallowed");
    };
    let object = put(&slab, "small", bad());
    panics(Box::new(|| drop(object)));
    assert_eq!(slab.live(), 0, "freed here");
    let object = put(&slab, "small", bad());
    panics(Box::new(|| thread::spawn(|| drop(object)).join().unwrap()));
    assert_eq!(slab.live(), 0, "freed elsewhere");
    for elsewhere in [false, true] {
        let all = [put(&slab, "small", counted(&drops)), put(&slab, "small", bad())];
        let batch = move || stingy_alloc::free_all(all);
        match elsewhere {
            true => panics(Box::new(|| thread::spawn(batch).join().unwrap())),
            false => panics(Box::new(batch)),
        }
        assert_eq!(slab.live(), 0, "freed in a batch, elsewhere: {elsewhere}");
    }
    panics(Box::new(|| drop(Object::from(Box::new(bad())))));
    assert_eq!(drops.load(Ordering::Relaxed), 7);
    assert_eq!(slab.admit(STAGE, 9).granted(), 4);
}

#[test]
fn values_without_bytes_have_slots_of_their_own() {
    let slab = slab(&map());
    let (a, b) = (put(&slab, "small", ()), put(&slab, "small", ()));
    assert_ne!(std::ptr::from_ref(&*a), std::ptr::from_ref(&*b));
    assert!(Object::is_slab(&a) && slab.live() == 2);
    drop(a);
    Object::into_inner(b);
    assert_eq!(slab.live(), 0);
    let boxed = Object::from(Box::new(()));
    assert!(!Object::is_slab(&boxed));
    Object::into_inner(boxed);
    let boxed: Object<[TooAligned; 0]> = Box::new([]).into();
    drop(boxed);
}

#[test]
fn a_box_becomes_an_object_where_it_is() {
    let boxed = Box::new([7u64; 9]);
    let place = std::ptr::from_ref(&*boxed);
    let mut object = Object::from(boxed);
    assert_eq!((std::ptr::from_ref(&*object), Object::is_slab(&object)), (place, false));
    object[8] = 8;
    assert_eq!((object.as_ref()[8], Object::into_inner(object)[0]), (8, 7));
}

#[test]
fn objects_outlive_their_slab() {
    let slab = slab(&map());
    let drops = Arc::new(AtomicUsize::new(0));
    let (text, other) =
        (put(&slab, "small", String::from("still here")), put(&slab, "small", counted(&drops)));
    drop(slab);
    assert_eq!(&**text, "still here");
    thread::spawn(move || drop(other)).join().unwrap();
    assert_eq!(
        (Object::into_inner(text).as_str(), drops.load(Ordering::Relaxed)),
        ("still here", 1)
    );
}

#[test]
fn an_object_without_a_value_drops_none() {
    let slab = slab(&map());
    let drops = Arc::new(AtomicUsize::new(0));
    let site = slab.site::<Counted>("small").unwrap();
    let permit = slab.admit(STAGE, 3);
    let lane = permit.lane(site).unwrap();
    assert_eq!(lane.left(), 3);
    drop(lane.take().unwrap());
    let full = Object::write(lane.take().unwrap(), counted(&drops));
    // SAFETY: given a value right before.
    let also = unsafe {
        let mut also = lane.take().unwrap();
        MaybeUninit::write(&mut also, counted(&drops));
        Object::assume_init(also)
    };
    assert!(lane.take().is_none() && lane.left() == 0);
    assert_eq!((drops.load(Ordering::Relaxed), slab.live()), (0, 2));
    drop((full, also));
    assert_eq!((drops.load(Ordering::Relaxed), slab.live()), (2, 0));
}

#[test]
fn an_object_is_one_word_and_an_option_of_it_as_well() {
    let word = size_of::<usize>();
    assert_eq!((size_of::<Object<[u8; 900]>>(), size_of::<Option<Object<u8>>>()), (word, word));
}

#[test]
fn an_alignment_above_a_way_is_refused_by_the_map() {
    let tiny = Geometry::new(16 << 10, 4, 64).unwrap();
    let builder = MemoryMap::builder().geometry(tiny).site_aligned("page", 8192, 8192, 1);
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("8192") && error.contains("page"), "{error}");
}
