//! A slot is a buffer: its bytes are its own, and it is small enough to be passed by value.

use stingy_alloc::{MemoryMap, Permit, PermitError, SiteId, Slab, Slot, StageId};

use crate::{slab, small};

fn is_a_ring_buffer<B: AsRef<[u8]> + AsMut<[u8]> + Send + Sync + 'static>() {}

#[test]
fn a_slot_is_what_a_ring_takes_and_two_words_small() {
    is_a_ring_buffer::<Slot>();
    let words = 2 * size_of::<u64>();
    assert_eq!((size_of::<Slot>(), size_of::<Option<Slot>>()), (words, words));
    assert_eq!(size_of::<Result<Slot, PermitError>>(), words);
    assert!(size_of::<Permit<'_>>() <= 80);
}

#[test]
fn a_fresh_slab_is_zeroed_and_a_reused_slot_keeps_bytes_until_cleared() {
    let map = MemoryMap::builder().geometry(small()).site("a", 300, 1).stage("s", &[], &[("a", 1)]);
    let slab = slab(&map.build().unwrap());
    let one = |slab: &Slab| slab.admit(StageId(0), 1).alloc(SiteId(0)).unwrap();
    let mut first = one(&slab);
    assert!(first.iter().all(|byte| *byte == 0));
    first.as_mut().fill(7);
    drop(first);
    let mut second = one(&slab);
    assert_eq!(second.as_ref(), [7; 300]);
    second.clear();
    assert_eq!(second.as_ref(), [0; 300]);
}

#[test]
fn slots_start_on_lines_and_do_not_share_one() {
    let map = MemoryMap::builder()
        .geometry(small())
        .stack(100)
        .site("a", 1, 3)
        .site("b", 65, 3)
        .stage("s", &[], &[("a", 1), ("b", 1)])
        .build()
        .unwrap();
    let slab = slab(&map);
    let permit = slab.admit(StageId(0), 3);
    let slots: Vec<Slot> =
        [0, 1, 0, 1, 0, 1].iter().map(|id| permit.alloc(SiteId(*id)).unwrap()).collect();
    let mut lines = Vec::new();
    for slot in &slots {
        let start = slot.as_ptr().addr();
        assert_eq!(start % 64, 0);
        lines.extend(start / 64..=(start + slot.len() - 1) / 64);
    }
    lines.sort_unstable();
    let all = lines.len();
    lines.dedup();
    assert_eq!((all, lines.len()), (9, 9));
}

#[test]
fn a_heap_slot_is_zeroed_and_takes_a_box_as_it_is() {
    for len in [0, 1, 16 << 10] {
        let slot = Slot::heap(len);
        assert_eq!((slot.len(), slot.is_slab()), (len, false));
        assert!(slot.iter().all(|byte| *byte == 0));
    }
    let bytes: Box<[u8]> = b"reply".as_slice().into();
    let place = bytes.as_ptr();
    let slot = Slot::from(bytes);
    assert_eq!((slot.as_ref(), slot.as_ptr()), (b"reply".as_slice(), place));
    assert_eq!(format!("{slot:?}"), "Slot(heap, 5 bytes)");
}
