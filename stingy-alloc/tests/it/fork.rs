//! `fork`: the child is told that it has no slab, or has a copy; the parent notices nothing.

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;

use stingy_alloc::{
    Backing, GlobalError, GlobalKind, MemoryMap, Object, Options, PermitError, Reason, SiteId,
    Slab, Slot, StageId, free_all,
};

use crate::process::{alone, forked, signal, succeeded, text};
use crate::small;

const SITE: SiteId = SiteId(0);
const SHARED: SiteId = SiteId(1);
const STAGE: StageId = StageId(0);
const BOTH: StageId = StageId(1);
/// Bytes from one slab to the next.
const STRIDE: usize = 16 << 20;

fn map() -> MemoryMap {
    let builder = MemoryMap::builder().geometry(small()).stack(1024);
    let builder = builder.global(100, GlobalKind::Final).site("object", 500, 8);
    let region = builder.next_region();
    builder
        .region(64, 8)
        .shared_site("left", 64, 8, region)
        .shared_site("right", 64, 8, region)
        .stage("stage", &[], &[("object", 1)])
        .stage("both", &[], &[("object", 2), ("left", 1)])
        .build()
        .unwrap()
}

fn on(backing: Backing, fork_copies: bool) -> Slab {
    let geometry = Some(small());
    Slab::new(&map(), Options { geometry, backing, fork_copies, ..Options::default() }).unwrap()
}

fn take(slab: &Slab, n: usize, byte: u8) -> Vec<Slot> {
    let permit = slab.admit(STAGE, n);
    let mut slots: Vec<Slot> = (0..n).map(|_| permit.alloc(SITE).unwrap()).collect();
    slots.iter_mut().for_each(|slot| slot.fill(byte));
    slots
}

fn are(slots: &[Slot], byte: u8) -> bool {
    slots.iter().all(|slot| slot.iter().all(|b| *b == byte))
}

#[track_caller]
fn ended_well(status: std::process::ExitStatus) {
    assert!(status.success(), "the child: {status}");
}

#[test]
fn a_child_is_refused_every_permit_and_the_parent_none() {
    succeeded(alone(|| {
        let slab = on(Backing::Pages, false);
        let slots = take(&slab, 2, 7);
        let before = slab.is_huge();
        ended_well(forked(|| {
            for stage in [STAGE, BOTH] {
                assert_eq!(slab.admit(stage, 1).granted(), 0);
                assert!(slab.admit(stage, 1).alloc(SITE).is_err());
            }
            let stats = slab.stats();
            assert_eq!((stats.fallback(Reason::NoStage), stats.sites.len()), (4, 0));
            assert!(slab.take(SITE).is_none() && slab.take(SHARED).is_none());
            let outside = [slab.escape(SITE), slab.oversize(SITE, 900)];
            assert!(outside.iter().all(|slot| !slot.is_slab()));
            assert_eq!((outside[0].len(), outside[1].len()), (500, 900));
            assert_eq!(slab.global(0).unwrap_err(), GlobalError::Lost);
            assert_eq!((slab.on_stack(|| 5), slab.stack_peak(), slab.live()), (5, 0, 0));
            assert_ne!(slab.is_huge(), Some(true));
        }));
        assert!(are(&slots, 7));
        assert_eq!((slab.live(), slab.admit(STAGE, 9).granted(), slab.is_huge()), (2, 6, before));
        assert_eq!(slab.stats().fallback(Reason::NoStage), 0);
    }));
}

#[test]
fn a_child_forgets_what_it_frees_and_the_parent_keeps_it() {
    succeeded(alone(|| {
        let slab = on(Backing::Pages, false);
        let mut slots = take(&slab, 3, 9);
        let site = slab.site::<u64>("object").unwrap();
        let mut object = Some(slab.admit(STAGE, 1).put(site, 77).unwrap());
        let mut high = Some(slab.escape(SITE));
        let mut slab = Some(slab);
        ended_well(forked(|| {
            drop(slots.pop());
            free_all(slots.drain(..));
            drop(object.take());
            free_all(high.take());
            drop(slab.take());
            free_all([Slot::heap(9), Box::<[u8]>::from([1, 2]).into()]);
        }));
        assert!(are(&slots, 9) && slots.len() == 3);
        let slab = slab.expect("the parent has it");
        assert_eq!((object.map(Object::into_inner), slab.live()), (Some(77), 4));
        drop((slots, high));
        assert_eq!((slab.live(), slab.admit(STAGE, 9).granted()), (0, 8));
    }));
}

#[test]
fn a_permit_that_a_child_inherits_holds_nothing_and_ends_in_peace() {
    succeeded(alone(|| {
        let slab = on(Backing::Pages, false);
        let site = slab.site::<[u8; 8]>("object").unwrap();
        for stage in [STAGE, BOTH] {
            let mut permit = Some(slab.admit(stage, 2));
            ended_well(forked(|| {
                let permit = permit.take().unwrap();
                let error = PermitError::NotInStage { stage, site: SITE };
                assert_eq!(permit.alloc(SITE).unwrap_err(), error);
                assert_eq!(permit.alloc_len(SITE, 9999).unwrap_err(), error);
                assert_eq!(permit.put(site, [1; 8]).unwrap_err().value, [1; 8]);
            }));
            let slots = [permit.as_ref().unwrap().alloc(SITE), permit.unwrap().alloc(SITE)];
            assert!(slots.iter().all(Result::is_ok));
        }
    }));
}

