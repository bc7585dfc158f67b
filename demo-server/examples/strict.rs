//! The HTTP code alone: pure functions from bytes to values, usable without the server.

use demo_server::http::conditional::Validators;
use demo_server::http::mime::ContentType;
use demo_server::http::parse::{Limits, Parsed, parse};
use demo_server::http::reply::{Connection, Prepared, Reply, Subject, write_head};
use demo_server::http::{date, path};

fn main() {
    let request = b"GET /docs/../a%20b.html HTTP/1.1\r\nHost: example.org\r\n\r\n";
    let Parsed::Complete(head) = parse(request, &Limits::default()) else {
        panic!("this is a whole, valid head");
    };
    let mut name = [0; 4096];
    let resolved = path::resolve(head.path, &mut name).expect("the path stays below the root");
    assert_eq!(&name[..resolved.len], b"a b.html");

    let body = b"<p>hello\n";
    let modified = Validators::of(1_700_000_000, 0, body.len() as u64);
    let file = Prepared::new(body.len() as u64, ContentType::of(b"a b.html"), modified);
    let mut answer = [0; 1024];
    let reply = Reply {
        subject: Subject::File(&file),
        date: &date::imf_fixdate(1_700_000_100),
        connection: Connection::of(head.keep_alive, head.http10),
    };
    let len = write_head(&mut answer, &reply).expect("a head fits in 1 KiB");
    print!("{}", String::from_utf8_lossy(&answer[..len]));

    let smuggled =
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(
        matches!(parse(smuggled, &Limits::default()), Parsed::Refused(r) if r.status.code() == 400)
    );
}
