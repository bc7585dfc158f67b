//! The event loop: each callback runs once for its completion, whatever other callbacks do.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use flexsc_ring::{
    AnyRing, Call, Cancelled, Completion, Engine, EventLoop, Options, PostError, Ring, Stats,
    Ticket, Value,
};

use crate::support::{A_MOMENT, Buf, ENGINES, SOON, connect, listener, made, options, soon};

type Events<S> = EventLoop<S, Buf>;

/// Runs a test with a loop on each engine.
fn each<S: Default>(test: impl Fn(Events<S>)) {
    for engine in ENGINES {
        made(Events::new(&options(engine), S::default())).into_iter().for_each(&test);
    }
}

/// A read that waits until its pipe's other end is written to or dropped.
fn waiting_read(pipe: &io::PipeReader) -> Call<Buf> {
    Call::read(pipe.as_raw_fd(), vec![0; 8], 0..8, flexsc_ring::CURRENT)
}

/// Whether a completion is that of a cancelled call.
fn is_cancelled(done: &Completion<Buf>) -> bool {
    done.result.as_ref().is_err_and(|failure| failure.is_cancelled())
}

#[test]
fn callbacks_run_with_the_results_of_their_calls_until_nothing_is_in_flight() {
    each::<Vec<Buf>>(|mut events| {
        let file = Rc::new(tempfile::tempfile().expect("a file"));
        let write = Call::write(file.as_raw_fd(), b"hello".to_vec(), 0..5, 0);
        let written = move |events: &mut Events<Vec<Buf>>, done: Completion<Buf>| {
            let Ok(Value::Moved { n: 5, buf }) = done.result else { panic!("{done:?}") };
            let read = Call::read(file.as_raw_fd(), vec![0; 9], 0..9, 0);
            let read = events.post(read, move |events, done| {
                let _open_until_now = file;
                let Ok(Value::Moved { n: 5, buf }) = done.result else { panic!("{done:?}") };
                events.state_mut().push(buf);
            });
            read.expect("room");
            events.state_mut().push(buf);
        };
        events.post(write, written).expect("room");
        events.run().expect("runs");
        assert_eq!(*events.state(), [&b"hello"[..], b"hello\0\0\0\0"]);
        assert_eq!(events.in_flight(), 0);
        assert_eq!((events.stats().callbacks, events.stats().unheard), (2, 0));
    });
}

#[test]
fn a_multishot_callback_runs_for_each_completion_and_is_dropped_after_the_last() {
    each::<Vec<u8>>(|mut events| {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let alive = Rc::new(());
        let kept = Rc::clone(&alive);
        let receive = Call::recv_multishot(ours.as_raw_fd());
        let heard = move |events: &mut Events<Vec<u8>>, done: Completion<Buf>| {
            assert_eq!(Rc::strong_count(&kept), 2);
            let Ok(Value::Received(bytes)) = done.result else { panic!("{done:?}") };
            events.state_mut().extend_from_slice(&bytes);
        };
        events.post_many(receive, heard).expect("room");
        for byte in 0..50 {
            theirs.write_all(&[byte; 100]).expect("written");
            let deadline = Instant::now() + SOON;
            while events.state().len() < 100 * (usize::from(byte) + 1) {
                assert!(Instant::now() < deadline);
                events.turn(Some(SOON)).expect("turns");
            }
        }
        assert_eq!(Rc::strong_count(&alive), 2);
        drop(theirs);
        events.run().expect("runs");
        assert_eq!(Rc::strong_count(&alive), 1, "dropped with its call's end");
        assert!(
            (0..50u8).all(|byte| events.state()[usize::from(byte) * 100..][..100] == [byte; 100])
        );
    });
}

#[test]
fn stop_ends_the_run_after_the_callback_and_the_next_run_goes_on() {
    each::<u64>(|mut events| {
        for _ in 0..40 {
            let count = |events: &mut Events<u64>, _| {
                *events.state_mut() += 1;
                if *events.state() == 7 {
                    events.stop();
                }
            };
            events.post(Call::nop(), count).expect("room");
        }
        events.run().expect("runs");
        assert_eq!((*events.state(), events.in_flight()), (7, 33));
        events.run().expect("runs");
        assert_eq!((*events.state(), events.in_flight()), (40, 0));
    });
}