#[test]
fn a_child_made_in_a_scope_allocates_from_the_heap() {
    succeeded(alone(|| {
        let slab = on(Backing::Pages, false);
        let (outer, inner) = (slab.admit(STAGE, 2), slab.admit(BOTH, 1));
        outer.scope(|| {
            inner.scope(|| {
                ended_well(forked(|| {
                    let bytes = black_box(vec![1u8; 400]);
                    assert!(!Slot::from(bytes.into_boxed_slice()).is_slab());
                }));
            });
        });
        assert_eq!(slab.live(), 0);
    }));
}

#[test]
fn reading_an_inherited_object_ends_the_child() {
    succeeded(alone(|| {
        for backing in [Backing::Pages, Backing::Auto] {
            let slab = on(backing, false);
            let mut slots = take(&slab, 1, 3);
            let status = forked(|| {
                let start = slots[0].as_ptr();
                // Nothing of the child can come to lie there.
                let (read, map) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
                let page = start.map_addr(|address| address & !4095).cast_mut().cast();
                // SAFETY: a new mapping, which replaces none.
                let mapped = unsafe { libc::mmap(page, 4096, read, map, -1, 0) };
                assert!(mapped != libc::MAP_FAILED && mapped != page);
                // SAFETY: an object that is out; it ends the child here.
                black_box(unsafe { start.read_volatile() });
            });
            assert_eq!(status.signal(), Some(libc::SIGSEGV), "{status}");
            let status = forked(|| slots[0].fill(4));
            assert_eq!(status.signal(), Some(libc::SIGSEGV), "{status}");
            assert!(are(&slots, 3));
        }
    }));
}

#[test]
fn a_new_slab_in_the_child_works_and_lies_elsewhere() {
    succeeded(alone(|| {
        let old = on(Backing::Pages, false);
        let mut slots = take(&old, 2, 5);
        ended_well(forked(|| {
            let slab = on(Backing::Auto, false);
            let mut new = take(&slab, 8, 6);
            let stride = |slot: &Slot| slot.as_ptr().addr() / STRIDE;
            assert!(new.iter().all(|slot| stride(slot) != stride(&slots[0])));
            assert_eq!((slab.live(), slab.admit(STAGE, 1).granted()), (8, 0));
            drop(slots.drain(..));
            drop(new.pop());
            std::thread::spawn(move || free_all(new)).join().unwrap();
            assert_eq!((slab.live(), slab.stats().remote_frees), (0, 7));
            slab.on_stack(|| assert_eq!(slab.admit(STAGE, 9).granted(), 8));
            // Nor is a grandchild told that it has the slab of its parent.
            let kept = take(&slab, 1, 8);
            ended_well(forked(|| assert_eq!(slab.admit(STAGE, 1).granted(), 0)));
            assert!(are(&kept, 8));
        }));
        assert!(are(&slots, 5) && slots.len() == 2);
    }));
}

#[test]
fn a_copied_slab_is_as_good_in_the_child_and_each_has_its_own() {
    succeeded(alone(|| {
        for backing in [Backing::Pages, Backing::Auto] {
            let slab = on(backing, true);
            let mut slots = take(&slab, 4, 1);
            let (mut held, mut high) = (Some(slab.admit(BOTH, 1)), Some(slab.oversize(SITE, 700)));
            ended_well(slab.on_stack(|| {
                forked(|| {
                    assert!(are(&slots, 1));
                    slots.iter_mut().for_each(|slot| slot.fill(2));
                    let more = held.as_ref().unwrap().alloc(SITE).unwrap();
                    drop((held.take(), more, high.take(), slots.drain(1..)));
                    assert_eq!((slab.live(), slab.admit(STAGE, 9).granted()), (1, 7));
                    let site = slab.site::<String>("object").unwrap();
                    let text = slab.admit(STAGE, 1).put(site, "of the child".into()).unwrap();
                    std::thread::spawn(move || drop(text)).join().unwrap();
                    assert_eq!((slab.stats().remote_frees, slab.live()), (1, 1));
                })
            }));
            assert!(are(&slots, 1) && slots.len() == 4);
            assert_eq!((slab.live(), slab.admit(STAGE, 9).granted()), (5, 2));
            drop((held, high, slots));
            let mut slab = Some(slab);
            ended_well(forked(|| drop(slab.take())));
            assert_eq!(slab.unwrap().admit(STAGE, 9).granted(), 8);
        }
    }));
}

#[test]
fn a_child_without_a_copy_cannot_live_on_the_stack_of_the_slab() {
    let output = alone(|| {
        let slab = on(Backing::Pages, false);
        let status = slab.on_stack(|| forked(|| ()));
        assert_eq!(status.signal(), Some(libc::SIGSEGV), "{status}");
        // A program is started without a copy of anything.
        let echo = slab.on_stack(|| std::process::Command::new("/bin/true").status());
        assert!(echo.unwrap().success());
    });
    assert_eq!(signal(&output), None, "{}", text(&output.stderr));
    succeeded(output);
}
