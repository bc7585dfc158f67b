//! Request heads: what is refused and how, and what is understood.

use demo_server::http::head::{BodyLen, Head, Method};
use demo_server::http::parse::{Limits, Parsed, parse};
use demo_server::http::status::Status;

fn refused(input: &[u8]) -> Option<Status> {
    match parse(input, &Limits::default()) {
        Parsed::Refused(refusal) => Some(refusal.status),
        _ => None,
    }
}

#[track_caller]
fn complete(input: &[u8]) -> Head<'_> {
    match parse(input, &Limits::default()) {
        Parsed::Complete(head) => head,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

/// A GET with these lines behind `Host`.
fn get(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

#[track_caller]
fn all_refused(status: Status, heads: &[&[u8]]) {
    for head in heads {
        assert_eq!(refused(head), Some(status), "{}", head.escape_ascii());
    }
}

#[track_caller]
fn lines_refused(status: Status, lines: &[&str]) {
    for line in lines {
        assert_eq!(refused(&get(line)), Some(status), "{line:?}");
    }
}

#[test]
fn a_body_of_two_lengths_is_refused() {
    lines_refused(
        Status::BadRequest,
        &[
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "Content-Length: 3\r\nContent-Length: 4\r\n",
            "Content-Length: 3\r\ncontent-length: 3\r\n",
            "Content-Length: 3, 3\r\n",
            "Content-Length: 3\r\nTransfer-Encoding: xchunked\r\n",
        ],
    );
    all_refused(
        Status::BadRequest,
        &[b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"],
    );
}

#[test]
fn a_content_length_that_is_no_plain_number_is_refused() {
    for value in [
        "+0",
        "-1",
        "0x0",
        "1180591620717411303424",
        "18446744073709551616",
        "99999999999999999999",
        "",
        "1_0",
        "1Z",
        "1 0",
        "1.0",
        "\u{661}",
    ] {
        lines_refused(Status::BadRequest, &[&format!("Content-Length: {value}\r\n")]);
    }
    let largest = get("Content-Length: 18446744073709551615\r\n");
    assert_eq!(complete(&largest).body, BodyLen::Length(u64::MAX));
}

#[test]
fn only_chunked_is_a_transfer_coding() {
    for value in [
        "xchunked",
        "chunked, identity",
        "\x0bchunked",
        ",chunked",
        "chunked,",
        "chunked, chunked",
        "identity",
        "gzip",
        "chunked;q=1",
        "\"chunked\"",
        "",
        "chun ked",
    ] {
        lines_refused(Status::BadRequest, &[&format!("Transfer-Encoding: {value}\r\n")]);
    }
    lines_refused(Status::NotImplemented, &["Transfer-Encoding: gzip, chunked\r\n"]);
    lines_refused(
        Status::BadRequest,
        &["Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"],
    );
    all_refused(
        Status::BadRequest,
        &[b"GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"],
    );
    for value in ["chunked", "CHUNKED", " \tchunked \t"] {
        let head = get(&format!("Transfer-Encoding:{value}\r\n"));
        assert_eq!(complete(&head).body, BodyLen::Chunked, "{value:?}");
    }
}

#[test]
fn control_bytes_are_refused_wherever_they_stand() {
    for byte in (0..=0x1f).chain([0x7f]) {
        for (before, after) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\nX-"[..], &b"Y: 1\r\n\r\n"[..]),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1", b"2\r\n\r\n"),
            (b"GET /", b" HTTP/1.1\r\nHost: a\r\n\r\n"),
            (b"GE", b"T / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (b"GET / HTTP/1.", b"1\r\nHost: a\r\n\r\n"),
        ] {
            let head = [before, &[byte], after].concat();
            let tab_in_value = byte == b'\t' && before.ends_with(b"X: 1");
            let expected = (!tab_in_value).then_some(Status::BadRequest);
            assert_eq!(refused(&head), expected, "{}", head.escape_ascii());
        }
    }
}

#[test]
fn bytes_of_the_high_half_stand_in_values_only() {
    complete(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x85\xff\r\n\r\n");
    all_refused(
        Status::BadRequest,
        &[
            b"GET / HTTP/1.1\r\nHost: a\r\nX\x85: 1\r\n\r\n",
            b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
            b"G\x85T / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
}

#[test]
fn lines_that_are_no_fields_are_refused() {
    lines_refused(
        Status::BadRequest,
        &[
            "X : 1\r\n",
            "X\t: 1\r\n",
            " X: 1\r\n",
            "X: 1\r\n 2\r\n",
            "X: 1\r\n\t2\r\n",
            ": 1\r\n",
            "X\r\n",
            "X 1\r\n",
            "X(: 1\r\n",
            "X\"Y\": 1\r\n",
        ],
    );
    all_refused(
        Status::BadRequest,
        &[
            b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        ],
    );
}

#[test]
fn every_line_ends_in_crlf() {
    all_refused(
        Status::BadRequest,
        &[
            b"GET / HTTP/1.1\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\rX",
        ],
    );
}

#[test]
fn one_empty_line_may_stand_before_a_request() {
    let head = complete(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET");
    assert_eq!(head.head_len, 29);
    for beginning in [&b""[..], b"\r", b"\r\n", b"\r\nG"] {
        assert_eq!(parse(beginning, &Limits::default()), Parsed::Partial);
    }
    all_refused(
        Status::BadRequest,
        &[b"\n", b"\r\n\r", b"\r\n\n", b"\rG", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    );
}

#[test]
fn a_request_line_has_three_parts_one_space_and_a_known_version() {
    for line in [
        "GET /  HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        "GET / HTTP/1",
        "GET / HTTP/11",
        "GET / HTTP/1.10",
        "GET / HTTP/a.1",
        "GET / HTTP/x.yz",
        "GET / HTTPS/1.1",
        "GET / ICY/1.10",
        "GET /",
        "GET / ",
        "GET",
        "GET / x HTTP/1.1",
        "GET HTTP/1.1",
        "(GET) / HTTP/1.1",
        "GET /#x HTTP/1.1",
        "GET /a#b?c HTTP/1.1",
        "/ HTTP/1.1",
    ] {
        let head = format!("{line}\r\nHost: a\r\n\r\n");
        assert_eq!(refused(head.as_bytes()), Some(Status::BadRequest), "{line:?}");
    }
    for version in ["HTTP/9.9", "HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.0"] {
        let head = format!("GET / {version}\r\nHost: a\r\n\r\n");
        assert_eq!(refused(head.as_bytes()), Some(Status::VersionNotSupported), "{version}");
    }
    all_refused(Status::VersionNotSupported, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]);
}

#[test]
fn only_get_and_head_are_served() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"] {
        for target in ["/", "*", "a:443"] {
            let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(refused(head.as_bytes()), Some(Status::MethodNotAllowed));
        }
    }
    for method in ["FOO", "get", "Get", "GETT", "PROPFIND", "!#$%&'*+-.^_`|~0"] {
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(refused(head.as_bytes()), Some(Status::NotImplemented), "{method}");
    }
    assert_eq!(complete(&get("")).method, Method::Get);
    let head = complete(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.method, Method::Head);
}

#[test]
fn what_exceeds_a_limit_is_refused_as_soon_as_it_does() {
    let line_of = |len: usize| {
        let target = "a".repeat(len - "GET / HTTP/1.1".len());
        format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
    };
    complete(&line_of(8 << 10));
    let long = line_of((8 << 10) + 1);
    assert_eq!(refused(&long), Some(Status::UriTooLong));
    assert_eq!(refused(&long[..(8 << 10) + 1]), None);
    assert_eq!(refused(&long[..(8 << 10) + 2]), Some(Status::UriTooLong));
    assert_eq!(refused(&b"A".repeat(9000)), Some(Status::UriTooLong));

    let head_of = |len: usize| {
        let empty = get("X: \r\n").len();
        get(&format!("X: {}\r\n", "a".repeat(len - empty)))
    };
    complete(&head_of(32 << 10));
    let long = head_of((32 << 10) + 1);
    assert_eq!(refused(&long), Some(Status::HeaderFieldsTooLarge));
    assert_eq!(refused(&long[..32 << 10]), None);
    let longer = head_of(40_000);
    assert_eq!(refused(&longer[..(32 << 10) + 1]), Some(Status::HeaderFieldsTooLarge));

    complete(&get(&"X: 1\r\n".repeat(99)));
    for count in [100, 2000] {
        let many = get(&"X: 1\r\n".repeat(count));
        assert_eq!(refused(&many), Some(Status::HeaderFieldsTooLarge));
    }
    let few = Limits { fields: 1, ..Limits::default() };
    assert!(matches!(parse(&get(""), &few), Parsed::Complete(_)));
    assert!(matches!(parse(&get("X: 1\r\n"), &few), Parsed::Refused(_)));
}

#[test]
fn what_can_never_become_a_head_is_refused_before_it_ends() {
    all_refused(
        Status::BadRequest,
        &[
            b"\x16\x03\x01\x02\x00\x01",
            b"PROXY TCP4 1.2.3.4",
            b"GET / HTTP/1.1\r\nHost: a\nX",
            b"GET / HTTP/1.1\r\nHost : ",
            b"GET / HTTP/1.1\r\n ",
            b"GET / HTTX",
            b"GET  ",
        ],
    );
}

#[test]
fn connections_stay_open_as_the_version_and_the_client_have_it() {
    for (version, line, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Keep-Alive\r\n", true),
        ("1.1", "Connection: keep-alive, Close\r\n", false),
        ("1.1", "Connection: x\r\nConnection:\tclose\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: TE, keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
    ] {
        let head = format!("GET / HTTP/{version}\r\nHost: a\r\n{line}\r\n");
        let head = complete(head.as_bytes());
        assert_eq!(head.keep_alive, stays, "{version} {line:?}");
        assert_eq!(head.http10, version == "1.0");
    }
}

#[test]
fn an_expectation_is_met_or_refused() {
    let head = get("Content-Length: 3\r\nExpect: 100-Continue\r\n");
    assert!(complete(&head).expect_continue);
    assert!(!complete(&get("Expect: 100-continue\r\n")).expect_continue);
    lines_refused(
        Status::ExpectationFailed,
        &["Expect: 200-ok\r\n", "Expect: 100-continue, x\r\n", "Expect:\r\n"],
    );
    let old = b"GET / HTTP/1.0\r\nContent-Length: 3\r\nExpect: x\r\n\r\n";
    assert!(!complete(old).expect_continue);
}

#[test]
fn every_field_that_decides_something_arrives_and_stands_once() {
    for name in [
        "If-Match",
        "IF-NONE-MATCH",
        "if-modified-since",
        "If-Unmodified-Since",
        "If-range",
        "rANGE",
        "Expect",
        "Host",
        "Content-Length",
        "Transfer-Encoding",
    ] {
        let lines = format!("{name}: 1\r\n{name}: 1\r\n");
        assert_eq!(refused(&get(&lines)), Some(Status::BadRequest), "{name}");
    }
    let bytes = get(
        "if-match: 1\r\nif-none-match: 2\r\nif-modified-since: 3\r\nif-unmodified-since: 4\r\nif-range: 5\r\nrange: 6\r\n",
    );
    let head = complete(&bytes);
    let found = [
        head.if_match,
        head.if_none_match,
        head.if_modified_since,
        head.if_unmodified_since,
        head.if_range,
        head.range,
    ];
    let expected = [b"1", b"2", b"3", b"4", b"5", b"6"].map(|value| Some(&value[..]));
    assert_eq!(found, expected);
    let near = get("If-Natch: 1\r\nIf-Rangf: 1\r\nRangf: 1\r\nIf-Modified-Sincf: 1\r\nHosu: 1\r\n");
    let head = complete(&near);
    assert_eq!((head.if_match, head.if_range, head.range), (None, None, None));
    assert_eq!(head.if_modified_since, None);
}
