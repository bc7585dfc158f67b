//! Models of a syscall page and of its sleeping threads: no call is lost, and no sleep is eternal.

use loom::sync::Arc;
use loom::thread;

use crate::idle::Idle;
use crate::page::Page;
use crate::pages::Pages;
use crate::trap::Trap;

fn trap(mark: u64) -> Trap {
    Trap { number: mark as u16, makes_fd: false, makes_mapping: false, args: [mark; 6] }
}

fn serve_all(page: &Page) -> u32 {
    let mut ran = 0;
    while let Some(i) = page.claim() {
        if let Some((_, args)) = page.entry(i).begin(0) {
            let _ = page.entry(i).finish(args[0] as i64);
            let _ = page.complete(i);
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
        let stopped = page.entry(0).cancel(true) == crate::entry::Met::Posted;
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
        shared.1.arrive(0);
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
        if idle.nobody_is_awake() && idle.pick() == Some(0) {
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
        assert!(!idle.any_asleep());
    });
}

#[test]
fn no_call_is_left_by_a_thread_that_ends() {
    loom::model(|| {
        let shared = Arc::new((Page::new(), Idle::new()));
        shared.1.arrive(0);
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let (page, idle) = &*other;
            let mut ran = serve_all(page);
            idle.retire(0);
            if page.unclaimed() != 0 {
                idle.arrive(0);
                ran += serve_all(page);
            }
            ran
        });
        let (page, idle) = &*shared;
        page.entry(0).post(&trap(1));
        page.publish(1);
        // Nobody awake: another thread would be woken or started.
        let here = if idle.nobody_is_awake() { serve_all(page) } else { 0 };
        assert_eq!(here + thread.join().unwrap(), 1);
        assert_eq!(collect(page), [1]);
    });
}

/// What a thread does with a table of pages.
fn serve_table(pages: &Pages) -> u32 {
    let mut ran = 0;
    while let Some((page, i)) = pages.claim() {
        if let Some((_, args)) = pages.page(page).entry(i).begin(0) {
            let _ = pages.page(page).entry(i).finish(args[0] as i64);
            pages.complete(page, i);
            ran += 1;
        }
    }
    ran
}

fn collect_table(pages: &Pages) -> Vec<i64> {
    let mut results = Vec::new();
    pages.take_done(|page, bits| {
        let done = (0..2).filter(|i| bits & 1 << i != 0);
        let take = |i| pages.page(page).entry(i).take().expect("a set bit means a result");
        results.extend(done.map(take));
    });
    results
}

#[test]
fn the_words_over_the_pages_hide_no_call_and_no_result() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let pages = Arc::new(Pages::new());
        // Made here, as loom does not know of the order that a OnceLock gives.
        assert_eq!([0, 1].map(|page| pages.page(page).unclaimed()), [0, 0]);
        let other = Arc::clone(&pages);
        let thread = thread::spawn(move || serve_table(&other));
        for (page, i) in [(0, 0), (1, 0), (0, 1)] {
            pages.page(page).entry(i).post(&trap((10 * page + i) as u64));
            pages.publish(page, 1 << i);
        }
        let mut results = collect_table(&pages);
        let here = serve_table(&pages);
        let there = thread.join().unwrap();
        results.extend(collect_table(&pages));
        results.sort_unstable();
        assert_eq!((here + there, results), (3, vec![0, 1, 10]));
        assert!(!pages.any_unclaimed() && !pages.any_done());
    });
}
