//! What is malformed gets the right answer and a closed connection, and the server goes on.

use crate::support::{Server, tree};

/// What is sent, and the statuses of which the answer must have one.
const REFUSED: &[(&str, &str, &[u16])] = &[
    (
        "length and coding",
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[400],
    ),
    (
        "two lengths",
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        &[400],
    ),
    ("signed length", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", &[400]),
    (
        "huge length",
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1180591620717411303424\r\n\r\n",
        &[400],
    ),
    ("large body", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n", &[413]),
    (
        "unknown coding",
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n",
        &[400, 501],
    ),
    (
        "negative chunk",
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
        &[400],
    ),
    (
        "chunk with LF",
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        &[400],
    ),
    (
        "data past its chunk",
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        &[400],
    ),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", &[400]),
    ("bare CR in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", &[400]),
    ("space before colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", &[400]),
    ("folded line", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", &[400]),
    ("no colon", "GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n", &[400]),
    ("empty name", "GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n", &[400]),
    ("bare LF lines", "GET / HTTP/1.1\nHost: h\n\n", &[400]),
    ("no host", "GET / HTTP/1.1\r\n\r\n", &[400]),
    ("two hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", &[400]),
    ("bad host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &[400]),
    ("far version", "GET / HTTP/9.9\r\nHost: h\r\n\r\n", &[400, 505]),
    ("lower-case version", "GET / http/1.1\r\nHost: h\r\n\r\n", &[400]),
    ("two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    ("tab", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    ("HTTP/0.9", "GET /\r\n\r\n", &[400]),
    ("unknown method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", &[501]),
    ("trace", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", &[405, 501]),
    ("connect", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", &[405, 501, 400]),
    ("post", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", &[405]),
    ("unknown expectation", "GET / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n", &[417]),
];

#[test]
fn malformed_requests_are_refused_and_the_connection_closes() {
    let root = tree(&[("index.html", b"home")]);
    for options in [&[][..], &["--ring", "direct"], &["--ring", "threads", "--scheduler", "fifo"]] {
        let server = Server::start(root.path(), options);
        for (name, bytes, expected) in REFUSED {
            let mut client = server.connect();
            client.send(bytes.as_bytes());
            let status = client.answer().map(|answer| answer.status);
            let told = status.is_some_and(|status| expected.contains(&status));
            assert!(told, "{options:?} {name}: {status:?}, expected {expected:?}");
            assert!(client.is_closed(), "{options:?} {name}: the connection stays open");
        }
        assert_eq!(server.get("/").body, b"home", "{options:?}: the server goes on");
    }
}

#[test]
fn oversized_heads_are_refused_by_their_part() {
    let root = tree(&[("index.html", b"home")]);
    let server = Server::start(root.path(), &[]);
    let long_line = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(9000));
    let long_head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(40_000));
    let many_fields = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: a\r\n".repeat(2000));
    for (request, expected) in [(long_line, 414), (long_head, 431), (many_fields, 431)] {
        let mut client = server.connect();
        let _ = std::io::Write::write_all(&mut client.stream, request.as_bytes());
        assert_eq!(client.answer().map(|answer| answer.status), Some(expected));
        assert!(client.is_closed());
    }
}

#[test]
fn a_long_but_legal_head_is_served_from_a_fallback_object() {
    let root = tree(&[("index.html", b"home")]);
    let server = Server::start(root.path(), &[]);
    let tags = (0..300).map(|n| format!("\"tag{n:05}\"")).collect::<Vec<_>>().join(", ");
    let mut client = server.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tags}\r\n\r\n").as_bytes());
    assert_eq!(client.answer().unwrap().status, 200);
    let deep = format!("GET /{}index.html HTTP/1.1\r\nHost: h\r\n\r\n", "./".repeat(3000));
    client.send(deep.as_bytes());
    assert_eq!(client.answer().unwrap().body, b"home");
}

#[test]
fn bodies_of_get_are_thrown_away_and_the_next_request_is_answered() {
    let root = tree(&[("index.html", b"home"), ("next.txt", b"next")]);
    let server = Server::start(root.path(), &[]);
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\n",
    ] {
        let mut client = server.connect();
        let first = format!("GET / HTTP/1.1\r\nHost: h\r\n{body}");
        for byte in first.as_bytes().chunks(7) {
            client.send(byte);
        }
        assert_eq!(client.answer().unwrap().body, b"home");
        client.send(b"GET /next.txt HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().unwrap().body, b"next");
    }
}

#[test]
fn every_split_of_a_request_is_understood() {
    let root = tree(&[("index.html", b"home")]);
    let server = Server::start(root.path(), &[]);
    let request = b"GET /index.html HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
    for at in 1..request.len() {
        let mut client = server.connect();
        client.send(&request[..at]);
        std::thread::sleep(std::time::Duration::from_millis(2));
        client.send(&request[at..]);
        assert_eq!(client.answer().unwrap().body, b"home", "split at {at}");
    }
}

#[test]
fn http_1_0_closes_unless_asked_to_stay() {
    let root = tree(&[("index.html", b"home")]);
    let server = Server::start(root.path(), &[]);
    let mut once = server.connect();
    once.send(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(once.answer().unwrap().body, b"home");
    assert!(once.is_closed());
    let mut stays = server.connect();
    for _ in 0..2 {
        stays.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(stays.answer().unwrap().header("connection"), Some("keep-alive"));
    }
}
