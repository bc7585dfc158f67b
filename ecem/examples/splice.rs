//! A 4 MB file over a simulated link, spliced: every byte once and in order, the send queue never
//! above the window, and a disk that is always ahead of the link after the first read.

use std::collections::VecDeque;

use ecem::splice::Ahead;
use ecem::{Action, Splice, SpliceError};

const FILE_LEN: u64 = 4_000_000;
/// Bytes that the link carries in a turn, turns until the acknowledgement comes back, and turns
/// that a disk read takes.
const LINK: u64 = 1448;
const ROUND_TRIP: u64 = 20;
const DISK: u64 = 12;

fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn main() -> Result<(), SpliceError> {
    let ahead = Ahead { window: 64 * 1024, fetch: 31 * 4096 };
    let mut splice = Splice::new(0..FILE_LEN, ahead);
    let mut read: Option<(u64, u64)> = None; // done at this turn, with this many bytes
    let mut unsent = 0; // in the send queue, not yet on the link
    let mut on_the_way = VecDeque::new(); // acknowledged at this turn, so many bytes
    let mut queued = 0; // SIOCOUTQ: sent or waiting, not acknowledged
    let mut received = Vec::with_capacity(FILE_LEN as usize);
    let mut idle_turns = 0;

    for turn in 0u64.. {
        if let Some((_, len)) = read.take_if(|(due, _)| *due <= turn) {
            splice.on_prefetched(len)?;
        }
        while let Some((_, len)) = on_the_way.pop_front_if(|(due, _)| *due <= turn) {
            queued -= len;
            assert_eq!(
                splice.on_queue(queued),
                len,
                "the queue length tells what was acknowledged"
            );
        }
        let done = loop {
            match splice.next_action() {
                Action::Prefetch { len, .. } => read = Some((turn + DISK, len)),
                Action::Send { offset, len } => {
                    received.extend((offset..offset + len).map(byte_at));
                    unsent += len;
                    queued += len;
                    assert!(queued <= ahead.window);
                    splice.on_sent(len)?;
                }
                Action::Wait => break false,
                Action::Done => break true,
            }
        };
        let carried = LINK.min(unsent);
        unsent -= carried;
        if carried > 0 {
            on_the_way.push_back((turn + ROUND_TRIP, carried));
        } else {
            idle_turns += 1;
        }
        if done && queued == 0 {
            println!("{FILE_LEN} bytes in {turn} turns; the link was idle in {idle_turns}");
            break;
        }
    }

    assert!(received.iter().copied().eq((0..FILE_LEN).map(byte_at)));
    assert!(idle_turns <= DISK + ROUND_TRIP, "only the first read and the last round trip");
    Ok(())
}
