//! Preconditions, in the order of RFC 9110 §13.2.2.

use demo_server::http::conditional::{ETag, Validators, Verdict, applicable_range, evaluate};
use demo_server::http::head::Head;
use demo_server::http::parse::{Limits, Parsed, parse};
use proptest::prelude::*;

/// 6 November 1994, 08:49:37.
const MODIFIED: i64 = 784_111_777;
const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
const NO_DATE: &str = "yesterday";

fn current() -> Validators {
    Validators::of(MODIFIED, 5, 1024)
}

const TAG: &str = "\"2ebc98a100000005-400\"";

fn with_head<T>(lines: &str, judge: impl FnOnce(&Head<'_>) -> T) -> T {
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    match parse(text.as_bytes(), &Limits::default()) {
        Parsed::Complete(head) => judge(&head),
        other => panic!("{lines:?}: {other:?}"),
    }
}

fn verdict(lines: &str) -> Verdict {
    with_head(lines, |head| evaluate(head, &current()))
}

#[track_caller]
fn judges(field: &str, cases: &[(&str, Verdict)]) {
    for (value, expected) in cases {
        let line = format!("{field}: {value}\r\n");
        assert_eq!(verdict(&line), *expected, "{line:?}");
    }
}

#[test]
fn a_tag_is_strong_and_tells_versions_apart() {
    assert_eq!(current().etag.as_bytes(), TAG.as_bytes());
    let others =
        [ETag::of(MODIFIED, 6, 1024), ETag::of(MODIFIED + 1, 5, 1024), ETag::of(MODIFIED, 5, 1025)];
    assert!(others.iter().all(|other| *other != current().etag));
    let longest = ETag::of(-1, u32::MAX, u64::MAX);
    assert_eq!(longest.as_bytes(), b"\"ffffffffffffffffffffffff-ffffffffffffffff\"");
    assert_eq!(Validators::of(-1, 0, 0).modified, 0);
}

#[test]
fn if_none_match_compares_weakly_and_means_304() {
    use Verdict::{NotModified, Proceed};
    judges(
        "If-None-Match",
        &[
            (TAG, NotModified),
            ("*", NotModified),
            (&format!("W/{TAG}"), NotModified),
            (&format!("\"a\", \"b,c\" ,\t{TAG}"), NotModified),
            (&format!(",, W/\"x\",{TAG}, \"z\""), NotModified),
            ("\"a\"", Proceed),
            ("\"a\", W/\"b\"", Proceed),
            ("", Proceed),
            ("*, \"a\"", Proceed),
            (TAG.trim_matches('"'), Proceed),
            (&format!("\"a{TAG}"), Proceed),
            (&format!("w/{TAG}"), Proceed),
            (TAG.trim_end_matches('"'), Proceed),
        ],
    );
}

#[test]
fn if_match_compares_strongly_and_means_412() {
    use Verdict::{PreconditionFailed, Proceed};
    judges(
        "If-Match",
        &[
            (TAG, Proceed),
            ("*", Proceed),
            (&format!("\"a\", {TAG}"), Proceed),
            (&format!("W/{TAG}"), PreconditionFailed),
            (&format!("W/{TAG}, {TAG}"), Proceed),
            ("\"a\"", PreconditionFailed),
            ("", PreconditionFailed),
        ],
    );
}

#[test]
fn dates_compare_by_the_second_and_no_date_is_no_condition() {
    use Verdict::{NotModified, PreconditionFailed, Proceed};
    judges(
        "If-Modified-Since",
        &[
            (SAME, NotModified),
            (AFTER, NotModified),
            (BEFORE, Proceed),
            (NO_DATE, Proceed),
            ("", Proceed),
            ("Sunday, 06-Nov-94 08:49:37 GMT", NotModified),
            ("Sun Nov  6 08:49:37 1994", NotModified),
            ("Sun, 06 Nov 1994 08:49:37 CET", Proceed),
        ],
    );
    judges(
        "If-Unmodified-Since",
        &[(SAME, Proceed), (AFTER, Proceed), (BEFORE, PreconditionFailed), (NO_DATE, Proceed)],
    );
}

#[test]
fn tags_outrank_dates_and_412_outranks_304() {
    use Verdict::{NotModified, PreconditionFailed, Proceed};
    for (lines, expected) in [
        (format!("If-None-Match: \"a\"\r\nIf-Modified-Since: {SAME}\r\n"), Proceed),
        (format!("If-None-Match: {TAG}\r\nIf-Modified-Since: {BEFORE}\r\n"), NotModified),
        (format!("If-Match: {TAG}\r\nIf-Unmodified-Since: {BEFORE}\r\n"), Proceed),
        (format!("If-Match: \"a\"\r\nIf-Unmodified-Since: {SAME}\r\n"), PreconditionFailed),
        (format!("If-Match: \"a\"\r\nIf-None-Match: {TAG}\r\n"), PreconditionFailed),
        (format!("If-Match: {TAG}\r\nIf-None-Match: {TAG}\r\n"), NotModified),
        (
            format!("If-Unmodified-Since: {BEFORE}\r\nIf-Modified-Since: {SAME}\r\n"),
            PreconditionFailed,
        ),
        (format!("If-Unmodified-Since: {SAME}\r\nIf-Modified-Since: {SAME}\r\n"), NotModified),
        (String::new(), Proceed),
    ] {
        assert_eq!(verdict(&lines), expected, "{lines:?}");
    }
}

#[test]
fn a_range_holds_only_for_the_version_it_was_made_for() {
    for (if_range, holds) in [
        (TAG, true),
        ("\"a\"", false),
        (&format!("W/{TAG}"), false),
        (SAME, true),
        (BEFORE, false),
        (AFTER, false),
        (NO_DATE, false),
        ("", false),
        ("*", false),
    ] {
        let lines = format!("Range: bytes=0-1\r\nIf-Range: {if_range}\r\n");
        let found = with_head(&lines, |head| applicable_range(head, &current()).is_some());
        assert_eq!(found, holds, "{if_range}");
    }
    let bare = with_head("Range: bytes=0-1\r\n", |head| {
        applicable_range(head, &current()).map(<[u8]>::to_vec)
    });
    assert_eq!(bare, Some(b"bytes=0-1".to_vec()));
    assert!(with_head(&format!("If-Range: {TAG}\r\n"), |head| {
        applicable_range(head, &current()).is_none()
    }));
    let text = b"HEAD / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n";
    let Parsed::Complete(head) = parse(text, &Limits::default()) else { panic!("a valid head") };
    assert_eq!(applicable_range(&head, &current()), None, "HEAD has no ranges");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_value_makes_it_panic_and_only_the_tag_itself_matches(value in "[ -~]{0,60}") {
        let lines = format!("If-None-Match: {value}\r\nIf-Range: {value}\r\nRange: {value}\r\n");
        let known = verdict(&lines) == Verdict::NotModified;
        prop_assert!(!known || value.contains(TAG) || value.trim() == "*");
        with_head(&lines, |head| applicable_range(head, &current()).is_some());
    }

    #[test]
    fn a_file_answers_304_to_its_own_validators(secs in any::<i64>(), nanos in 0u32..1_000_000_000, size in any::<u64>()) {
        let own = Validators::of(secs, nanos, size);
        let tag = String::from_utf8_lossy(own.etag.as_bytes()).into_owned();
        let found = with_head(&format!("If-None-Match: {tag}\r\n"), |head| evaluate(head, &own));
        prop_assert_eq!(found, Verdict::NotModified);
    }
}
