//! Do the operations of Libasync do what they did there?

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use color_sched::libasync::{
    Ended, Libasync, Reason, RunError, aexit, amain, cpucb, cwrap, delaycb, fdcb, selread,
    selwrite, timecb, timecb_remove,
};
use color_sched::{Color, Cost, Priority, Scheduler, Stealer};

use crate::threads::Greedy;

type Seen<T> = Arc<Mutex<Vec<T>>>;

/// One loop at a time, as one test counts the process's descriptors.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(cores: usize, first: impl FnOnce() + Send + 'static) -> Ended {
    run_as(Libasync::new(cores).unwrap(), first)
}

/// Runs a loop that ends, and fails the test, though the callback that was to end it has panicked or was not called.
fn run_as<C, T>(libasync: Libasync<C, T>, first: impl FnOnce() + Send + 'static) -> Ended
where
    C: Scheduler,
    T: Stealer,
{
    let _alone = alone();
    let is_late = Arc::new(AtomicUsize::new(0));
    let late = Arc::clone(&is_late);
    let bound = move || {
        count(&late);
        aexit().unwrap();
    };
    let ended = libasync.run(move || {
        delaycb(10, 0, cwrap(Color(u64::MAX), bound)).unwrap();
        first();
    });
    assert_eq!(is_late.load(Ordering::SeqCst), 0, "no callback has ended the loop");
    ended.unwrap()
}

fn count(calls: &AtomicUsize) {
    calls.fetch_add(1, Ordering::SeqCst);
}

/// Ends the loop once `is_done`; looks each few milliseconds.
fn exit_when(is_done: impl Fn() -> bool + Send + 'static) {
    let look = move || if is_done() { aexit().unwrap() } else { exit_when(is_done) };
    delaycb(0, 5_000_000, look).unwrap();
}

fn panics(ended: &Ended) -> u64 {
    ended.cores.iter().map(|core| core.panics).sum()
}

fn note<T>(seen: &Seen<T>, value: T) {
    seen.lock().unwrap().push(value);
}

fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    (near, far)
}

/// The next byte, if one is there.
fn byte(mut stream: &UnixStream) -> Option<u8> {
    let mut byte = [0];
    (stream.read(&mut byte).ok()? == 1).then_some(byte[0])
}

#[test]
fn callbacks_of_a_color_keep_their_order_though_it_is_stolen() {
    const COLORS: u64 = 32;
    const CALLS: u64 = 200;
    let last: Arc<Vec<AtomicU64>> = Arc::new((0..COLORS).map(|_| AtomicU64::new(0)).collect());
    let (seen, left) = (Arc::clone(&last), Arc::new(AtomicU64::new(COLORS)));
    let libasync = Libasync::new(2)
        .unwrap()
        .stealer(|| Greedy)
        .configure(|config| config.steal_cost = Cost::fixed(1));
    let ended = run_as(libasync, move || {
        for n in 1..=CALLS {
            for color in 0..COLORS {
                let (last, left) = (Arc::clone(&seen), Arc::clone(&left));
                let call = move || {
                    assert_eq!(last[color as usize].swap(n, Ordering::SeqCst), n - 1);
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_micros(10) {}
                    if n == CALLS && left.fetch_sub(1, Ordering::SeqCst) == 1 {
                        aexit().unwrap();
                    }
                };
                // All at home on one core, so that the other has to steal.
                cpucb(cwrap(Color(color * 2), call)).unwrap();
            }
        }
    });
    assert_eq!(panics(&ended), 0, "out of order");
    assert!(last.iter().all(|last| last.load(Ordering::SeqCst) == CALLS));
    assert!(ended.cores[1].thefts > 0, "nothing was stolen");
}

#[test]
fn callbacks_of_different_colors_run_at_once() {
    let barrier = Arc::new(Barrier::new(2));
    run(2, move || {
        for color in [1, 2] {
            let barrier = Arc::clone(&barrier);
            // Returns only when both are in it.
            let call = move || {
                if barrier.wait().is_leader() {
                    aexit().unwrap();
                }
            };
            cpucb(cwrap(Color(color), call)).unwrap();
        }
    });
}

