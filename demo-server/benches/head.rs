//! What do a request's head and an answer's head cost? A: the parser alone. B: the parser held strict. Then the answer.

use std::hint::black_box;
use std::mem::MaybeUninit;

use criterion::{Criterion, criterion_group, criterion_main};
use demo_server::http::conditional::Validators;
use demo_server::http::mime::ContentType;
use demo_server::http::parse::{Limits, MAX_FIELDS, parse};
use demo_server::http::reply::{Connection, Prepared, Reply, Subject, write_head};
use demo_server::http::{date, path};

const REQUEST: &[u8] = b"GET /1k.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    group.bench_function("httparse_alone", |bencher| {
        bencher.iter(|| {
            let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
            let mut request = httparse::Request::new(&mut []);
            request.parse_with_uninit_headers(black_box(REQUEST), &mut headers).is_ok()
        });
    });
    let limits = Limits::default();
    group.bench_function("parse", |bencher| {
        bencher.iter(|| black_box(parse(black_box(REQUEST), &limits)));
    });
    let mut out = [0; 2048];
    group.bench_function("resolve", |bencher| {
        bencher.iter(|| path::resolve(black_box(b"/assets/js/1k.html"), &mut out));
    });
    let file = Prepared::new(
        1024,
        ContentType::of(b"1k.html"),
        Validators::of(1_700_000_000, 123_456_789, 1024),
    );
    let reply = Reply {
        subject: Subject::File(&file),
        date: &date::imf_fixdate(1_700_000_000),
        connection: Connection::Stays,
    };
    group.bench_function("answer", |bencher| {
        bencher.iter(|| write_head(black_box(&mut out), black_box(&reply)));
    });
    group.finish();
}

criterion_group!(benches, heads);
criterion_main!(benches);
