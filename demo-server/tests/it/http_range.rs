//! Ranges: one is served, absurd ones do no harm.

use demo_server::http::range::{Part, Ranged, select};
use proptest::prelude::*;

const fn part(start: u64, end: u64) -> Ranged {
    Ranged::Part(Part { start, end })
}

#[test]
fn one_range_selects_its_bytes() {
    for (value, size, expected) in [
        ("bytes=0-0", 10, part(0, 1)),
        ("bytes=2-4", 10, part(2, 5)),
        ("bytes=0-9", 10, part(0, 10)),
        ("bytes=0-10", 10, part(0, 10)),
        ("bytes=9-", 10, part(9, 10)),
        ("bytes=0-", 10, part(0, 10)),
        ("bytes=-1", 10, part(9, 10)),
        ("bytes=-10", 10, part(0, 10)),
        ("bytes=-11", 10, part(0, 10)),
        ("BYTES=2-4", 10, part(2, 5)),
        ("bytes= 2-4 ", 10, part(2, 5)),
        ("bytes=002-004", 10, part(2, 5)),
        ("bytes=10-", 10, Ranged::Unsatisfiable),
        ("bytes=10-20", 10, Ranged::Unsatisfiable),
        ("bytes=-0", 10, Ranged::Unsatisfiable),
        ("bytes=0-", 0, Ranged::Unsatisfiable),
        ("bytes=0-0", 0, Ranged::Unsatisfiable),
        ("bytes=-5", 0, Ranged::Whole),
    ] {
        assert_eq!(select(value.as_bytes(), size), expected, "{value} of {size}");
    }
}

#[test]
fn what_is_no_single_range_of_bytes_means_the_whole_file() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-b",
        "bytes=4-2",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1--2",
        "bytes=0x1-2",
        "bytes 0-1",
        "bytes =0-1",
        "bytes=1 - 2",
        "items=0-1",
        "bytes=0-1,2-3",
        "bytes=0-1,",
        "bytes=,0-1",
        "bytes=-1,-1",
    ] {
        assert_eq!(select(value.as_bytes(), 10), Ranged::Whole, "{value}");
    }
    let thousand = format!("bytes={}", vec!["0-9"; 1000].join(","));
    assert_eq!(select(thousand.as_bytes(), 10), Ranged::Whole);
}

#[test]
fn numbers_beyond_64_bits_lie_behind_the_end() {
    let nines = "9".repeat(20);
    let of = |value: String, size| select(value.as_bytes(), size);
    assert_eq!(of(format!("bytes=0-{nines}"), 10), part(0, 10));
    assert_eq!(of(format!("bytes={nines}-"), 10), Ranged::Unsatisfiable);
    assert_eq!(of(format!("bytes=-{nines}"), 10), part(0, 10));
    assert_eq!(of(format!("bytes={nines}-{nines}"), u64::MAX), Ranged::Unsatisfiable);
    assert_eq!(of(format!("bytes=5-{}", u64::MAX), u64::MAX), part(5, u64::MAX));
    assert_eq!(of(format!("bytes=0-{}", "9".repeat(5000)), 10), part(0, 10));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_part_is_never_empty_nor_beyond_the_file(value in "bytes=[0-9]{0,21}-[0-9]{0,21}", size in any::<u64>()) {
        if let Ranged::Part(found) = select(value.as_bytes(), size) {
            prop_assert!(found.start < found.end && found.end <= size);
            prop_assert_eq!(found.len(), found.end - found.start);
        }
    }

    #[test]
    fn a_range_within_the_file_is_taken_literally(start in 0u64..1000, more in 0u64..1000, behind in 1u64..1000) {
        let last = start + more;
        let value = format!("bytes={start}-{last}");
        prop_assert_eq!(select(value.as_bytes(), last + behind), part(start, last + 1));
    }

    #[test]
    fn no_bytes_make_it_panic(value in any::<Vec<u8>>(), size in any::<u64>()) {
        let _ = select(&value, size);
        let _ = select(&[b"bytes=", &value[..]].concat(), size);
    }
}