#[test]
fn callback_without_a_color_runs_after_those_before_it() {
    let seen: Seen<u32> = Seen::default();
    let calls = Arc::clone(&seen);
    run(2, move || {
        for n in 0..100 {
            let calls = Arc::clone(&calls);
            cpucb(move || note(&calls, n)).unwrap();
        }
        cpucb(|| aexit().unwrap()).unwrap();
        note(&calls, 1000);
    });
    let expected: Vec<u32> = [1000].into_iter().chain(0..100).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn delayed_callback_is_not_early_in_any_color() {
    let seen: Seen<(u64, Duration)> = Seen::default();
    let calls = Arc::clone(&seen);
    run(2, move || {
        // The core's own idea of the time is this old by now.
        thread::sleep(Duration::from_millis(5));
        for (color, millis) in [(0, 12), (1, 7), (2, 20), (0, 3)] {
            let (calls, start) = (Arc::clone(&calls), Instant::now());
            let call = move || note(&calls, (millis, start.elapsed()));
            delaycb(0, millis as u32 * 1_000_000, cwrap(Color(color), call)).unwrap();
        }
        let (called, start) = (Arc::clone(&calls), Instant::now());
        let when = SystemTime::now() + Duration::from_millis(40);
        timecb(when, move || note(&called, (39, start.elapsed()))).unwrap();
        exit_when(move || calls.lock().unwrap().len() == 5);
    });
    let seen = seen.lock().unwrap();
    let order: Vec<u64> = seen.iter().map(|(millis, _)| *millis).collect();
    let color_0: Vec<u64> = order.iter().copied().filter(|n| [3, 12, 39].contains(n)).collect();
    assert_eq!((order.len(), color_0), (5, vec![3, 12, 39]));
    for (millis, waited) in seen.iter() {
        assert!(*waited >= Duration::from_millis(*millis), "{millis} ms: {waited:?}");
    }
}

#[test]
fn removed_timer_is_not_called_whatever_its_color() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let ended = run(2, move || {
        let later = |color, millis: u32| {
            let seen = Arc::clone(&seen);
            let call = move || count(&seen);
            delaycb(0, millis * 1_000_000, cwrap(Color(color), call)).unwrap()
        };
        let called = later(0, 1);
        let timers = [later(0, 150), later(1, 150), later(2, 150), later(1, 3_000)];
        assert!(timecb_remove(later(1, 0)).unwrap(), "before it was armed");
        delaycb(0, 5_000_000, move || {
            for timer in timers {
                assert!(timecb_remove(timer.clone()).unwrap());
                assert!(!timecb_remove(timer).unwrap(), "removed twice");
            }
            assert!(!timecb_remove(called).unwrap(), "removed after it was called");
            delaycb(0, 200_000_000, || aexit().unwrap()).unwrap();
        })
        .unwrap();
    });
    assert_eq!((calls.load(Ordering::SeqCst), panics(&ended)), (1, 0));
    assert_eq!(ended.cores.iter().map(|core| core.timers).sum::<u64>(), 3, "armed no more");
}

/// Sends bytes back, up to a zero, which ends the loop.
fn echo_until_zero(stream: UnixStream, calls: Arc<AtomicUsize>) -> impl FnMut() + Send {
    move || {
        calls.fetch_add(1, Ordering::SeqCst);
        let byte = byte(&stream).expect("it was said to be ready");
        (&stream).write_all(&[byte]).unwrap();
        if byte == 0 {
            assert!(fdcb(stream.as_raw_fd(), selread, None).unwrap());
            assert!(!fdcb(stream.as_raw_fd(), selread, None).unwrap(), "removed twice");
            // What follows would be heard by now, if anybody still listened.
            delaycb(0, 20_000_000, || aexit().unwrap()).unwrap();
        }
    }
}

#[test]
fn descriptor_calls_back_each_time_until_it_is_removed() {
    const MESSAGES: usize = 1_000;
    let (near, mut far) = pair();
    let kept_open = near.try_clone().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let client = thread::spawn(move || {
        for n in 1..=MESSAGES {
            let sent = if n == MESSAGES { 0 } else { n as u8 | 1 };
            let mut answer = [0];
            far.write_all(&[sent]).unwrap();
            far.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [sent]);
        }
        far.write_all(b"unheard").unwrap();
        far
    });
    let ended = run(2, move || {
        let fd = near.as_raw_fd();
        fdcb(fd, selread, cwrap(Color(1), echo_until_zero(near, seen))).unwrap();
    });
    client.join().unwrap();
    assert_eq!((calls.load(Ordering::SeqCst), panics(&ended)), (MESSAGES, 0));
    assert_eq!(byte(&kept_open), Some(b'u'), "nobody has read it");
}

#[test]
fn descriptor_that_stays_ready_calls_back_again_and_others_run_between() {
    let (near, mut far) = pair();
    far.write_all(b"abc").unwrap();
    let seen: Seen<u8> = Seen::default();
    let calls = Arc::clone(&seen);
    run(1, move || {
        let fd = near.as_raw_fd();
        fdcb(fd, selread, move || {
            let byte = byte(&near).unwrap();
            let then = Arc::clone(&calls);
            note(&calls, byte);
            cpucb(move || note(&then, byte.to_ascii_uppercase())).unwrap();
            if byte == b'c' {
                delaycb(0, 0, || aexit().unwrap()).unwrap();
            }
        })
        .unwrap();
    });
    assert_eq!(*seen.lock().unwrap(), b"aAbBcC");
}

