//! Models of one syscall entry: poster and syscall threads, with cancellation and with a poster that
//! goes. The entry's fields are cells whose every access loom checks.

use loom::sync::Arc;
use loom::thread;

use crate::entry::{Ended, Entry, Met};
use crate::trap::Trap;

fn trap(mark: u64) -> Trap {
    Trap { number: mark as u16, makes_fd: true, makes_mapping: false, args: [mark; 6] }
}

/// What a syscall thread does once: takes the call and answers with its first argument plus 100.
fn serve(entry: &Entry) -> Option<Ended> {
    let (number, args) = entry.begin(7)?;
    assert_eq!(args, [u64::from(number); 6], "number and arguments are of one call");
    Some(entry.finish(args[0] as i64 + 100).ended)
}

#[test]
fn a_posted_call_is_run_by_one_thread_and_its_result_is_its_own() {
    loom::model(|| {
        let entry = Arc::new(Entry::new());
        entry.post(&trap(1));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let entry = Arc::clone(&entry);
                thread::spawn(move || serve(&entry).is_some())
            })
            .collect();
        let taken = entry.take();
        let ran: Vec<bool> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(ran.iter().filter(|ran| **ran).count(), 1);
        assert_eq!(taken.or_else(|| entry.take()), Some(101));
        assert_eq!(entry.take(), None);
    });
}

#[test]
fn an_entry_is_reused_while_a_late_thread_still_looks_at_it() {
    loom::model(|| {
        let entry = Arc::new(Entry::new());
        entry.post(&trap(1));
        let other = Arc::clone(&entry);
        // Two looks: the first may find the first call, the second, or none.
        let thread = thread::spawn(move || (serve(&other), serve(&other)));
        let mut first = entry.take();
        if first.is_none() && entry.cancel(true) == Met::Posted {
            first = Some(0);
        }
        if first.is_some() {
            entry.post(&trap(2));
        }
        thread.join().unwrap();
        let last = if first.is_some() { 102 } else { 101 };
        assert!(first.is_none_or(|ret| ret == 0 || ret == 101));
        serve(&entry);
        assert_eq!(entry.take(), Some(last));
    });
}

#[test]
fn a_cancelled_call_is_either_stopped_or_run_never_both() {
    loom::model(|| {
        let entry = Arc::new(Entry::new());
        entry.post(&trap(1));
        let other = Arc::clone(&entry);
        let thread = thread::spawn(move || serve(&other));
        let met = entry.cancel(true);
        let ran = thread.join().unwrap();
        match met {
            Met::Posted => assert_eq!((ran, entry.take()), (None, None)),
            Met::Running(_) | Met::Coming => {
                assert_eq!((ran, entry.take()), (Some(Ended::Wanted), Some(101)));
            }
        }
    });
}

#[test]
fn a_result_that_nobody_waits_for_is_left_to_its_thread_exactly() {
    loom::model(|| {
        let entry = Arc::new(Entry::new());
        entry.post(&trap(1));
        let other = Arc::clone(&entry);
        let thread = thread::spawn(move || serve(&other));
        let stopped = entry.cancel(true) == Met::Posted;
        let left = !stopped && entry.abandon();
        let taken = if left { None } else { entry.take() };
        let ended = thread.join().unwrap();
        if stopped {
            assert_eq!((ended, taken), (None, None));
        } else if left {
            assert_eq!(ended, Some(Ended::Orphan), "the thread closes the descriptor");
        } else {
            assert_eq!(ended, Some(Ended::Wanted));
            assert_eq!(taken, Some(101), "the poster owns the descriptor");
        }
    });
}

#[test]
fn a_mapping_that_nobody_waits_for_is_told_from_a_descriptor() {
    loom::model(|| {
        let entry = Entry::new();
        entry.post(&Trap { makes_fd: false, makes_mapping: true, ..trap(1) });
        assert!(entry.begin(1).is_some());
        assert!(entry.abandon());
        assert_eq!(entry.finish(4_096).ended, Ended::OrphanMapping);
    });
}