#[test]
fn a_callback_that_panics_takes_no_other_with_it() {
    each::<Vec<u64>>(|mut events| {
        for user in 0..20 {
            let run = move |events: &mut Events<Vec<u64>>, _| {
                assert_ne!(user, 5, "a callback that panics");
                events.state_mut().push(user);
            };
            events.post(Call::nop(), run).expect("room");
        }
        let run = catch_unwind(AssertUnwindSafe(|| events.run()));
        assert!(run.is_err(), "the panic is not hidden");
        assert!(events.current().is_none());
        events.run().expect("the loop is usable");
        events.state_mut().sort_unstable();
        assert!(events.state().iter().copied().eq((0..20).filter(|user| *user != 5)));
        assert_eq!(events.stats().callbacks, 20);
    });
}

#[test]
fn a_multishot_callback_that_panics_ends_its_call() {
    each::<u64>(|mut events| {
        let (listener, alive) = (listener(), Rc::new(()));
        let kept = Rc::clone(&alive);
        let accept = Call::accept_multishot(listener.as_raw_fd());
        let run = move |_: &mut Events<u64>, _| {
            let _kept = &kept;
            panic!("a callback that panics");
        };
        events.post_many(accept, run).expect("room");
        let mut clients = [connect(&listener), connect(&listener)];
        let run = catch_unwind(AssertUnwindSafe(|| events.run()));
        assert!(run.is_err());
        assert_eq!(Rc::strong_count(&alive), 1, "it is gone");
        // Its place is taken anew; the late completions do not go to the successor.
        events
            .post(Call::nop(), |events, done| {
                assert!(matches!(done.result, Ok(Value::Done)));
                *events.state_mut() += 1;
            })
            .expect("room");
        events.run().expect("its call ends, though the listener does not");
        assert_eq!((*events.state(), events.in_flight()), (1, 0));
        assert!(events.stats().unheard >= 1);
        // One that was not accepted before the cancellation goes with its listener.
        drop(listener);
        let closed = clients.iter_mut().all(|client| match client.read(&mut [0]) {
            Ok(n) => n == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        });
        assert!(closed, "nobody keeps a connection that was given to nobody");
    });
}

#[test]
fn a_callback_cancels_itself_and_others() {
    each::<Vec<&'static str>>(|mut events| {
        let (reader, _writer) = io::pipe().expect("a pipe");
        let other = events.post(waiting_read(&reader), |events, done| {
            assert!(is_cancelled(&done));
            events.state_mut().push("other");
        });
        let other = other.expect("room");
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let heard = move |events: &mut Events<Vec<&'static str>>, done: Completion<Buf>| {
            if done.more {
                let me = events.current().expect("a call is being served");
                assert_ne!(me, other);
                assert_ne!(events.cancel(me), Cancelled::Unknown);
                assert_ne!(events.cancel(other), Cancelled::Unknown);
                events.state_mut().push("heard");
            } else {
                assert!(is_cancelled(&done));
                events.state_mut().push("ended");
            }
        };
        events.post_many(Call::recv_multishot(ours.as_raw_fd()), heard).expect("room");
        theirs.write_all(b"once").expect("written");
        events.run().expect("both end");
        events.state_mut().sort_unstable();
        assert_eq!(*events.state(), ["ended", "heard", "other"]);
        assert_eq!(events.cancel(other), Cancelled::TooLate);
    });
}

#[test]
fn a_refused_post_gives_back_the_call_and_the_callback() {
    for engine in ENGINES {
        let options = Options { in_flight: 1, ..options(engine) };
        let Some(mut events) = made(Events::new(&options, 0u64)) else { continue };
        let (reader, writer) = io::pipe().expect("a pipe");
        events.post(waiting_read(&reader), |events, _| *events.state_mut() += 1).expect("room");

        let captured = Rc::new(());
        let kept = Rc::clone(&captured);
        let call = Call::send(reader.as_raw_fd(), vec![7; 3], 0..3);
        let refused = events.post(call, move |_, _| drop(kept)).expect_err("full");
        assert!(refused.to_string().contains("Options::in_flight"), "{refused}");
        assert_eq!(Rc::strong_count(&captured), 2, "the callback is with us");
        let callback = refused.callback;
        assert_eq!(refused.error.into_call().into_buf(), Some(vec![7; 3]));

        drop(writer);
        events.run().expect("runs");
        events.post(Call::nop(), callback).expect("it can be posted again");
        let many = Call::recv_multishot(reader.as_raw_fd());
        let refused = events.post(many, |_, _| {}).expect_err("it completes many times");
        assert!(matches!(refused.error, PostError::Many(_)));
        assert!(refused.to_string().contains("post_many"), "{refused}");
        assert!(refused.into_call().is_multishot());
        events.run().expect("runs");
        assert_eq!((Rc::strong_count(&captured), *events.state()), (1, 1));
    }
}

