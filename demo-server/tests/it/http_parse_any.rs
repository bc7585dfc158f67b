//! Request heads, any at all: pieces, damage and noise change nothing about what is a request.

use demo_server::http::head::Method;
use demo_server::http::parse::{Limits, Parsed, parse};
use demo_server::http::status::Status;
use proptest::prelude::*;

fn refused(input: &[u8]) -> Option<Status> {
    match parse(input, &Limits::default()) {
        Parsed::Refused(refusal) => Some(refusal.status),
        _ => None,
    }
}

/// A valid head, from parts that matter.
fn valid_head() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "X-[A-Za-z0-9]{0,8}: ?[ -~]{0,20}",
        Just("Content-Length: 5".to_owned()),
        Just("If-None-Match: \"a\", W/\"b\"".to_owned()),
        "Connection: (close|keep-alive)",
    ];
    let lines = proptest::collection::btree_map("[a-z]", line, 0..8);
    ("(GET|HEAD)", "/[a-z0-9/%.|]{0,30}(\\?[a-z=&]{0,9})?", "(\r\n)?", lines).prop_map(
        |(method, target, before, lines)| {
            let mut seen = std::collections::BTreeSet::new();
            let mut text = format!("{before}{method} {target} HTTP/1.1\r\nHost: a.example\r\n");
            for line in lines.values() {
                let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
                if seen.insert(name) {
                    text.push_str(line);
                    text.push_str("\r\n");
                }
            }
            (text + "\r\n").into_bytes()
        },
    )
}

/// Bytes near a request: a valid head with some of its bytes replaced.
fn damaged_head() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\r\n \t:\0/#".to_vec())];
    (valid_head(), prop::collection::vec((any::<prop::sample::Index>(), byte), 0..4)).prop_map(
        |(mut head, edits)| {
            for (at, byte) in edits {
                let at = at.index(head.len());
                head[at] = byte;
            }
            head
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_valid_head_is_partial_at_every_split_and_then_complete(head in valid_head(), tail in any::<Vec<u8>>()) {
        for split in 0..head.len() {
            prop_assert_eq!(parse(&head[..split], &Limits::default()), Parsed::Partial, "split {}", split);
        }
        let whole = parse(&head, &Limits::default());
        let Parsed::Complete(found) = &whole else { return Err(TestCaseError::fail(format!("{whole:?}"))) };
        prop_assert_eq!(found.head_len, head.len());
        let followed = [&head[..], &tail[..]].concat();
        prop_assert_eq!(&parse(&followed, &Limits::default()), &whole);
    }

    #[test]
    fn no_bytes_make_it_panic(input in any::<Vec<u8>>()) {
        let _ = parse(&input, &Limits::default());
    }

    #[test]
    fn what_is_accepted_reads_the_same_to_httparse(input in damaged_head()) {
        let Parsed::Complete(head) = parse(&input, &Limits::default()) else { return Ok(()) };
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut fields);
        prop_assert_eq!(request.parse(&input), Ok(httparse::Status::Complete(head.head_len)));
        let method = if head.method == Method::Get { "GET" } else { "HEAD" };
        prop_assert_eq!(request.method, Some(method));
        let mut target = head.path.to_vec();
        if let Some(query) = head.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        prop_assert_eq!(request.path.map(str::as_bytes), Some(&target[..]));
        prop_assert_eq!(request.version, Some(u8::from(!head.http10)));
        let text = &input[..head.head_len];
        prop_assert!(text.ends_with(b"\r\n\r\n"));
        prop_assert_eq!(memchr::memchr_iter(b'\n', text).count(), text.windows(2).filter(|pair| pair == b"\r\n").count());
    }

    #[test]
    fn a_refusal_never_becomes_a_request(input in damaged_head(), tail in any::<Vec<u8>>()) {
        let Some(split) = (0..=input.len()).find(|split| refused(&input[..*split]).is_some()) else { return Ok(()) };
        let more = [&input[..split], &tail[..]].concat();
        prop_assert!(!matches!(parse(&more, &Limits::default()), Parsed::Complete(_)));
    }

    #[test]
    fn parsing_only_when_it_is_worth_it_finds_the_same(input in damaged_head(), small in any::<bool>()) {
        let limits = if small { Limits { request_line: 20, head: 60, fields: 3 } } else { Limits::default() };
        let mut seen = 0;
        let mut found = parse(b"", &limits);
        for len in 1..=input.len() {
            let now = parse(&input[..len], &limits);
            if found == Parsed::Partial && limits.worth_parsing(&input[..len], seen) {
                seen = len;
                found = now.clone();
            }
            // A fault within a line may be found with the line's end; nothing else waits.
            match now {
                Parsed::Complete(_) => prop_assert_eq!(&found, &now),
                Parsed::Refused(refusal) if refusal.status != Status::BadRequest => {
                    prop_assert!(refusal.status == Status::VersionNotSupported || found == now);
                    break;
                }
                Parsed::Refused(_) => break,
                Parsed::Partial => prop_assert_eq!(&found, &Parsed::Partial),
            }
            if found != Parsed::Partial {
                break;
            }
        }
    }
}
