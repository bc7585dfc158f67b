//! Every interleaving of an owner with thieves at its board: an item is had once, by one of them, and never lost.

use color_sched::board::{Board, Found};
use color_sched::{Color, CoreId, Offer};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// An item whose accesses loom checks: two owners at once, or one that does not see the other's writes, fail the model.
struct Item(UnsafeCell<u32>);

// SAFETY: whoever has the box has the item alone; loom checks that it is so.
unsafe impl Send for Item {}

impl Item {
    fn add(&self, n: u32) -> u32 {
        // SAFETY: the caller has the box that the item is in, and makes no other reference to it.
        self.0.with_mut(|value| unsafe {
            *value += n;
            *value
        })
    }
}

fn item(n: u32) -> Box<Item> {
    Box::new(Item(UnsafeCell::new(n)))
}

fn offer(color: u64) -> Offer {
    Offer { color: Color(color), queued_ns: color, events: 1, penalty_pct: 100 }
}

fn offered(board: &Board<Item>, slot: usize, color: u64, n: u32) {
    assert!(board.offer(slot, item(n), &offer(color)).is_ok());
}

#[test]
fn owner_and_thief_never_both_have_an_item() {
    loom::model(|| {
        let board = Arc::new(Board::new());
        offered(&board, 0, 7, 10);
        let thief = {
            let board = Arc::clone(&board);
            thread::spawn(move || board.take(0, Color(7), CoreId(1), 9).map(|item| item.add(1)))
        };
        let had = match board.reclaim(0) {
            Found::Item(item) => Some(item.add(2)),
            Found::Taken { thief, .. } => {
                assert_eq!(thief, CoreId(1));
                None
            }
            Found::Empty => panic!("an item was lost"),
        };
        let stolen = thief.join().unwrap();
        assert!(matches!((had, stolen), (Some(12), None) | (None, Some(11))));
        assert!(matches!(board.reclaim(0), Found::Empty));
    });
}

#[test]
fn two_thieves_never_take_the_same_item() {
    loom::model(|| {
        let board = Arc::new(Board::new());
        offered(&board, 0, 7, 10);
        let thieves = [1, 2].map(|core| {
            let board = Arc::clone(&board);
            thread::spawn(move || board.take(0, Color(7), CoreId(core), 9).map(|item| item.add(1)))
        });
        let taken = thieves.map(|thief| thief.join().unwrap());
        assert_eq!(taken.iter().flatten().count(), 1);
        assert!(matches!(board.reclaim(0), Found::Taken { .. }));
    });
}

#[test]
fn slot_that_is_refilled_gives_each_item_to_one_core() {
    loom::model(|| {
        let board = Arc::new(Board::new());
        offered(&board, 0, 7, 10);
        let thief = {
            let board = Arc::clone(&board);
            thread::spawn(move || board.take(0, Color(8), CoreId(1), 9).map(|item| item.add(1)))
        };
        let first = match board.reclaim(0) {
            Found::Item(item) => item.add(2),
            // The thief may have read the note of the second item with the first one's pointer; it never has both.
            found => {
                panic!("color 7 was not planned for, and is {:?}", matches!(found, Found::Empty))
            }
        };
        assert_eq!(first, 12);
        offered(&board, 0, 8, 20);
        let stolen = thief.join().unwrap();
        match (board.reclaim(0), stolen) {
            (Found::Item(item), None) => assert_eq!(item.add(0), 20),
            (Found::Taken { thief: CoreId(1), .. }, Some(21)) => {}
            _ => panic!("the second item was lost or doubled"),
        }
    });
}
