//! The closed loop: a connection asks again as soon as it has its answer.
//!
//! A slow server is then asked less, so its latency looks better than a user would find it; `open`
//! does not share that fault.

use std::io;
use std::time::Instant;

use super::LoadOptions;
use super::client::{Client, Tally};

/// Keeps every connection busy until the options' duration, counted from `start`, is over.
pub(super) fn run(
    mut client: Client<'_>,
    options: &LoadOptions,
    start: Instant,
) -> io::Result<Tally> {
    let end = start + options.duration;
    let mut ready: Vec<usize> = client.indices().collect();
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(client.tally);
        }
        for index in ready.drain(..) {
            let room = client.room(index);
            for _ in 0..room {
                client.ask(index, now, now);
            }
            if room > 0 {
                client.send(index);
            }
        }
        client.poll(end - now, &mut ready)?;
        client.given_back.clear();
    }
}
