//! The open loop: requests start at their own times, whether or not the server keeps up.
//!
//! A request's latency counts from the moment it was to start, not from when a connection was free
//! for it, so a stall is charged to everyone who would have met it (Tene's "coordinated omission").

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::LoadOptions;
use super::client::{Client, Tally};

/// How long after the last start answers are still waited for.
const DRAIN: Duration = Duration::from_secs(2);
/// `epoll` waits in whole milliseconds; a start nearer than this is waited for by polling.
const SPIN: Duration = Duration::from_millis(1);

/// The starts of one thread's share of the rate.
struct Schedule {
    first: Instant,
    interval_s: f64,
    made: u64,
    end: Instant,
}

impl Schedule {
    /// The next start, until the duration is over.
    fn next(&self) -> Option<Instant> {
        let at = self.first + Duration::from_secs_f64(self.made as f64 * self.interval_s);
        (at < self.end).then_some(at)
    }
}

/// Starts `rate` requests a second, the `thread`-th of every `options.threads`, and returns with
/// the counts and how many requests stayed unanswered.
pub(super) fn run(
    mut client: Client<'_>,
    options: &LoadOptions,
    rate: f64,
    thread: usize,
    start: Instant,
) -> io::Result<(Tally, u64)> {
    let first = start + Duration::from_secs_f64(thread as f64 / rate);
    let end = start + options.duration;
    let interval_s = options.threads as f64 / rate;
    let mut schedule = Schedule { first, interval_s, made: 0, end };
    let mut due = VecDeque::new();
    let mut free = Free::new(client.indices().len());
    let mut ready = Vec::new();
    loop {
        let now = Instant::now();
        while let Some(at) = schedule.next().filter(|&at| at <= now) {
            due.push_back(at);
            schedule.made += 1;
        }
        assign(&mut client, &mut due, &mut free, now);
        let next = schedule.next();
        if next.is_none() {
            let unanswered = due.len() + client.in_flight();
            if unanswered == 0 || now >= end + DRAIN {
                return Ok((client.tally, unanswered as u64));
            }
        }
        client.poll(wait_for(next, now, end), &mut ready)?;
        for given_back in client.given_back.drain(..).rev() {
            due.push_front(given_back);
        }
        ready.drain(..).for_each(|index| free.add(index));
    }
}

/// Gives the requests that are due, oldest first, to connections that have room, in turn.
fn assign(client: &mut Client<'_>, due: &mut VecDeque<Instant>, free: &mut Free, now: Instant) {
    while let Some(&started) = due.front() {
        let Some(index) = free.take() else { return };
        if client.room(index) == 0 {
            continue;
        }
        due.pop_front();
        client.ask(index, started, now);
        client.send(index);
        free.add(index);
    }
}

/// Connections that may have room, each listed once, the longest idle first.
struct Free {
    queue: VecDeque<usize>,
    listed: Vec<bool>,
}

impl Free {
    fn new(connections: usize) -> Free {
        Free { queue: (0..connections).collect(), listed: vec![true; connections] }
    }

    fn add(&mut self, index: usize) {
        if !std::mem::replace(&mut self.listed[index], true) {
            self.queue.push_back(index);
        }
    }

    fn take(&mut self) -> Option<usize> {
        let index = self.queue.pop_front()?;
        self.listed[index] = false;
        Some(index)
    }
}

fn wait_for(next: Option<Instant>, now: Instant, end: Instant) -> Duration {
    match next {
        Some(at) => at.saturating_duration_since(now).checked_sub(SPIN).unwrap_or(Duration::ZERO),
        None => (end + DRAIN).saturating_duration_since(now),
    }
}
