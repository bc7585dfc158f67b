//! Answers: the exact bytes of a head, its pages, dates and content types.

use demo_server::http::conditional::Validators;
use demo_server::http::date::{DateCache, imf_fixdate, parse as parse_date};
use demo_server::http::mime::{BYTES, ContentType, HTML, TEXT};
use demo_server::http::page::error_page;
use demo_server::http::range::Part;
use demo_server::http::reply::{Connection, Prepared, Reply, Subject, write_head};
use demo_server::http::status::Status;
use proptest::prelude::*;

fn prepared() -> Prepared {
    Prepared::new(1024, HTML, Validators::of(784_111_777, 5, 1024))
}

fn head(subject: Subject<'_>, connection: Connection) -> String {
    let date = imf_fixdate(784_111_777);
    let reply = Reply { subject, date: &date, connection };
    let mut out = [0; 1024];
    let len = write_head(&mut out, &reply).expect("1 KiB holds any of these heads");
    assert_eq!(write_head(&mut out[..len], &reply), Some(len), "it fits exactly");
    for short in 0..len {
        assert_eq!(write_head(&mut out[..short], &reply), None, "{short} of {len} bytes");
    }
    String::from_utf8_lossy(&out[..len]).into_owned()
}

const DATE: &str = "Server: demo-server\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
const FILE: &str = "Content-Type: text/html; charset=utf-8\r\nAccept-Ranges: bytes\r\n";
const VALIDATORS: &str =
    "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"2ebc98a100000005-400\"\r\n";

#[test]
fn a_file_is_answered_with_all_its_fields() {
    assert_eq!(
        head(Subject::File(&prepared()), Connection::Stays),
        format!("HTTP/1.1 200 OK\r\n{DATE}Content-Length: 1024\r\n{FILE}{VALIDATORS}\r\n")
    );
}

#[test]
fn a_part_says_which_and_has_its_own_length() {
    let part = Part { start: 10, end: 30 };
    assert_eq!(
        head(Subject::Part(&prepared(), part), Connection::KeepAlive),
        format!(
            "HTTP/1.1 206 Partial Content\r\n{DATE}Content-Length: 20\r\nContent-Range: bytes 10-29/1024\r\n\
             {FILE}{VALIDATORS}Connection: keep-alive\r\n\r\n"
        )
    );
}

#[test]
fn a_304_has_validators_and_no_length() {
    assert_eq!(
        head(Subject::NotModified(&prepared()), Connection::Close),
        format!("HTTP/1.1 304 Not Modified\r\n{DATE}{VALIDATORS}Connection: close\r\n\r\n")
    );
}

#[test]
fn a_text_made_for_this_request_is_not_stored() {
    assert_eq!(
        head(Subject::Text(TEXT, 7), Connection::Stays),
        format!(
            "HTTP/1.1 200 OK\r\n{DATE}Content-Length: 7\r\nContent-Type: text/plain; charset=utf-8\r\n\
             X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n"
        )
    );
}

#[test]
fn errors_carry_what_their_status_asks_for() {
    let moved = head(Subject::Moved(b"/a/?b"), Connection::Stays);
    assert!(moved.starts_with("HTTP/1.1 301 Moved Permanently\r\n"));
    assert!(moved.contains("\r\nLocation: /a/?b\r\n"));
    let beyond = head(Subject::Unsatisfiable(1024), Connection::Stays);
    assert!(beyond.starts_with("HTTP/1.1 416 Range Not Satisfiable\r\n"));
    assert!(beyond.contains("\r\nContent-Range: bytes */1024\r\n"));
    for status in [Status::MethodNotAllowed, Status::NotImplemented] {
        let text = head(Subject::Error(status), Connection::Close);
        assert!(text.contains("\r\nAllow: GET, HEAD\r\n"), "{text}");
    }
    assert!(!head(Subject::Error(Status::NotFound), Connection::Stays).contains("Allow"));
}

