//! Globals of the map: final ones stay, temporary ones come and go through one window and keep their bytes.

use stingy_alloc::{GlobalError, GlobalKind, MemoryMap, SiteId, Slab, StageId};

use crate::{slab, small};

const FINAL: u16 = 0;
const SMALL: u16 = 1;
const LARGE: u16 = 2;

fn with_globals() -> Slab {
    let builder = MemoryMap::builder().geometry(small()).stack(1000);
    let builder = builder
        .global(300, GlobalKind::Final)
        .global(100, GlobalKind::Temporary)
        .global(5000, GlobalKind::Temporary)
        .site("object", 64, 40);
    slab(&builder.stage("stage", &[], &[("object", 1)]).build().unwrap())
}

#[test]
fn globals_have_their_sizes_and_are_zero_at_first() {
    let slab = with_globals();
    for (id, size) in [(FINAL, 300), (SMALL, 100), (LARGE, 5000)] {
        let global = slab.global(id).unwrap();
        assert!(global.len() == size && global.iter().all(|byte| *byte == 0), "{id}");
    }
}

#[test]
fn a_final_global_keeps_its_bytes_in_its_place_beside_everything_else() {
    let slab = with_globals();
    let place = {
        let mut global = slab.global(FINAL).unwrap();
        global.fill(0xF1);
        global.as_ptr()
    };
    for id in [SMALL, LARGE] {
        slab.global(id).unwrap().fill(0x7E);
    }
    slab.on_stack(|| std::hint::black_box([0x55u8; 512]).len());
    let permit = slab.admit(StageId(0), 40);
    for _ in 0..40 {
        permit.alloc(SiteId(0)).unwrap().fill(0x0B);
    }
    let global = slab.global(FINAL).unwrap();
    assert!(global.as_ptr() == place && global.iter().all(|byte| *byte == 0xF1));
}

#[test]
fn temporary_globals_share_the_window_and_keep_their_bytes_outside() {
    let slab = with_globals();
    let window = slab.global(SMALL).unwrap().as_ptr();
    for round in 1..5u8 {
        for id in [SMALL, LARGE] {
            let mut global = slab.global(id).unwrap();
            assert_eq!(global.as_ptr(), window);
            let before = (round - 1) * 2 * id as u8;
            assert!(global.iter().all(|byte| *byte == before), "{id} in round {round}");
            global.fill(round * 2 * id as u8);
        }
        let again = slab.global(LARGE).unwrap();
        assert!(again.iter().all(|byte| *byte == round * 2 * LARGE as u8), "still there");
    }
}

#[test]
fn what_cannot_be_borrowed_now_says_why_and_can_be_later() {
    let slab = with_globals();
    assert_eq!(slab.global(3).unwrap_err(), GlobalError::Unknown(3));
    assert_eq!(slab.global(u16::MAX).unwrap_err(), GlobalError::Unknown(u16::MAX));
    let (a, b) = (slab.global(FINAL).unwrap(), slab.global(SMALL).unwrap());
    assert_eq!(slab.global(FINAL).unwrap_err(), GlobalError::Borrowed(FINAL));
    assert_eq!(slab.global(SMALL).unwrap_err(), GlobalError::Borrowed(SMALL));
    let error = slab.global(LARGE).unwrap_err();
    assert_eq!(error, GlobalError::Window { wanted: LARGE, resident: SMALL });
    assert!(error.to_string().contains("drop that first"), "{error}");
    drop((a, b));
    assert!(slab.global(LARGE).is_ok() && slab.global(FINAL).is_ok());
}

#[test]
fn a_borrow_that_is_leaked_costs_the_global_and_nothing_else() {
    let slab = with_globals();
    std::mem::forget(slab.global(SMALL).unwrap());
    assert_eq!(slab.global(SMALL).unwrap_err(), GlobalError::Borrowed(SMALL));
    assert!(matches!(slab.global(LARGE), Err(GlobalError::Window { .. })));
    assert!(slab.global(FINAL).is_ok());
}
