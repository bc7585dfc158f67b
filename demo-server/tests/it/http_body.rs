//! Request bodies: read to their exact end, refused at the first byte that is wrong.

use demo_server::http::body::{DEFAULT_LIMIT, Drain, Fed};
use demo_server::http::head::BodyLen;
use demo_server::http::status::Status;
use proptest::prelude::*;

/// Feeds a chunked body in one piece: how much of it was the body, or why it was refused.
fn chunked(text: &[u8]) -> Result<Fed, Status> {
    Drain::new(BodyLen::Chunked, DEFAULT_LIMIT)
        .and_then(|mut drain| drain.feed(text))
        .map_err(|refusal| refusal.status)
}

#[test]
fn a_body_of_known_length_ends_there() {
    let mut drain = Drain::new(BodyLen::Length(5), DEFAULT_LIMIT).expect("within the limit");
    assert_eq!(drain.feed(b""), Ok(Fed { used: 0, done: false }));
    assert_eq!(drain.feed(b"abc"), Ok(Fed { used: 3, done: false }));
    assert_eq!(drain.feed(b"deGET /"), Ok(Fed { used: 2, done: true }));
    assert_eq!(drain.feed(b"GET /"), Ok(Fed { used: 0, done: true }));
    for none in [BodyLen::None, BodyLen::Length(0)] {
        let mut drain = Drain::new(none, 0).expect("nothing is within any limit");
        assert!(drain.is_done());
        assert_eq!(drain.feed(b"GET"), Ok(Fed { used: 0, done: true }));
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused_before_it_is_read() {
    assert!(Drain::new(BodyLen::Length(DEFAULT_LIMIT), DEFAULT_LIMIT).is_ok());
    for length in [DEFAULT_LIMIT + 1, u64::MAX] {
        let refusal = Drain::new(BodyLen::Length(length), DEFAULT_LIMIT).expect_err("too large");
        assert_eq!(refusal.status, Status::ContentTooLarge);
    }
    let limited = |text: &[u8]| {
        Drain::new(BodyLen::Chunked, 10)
            .and_then(|mut drain| drain.feed(text))
            .map_err(|refusal| refusal.status)
    };
    assert!(limited(b"a\r\n0123456789\r\n0\r\n\r\n").is_ok_and(|fed| fed.done));
    assert_eq!(limited(b"b\r\n"), Err(Status::ContentTooLarge));
    assert_eq!(limited(b"5\r\n01234\r\n6\r\n"), Err(Status::ContentTooLarge));
    assert_eq!(limited(b"1;0123456789\r\n0\r\n"), Err(Status::ContentTooLarge));
    assert_eq!(limited(b"ffffffffffffffff\r\n"), Err(Status::ContentTooLarge));
}

#[test]
fn a_chunked_body_ends_with_its_last_chunk_and_trailers() {
    for text in [
        "0\r\n\r\n",
        "00000\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n",
        "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
        "1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n",
        "0\r\nX-Sum: 1\r\nY:\r\n\r\n",
    ] {
        let followed = format!("{text}GET / HTTP/1.1\r\n");
        let expected = Fed { used: text.len(), done: true };
        assert_eq!(chunked(followed.as_bytes()), Ok(expected), "{text:?}");
    }
}

#[test]
fn a_chunk_that_could_be_read_in_two_ways_is_refused() {
    for text in [
        "-1\r\n",
        "0x0\r\n",
        "0_2e\r\n",
        " 5\r\n",
        "5 \r\n",
        "\t5\r\n",
        "+5\r\n",
        "\r\n",
        ";a\r\n",
        "g\r\n",
        "5g\r\n",
        "fffffffffffffffff\r\n",
        "00000000000000000\r\n",
        "5\nhello",
        "5\r\rhello",
        "5;a\nhello",
        "5;a\rb\r\nhello",
        "5;a\0\r\n",
        "5;a\x7f\r\n",
        "5\r\nhello0\r\n",
        "5\r\nhello\n0\r\n",
        "5\r\nhelloXX",
        "5\r\nhello\rX",
        "0\r\n\n",
        "0\r\n\rX",
        "0\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\nX : 1\r\n",
        "0\r\n: 1\r\n",
        "0\r\n X: 1\r\n",
        "0\r\nX: 1\n",
        "0\r\nX: 1\r\n 2\r\n",
        "0\r\nX: \0\r\n",
        "0\r\nX: 1\rY",
    ] {
        assert_eq!(chunked(text.as_bytes()), Err(Status::BadRequest), "{text:?}");
    }
}

#[test]
fn trailers_without_end_are_refused() {
    let many = format!("0\r\n{}", "X: 1\r\n".repeat(2000));
    assert_eq!(chunked(many.as_bytes()), Err(Status::HeaderFieldsTooLarge));
    let long = format!("0\r\nX: {}", "a".repeat(9000));
    assert_eq!(chunked(long.as_bytes()), Err(Status::HeaderFieldsTooLarge));
}

/// The oracle: a chunked body as a sender writes it.
fn encode(chunks: &[Vec<u8>], trailers: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for chunk in chunks {
        text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        text.extend_from_slice(chunk);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"0\r\n");
    text.extend_from_slice("X: 1\r\n".repeat(trailers).as_bytes());
    text.extend_from_slice(b"\r\n");
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_body_in_any_pieces_ends_where_it_was_written_to_end(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        trailers in 0usize..3,
        pieces in prop::collection::vec(1usize..9, 1..20),
    ) {
        let body = encode(&chunks, trailers);
        let followed = [&body[..], b"GET / HTTP/1.1\r\n"].concat();
        let mut drain = Drain::new(BodyLen::Chunked, DEFAULT_LIMIT).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
        let mut at = 0;
        for piece in pieces.iter().cycle() {
            let end = (at + piece).min(followed.len());
            let fed = drain.feed(&followed[at..end]).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
            at += fed.used;
            if fed.done {
                break;
            }
            prop_assert_eq!(at, end, "what is not done takes all it is given");
        }
        prop_assert_eq!(at, body.len());
    }

    #[test]
    fn no_bytes_make_it_panic_or_take_more_than_there_are(input in any::<Vec<u8>>(), hex in "[0-9a-f]{0,3}", limit in 0u64..100) {
        let text = [hex.as_bytes(), b"\r\n", &input[..]].concat();
        if let Ok(fed) = Drain::new(BodyLen::Chunked, limit).and_then(|mut drain| drain.feed(&text)) {
            prop_assert!(fed.used <= text.len());
        }
    }
}
