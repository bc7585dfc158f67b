//! What a slab lies on: each backing works or says why not, and the report claims no more than was proved.

use stingy_alloc::{
    Backing, Geometry, Level, MemoryMap, Options, Reason, SiteId, Slab, SlabError, StageId,
};

fn map() -> MemoryMap {
    let geometry = Geometry::new(512 << 10, 8, 64).unwrap();
    let builder = MemoryMap::builder().geometry(geometry).site("chunk", 16 << 10, 24);
    builder.stage("stage", &[], &[("chunk", 1)]).build().unwrap()
}

fn on(backing: Backing) -> Result<Slab, SlabError> {
    let map = map();
    let geometry = Some(map.geometry());
    Slab::new(&map, Options { geometry, backing, ..Options::default() })
}

/// Every byte of the slab can be used, and lies where the layout says.
fn exercise(slab: &Slab) {
    let permit = slab.admit(StageId(0), 24);
    assert_eq!(permit.granted(), 24);
    let mut slots: Vec<_> = (0..24).map(|_| permit.alloc(SiteId(0)).unwrap()).collect();
    for slot in &mut slots {
        assert!(slot.iter().all(|byte| *byte == 0), "the start-up check left something behind");
        slot.fill(0xA5);
    }
    let mut starts: Vec<usize> = slots.iter().map(|slot| slot.as_ptr().addr()).collect();
    starts.sort_unstable();
    assert_eq!(starts[0] % (64 << 10), 0, "the slab starts at a way");
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 16 << 10));
}

#[test]
fn auto_always_gives_a_slab_and_says_what_it_lies_on() {
    let slab = on(Backing::Auto).unwrap();
    exercise(&slab);
    let report = slab.report();
    assert_ne!(report.backing, Backing::Auto);
    let plain = report.backing == Backing::Pages;
    assert_eq!(slab.stats().fallback(Reason::Backing), u64::from(plain));
    assert_eq!(matches!(report.level, Level::Timed | Level::None), plain, "{report}");
    assert!(!report.why.is_empty());
}

#[test]
fn plain_pages_are_never_called_verified() {
    let slab = on(Backing::Pages).unwrap();
    exercise(&slab);
    let report = slab.report();
    assert_eq!(report.backing, Backing::Pages);
    assert!(matches!(report.level, Level::Timed | Level::None), "{report}");
    assert!(report.why.contains("no huge pages"), "{report}");
    assert_eq!(slab.stats().fallback(Reason::Backing), 0, "they were asked for");
}

#[test]
fn a_backing_by_name_is_that_or_an_error_with_a_next_step() {
    for backing in [Backing::HugeTlb, Backing::Thp] {
        match on(backing) {
            Ok(slab) => {
                exercise(&slab);
                assert_eq!(slab.report().backing, backing);
                let level = slab.report().level;
                assert!(matches!(level, Level::Verified | Level::VerifiedGuest), "{level}");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains("Backing::Pages") && text.contains(&backing.to_string()),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn this_machine_has_a_geometry_or_says_what_to_do() {
    match Geometry::detect() {
        Ok(geometry) => {
            assert_eq!(geometry.sets() * geometry.ways * geometry.line, geometry.size);
            let slab = Slab::new(&map(), Options::default()).unwrap();
            assert_eq!(slab.map().geometry(), geometry);
        }
        Err(error) => assert!(error.to_string().contains("Geometry::new"), "{error}"),
    }
}

#[test]
fn impossible_options_are_errors() {
    let absurd = Geometry { size: 1 << 60, ways: 1, line: 64, k: 1 };
    let options = Options { geometry: Some(absurd), ..Options::default() };
    assert!(matches!(Slab::new(&map(), options), Err(SlabError::Map(_))));
    for (size, ways) in [(16 << 20, 16), (32 << 20, 8)] {
        let geometry = Some(Geometry::new(size, ways, 64).unwrap());
        let error = Slab::new(&map(), Options { geometry, ..Options::default() }).unwrap_err();
        assert!(matches!(error, SlabError::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains("with_k"), "{error}");
    }
    let tiny = Geometry::new(8 << 10, 4, 64).unwrap();
    let options = Options { geometry: Some(tiny), ..Options::default() };
    let error = Slab::new(&map(), options).unwrap_err().to_string();
    assert!(error.contains("shrink the sites"), "{error}");
}