#[test]
fn one_descriptor_is_read_and_written_by_callbacks_of_two_colors() {
    for (reader, writer) in [(1, 2), (1, 3), (0, 0)] {
        let (near, far) = pair();
        let calls = Arc::new(AtomicUsize::new(0));
        let (seen, write_end) = (Arc::clone(&calls), near.try_clone().unwrap());
        let ended = run(2, move || {
            let fd = near.as_raw_fd();
            let write = move || {
                if seen.fetch_add(1, Ordering::SeqCst) == 2 {
                    fdcb(fd, selwrite, None).unwrap();
                    (&far).write_all(b"x").unwrap();
                }
                let _ = &write_end;
            };
            let read = move || {
                assert_eq!(byte(&near), Some(b'x'));
                aexit().unwrap();
            };
            fdcb(fd, selread, cwrap(Color(reader), read)).unwrap();
            fdcb(fd, selwrite, cwrap(Color(writer), write)).unwrap();
        });
        assert_eq!((calls.load(Ordering::SeqCst), panics(&ended)), (3, 0));
    }
}

#[test]
fn callback_that_is_removed_while_it_waits_for_its_color_is_not_called() {
    const BEFORE: usize = 500;
    let (near, mut far) = pair();
    far.write_all(b"x").unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let ended = run(1, move || {
        let fd = near.as_raw_fd();
        let call = move || {
            let _ = &near;
            count(&seen);
        };
        fdcb(fd, selread, call).unwrap();
        // More than run between two polls: the callback is posted behind the removal.
        for n in 1..=BEFORE {
            cpucb(move || assert!(n < BEFORE || fdcb(fd, selread, None).unwrap())).unwrap();
        }
        delaycb(0, 20_000_000, || aexit().unwrap()).unwrap();
    });
    assert_eq!((calls.load(Ordering::SeqCst), panics(&ended)), (0, 0));
    // With it the first callback, the timer's, and the end of two colors.
    assert_eq!(ended.cores[0].events as usize, BEFORE + 1 + 4, "it was not posted");
}

#[test]
fn callback_that_is_replaced_gives_way_to_the_new_one() {
    let (near, mut far) = pair();
    far.write_all(b"ab").unwrap();
    let seen: Seen<(u8, u8)> = Seen::default();
    let calls = Arc::clone(&seen);
    run(2, move || {
        let fd = near.as_raw_fd();
        fdcb(fd, selread, move || {
            note(&calls, (1, byte(&near).unwrap()));
            let (near, calls) = (near.try_clone().unwrap(), Arc::clone(&calls));
            let second = move || {
                note(&calls, (2, byte(&near).unwrap()));
                aexit().unwrap();
            };
            assert!(fdcb(fd, selread, cwrap(Color(1), second)).unwrap());
        })
        .unwrap();
    });
    assert_eq!(*seen.lock().unwrap(), [(1, b'a'), (2, b'b')]);
}

#[test]
fn urgent_callbacks_run_before_others_that_wait() {
    let seen: Seen<Priority> = Seen::default();
    let calls = Arc::clone(&seen);
    run(1, move || {
        for n in 0..30 {
            let priority = Priority::ALL[2 - n % 3];
            let calls = Arc::clone(&calls);
            let call = move || note(&calls, priority);
            cpucb(cwrap(Color(n as u64 + 1), call).priority(priority)).unwrap();
        }
        exit_when(move || calls.lock().unwrap().len() == 30);
    });
    let seen = seen.lock().unwrap();
    let early = seen[..15].iter().filter(|priority| **priority == Priority::High).count();
    let late = seen[15..].iter().filter(|priority| **priority == Priority::Low).count();
    assert!(seen.len() == 30 && early >= 9 && late >= 8, "{seen:?}");
}

/// Epolls and eventfds of this process.
fn kernel_objects() -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let names = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
    names.filter(|name| name.to_string_lossy().starts_with("anon_inode:[event")).count()
}

