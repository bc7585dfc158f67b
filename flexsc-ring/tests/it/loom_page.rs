//! Models of a syscall page and of its sleeping threads: no call is lost, and no sleep is eternal.

use loom::sync::Arc;
use loom::thread;

use crate::idle::Idle;
use crate::page::Page;
use crate::trap::Trap;

fn trap(mark: u64) -> Trap {
    Trap { number: mark as u16, makes_fd: false, args: [mark; 6] }
}

fn serve_all(page: &Page) -> u32 {
    let mut ran = 0;
    while let Some(i) = page.claim() {
        if let Some((_, args)) = page.entry(i).begin() {
            let _ = page.entry(i).finish(args[0] as i64);
            page.complete(i);
            ran += 1;
        }
    }
    ran
}

fn collect(page: &Page) -> Vec<i64> {
    let bits = page.take_done();
    let done = (0..2).filter(|i| bits & 1 << i != 0);
    done.map(|i| page.entry(i).take().expect("a set bit means a result")).collect()
}

#[test]
fn a_published_batch_is_run_once_and_collected_once() {
    loom::model(|| {
        let page = Arc::new(Page::new());
        page.entry(0).post(&trap(10));
        page.entry(1).post(&trap(11));
        page.publish(0b11);
        let other = Arc::clone(&page);
        let thread = thread::spawn(move || serve_all(&other));
        let mut results = collect(&page);
        let here = serve_all(&page);
        let there = thread.join().unwrap();
        results.extend(collect(&page));
        results.sort_unstable();
        assert_eq!((here + there, results), (2, vec![10, 11]));
    });
}

#[test]
fn a_bit_left_by_a_stopped_call_runs_nothing_twice() {
    loom::model(|| {
        let page = Arc::new(Page::new());
        page.entry(0).post(&trap(10));
        page.publish(1);
        let other = Arc::clone(&page);
        let thread = thread::spawn(move || serve_all(&other) + serve_all(&other));
        let stopped = page.entry(0).cancel() == crate::entry::Met::Posted;
        if stopped {
            page.entry(0).post(&trap(11));
            page.publish(1);
        }
        let there = thread.join().unwrap();
        assert_eq!(there + serve_all(&page), 1);
        assert_eq!(collect(&page), [if stopped { 11 } else { 10 }]);
    });
}

#[test]
fn no_thread_sleeps_through_a_published_call() {
    loom::model(|| {
        let shared = Arc::new((Page::new(), Idle::new()));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let (page, idle) = &*other;
            while serve_all(page) == 0 {
                idle.enter(0);
                if page.unclaimed() == 0 {
                    thread::park();
                }
                idle.leave(0);
            }
        });
        let (page, idle) = &*shared;
        page.entry(0).post(&trap(1));
        page.publish(1);
        idle.after_publish();
        if idle.pick() == Some(0) {
            thread.thread().unpark();
        }
        thread.join().unwrap();
        assert_eq!(collect(page), [1]);
    });
}

#[test]
fn a_sleeper_is_picked_by_one_waker_only() {
    loom::model(|| {
        let idle = Arc::new(Idle::new());
        idle.enter(3);
        let other = Arc::clone(&idle);
        let thread = thread::spawn(move || other.pick());
        let picks = [idle.pick(), thread.join().unwrap()];
        assert_eq!(picks.iter().flatten().count(), 1);
        assert_eq!(idle.count(), 0);
    });
}
