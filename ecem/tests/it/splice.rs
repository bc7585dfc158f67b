//! The splice against a simulated disk and a simulated link.
//!
//! Properties:
//! 1. every byte is sent once, in order;
//! 2. nothing is sent that is not in memory;
//! 3. at most `window` bytes are sent beyond the last acknowledged one;
//! 4. at most `fetch` bytes are in memory and unsent;
//! 5. it ends, however short the reads and writes are.

use ecem::splice::Ahead;
use ecem::{Action, Splice, SpliceError};
use proptest::prelude::*;

const AHEAD: Ahead = Ahead { window: 100, fetch: 80 };

#[test]
fn it_fetches_sends_and_waits_for_the_acknowledgement() {
    let mut splice = Splice::new(1000..1150, AHEAD);
    assert_eq!(splice.next_action(), Action::Prefetch { offset: 1000, len: 80 });
    assert_eq!(splice.next_action(), Action::Wait);
    splice.on_prefetched(80).unwrap();
    assert_eq!(splice.next_action(), Action::Send { offset: 1000, len: 80 });
    assert_eq!(splice.next_action(), Action::Wait, "80 bytes in memory are not yet sent");
    splice.on_sent(80).unwrap();
    assert_eq!(splice.next_action(), Action::Prefetch { offset: 1080, len: 70 });
    splice.on_prefetched(70).unwrap();
    assert_eq!(splice.next_action(), Action::Send { offset: 1080, len: 20 });
    splice.on_sent(20).unwrap();
    assert_eq!(splice.next_action(), Action::Wait, "the window is full");
    assert_eq!(splice.on_queue(70), 30);
    assert_eq!(splice.next_action(), Action::Send { offset: 1100, len: 30 });
    splice.on_sent(30).unwrap();
    assert_eq!(splice.on_queue(0), 100);
    assert_eq!(splice.next_action(), Action::Send { offset: 1130, len: 20 });
    splice.on_sent(20).unwrap();
    assert_eq!(splice.next_action(), Action::Done);
    assert_eq!((splice.left(), splice.missing(), splice.in_flight()), (0, 0, 20));
}

#[test]
fn a_full_socket_is_offered_more_only_after_an_acknowledgement() {
    let mut splice = Splice::new(0..50, AHEAD);
    let _ = splice.next_action();
    splice.on_prefetched(50).unwrap();
    assert_eq!(splice.next_action(), Action::Send { offset: 0, len: 50 });
    splice.on_sent(10).unwrap();
    assert_eq!(splice.next_action(), Action::Wait);
    assert_eq!(splice.on_queue(10), 0);
    assert_eq!(splice.next_action(), Action::Wait);
    assert_eq!(splice.on_queue(4), 6);
    assert_eq!(splice.next_action(), Action::Send { offset: 10, len: 40 });
}

#[test]
fn a_file_that_shrank_ends_the_splice_and_says_how_much_is_missing() {
    let mut splice = Splice::new(0..100, AHEAD);
    let _ = splice.next_action();
    splice.on_prefetched(30).unwrap();
    assert_eq!(splice.next_action(), Action::Send { offset: 0, len: 30 });
    assert_eq!(splice.next_action(), Action::Prefetch { offset: 30, len: 50 });
    splice.on_prefetched(0).unwrap();
    splice.on_sent(30).unwrap();
    assert_eq!(splice.next_action(), Action::Done);
    assert_eq!((splice.left(), splice.missing()), (0, 70));
}