#[test]
fn exit_with_all_still_registered_leaves_nothing_open() {
    let _alone = alone();
    let before = kernel_objects();
    let (near, mut far) = pair();
    far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let ended = amain(move || {
        assert!(kernel_objects() > 0, "the loop's are not found");
        let fd = near.as_raw_fd();
        let read = move || assert_eq!(byte(&near), None);
        fdcb(fd, selread, cwrap(Color(1), read)).unwrap();
        delaycb(3600, 0, cwrap(Color(2), || ())).unwrap();
        cpucb(cwrap(Color(3), || aexit().unwrap())).unwrap();
    });
    assert_eq!(panics(&ended.unwrap()), 0);
    assert_eq!(kernel_objects(), before);
    assert_eq!(far.read(&mut [0]).unwrap(), 0, "the callback's socket is closed");
}

#[test]
fn nothing_is_called_after_the_exit() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    run(1, move || {
        for color in 0..50 {
            let seen = Arc::clone(&seen);
            let call = move || count(&seen);
            cpucb(cwrap(Color(color), call)).unwrap();
        }
        aexit().unwrap();
    });
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[test]
fn operations_outside_of_the_loop_give_back_what_they_were_passed() {
    let value = Arc::new(());
    let kept = Arc::clone(&value);
    let refused = cpucb(cwrap(Color(1), move || drop(kept))).unwrap_err();
    assert!(matches!(refused.reason, Reason::Outside));
    assert!(refused.to_string().contains("inside of a callback"), "{refused}");
    refused.callback.into_inner()();
    assert_eq!(Arc::strong_count(&value), 1, "the very same callback");
    assert!(delaycb(0, 0, || ()).is_err() && timecb(SystemTime::now(), || ()).is_err());
    assert!(fdcb(0, selread, || ()).is_err() && fdcb(0, selread, None).is_err());
    assert!(aexit().is_err());
    let timers = Seen::default();
    let made = Arc::clone(&timers);
    run(1, move || {
        note(&made, delaycb(3600, 0, || ()).unwrap());
        aexit().unwrap();
    });
    let timer = timers.lock().unwrap().pop().unwrap();
    assert!(timecb_remove(timer).is_err());
}

#[test]
fn descriptor_that_cannot_be_waited_for_is_named_and_its_callback_comes_back() {
    const CLOSED: RawFd = 1 << 20;
    let ended = run(1, || {
        let value = Arc::new(());
        let kept = Arc::clone(&value);
        let call = move || {
            let _ = &kept;
        };
        let refused = fdcb(CLOSED, selread, cwrap(Color(1), call)).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("descriptor 1048576") && said.contains("open it first"), "{said}");
        drop(refused.callback);
        assert_eq!(Arc::strong_count(&value), 1);
        assert!(!fdcb(CLOSED, selread, None).unwrap(), "nothing was left there");
        assert!(fdcb(-1, selwrite, || ()).is_err());
        let file = fs::File::open("/proc/self/exe").unwrap();
        let refused = fdcb(file.as_raw_fd(), selread, || ()).unwrap_err();
        assert!(refused.to_string().contains("cpucb"), "{refused}");
        aexit().unwrap();
    });
    assert_eq!(panics(&ended), 0);
}

#[test]
fn descriptor_closed_before_its_callback_is_removed_is_counted() {
    let (near, mut far) = pair();
    far.write_all(b"x").unwrap();
    let ended = run(1, move || {
        let fd = near.as_raw_fd();
        let mut near = Some(near);
        fdcb(fd, selread, move || {
            near.take();
            delaycb(0, 5_000_000, || aexit().unwrap()).unwrap();
        })
        .unwrap();
    });
    assert_eq!((ended.orphans, panics(&ended)), (1, 0));
}

#[test]
fn panic_ends_its_callback_only() {
    let (near, mut far) = pair();
    far.write_all(b"x").unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let (seen, counted) = (Arc::clone(&calls), Arc::clone(&calls));
    let ended = run(2, move || {
        let fd = near.as_raw_fd();
        let calls = Arc::clone(&seen);
        let read = move || {
            let _ = &near;
            count(&calls);
            panic::quiet();
        };
        fdcb(fd, selread, cwrap(Color(1), read)).unwrap();
        cpucb(move || {
            let seen = Arc::clone(&seen);
            cpucb(move || count(&seen)).unwrap();
            panic::quiet();
        })
        .unwrap();
        exit_when(move || counted.load(Ordering::SeqCst) == 2);
    });
    assert_eq!((calls.load(Ordering::SeqCst), panics(&ended)), (2, 2));
}

mod panic {
    /// A panic that prints nothing.
    pub(super) fn quiet() {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}

#[test]
fn loop_inside_of_a_callback_is_refused() {
    let ended = run(1, || {
        assert!(matches!(amain(|| ()), Err(RunError::Inside)));
        aexit().unwrap();
    });
    assert_eq!(panics(&ended), 0);
    assert!(Libasync::new(0).is_err());
}
