//! Running calls are interrupted: each ends with ECANCELED or with what it has really done, and the
//! calls after it know nothing of it.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use flexsc_ring::{Call, Cancelled, Engine, Options, Reason, Ring, Ticket, Value};

use crate::support::{A_WHILE, AT_ONCE, Bench, Buf, Done, Random, SOON, alone, errno, on};

const CANCELS: usize = 20_000;
const LANES: usize = 4;

/// What a lane has in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sleep,
    Read,
    Futex,
    /// Not cancelled: they tell if a signal meant for another call hits them.
    Nap,
    Fed,
}

struct Lane {
    reader: PipeReader,
    writer: PipeWriter,
    buf: &'static mut [u8; 8],
    kind: Option<Kind>,
    ticket: Option<Ticket>,
    cancelled: bool,
    written: u8,
    read: u8,
}

fn raw(number: libc::c_long, args: [u64; 3]) -> Call<Buf> {
    let [a, b, c] = args;
    // SAFETY: the callers below pass memory that is never freed.
    unsafe { Call::raw(number as u16, [a, b, c, 0, 0, 0]) }
}

fn sleep(time: &'static [i64; 2]) -> Call<Buf> {
    raw(libc::SYS_nanosleep, [time.as_ptr() as u64, 0, 0])
}

impl Lane {
    fn new() -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let buf = Box::leak(Box::new([0; 8]));
        Lane {
            reader,
            writer,
            buf,
            kind: None,
            ticket: None,
            cancelled: false,
            written: 0,
            read: 0,
        }
    }

    fn call(&mut self, kind: Kind) -> Call<Buf> {
        static LONG: [i64; 2] = [100, 0];
        static SHORT: [i64; 2] = [0, 20_000];
        static ZERO: u32 = 0;
        match kind {
            Kind::Sleep => sleep(&LONG),
            Kind::Nap => sleep(&SHORT),
            Kind::Futex => {
                let private_wait = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as u64;
                raw(libc::SYS_futex, [(&raw const ZERO).addr() as u64, private_wait, 0])
            }
            Kind::Read | Kind::Fed => {
                let at = self.buf.as_mut_ptr().expose_provenance() as u64;
                raw(libc::SYS_read, [self.reader.as_raw_fd() as u64, at, 8])
            }
        }
    }

    fn feed(&mut self) {
        self.writer.write_all(&[self.written, self.written.wrapping_add(1)]).expect("written");
        self.written = self.written.wrapping_add(2);
    }

    fn took(&mut self, bytes: &[u8]) {
        for byte in bytes {
            assert_eq!(*byte, self.read, "every byte comes once, in order");
            self.read = self.read.wrapping_add(1);
        }
    }

    fn ended(&mut self, done: Done) {
        let kind = self.kind.take().expect("one completion a call");
        match (kind, &done.result) {
            (Kind::Read | Kind::Fed, Ok(Value::Raw(n))) => {
                let bytes = *self.buf;
                self.took(&bytes[..*n as usize]);
            }
            (Kind::Nap, Ok(Value::Raw(0))) => {}
            (Kind::Sleep | Kind::Read | Kind::Futex, Err(_)) => {
                assert_eq!(errno(&done), libc::ECANCELED, "{kind:?}");
                assert!(self.cancelled, "{kind:?} was not cancelled");
            }
            (_, result) => panic!("{kind:?}: {result:?}"),
        }
    }
}

fn storm(bench: &mut Bench, random: &mut Random) {
    let mut lanes: Vec<Lane> = (0..LANES).map(|_| Lane::new()).collect();
    let mut cancels = 0;
    while cancels < CANCELS {
        for (user, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.kind.is_none()) {
            let kinds = [Kind::Sleep, Kind::Read, Kind::Read, Kind::Futex, Kind::Nap, Kind::Fed];
            let kind = kinds[random.below(6) as usize];
            let call = lane.call(kind);
            lane.ticket = Some(bench.post(call, user as u64));
            (lane.kind, lane.cancelled) = (Some(kind), false);
        }
        bench.turn(Duration::from_micros(random.below(3) * 20));
        let (start, time) = (Instant::now(), Duration::from_nanos(random.below(30_000)));
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
        for lane in &mut lanes {
            let may_read = matches!(lane.kind, Some(Kind::Read)) && random.below(2) == 0;
            if lane.kind == Some(Kind::Fed) || may_read {
                lane.feed();
            }
            if matches!(lane.kind, Some(Kind::Sleep | Kind::Read | Kind::Futex)) && !lane.cancelled
            {
                let met = bench.ring.cancel(lane.ticket.expect("posted"));
                assert_ne!(met, Cancelled::Unknown);
                lane.cancelled = true;
                cancels += 1;
            }
        }
        let deadline = Instant::now() + SOON;
        while lanes.iter().any(|lane| lane.kind.is_some()) {
            let kinds: Vec<_> = lanes.iter().map(|lane| lane.kind).collect();
            assert!(Instant::now() < deadline, "all end: {kinds:?} {}", bench.ring.stats());
            bench.turn(Duration::from_millis(20));
            for done in bench.done.drain(..) {
                lanes[done.user as usize].ended(done);
            }
        }
    }
    for mut lane in lanes {
        let (mut rest, _) = (Vec::new(), lane.writer.flush());
        drop(std::mem::replace(&mut lane.writer, std::io::pipe().expect("a pipe").1));
        lane.reader.read_to_end(&mut rest).expect("read");
        lane.took(&rest);
        assert_eq!(lane.read, lane.written, "no byte is lost");
    }
}