#[test]
fn a_report_that_fits_no_action_changes_nothing() {
    let mut splice = Splice::new(0..10, AHEAD);
    assert_eq!(splice.on_sent(1), Err(SpliceError::NotAsked { got: 1 }));
    assert_eq!(splice.next_action(), Action::Prefetch { offset: 0, len: 10 });
    assert_eq!(splice.on_prefetched(11), Err(SpliceError::TooMany { asked: 10, got: 11 }));
    splice.on_prefetched(10).unwrap();
    assert_eq!(splice.on_prefetched(10), Err(SpliceError::NotAsked { got: 10 }));
    assert_eq!(splice.next_action(), Action::Send { offset: 0, len: 10 });
    assert_eq!(splice.on_sent(11), Err(SpliceError::TooMany { asked: 10, got: 11 }));
    splice.on_sent(10).unwrap();
    assert_eq!(splice.next_action(), Action::Done);
}

#[test]
fn empty_and_inverted_ranges_are_done() {
    assert_eq!(Splice::new(5..5, AHEAD).next_action(), Action::Done);
    #[allow(clippy::reversed_empty_ranges)]
    let inverted = 9..5;
    assert_eq!(Splice::new(inverted, AHEAD).next_action(), Action::Done);
}

/// A disk that answers in its own time, a socket that takes what it likes, a link that
/// acknowledges when it pleases.
struct World {
    fetched: u64,
    sent: u64,
    acked: u64,
    fetching: Option<u64>,
    sending: Option<u64>,
}

impl World {
    fn at(start: u64) -> Self {
        World { fetched: start, sent: start, acked: start, fetching: None, sending: None }
    }

    /// One thing happens, to at most `amount` bytes: 0 the disk answers, 1 the socket takes, 2 the
    /// link acknowledges.
    fn happens(&mut self, splice: &mut Splice, which: u8, amount: u64) {
        match which {
            0 => {
                if let Some(asked) = self.fetching.take() {
                    let got = amount.clamp(1, asked);
                    splice.on_prefetched(got).unwrap();
                    self.fetched += got;
                }
            }
            1 => {
                if let Some(asked) = self.sending.take() {
                    let got = amount.min(asked);
                    splice.on_sent(got).unwrap();
                    self.sent += got;
                }
            }
            _ => {
                let arrived = amount.min(self.sent - self.acked);
                self.acked += arrived;
                assert_eq!(splice.on_queue(self.sent - self.acked), arrived);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_disk_and_any_link_carry_every_byte_once_and_in_order(
        start in 0u64..1_000_000,
        len in 0u64..3000,
        window in 0u64..500,
        fetch in 0u64..500,
        chances in proptest::collection::vec((0u8..4, 0u64..400), 1..64),
    ) {
        let mut splice = Splice::new(start..start + len, Ahead { window, fetch });
        let (window, fetch) = (window.max(1), fetch.max(1));
        let mut world = World::at(start);
        let mut chances = chances.into_iter().cycle();
        let mut turns = 0;
        loop {
            turns += 1;
            prop_assert!(turns < 100_000, "no end in sight");
            match splice.next_action() {
                Action::Prefetch { offset, len } => {
                    prop_assert_eq!(offset, world.fetched);
                    prop_assert!(world.fetched + len - world.sent <= fetch);
                    prop_assert!(len > 0 && world.fetching.replace(len).is_none());
                }
                Action::Send { offset, len } => {
                    prop_assert_eq!(offset, world.sent);
                    prop_assert!(world.sent + len <= world.fetched);
                    prop_assert!(world.sent + len <= world.acked + window);
                    prop_assert!(len > 0 && world.sending.replace(len).is_none());
                }
                Action::Done => break,
                Action::Wait => {
                    // A world in which nothing else ever happens still has one more turn to give, before the chance
                    // that the socket takes nothing of what it was asked; and all of them, when it has taken long.
                    if turns % 97 == 0 || turns > 20_000 {
                        (0..3).for_each(|which| world.happens(&mut splice, which, u64::MAX));
                    }
                    let (which, amount) = chances.next().unwrap_or_default();
                    world.happens(&mut splice, which, amount);
                }
            }
        }
        let World { sent, .. } = world;
        prop_assert_eq!(sent, start + len);
        prop_assert_eq!((splice.left(), splice.missing()), (0, 0));
    }
}
