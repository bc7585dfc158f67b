//! What of tickets of another ring, and of readers that take each other's bytes, of buffers that
//! panic?

use std::io::Write;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flexsc_ring::{AnyRing, CURRENT, CWD, Call, Cancelled, Chain, OPENED, Ring, Ticket, Value};

use crate::on_every_engine;
use crate::support::{A_MOMENT, AT_ONCE, Bench, ENGINES, made, moved, options};

/// Bytes that are known to live by `alive`, and a panic for whoever asks where they lie.
struct Touchy {
    alive: Arc<()>,
}

impl AsRef<[u8]> for Touchy {
    fn as_ref(&self) -> &[u8] {
        assert!(Arc::strong_count(&self.alive) > 0);
        &[0; 4]
    }
}

impl AsMut<[u8]> for Touchy {
    fn as_mut(&mut self) -> &mut [u8] {
        resume_unwind(Box::new("without a message"));
    }
}

#[test]
fn a_buffer_that_panics_is_not_kept() {
    for engine in ENGINES {
        let Some(mut ring) = made(AnyRing::<Touchy>::new(&options(engine))) else { continue };
        let alive = Arc::new(());
        let touchy = || Touchy { alive: Arc::clone(&alive) };
        let calls = [
            Call::read(0, touchy(), 0..4, 0),
            Call::ReadVectored { fd: 0, bufs: vec![touchy(), touchy()], offset: 0, nowait: true },
        ];
        for call in calls {
            assert!(catch_unwind(AssertUnwindSafe(|| ring.submit(call, 1))).is_err());
        }
        assert_eq!((Arc::strong_count(&alive), ring.in_flight()), (1, 0), "{engine}");
    }
}

/// Every number that a ticket of a ring with few calls may have, and more.
fn cancel_all(bench: &mut Bench) {
    for number in (0..8).flat_map(|generation| (0..70).map(move |i| generation << 32 | i)) {
        let met = bench.ring.cancel(Ticket::new(number));
        assert!(matches!(met, Cancelled::TooLate | Cancelled::Unknown), "{number:x}: {met:?}");
    }
}

on_every_engine! {
    fn a_ticket_of_another_ring_ends_no_call_of_a_chain(bench) {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let chain = Chain::new()
            .then(Call::open(CWD, c"/dev/null".into()))
            .then(Call::read(reader.as_raw_fd(), vec![0; 4], 0..4, CURRENT))
            .then(Call::read(OPENED, vec![0; 4], 0..4, 0))
            .then(Call::stat_fd(OPENED))
            .then(Call::close_opened());
        bench.post(Call::chain(chain), 1);
        cancel_all(bench);
        bench.pause(A_MOMENT);
        cancel_all(bench);
        writer.write_all(b"go").expect("written");
        match bench.next_of(1).result {
            Ok(Value::Chain(results)) => assert!(results.iter().all(Result::is_ok), "{results:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.ring.in_flight(), 0);
        bench.expect_silence();
    }

    fn a_reader_whose_bytes_another_has_taken_holds_nobody_up(bench) {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let (aside, _target) = std::os::unix::net::UnixStream::pair().expect("a pair");
        writer.write_all(b"1").expect("written");
        let splice = Call::Splice {
            from: reader.as_raw_fd(),
            from_offset: CURRENT,
            to: aside.as_raw_fd(),
            to_offset: CURRENT,
            len: 1,
        };
        // From here on the pipe cannot be read without waiting.
        assert!(matches!(bench.value(splice), Value::Sent(1)));
        for user in [1, 2] {
            bench.post(Call::read(reader.as_raw_fd(), vec![0; 4], 0..4, CURRENT), user);
        }
        bench.pause(A_MOMENT);
        writer.write_all(b"2").expect("written");
        let late = std::thread::spawn(move || {
            std::thread::sleep(2 * AT_ONCE);
            writer.write_all(b"3").expect("written");
        });
        let start = Instant::now();
        assert_eq!(moved(bench.next()).0, 1);
        bench.turn(Duration::from_millis(1));
        bench.post(Call::nop(), 3);
        bench.next_of(3);
        assert!(start.elapsed() < AT_ONCE, "held up for {:?}", start.elapsed());
        assert_eq!(moved(bench.next()).0, 1);
        late.join().expect("no panic");
    }
}