#[test]
fn every_error_has_a_page_that_tells_nothing_of_the_server() {
    let date = imf_fixdate(0);
    for status in Status::ALL {
        let page = error_page(*status);
        if matches!(status.code(), 200 | 206 | 304) {
            assert_eq!(page, "");
            continue;
        }
        assert!(page.starts_with("<!doctype html>") && page.len() < 1024, "{status:?}");
        for secret in [env!("CARGO_PKG_VERSION"), "/home", "/root", "src/"] {
            assert!(!page.contains(secret), "{status:?} tells {secret}");
        }
        let reply =
            Reply { subject: Subject::Error(*status), date: &date, connection: Connection::Stays };
        assert_eq!((reply.status(), reply.page()), (*status, page));
        let text = head(reply.subject, Connection::Close);
        assert!(text.contains("\r\nX-Content-Type-Options: nosniff\r\n"));
        assert!(text.contains(&format!("\r\nContent-Length: {}\r\n", page.len())));
        assert!(text.starts_with(&format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason())));
    }
}

#[test]
fn the_connection_is_named_only_where_the_version_does_not_imply_it() {
    assert_eq!(Connection::of(true, false), Connection::Stays);
    assert_eq!(Connection::of(true, true), Connection::KeepAlive);
    assert_eq!(Connection::of(false, false), Connection::Close);
    assert_eq!(Connection::of(false, true), Connection::Close);
}

#[test]
fn dates_are_written_as_http_has_them_and_read_back() {
    for (secs, text) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        assert_eq!(&imf_fixdate(secs)[..], text.as_bytes());
        assert_eq!(parse_date(text.as_bytes()), Some(secs));
    }
    assert_eq!(imf_fixdate(u64::MAX), imf_fixdate(253_402_300_799));
    assert_eq!(parse_date(b"\xff"), None);
}

#[test]
fn the_date_changes_with_the_second_in_either_direction() {
    let mut cache = DateCache::new(10);
    for secs in [10, 11, 11, 9, 1_000_000] {
        assert_eq!(*cache.at(secs), imf_fixdate(secs));
    }
}

#[test]
fn content_types_follow_the_extension_and_text_is_utf8() {
    let of = |path: &str| {
        let found = ContentType::of(path.as_bytes());
        format!("{}{}", found.essence(), found.parameters())
    };
    for (path, expected) in [
        ("index.html", "text/html; charset=utf-8"),
        ("a/b.c/INDEX.HTM", "text/html; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("app.mjs", "application/javascript; charset=utf-8"),
        ("data.json", "application/json; charset=utf-8"),
        ("favicon.svg", "image/svg+xml; charset=utf-8"),
        ("robots.txt", "text/plain; charset=utf-8"),
        ("feed.xml", "text/xml; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
        ("a.mp4", "video/mp4"),
        ("segment.ts", "video/mp2t"),
        ("a.tar.gz", "application/gzip"),
        ("a.unheardof", "application/octet-stream"),
        ("a.b/c", "application/octet-stream"),
        ("a.", "application/octet-stream"),
        ("", "application/octet-stream"),
    ] {
        assert_eq!(of(path), expected, "{path}");
    }
    assert_eq!(ContentType::of(b"a.\xff"), BYTES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_file_has_a_head_of_a_kilobyte_at_most(
        size in any::<u64>(), secs in any::<i64>(), nanos in any::<u32>(), path in "[a-z]{0,4}\\.[a-z0-9]{1,5}",
        start in any::<u64>(), more in any::<u64>(),
    ) {
        let file = Prepared::new(size, ContentType::of(path.as_bytes()), Validators::of(secs, nanos, size));
        let part = Part { start, end: start.saturating_add(more) };
        let date = imf_fixdate(start);
        for subject in [Subject::File(&file), Subject::Part(&file, part), Subject::NotModified(&file)] {
            let mut out = [0; 1024];
            let reply = Reply { subject, date: &date, connection: Connection::KeepAlive };
            let Some(len) = write_head(&mut out, &reply) else { return Err(TestCaseError::fail("too long")) };
            let mut fields = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut fields);
            prop_assert_eq!(response.parse(&out[..len]), Ok(httparse::Status::Complete(len)));
            prop_assert_eq!(response.code, Some(reply.status().code()));
        }
    }
}
