//! A file server with 32 clients, half of them slow: how many writes meet a full socket, and how
//! much data cools in memory, when reads are delivered at once and when they are deferred?

use std::collections::VecDeque;

use ecem::{Correlator, Delivery, Event, PairId, Verdict};

const CLIENTS: usize = 32;
const CHUNKS: u32 = 40;
/// Chunks that a socket's buffer holds.
const BUFFER: u32 = 4;

/// A client and the send buffer of its socket.
struct Client {
    pair: PairId,
    /// Turns that the link needs for a chunk.
    turns_a_chunk: u32,
    buffered: u32,
    /// A receiver blocked in `write`, holding this chunk.
    blocked: Option<u32>,
    received: VecDeque<u32>,
    reading: Option<u32>,
}

fn serve(delivery: Delivery) -> (u32, ecem::Stats) {
    let mut pairs = Correlator::new(delivery).with_limit(1);
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|n| Client {
            pair: pairs.add(n as u64, n as u64).expect("keys differ"),
            turns_a_chunk: if n % 2 == 0 { 1 } else { 7 },
            buffered: 0,
            blocked: None,
            received: VecDeque::new(),
            reading: Some(0),
        })
        .collect();

    let mut blocked_writes = 0;
    for turn in 0u32.. {
        if clients.iter().all(|c| c.received.len() == CHUNKS as usize) {
            break;
        }
        for c in &mut clients {
            // The link drains the buffer; a buffer with room is the post-event.
            if turn.is_multiple_of(c.turns_a_chunk) && c.buffered > 0 {
                c.buffered -= 1;
                if let Some(chunk) = c.blocked.take() {
                    write(c, &mut pairs, chunk, turn);
                }
                let due = pairs.on_event(Event::PostReady(c.pair), u64::from(turn)).delivered();
                if let Some(chunk) = due {
                    write(c, &mut pairs, chunk, turn);
                }
            }
            // The disk answers within a turn; the answer is the pre-event.
            if let Some(chunk) = c.reading.take() {
                match pairs.on_event(Event::PreReady(c.pair, chunk), u64::from(turn)) {
                    Verdict::Deliver(chunk) if c.buffered == BUFFER => {
                        c.blocked = Some(chunk);
                        blocked_writes += 1;
                    }
                    Verdict::Deliver(chunk) => write(c, &mut pairs, chunk, turn),
                    Verdict::Defer => {}
                    verdict => unreachable!("one read is in flight at most: {verdict:?}"),
                }
            }
        }
    }
    for c in &clients {
        assert!(c.received.iter().copied().eq(0..CHUNKS), "every chunk once, in order");
    }
    (blocked_writes, pairs.stats())
}

/// The receiver copies its chunk into the socket and asks for the next one.
fn write(c: &mut Client, pairs: &mut Correlator<u32>, chunk: u32, turn: u32) {
    c.buffered += 1;
    c.received.push_back(chunk);
    if c.buffered == BUFFER {
        let _ = pairs.on_event(Event::PostWait(c.pair), u64::from(turn));
    }
    if chunk + 1 < CHUNKS {
        c.reading = Some(chunk + 1);
    }
}

fn main() {
    let (eager, _) = serve(Delivery::Eager);
    let (deferred, stats) = serve(Delivery::Deferred);
    println!("writes that blocked: {eager} when delivered at once, {deferred} when deferred");
    println!("{} events were held for {} turns in total", stats.deferred, stats.held_ns);
    assert!(eager > 400);
    assert_eq!(deferred, 0);
    assert_eq!(stats.deferred, stats.released);
}
