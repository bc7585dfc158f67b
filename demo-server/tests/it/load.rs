//! The load generator against servers that behave, misbehave and stall, and its parts against
//! oracles.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use demo_server::load::{self, Histogram, LoadOptions, LoadReport, Reply, ReplyReader, Target};
use proptest::prelude::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// Serves every connection on a thread of its own with `serve`, for as long as the test runs.
fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    addr
}

/// Calls `answer` for every request that comes, with its number on the connection, until it says no
/// or the client goes.
fn answering(mut stream: TcpStream, mut answer: impl FnMut(&mut TcpStream, u32) -> bool) {
    let mut pending = Vec::new();
    let mut buffer = [0; 4096];
    let mut number = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        pending.extend_from_slice(&buffer[..read]);
        while let Some(end) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
            pending.drain(..end + 4);
            if !answer(&mut stream, number) {
                return;
            }
            number += 1;
        }
    }
}

fn always(reply: &'static [u8]) -> SocketAddr {
    server(move |stream| answering(stream, |stream, _| stream.write_all(reply).is_ok()))
}

fn options(addr: SocketAddr) -> LoadOptions {
    LoadOptions::closed(addr, REQUEST.to_vec(), 4, Duration::from_millis(200))
}

fn run(options: &LoadOptions) -> LoadReport {
    load::run(options).expect("a load that can start")
}

#[test]
fn closed_loop_counts_answers_bytes_and_latencies() {
    let report = run(&options(always(OK)));
    assert!(report.requests > 100, "{report}");
    assert_eq!(report.errors.total(), 0, "{report}");
    assert_eq!(report.bytes, report.requests * OK.len() as u64);
    assert_eq!(report.latency.count(), report.requests);
    assert_eq!(report.opened, 4);
    assert!(
        report.elapsed >= Duration::from_millis(200) && report.elapsed < Duration::from_secs(2)
    );
}

#[test]
fn connections_are_shared_by_the_threads() {
    let options = LoadOptions { threads: 3, pipeline: 8, ..options(always(OK)) };
    let report = run(&options);
    assert!(report.requests > 100 && report.errors.total() == 0, "{report}");
    assert_eq!(report.opened, 4);
}

#[test]
fn connection_is_replaced_after_its_requests() {
    let limit = NonZeroU32::new(5);
    for pipeline in [1, 3, 8] {
        let options =
            LoadOptions { requests_per_connection: limit, pipeline, ..options(always(OK)) };
        let report = run(&options);
        assert_eq!(report.errors.total(), 0, "{report}");
        let least = report.requests / 5;
        assert!((least..=least + 8).contains(&report.opened), "pipeline {pipeline}: {report}");
    }
}

#[test]
fn reply_that_closes_politely_is_no_error() {
    let closing: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let addr = server(move |stream| {
        answering(stream, |stream, number| {
            stream.write_all(if number == 2 { closing } else { OK }).is_ok() && number < 2
        });
    });
    let report = run(&options(addr));
    assert_eq!(report.errors.total(), 0, "{report}");
    assert!(report.opened >= report.requests / 3 && report.requests > 30, "{report}");
}

#[test]
fn reply_without_a_length_ends_with_its_connection() {
    let addr = server(|stream| {
        answering(stream, |stream, _| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nto the end");
            false
        });
    });
    let report = run(&options(addr));
    assert!(report.requests > 10 && report.errors.total() == 0, "{report}");
}

#[test]
fn lost_connection_is_a_read_error_and_the_load_goes_on() {
    let addr = server(|stream| {
        answering(stream, |stream, number| {
            stream.write_all(&OK[..if number < 3 { OK.len() } else { 20 }]).is_ok() && number < 3
        });
    });
    let report = run(&options(addr));
    assert!(report.requests > 10 && report.errors.read > 3, "{report}");
    assert_eq!(report.errors.total(), report.errors.read, "{report}");
}

