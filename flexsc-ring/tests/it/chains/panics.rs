//! A buffer that panics when the ring wants to know where it lies: the chain ends all the same.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use flexsc_ring::AnyRing;

use super::*;

/// Eight bytes, or a panic.
struct Touchy {
    bytes: [u8; 8],
    panics: bool,
}

impl Touchy {
    fn new(panics: bool) -> Self {
        Touchy { bytes: [0; 8], panics }
    }
}

impl AsRef<[u8]> for Touchy {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Touchy {
    fn as_mut(&mut self) -> &mut [u8] {
        if self.panics {
            resume_unwind(Box::new("without a message"));
        }
        &mut self.bytes
    }
}

type Touchies = AnyRing<Touchy>;

fn kind(outcome: &Result<Value<Touchy>, Failure<Touchy>>) -> char {
    match outcome {
        Ok(Value::Done) => 'd',
        Ok(Value::Opened(_)) => 'o',
        Ok(Value::Stat(_)) => 's',
        Ok(Value::Moved { .. }) => 'm',
        Err(failure) if failure.is_cancelled() && failure.buf.is_some() => 'b',
        Err(failure) if failure.is_cancelled() => 'c',
        _ => '?',
    }
}

/// Lets chains end, whose panics pass through the ring's methods; what came of them by their numbers,
/// and how many panics there were.
fn ends(ring: &mut Touchies, chains: Vec<Vec<Call<Touchy>>>) -> (Vec<String>, usize) {
    let (n, mut found, mut panics) = (chains.len(), vec![String::new(); chains.len()], 0);
    for (user, calls) in chains.into_iter().enumerate() {
        let chain = Call::chain(calls.into_iter().collect());
        let posted = catch_unwind(AssertUnwindSafe(|| ring.submit(chain, user as u64)));
        panics += usize::from(posted.is_err());
    }
    let deadline = std::time::Instant::now() + SOON;
    let mut left = n;
    while left > 0 {
        assert!(std::time::Instant::now() < deadline, "they end: {found:?}, {}", ring.stats());
        let turned = catch_unwind(AssertUnwindSafe(|| {
            // What is left has to go on by itself.
            ring.wait(Some(SOON)).expect("it waits");
            ring.reap(&mut |done| {
                let Ok(Value::Chain(all)) = done.result else { panic!("a chain") };
                found[done.user as usize] = all.iter().map(kind).collect();
                left -= 1;
            })
        }));
        panics += usize::from(turned.is_err());
    }
    assert_eq!(ring.in_flight(), 0);
    (found, panics)
}

fn on_each(name: &str, test: impl Fn(&mut Touchies)) {
    alone(name, || {
        for engine in [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll] {
            let before = open_files();
            match Touchies::new(&options(engine)) {
                Ok(mut ring) => test(&mut ring),
                Err(error) => eprintln!("skipped: {error}"),
            }
            assert_eq!(open_files(), before, "{engine}");
        }
    });
}

#[test]
fn a_chain_ends_where_its_buffer_panics_and_closes_what_it_has_open() {
    let name = "chains::panics::a_chain_ends_where_its_buffer_panics_and_closes_what_it_has_open";
    on_each(name, |ring| {
        let file = file(b"behind");
        let open = || Call::open(CWD, c(file.path()));
        let read = |panics| Call::read(OPENED, Touchy::new(panics), 0..8, 0);
        let chains = || {
            vec![
                // As one entry, linked, step by step; at the start, and behind one that waits.
                vec![open(), Call::stat_fd(OPENED), read(true), read(false), Call::close_opened()],
                vec![open(), read(true), Call::close_opened()],
                vec![open(), read(false), read(true), Call::nop(), Call::close_opened()],
                vec![read_alone(true), Call::nop()],
                vec![Call::nop(), Call::timeout(Duration::from_millis(2)), read_alone(true)],
                vec![open(), open(), read(true), Call::close_opened()],
                vec![open(), Call::stat_fd(OPENED), read(false), Call::close_opened()],
            ]
        };
        // Calls that were to go together with the one that panics may not have been made.
        let allowed: [&[&str]; 7] = [
            &["dscbd", "cccbc"],
            &["dcd", "ccc"],
            &["dmccd", "cbccc"],
            &["cc"],
            &["ddc"],
            &["odcd", "occc", "cccc"],
            &["dsmd"],
        ];
        for _ in 0..3 {
            let (found, panics) = ends(ring, chains());
            for (found, allowed) in found.iter().zip(allowed) {
                assert!(
                    allowed.contains(&&**found),
                    "{found}, not of {allowed:?}: {:?}",
                    ring.report()
                );
            }
            assert_eq!(panics, 6, "each is passed on");
        }
    });
}

fn read_alone(panics: bool) -> Call<Touchy> {
    Call::read(0, Touchy::new(panics), 0..8, 0)
}

#[test]
fn a_buffer_that_panics_in_the_middle_leaves_its_ring_as_it_was() {
    let name = "chains::panics::a_buffer_that_panics_in_the_middle_leaves_its_ring_as_it_was";
    on_each(name, |ring| {
        let file = file(b"behind");
        for round in 0..200 {
            let calls = |panics| {
                let read = Call::read(OPENED, Touchy::new(panics), 0..8, 0);
                vec![Call::open(CWD, c(file.path())), read, Call::close_opened()]
            };
            let chains = (0..10).map(|at| calls((at + round) % 3 == 0)).collect();
            let (found, _) = ends(ring, chains);
            for (at, found) in found.iter().enumerate() {
                let panicked = (at + round) % 3 == 0;
                assert_eq!(found != "dmd", panicked, "{found}");
            }
        }
        let stats = ring.stats();
        assert_eq!((stats.submitted, stats.completed), (6_000, 6_000));
    });
}
