//! Request targets and hosts: which are names, and which of two counts.

use demo_server::http::head::Head;
use demo_server::http::parse::{Limits, Parsed, parse};
use demo_server::http::status::Status;

#[track_caller]
fn complete(input: &[u8]) -> Head<'_> {
    match parse(input, &Limits::default()) {
        Parsed::Complete(head) => head,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

#[track_caller]
fn bad(input: &[u8]) {
    match parse(input, &Limits::default()) {
        Parsed::Refused(refusal) => assert_eq!(refusal.status, Status::BadRequest),
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

#[test]
fn host_stands_once_and_names_a_host() {
    for head in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nX-Host: a\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    ] {
        bad(head);
    }
    for host in [
        "", "a b", "a@b/c", "a@b", "a/b", "a?b", "a#b", "a\\b", "a:b", "a:1:2", ":80", "a:123456",
        "[::1", "[::1]x", "[g]", "[]", "::1", "%zz", "%4", "a<b", "\"a\"", "http://a",
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        bad(head.as_bytes());
    }
    for host in [
        "a",
        "a.example:8080",
        "127.0.0.1:1",
        "[::1]",
        "[::ffff:1.2.3.4]:80",
        "a_b",
        "xn--bcher-kva.example",
        "a:",
        "%41",
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost:\t {host} \r\n\r\n");
        assert_eq!(complete(head.as_bytes()).host, host.as_bytes());
    }
    assert_eq!(complete(b"GET / HTTP/1.0\r\n\r\n").host, b"");
}

#[test]
fn the_host_of_an_absolute_target_wins() {
    let head = complete(b"GET http://b.example:81/x?y=/?z HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.host, b"b.example:81");
    assert_eq!(head.path, b"/x");
    assert_eq!(head.query, Some(&b"y=/?z"[..]));
    let head = complete(b"GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.path, head.query, head.host), (&b"/"[..], None, &b"b"[..]));
    let head = complete(b"GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.path, head.query), (&b"/"[..], Some(&b"q"[..])));
    for target in [
        "http:/b/",
        "http://",
        "http:///x",
        "http://u@b/",
        "http://b c/",
        "ftp://b/",
        "b/x",
        "*",
        "?x",
        "http://b:x/",
        "b:80",
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        bad(head.as_bytes());
    }
}

#[test]
fn what_browsers_leave_unescaped_passes() {
    let head = complete(b"GET /a|b{c}[d]^`\"<>?e={\"f\":1}&\\ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.path, b"/a|b{c}[d]^`\"<>");
}
