//! Every interleaving of a task's owner with its wakers: no wake is lost, and one event at most is queued.

use color_sched::task::state::{Next, Woken, Word};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// A task: its word, its events, and what its wakers publish before they wake.
struct Bed {
    word: Word,
    /// Events that are queued.
    queued: AtomicU32,
    news: AtomicU32,
}

impl Bed {
    fn new() -> Arc<Self> {
        let bed =
            Self { word: Word::default(), queued: AtomicU32::new(1), news: AtomicU32::new(0) };
        Arc::new(bed)
    }

    fn post(&self, woken: Woken) {
        if woken == Woken::Post {
            assert_eq!(self.queued.fetch_add(1, Ordering::AcqRel), 0, "two events of one task");
        }
    }

    /// A waker.
    fn tell(&self, bit: u32) {
        self.news.fetch_or(bit, Ordering::Relaxed);
        self.post(self.word.wake());
    }

    /// The owner: runs the event if there is one. `None`: there was none; else the news that the poll saw, and what
    /// came of it.
    fn turn(&self) -> Option<(u32, Next)> {
        if self.queued.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.queued.fetch_sub(1, Ordering::AcqRel);
        if self.word.begin() == Next::Drop {
            self.word.finish();
            return Some((0, Next::Drop));
        }
        let seen = self.news.load(Ordering::Relaxed);
        let next = self.word.end();
        match next {
            Next::Go => self.post(Woken::Post),
            Next::Rest => {}
            Next::Drop => self.word.finish(),
        }
        Some((seen, next))
    }
}

#[test]
fn last_poll_sees_what_every_waker_published() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let bed = Bed::new();
        let wakers = [1, 2].map(|bit| {
            let bed = Arc::clone(&bed);
            thread::spawn(move || bed.tell(bit))
        });
        // Polls on a thread of its own: what it sees, it sees by the word alone.
        let owner = {
            let bed = Arc::clone(&bed);
            thread::spawn(move || {
                let mut seen = 0;
                for _ in 0..2 {
                    seen = bed.turn().map_or(seen, |(seen, _)| seen);
                }
                seen
            })
        };
        let mut seen = owner.join().unwrap();
        for waker in wakers {
            waker.join().unwrap();
        }
        while let Some((later, _)) = bed.turn() {
            seen = later;
        }
        assert_eq!(seen, 3, "a wake was lost");
    });
}

#[test]
fn abort_that_races_with_a_poll_and_a_wake_drops_the_task_once() {
    loom::model(|| {
        let bed = Bed::new();
        let aborter = {
            let bed = Arc::clone(&bed);
            thread::spawn(move || bed.post(bed.word.abort()))
        };
        let waker = {
            let bed = Arc::clone(&bed);
            thread::spawn(move || bed.tell(1))
        };
        let is_drop = |turn: &(u32, Next)| turn.1 == Next::Drop;
        let mut drops = u32::from(bed.turn().as_ref().is_some_and(is_drop));
        aborter.join().unwrap();
        waker.join().unwrap();
        while drops == 0 {
            let turn = bed.turn().expect("an event of a task that was aborted and lives");
            drops += u32::from(is_drop(&turn));
        }
        assert!(bed.word.is_done());
    });
}

#[test]
fn task_that_is_over_is_never_posted() {
    loom::model(|| {
        let bed = Bed::new();
        let waker = {
            let bed = Arc::clone(&bed);
            thread::spawn(move || {
                bed.tell(1);
                bed.post(bed.word.abort());
            })
        };
        bed.queued.fetch_sub(1, Ordering::AcqRel);
        if bed.word.begin() == Next::Go {
            bed.word.finish();
        }
        waker.join().unwrap();
        assert_eq!(bed.queued.load(Ordering::Acquire), 0, "an event of a task that is over");
    });
}