fn storm_on(engine: Engine) {
    let seed = std::env::var("FLEXSC_RING_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| 1 + u64::from(std::process::id()));
    println!("seed {seed} (FLEXSC_RING_SEED repeats it)");
    on(&Options { threads: LANES, ..Options::with_engine(engine) }, |bench| {
        storm(bench, &mut Random(seed));
        assert_eq!(bench.ring.stats().fallbacks(Reason::Uninterrupted), 0);
        assert_eq!(bench.ring.in_flight(), 0);
    });
}

#[test]
fn a_storm_of_cancellations_on_threads_hits_what_it_is_for() {
    storm_on(Engine::Threads);
}

#[test]
fn a_storm_of_cancellations_on_uring_hits_what_it_is_for() {
    storm_on(Engine::Uring);
}

#[test]
fn signals_from_elsewhere_end_no_call() {
    // In a process of its own: it signals whole processes.
    alone("interrupt::signals_from_elsewhere_end_no_call", || {
        on(&Options::with_engine(Engine::Threads), |bench| {
            static TIME: [i64; 2] = [0, 50_000_000];
            let signal = libc::SIGRTMAX();
            for user in 0..10 {
                bench.post(sleep(&TIME), user);
                bench.turn(Duration::ZERO);
                std::thread::sleep(Duration::from_millis(5));
                // SAFETY: no pointers; the ring has given the signal a handler.
                (0..20).for_each(|_| unsafe {
                    libc::kill(libc::getpid(), signal);
                });
                assert!(matches!(bench.next_of(user).result, Ok(Value::Raw(0))));
            }
        });
    });
}

#[test]
fn a_signal_that_the_program_uses_is_left_alone() {
    alone("interrupt::a_signal_that_the_program_uses_is_left_alone", || {
        let top = libc::SIGRTMAX();
        // SAFETY: ignoring a signal runs no code.
        let handler = |signal| unsafe {
            let mut found = std::mem::zeroed::<libc::sigaction>();
            assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut found), 0);
            found.sa_sigaction
        };
        // SAFETY: as above.
        unsafe { libc::signal(top, libc::SIG_IGN) };
        on(&Options::with_engine(Engine::Threads), |bench| {
            static LONG: [i64; 2] = [100, 0];
            let ticket = bench.post(sleep(&LONG), 1);
            bench.pause(Duration::from_millis(5));
            bench.ring.cancel(ticket);
            assert_eq!(errno(&bench.next_of(1)), libc::ECANCELED);
        });
        assert_eq!(handler(top), libc::SIG_IGN);
        assert_ne!(handler(top - 1), libc::SIG_DFL);
        assert_eq!(handler(top - 2), libc::SIG_DFL);
    });
}

#[test]
fn without_a_free_signal_running_calls_are_awaited_and_counted() {
    alone("interrupt::without_a_free_signal_running_calls_are_awaited_and_counted", || {
        // SAFETY: ignoring a signal runs no code.
        (libc::SIGRTMIN()..=libc::SIGRTMAX()).for_each(|signal| unsafe {
            libc::signal(signal, libc::SIG_IGN);
        });
        on(&Options::with_engine(Engine::Threads), |bench| {
            static TIME: [i64; 2] = [1, 0];
            let ticket = bench.post(sleep(&TIME), 1);
            bench.pause(A_WHILE);
            assert_eq!(bench.ring.cancel(ticket), Cancelled::Requested);
            assert!(matches!(bench.next_of(1).result, Ok(Value::Raw(0))));
            assert_eq!(bench.ring.stats().fallbacks(Reason::Uninterrupted), 1);
        });
    });
}

#[test]
fn a_call_that_says_eintr_by_itself_ends() {
    on(&Options::with_engine(Engine::Threads), |bench| {
        // With nothing to go on with it says EINTR, without any signal.
        let done = bench.call(raw(libc::SYS_restart_syscall, [0; 3]));
        assert_eq!(errno(&done), libc::EINTR);
    });
}

#[test]
fn a_ring_with_silent_pipes_is_dropped_at_once_and_its_threads_end() {
    alone("interrupt::a_ring_with_silent_pipes_is_dropped_at_once_and_its_threads_end", || {
        let before = crate::support::threads();
        for engine in [Engine::Threads, Engine::Uring] {
            let mut lanes: Vec<Lane> = (0..8).map(|_| Lane::new()).collect();
            let mut dropped = Instant::now();
            on(&Options { threads: 8, ..Options::with_engine(engine) }, |bench| {
                for (user, lane) in lanes.iter_mut().enumerate() {
                    let call = lane.call(Kind::Read);
                    bench.post(call, user as u64);
                }
                bench.pause(Duration::from_millis(20));
                dropped = Instant::now();
            });
            assert!(dropped.elapsed() < AT_ONCE, "{:?}", dropped.elapsed());
            assert_eq!(crate::support::threads(), before, "{engine}");
        }
    });
}

#[test]
fn a_call_that_cannot_be_interrupted_holds_the_drop_for_a_second_at_most() {
    alone(
        "interrupt::a_call_that_cannot_be_interrupted_holds_the_drop_for_a_second_at_most",
        || {
            // SAFETY: ignoring a signal runs no code.
            (libc::SIGRTMIN()..=libc::SIGRTMAX()).for_each(|signal| unsafe {
                libc::signal(signal, libc::SIG_IGN);
            });
            for engine in [Engine::Threads, Engine::Uring] {
                let mut dropped = Instant::now();
                on(&Options::with_engine(engine), |bench| {
                    static LONG: [i64; 2] = [5, 0];
                    bench.post(sleep(&LONG), 1);
                    bench.pause(Duration::from_millis(20));
                    dropped = Instant::now();
                });
                assert!(
                    dropped.elapsed() < Duration::from_millis(2_500),
                    "{:?}",
                    dropped.elapsed()
                );
            }
        },
    );
}
