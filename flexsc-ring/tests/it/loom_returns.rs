//! Models of the way home of received buffers.

use loom::sync::Arc;
use loom::thread;

use crate::atomics::Plain;
use crate::returns::{Pushed, Returns};

/// A buffer is a cell: its holder writes it, and the owner reads it once it has come home.
struct Home {
    returns: Returns,
    buffers: [Plain<u64>; 3],
}

// SAFETY: a cell is used by who holds its id, and loom checks that.
unsafe impl Sync for Home {}

impl Home {
    fn new() -> Arc<Self> {
        let buffers = [Plain::new(0), Plain::new(0), Plain::new(0)];
        Arc::new(Home { returns: Returns::new(3), buffers })
    }

    fn push(&self, id: u16) -> Pushed {
        // SAFETY: the caller holds `id`.
        unsafe { self.buffers[usize::from(id)].set(u64::from(id) + 1) };
        self.returns.push(id)
    }

    fn read(&self, id: u16) -> u16 {
        // SAFETY: `id` has come home.
        assert_eq!(unsafe { self.buffers[usize::from(id)].get() }, u64::from(id) + 1);
        id
    }
}

fn stacked(met: Pushed) {
    assert_eq!(met, Pushed::Stacked);
}

#[test]
fn every_returned_buffer_comes_home_once_with_its_bytes() {
    loom::model(|| {
        let home = Home::new();
        let (one, two) = (Arc::clone(&home), Arc::clone(&home));
        let threads = [
            thread::spawn(move || (0..2).for_each(|id| stacked(one.push(id)))),
            thread::spawn(move || stacked(two.push(2))),
        ];
        let mut came = Vec::new();
        home.returns.drain(|id| came.push(home.read(id)));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        home.returns.drain(|id| came.push(home.read(id)));
        came.sort_unstable();
        assert_eq!(came, [0, 1, 2]);
    });
}

#[test]
fn a_buffer_goes_out_again_while_another_comes_home() {
    loom::model(|| {
        let home = Home::new();
        let _ = home.push(0);
        let other = Arc::clone(&home);
        let thread = thread::spawn(move || stacked(other.push(1)));
        let mut came = Vec::new();
        home.returns.drain(|id| came.push(home.read(id)));
        // Id 0 is handed out and returned while the other push may be under way.
        let again = came.contains(&0) && home.push(0) != Pushed::Closed;
        thread.join().unwrap();
        home.returns.drain(|id| came.push(home.read(id)));
        came.sort_unstable();
        assert_eq!(came, if again { vec![0, 0, 1] } else { vec![0, 1] });
    });
}

#[test]
fn an_owner_that_sleeps_for_a_buffer_is_called_once() {
    loom::model(|| {
        let home = Home::new();
        let threads: Vec<_> = (0..2)
            .map(|id| {
                let home = Arc::clone(&home);
                thread::spawn(move || home.push(id) == Pushed::Awaited)
            })
            .collect();
        let slept = home.returns.hunger();
        let calls = threads.into_iter().map(|t| t.join().unwrap());
        let calls = calls.filter(|called| *called).count();
        assert_eq!(calls, usize::from(slept), "a call for each sleep, and for nothing else");
        let mut came = Vec::new();
        home.returns.drain(|id| came.push(home.read(id)));
        came.sort_unstable();
        assert_eq!(came, [0, 1]);
    });
}

#[test]
fn a_buffer_that_outlives_its_owner_is_left_to_its_holder() {
    loom::model(|| {
        let home = Home::new();
        let other = Arc::clone(&home);
        let thread = thread::spawn(move || [other.push(0), other.push(1)]);
        let mut came = Vec::new();
        home.returns.close(|id| came.push(home.read(id)));
        let left = thread.join().unwrap().iter().filter(|met| **met == Pushed::Closed).count();
        assert_eq!(came.len() + left, 2);
    });
}
