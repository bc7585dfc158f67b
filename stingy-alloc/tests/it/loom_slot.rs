//! The public types under every interleaving: slots that race with the end of their slab.

use std::sync::Arc;

use stingy_alloc::{Backing, Geometry, MemoryMap, Options, SiteId, Slab, StageId, Wake};

/// One page, two objects; the memory is alive as long as `alive` is held twice.
fn slab(alive: &Arc<()>) -> Slab {
    let geometry = Geometry::new(8 << 10, 2, 64).unwrap();
    let map = MemoryMap::builder()
        .geometry(geometry)
        .site("object", 64, 2)
        .stage("stage", &[], &[("object", 1)])
        .build()
        .unwrap();
    let held = Arc::clone(alive);
    let wake: Wake = Arc::new(move || drop(Arc::clone(&held)));
    let (geometry, wake) = (Some(geometry), Some(wake));
    Slab::new(&map, Options { geometry, backing: Backing::Pages, wake, ..Options::default() })
        .unwrap()
}

#[test]
fn loom_slots_freed_elsewhere_race_with_the_end_of_their_slab() {
    loom::model(|| {
        let alive = Arc::new(());
        let slab = slab(&alive);
        let permit = slab.admit(StageId(0), 2);
        let mut here = permit.alloc(SiteId(0)).unwrap();
        let mut there = permit.alloc(SiteId(0)).unwrap();
        drop(permit);
        let other = loom::thread::spawn(move || {
            there.fill(1);
            drop(there);
        });
        assert!(slab.admit(StageId(0), 2).granted() <= 1);
        drop(slab);
        here.fill(2);
        drop(here);
        other.join().unwrap();
        assert_eq!(Arc::strong_count(&alive), 1, "the memory was not given back");
    });
}
