//! Properties, each on every engine against a plain oracle:
//!
//! 1. a stream arrives as it was sent, however it is cut, whatever the pool and the reader's pace;
//! 2. a read gives what `read_at` gives, for every range and offset;
//! 3. a range is refused exactly if the buffer's own slicing would refuse it.
//!
//! A failure prints its case; `PROPTEST_RNG_SEED` and the printed seed repeat it.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use flexsc_ring::{AnyRing, Call, Engine, Options, Ring, Value};
use proptest::prelude::*;

use crate::support::{Bench, ENGINES, made, moved};

fn engine() -> impl Strategy<Value = Engine> {
    prop::sample::select(&ENGINES[..])
}

fn bench(options: &Options) -> Option<Bench> {
    Some(Bench { ring: made(AnyRing::new(options))?, done: Default::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn a_stream_arrives_as_it_was_sent(
        engine in engine(),
        pool_buffers in 1u16..8,
        pool_buffer_bytes in 64usize..600,
        pieces in prop::collection::vec(1usize..2_000, 1..30),
        hold in 0usize..6,
    ) {
        let options = Options { pool_buffers, pool_buffer_bytes, ..Options::with_engine(engine) };
        let Some(mut bench) = bench(&options) else { return Ok(()) };
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let sent: Vec<u8> = (0..pieces.iter().sum()).map(|i: usize| (i % 249) as u8).collect();
        let text = sent.clone();
        let writer = std::thread::spawn(move || {
            let mut rest = &text[..];
            for piece in pieces {
                let (now, later) = rest.split_at(piece);
                theirs.write_all(now).expect("written");
                rest = later;
            }
        });
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        let (mut got, mut held) = (Vec::new(), Vec::new());
        loop {
            let done = bench.next();
            let more = done.more;
            let Ok(Value::Received(buf)) = done.result else { panic!("{done:?}") };
            got.extend_from_slice(&buf);
            if held.len() == hold.min(usize::from(pool_buffers) - 1) {
                held.clear();
            }
            held.push(buf);
            if held.len() == usize::from(pool_buffers) {
                held.clear();
            }
            if !more {
                break;
            }
        }
        writer.join().expect("wrote");
        prop_assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    }

    #[test]
    fn a_read_gives_what_read_at_gives(
        engine in engine(),
        len in 0usize..5_000,
        reads in prop::collection::vec((0usize..300, 0usize..300, 0u64..6_000), 1..20),
    ) {
        let Some(mut bench) = bench(&Options::with_engine(engine)) else { return Ok(()) };
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(&(0..len).map(|i| (i % 247) as u8).collect::<Vec<_>>(), 0).expect("ok");
        for (a, b, offset) in reads {
            let range = a.min(b)..a.max(b);
            let mut oracle = vec![9; 300];
            let n = file.read_at(&mut oracle[range.clone()], offset).expect("reads");
            let done = bench.call(Call::read(file.as_raw_fd(), vec![9; 300], range, offset));
            prop_assert_eq!(moved(done), (n, oracle));
        }
    }

    #[test]
    fn a_range_is_refused_as_slicing_refuses_it(
        engine in engine(),
        len in 0usize..20,
        start in 0usize..25,
        end in 0usize..25,
    ) {
        let Some(mut bench) = bench(&Options::with_engine(engine)) else { return Ok(()) };
        let file = tempfile::tempfile().expect("a file");
        let buf = vec![0; len];
        let fits = buf.get(start..end).is_some();
        let call = Call::Read { fd: file.as_raw_fd(), buf, start, end, offset: 0 };
        prop_assert_eq!(bench.ring.submit(call, 1).is_ok(), fits);
        while bench.ring.in_flight() > 0 {
            bench.next();
        }
    }
}
