//! Random maps are read as they were written, and random bytes are refused without a panic.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::subsequence;
use stingy_alloc::MemoryMap;

/// A list as the format has it.
fn list(items: &[String]) -> String {
    if items.is_empty() { "-".to_owned() } else { items.join(",") }
}

fn with_end(body: &str) -> String {
    format!("{body}end crc32={:08x}\n", crc32fast::hash(body.as_bytes()))
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_:=,.*ß→-]{0,8}"
}

/// Regions of a map, as records, each with its id, slot and slots.
fn regions() -> impl Strategy<Value = (String, Vec<(u16, usize, u32)>)> {
    let region =
        (1..6usize, 0..3u32, 1..20u32).prop_map(|(n, shift, slots)| ((n * 64) << shift, slots));
    (btree_set(0..1024u16, 1..5), vec(region, 4)).prop_flat_map(|(ids, regions)| {
        let all = ids.into_iter().zip(regions).map(|(id, (slot, slots))| (id, slot, slots));
        Just(all.collect::<Vec<_>>()).prop_shuffle().prop_map(|all| {
            let record = |(id, slot, slots): &(u16, usize, u32)| {
                format!("region {id} slot={slot} slots={slots}\n")
            };
            (all.iter().map(record).collect(), all)
        })
    })
}

/// Sites in those regions, as records, each with its id and cap.
fn sites(regions: Vec<(u16, usize, u32)>) -> impl Strategy<Value = (String, Vec<(u16, u32)>)> {
    let site = (any::<usize>(), any::<usize>(), 0..8u32, any::<u32>(), any::<bool>(), name());
    (btree_set(0..1024u16, 1..7), vec(site, 6)).prop_map(move |(ids, sites)| {
        let (mut text, mut all) = (String::new(), Vec::new());
        for (id, (region, size, align, cap, guard, name)) in ids.into_iter().zip(sites) {
            let (region, slot, slots) = regions[region % regions.len()];
            let (size, align, cap) = (1 + size % slot, 1 << align, 1 + cap % slots);
            let guard = if guard { "on" } else { "off" };
            text += &format!("site {id} name={name}{id} size={size} align={align} cap={cap} ");
            text += &format!("region={region} guard={guard}\n");
            all.push((id, cap));
        }
        (text, all)
    })
}

/// Stages over those sites, and pairs of them where one dominates the other, as records.
fn stages(sites: Vec<(u16, u32)>) -> impl Strategy<Value = String> {
    let all = 0..=sites.len();
    let stage = (subsequence(sites.clone(), all.clone()), subsequence(sites.clone(), all), name());
    let pairs = vec((0..sites.len(), 0..sites.len()), 0..3);
    (btree_set(0..1024u16, 0..5), vec((stage, any::<u32>()), 4), pairs).prop_map(
        move |(ids, stages, pairs)| {
            let mut text = String::new();
            for (id, ((live, alloc, name), weight)) in ids.into_iter().zip(stages) {
                let live: Vec<String> = live.iter().map(|(site, _)| site.to_string()).collect();
                let alloc: Vec<String> =
                    alloc.iter().map(|(site, cap)| format!("{site}*{}", cap.div_ceil(3))).collect();
                let (live, alloc) = (list(&live), list(&alloc));
                text += &format!(
                    "stage {id} name={name}{id} live={live} alloc={alloc} weight={weight}\n"
                );
            }
            for (a, b) in pairs {
                let (a, b) = (sites[a], sites[b]);
                let (above, below) = if a.1 >= b.1 { (a, b) } else { (b, a) };
                text += &format!("dominates {} {}\n", above.0, below.0);
            }
            text
        },
    )
}

/// The text of a whole map, in the form in which maps are written.
fn text() -> impl Strategy<Value = String> {
    let head = (0..5000usize, vec(0..9000usize, 0..4), vec((1..9000usize, any::<bool>()), 0..4));
    let body = regions().prop_flat_map(|(text, all)| (Just(text), sites(all)));
    let body = body.prop_flat_map(|(regions, (text, all))| (Just(regions + &text), stages(all)));
    (head, body).prop_map(|((stack, clusters, globals), (body, stages))| {
        let clusters: Vec<String> = clusters.iter().map(usize::to_string).collect();
        let mut text = "scg-map 1\ngeometry size=1048576 ways=16 line=64 k=12\n".to_owned();
        text += &format!("stack bytes={stack} clusters={}\n", list(&clusters));
        for (id, (size, last)) in globals.into_iter().enumerate() {
            let kind = if last { "final" } else { "temporary" };
            text += &format!("global {id} size={size} kind={kind}\n");
        }
        with_end(&(text + &body + &stages))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Some are refused: a stage takes more than a region has, or an alignment does not suit its slots.
    #[test]
    fn a_map_is_written_as_it_was_read(text in text()) {
        match MemoryMap::parse(&text) {
            Ok(map) => {
                prop_assert_eq!(&map.to_string(), &text);
                prop_assert_eq!(MemoryMap::parse(&map.to_string()), Ok(map));
            }
            Err(error) => {
                let says = error.to_string();
                prop_assert!(says.contains("could never run") || says.contains("does not suit"), "{}", says);
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(MemoryMap::parse(&String::from_utf8_lossy(&bytes)).is_err());
        let body = [b"scg-map 1\ngeometry size=1048576 ways=16 line=64 k=12\n", &bytes[..]].concat();
        let _ = MemoryMap::parse(&with_end(&String::from_utf8_lossy(&body)));
    }

    /// As above, with bytes that come closer to a map: a few of a sound one are replaced.
    #[test]
    fn no_damage_to_a_map_makes_the_reader_panic(
        text in text(),
        damage in vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(b'9'), Just(b'\n')]), 1..5),
    ) {
        let body = text.split("end crc32").next().unwrap_or_default();
        let mut bytes = body.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(map) = MemoryMap::parse(&with_end(&String::from_utf8_lossy(&bytes))) {
            prop_assert_eq!(MemoryMap::parse(&map.to_string()), Ok(map));
        }
    }
}

#[test]
fn most_of_the_random_maps_are_sound() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut sound = || MemoryMap::parse(&text().new_tree(&mut runner).unwrap().current()).is_ok();
    let count = (0..200).filter(|_| sound()).count();
    assert!(count > 100, "{count} of 200: the properties would test little");
}