#[test]
fn calls_without_a_callback_are_made_and_their_failures_counted() {
    each::<()>(|mut events| {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        events.post_silent(Call::close(reader.into())).expect("room");
        events.post_silent(Call::read(-1, vec![0; 1], 0..1, 0)).expect("room");
        let (idle, _other) = io::pipe().expect("a pipe");
        let ticket = events.post_silent(waiting_read(&idle)).expect("room");
        events.cancel(ticket);
        events.run().expect("runs");
        // On sqpoll the pipe hears of it a moment after the completion.
        assert!(soon(|| writer.write(&[1]).is_err()), "the close was made");
        let stats = events.stats();
        assert_eq!((stats.silent, stats.silent_errors, stats.callbacks), (3, 1, 0));
        assert_eq!(stats.unheard, 0);
    });
}

#[test]
fn a_dropped_loop_cancels_its_calls_and_drops_their_callbacks_unrun() {
    each::<()>(|mut events| {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let ran = Rc::new(Cell::new(false));
        let callback = Rc::clone(&ran);
        let read = waiting_read(&reader);
        events
            .post(read, move |_, _| {
                callback.set(true);
                drop(reader);
            })
            .expect("room");
        events.turn(Some(Duration::ZERO)).expect("turns");
        drop(events);
        assert!(!ran.get() && Rc::strong_count(&ran) == 1);
        let broken = |error: io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        assert!(soon(|| writer.write(&[1]).is_err_and(broken)), "nobody reads");
    });
}

#[test]
fn a_callback_that_runs_the_loop_is_refused() {
    each::<u64>(|mut events| {
        for _ in 0..2 {
            let nested = |events: &mut Events<u64>, _| {
                let refused = events.turn(Some(Duration::ZERO)).expect_err("they do not nest");
                assert!(refused.to_string().contains("post a call"), "{refused}");
                if events.in_flight() > 0 {
                    events.run().expect_err("they do not nest");
                }
                *events.state_mut() += 1;
            };
            events.post(Call::nop(), nested).expect("room");
        }
        events.run().expect("runs");
        assert_eq!(*events.state(), 2);
    });
}

#[test]
fn a_callback_that_replaces_the_whole_loop_does_no_harm() {
    each::<u64>(|mut events| {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let engine = events.ring().engine();
        let heard = move |events: &mut Events<u64>, _| {
            *events = Events::new(&options(engine), 7).expect("another loop");
            events.post(Call::nop(), |events, _| *events.state_mut() += 1).expect("room");
        };
        events.post_many(Call::recv_multishot(ours.as_raw_fd()), heard).expect("room");
        theirs.write_all(b"go").expect("written");
        events.run().expect("runs");
        assert_eq!((*events.state(), events.in_flight()), (8, 0));
    });
}

#[test]
fn a_wake_makes_a_turn_return() {
    each::<()>(|mut events| {
        let waker = events.waker();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(A_MOMENT);
            waker.wake();
        });
        assert_eq!(events.turn(None).expect("woken"), 0);
        thread.join().expect("woke");
    });
}

#[test]
fn completions_of_calls_posted_behind_the_loops_back_are_dropped_and_counted() {
    each::<u64>(|mut events| {
        events.ring_mut().submit(Call::nop(), 0).expect("room");
        events.post(Call::nop(), |events, _| *events.state_mut() += 1).expect("room");
        events.run().expect("runs");
        assert_eq!((*events.state(), events.stats().unheard), (1, 1));
    });
}

#[test]
fn numbered_calls_go_to_the_sink_of_the_turn_and_callbacks_run_after_them() {
    each::<Vec<u64>>(|mut events| {
        events.post(Call::nop(), |events, _| events.state_mut().push(9)).expect("room");
        for number in [3, (1 << 63) - 1] {
            events.submit(Call::nop(), number).expect("room");
        }
        let mut numbers = Vec::new();
        let deadline = Instant::now() + SOON;
        while events.in_flight() > 0 && Instant::now() < deadline {
            events.turn_with(Some(A_MOMENT), &mut |done| numbers.push(done.user)).expect("turns");
        }
        numbers.sort_unstable();
        assert_eq!((&numbers[..], &events.state()[..]), (&[3, (1 << 63) - 1][..], &[9][..]));
        assert_eq!(events.stats().unheard, 0);
    });
}