#[test]
fn status_that_says_no_is_an_error() {
    let report = run(&options(always(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")));
    assert!(report.requests > 10);
    assert_eq!(report.errors.status, report.requests);
}

#[test]
fn nonsense_and_unasked_replies_are_protocol_errors() {
    let twice: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let table: [&'static [u8]; 3] =
        [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", twice];
    for reply in table {
        let report = run(&options(always(reply)));
        assert!(report.errors.protocol > 0, "{} gave {report}", String::from_utf8_lossy(reply));
    }
}

#[test]
fn silent_server_costs_a_timeout_not_a_hang() {
    let addr = server(|stream| answering(stream, |_, _| true));
    let options = LoadOptions {
        timeout: Duration::from_millis(150),
        duration: Duration::from_millis(600),
        ..options(addr)
    };
    let begun = Instant::now();
    let report = run(&options);
    assert_eq!(report.requests, 0);
    assert!(report.errors.timeout >= 4, "{report}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn load_without_a_server_is_refused_with_the_next_step() {
    let addr =
        TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let options = LoadOptions { timeout: Duration::from_millis(100), ..options(addr) };
    let error = load::run(&options).expect_err("nobody listens");
    assert!(error.to_string().contains("is the server running"), "{error}");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let addr = always(OK);
    let table = [
        LoadOptions { threads: 5, ..options(addr) },
        LoadOptions { threads: 0, ..options(addr) },
        LoadOptions { pipeline: 0, ..options(addr) },
        LoadOptions { request: Vec::new(), ..options(addr) },
        LoadOptions { rate: Some(f64::NAN), ..options(addr) },
        LoadOptions { rate: Some(0.0), ..options(addr) },
        LoadOptions { cpus: vec![99_999], ..options(addr) },
    ];
    for options in table {
        assert!(load::run(&options).is_err(), "{options:?}");
    }
}

#[test]
fn open_loop_starts_as_many_requests_as_its_rate_says() {
    let options = LoadOptions {
        rate: Some(500.0),
        threads: 2,
        duration: Duration::from_secs(1),
        ..options(always(OK))
    };
    let report = run(&options);
    assert_eq!(report.errors.total() + report.unanswered, 0, "{report}");
    assert_eq!(report.requests, 500, "{report}");
}

/// One connection, 200 requests a second, and a server that stops once for 300 ms: the sixty
/// requests that were to start meanwhile have waited too. A closed loop would have seen one slow
/// answer.
#[test]
fn stall_is_charged_to_every_request_that_was_to_start_meanwhile() {
    let addr = server(|stream| {
        answering(stream, |stream, number| {
            if number == 20 {
                thread::sleep(Duration::from_millis(300));
            }
            stream.write_all(OK).is_ok()
        });
    });
    let open = LoadOptions {
        connections: 1,
        rate: Some(200.0),
        duration: Duration::from_secs(1),
        ..options(addr)
    };
    let report = run(&open);
    assert_eq!(report.requests, 200, "{report}");
    assert!(report.latency.quantile(0.80) > Duration::from_millis(40), "{report}");
    let closed = run(&LoadOptions { rate: None, ..open });
    assert!(closed.latency.quantile(0.80) < Duration::from_millis(40), "{closed}");
}

#[test]
fn requests_without_an_answer_at_the_end_are_reported() {
    let addr = server(|stream| {
        answering(stream, |stream, number| number > 4 || stream.write_all(OK).is_ok())
    });
    let options = LoadOptions { connections: 1, rate: Some(100.0), ..options(addr) };
    let report = run(&options);
    assert_eq!((report.requests, report.unanswered), (5, 15), "{report}");
}

#[test]
fn urls_are_taken_apart_or_refused() {
    let good = [
        ("http://127.0.0.1", "127.0.0.1", 80, "/"),
        ("http://127.0.0.1:8080/a/b?c=d#e", "127.0.0.1", 8080, "/a/b?c=d"),
        ("http://localhost?x", "localhost", 80, "/?x"),
        ("http://[::1]:81/", "::1", 81, "/"),
        ("http://[::1]", "::1", 80, "/"),
        ("http://host:/", "host", 80, "/"),
    ];
    for (url, host, port, path) in good {
        assert_eq!(url.parse(), Ok(Target { host: host.into(), port, path: path.into() }), "{url}");
    }
    let bad = [
        "127.0.0.1",
        "https://a/",
        "http://",
        "http:///x",
        "http://:80/",
        "http://a:0/",
        "http://a:65536/",
        "http://a:b/",
        "http://a b/",
        "http://a/\r\nX: y",
        "http://[::1",
        "http://[::1]x/",
        "http://u@h/",
        "http://é/",
    ];
    for url in bad {
        assert!(url.parse::<Target>().is_err(), "{url}");
    }
    let target: Target = "http://[::1]:81/a".parse().expect("a target");
    assert_eq!(target.request(), b"GET /a HTTP/1.1\r\nHost: [::1]:81\r\n\r\n");
}

#[test]
fn replies_end_where_their_framing_says() {
    let table: [(&[u8], &[u16]); 8] = [
        (OK, &[200]),
        (b"HTTP/1.1 204 No Content\r\n\r\n", &[204]),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", &[304]),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", &[404]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", &[200]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n00\r\nT: 1\r\n\r\n", &[200]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", &[200]),
        (b"HTTP/1.1 200 OK\r\n\r\nno length, so no end", &[]),
    ];
    for (bytes, statuses) in table {
        assert_eq!(
            read_in_pieces(bytes, bytes.len()),
            statuses,
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
}

/// The statuses of the replies in `bytes`, fed in pieces of `size`.
fn read_in_pieces(bytes: &[u8], size: usize) -> Vec<u16> {
    let (mut reader, mut statuses) = (ReplyReader::default(), Vec::new());
    for piece in bytes.chunks(size) {
        reader
            .feed(piece, &mut |reply: Reply| statuses.push(reply.status))
            .expect("well-formed replies");
    }
    statuses
}

#[test]
fn connection_header_and_version_decide_about_closing() {
    let table: [(&[u8], bool); 4] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", true),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", false),
    ];
    for (bytes, close) in table {
        let mut seen = None;
        let fed = ReplyReader::default().feed(bytes, &mut |reply| seen = Some(reply));
        assert_eq!(
            (fed, seen),
            (Ok(()), Some(Reply { status: 200, close })),
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn malformed_replies_are_refused() {
    let table: [&[u8]; 5] = [
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ];
    for bytes in table {
        let fed = ReplyReader::default().feed(bytes, &mut |_| {});
        assert!(fed.is_err(), "{}", String::from_utf8_lossy(bytes));
    }
    let endless = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 70_000]].concat();
    assert!(ReplyReader::default().feed(&endless, &mut |_| {}).is_err());
}

/// One reply of several shapes, and its status.
fn any_reply() -> impl Strategy<Value = (Vec<u8>, u16)> {
    let body = prop::collection::vec(any::<u8>(), 0..50);
    (200..600u16, 0..3usize, body).prop_map(|(status, shape, body)| {
        let status = if status == 304 { 200 } else { status };
        let status = if status == 204 { 200 } else { status };
        let mut bytes = format!("HTTP/1.1 {status} X\r\n").into_bytes();
        if shape == 0 {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(body);
        } else {
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(shape * 7) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        }
        (bytes, status)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn replies_are_the_same_in_pieces_of_any_size(
        replies in prop::collection::vec(any_reply(), 1..5), size in 1..40usize
    ) {
        let (bytes, statuses): (Vec<Vec<u8>>, Vec<u16>) = replies.into_iter().unzip();
        prop_assert_eq!(read_in_pieces(&bytes.concat(), size), statuses);
    }

    #[test]
    fn arbitrary_bytes_never_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6)) {
        let mut reader = ReplyReader::default();
        for piece in pieces {
            if reader.feed(&piece, &mut |_| {}).is_err() {
                break;
            }
        }
    }

    #[test]
    fn quantiles_are_within_one_part_in_64_of_the_sorted_samples(
        samples in prop::collection::vec(prop_oneof![0..200u64, 0..1u64 << 40, any::<u64>()], 1..300), q in 0.0..=1.0f64
    ) {
        let mut histogram = Histogram::default();
        samples.iter().for_each(|&ns| histogram.record(Duration::from_nanos(ns)));
        let mut sorted = samples.clone();
        sorted.sort_unstable();
        let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
        let exact = sorted[rank - 1];
        let found = histogram.quantile(q).as_nanos() as u64;
        prop_assert!(found >= exact && found - exact <= exact / 64, "{} for {}", found, exact);
        prop_assert_eq!(histogram.max().as_nanos() as u64, sorted[sorted.len() - 1]);
    }

    #[test]
    fn merged_histograms_are_the_histogram_of_all(
        one in prop::collection::vec(any::<u32>(), 0..50), other in prop::collection::vec(any::<u32>(), 0..50)
    ) {
        let of = |samples: &[u32]| {
            let mut histogram = Histogram::default();
            samples.iter().for_each(|&ns| histogram.record(Duration::from_nanos(ns.into())));
            histogram
        };
        let mut merged = of(&one);
        merged.merge(&of(&other));
        let all = of(&[one, other].concat());
        prop_assert_eq!((merged.count(), merged.mean(), merged.max()), (all.count(), all.mean(), all.max()));
        for q in [0.0, 0.1, 0.5, 0.9, 1.0] {
            prop_assert_eq!(merged.quantile(q), all.quantile(q));
        }
    }
}