#[test]
fn numbers_that_the_loop_gives_itself_are_refused() {
    each::<u64>(|mut events| {
        events.post(Call::nop(), |events, _| *events.state_mut() += 1).expect("room");
        for number in [1 << 63, u64::MAX] {
            let refused = events.submit(Call::nop(), number).expect_err("its own");
            assert!(matches!(refused, PostError::Number(Call::Nop, n) if n == number));
        }
        events.run().expect("runs");
        assert_eq!(*events.state(), 1);
    });
}

#[test]
fn a_callback_that_captures_nothing_is_posted_without_an_allocation() {
    fn again(events: &mut Events<u64>, _: Completion<Buf>) {
        *events.state_mut() += 1;
        if !events.state().is_multiple_of(100) {
            events.post(Call::nop(), again).expect("room");
        }
    }
    let ring = AnyRing::new(&options(Engine::Direct)).expect("always works");
    let mut events = Events::with_ring(ring, 0);
    let mut allocations = Vec::new();
    for _ in 0..3 {
        let before = crate::allocations::so_far();
        events.post(Call::nop(), again).expect("room");
        events.run().expect("runs");
        allocations.push(crate::allocations::so_far() - before);
    }
    assert_eq!((*events.state(), &allocations[1..]), (300, &[0, 0][..]));
}

/// A ring that notes what is asked of it. Every call has completed by the next wait.
struct Noted {
    posted: Vec<u64>,
    ended: Vec<u64>,
    log: Rc<RefCell<Vec<String>>>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.log.borrow_mut().push("ring".to_owned());
    }
}

impl Ring<Buf> for Noted {
    fn submit(&mut self, _: Call<Buf>, user: u64) -> Result<Ticket, PostError<Buf>> {
        self.posted.push(user);
        Ok(Ticket::new(0))
    }

    fn reap(&mut self, sink: &mut impl FnMut(Completion<Buf>)) -> usize {
        let ended = std::mem::take(&mut self.ended);
        let n = ended.len();
        for user in ended {
            sink(Completion { user, result: Ok(Value::Done), more: false });
        }
        n
    }

    fn wait(&mut self, until: Option<Duration>) -> io::Result<()> {
        assert!(until.is_none(), "flexsc_wait");
        self.log.borrow_mut().push("wait".to_owned());
        self.ended.append(&mut self.posted);
        Ok(())
    }

    fn cancel(&mut self, _: Ticket) -> Cancelled {
        Cancelled::TooLate
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }

    fn in_flight(&self) -> usize {
        self.posted.len() + self.ended.len()
    }
}

/// Notes in a log that it was dropped.
struct Mark(&'static str, Rc<RefCell<Vec<String>>>);

impl Drop for Mark {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0.to_owned());
    }
}

#[test]
fn callbacks_and_what_they_own_are_dropped_after_the_ring_and_its_calls() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let ring = Noted { posted: Vec::new(), ended: Vec::new(), log: Rc::clone(&log) };
    let owned = Mark("callback", Rc::clone(&log));
    let mut events = EventLoop::with_ring(ring, Mark("state", Rc::clone(&log)));
    events.post(Call::nop(), move |_, _| drop(owned)).expect("room");
    drop(events);
    assert_eq!(*log.borrow(), ["ring", "callback", "state"]);
}

#[test]
fn the_loop_looks_for_completions_only_when_all_callbacks_of_the_last_look_have_run() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let ring = Noted { posted: Vec::new(), ended: Vec::new(), log: Rc::clone(&log) };
    let mut events = EventLoop::with_ring(ring, Rc::clone(&log));
    for name in ["a", "b", "c"] {
        let first = move |events: &mut EventLoop<Rc<RefCell<Vec<String>>>, Buf, Noted>, _| {
            events.state().borrow_mut().push(name.to_owned());
            let then = move |events: &mut EventLoop<Rc<RefCell<Vec<String>>>, Buf, Noted>, _| {
                events.state().borrow_mut().push(format!("{name}2"));
            };
            events.post(Call::nop(), then).expect("room");
        };
        events.post(Call::nop(), first).expect("room");
    }
    events.run().expect("runs");
    assert_eq!(*log.borrow(), ["wait", "a", "b", "c", "wait", "a2", "b2", "c2"]);
    assert_eq!(events.stats().looks, 2);
}
