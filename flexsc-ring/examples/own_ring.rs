//! A ring of one's own: it wraps another and keeps a log of what was posted and how it ended. Code
//! that takes `impl Ring` cannot tell the difference.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use flexsc_ring::{
    AnyRing, Call, Cancelled, Completion, Options, PostError, Ring, Stats, Ticket, Value,
};

/// Logs every call that goes through `inner`.
struct Logged<R> {
    inner: R,
    posted: HashMap<u64, (&'static str, Instant)>,
    log: Vec<String>,
}

impl<R> Logged<R> {
    fn new(inner: R) -> Self {
        Logged { inner, posted: HashMap::new(), log: Vec::new() }
    }
}

impl<B, R: Ring<B>> Ring<B> for Logged<R> {
    fn submit(&mut self, call: Call<B>, user: u64) -> Result<Ticket, PostError<B>> {
        let name = call.name();
        let ticket = self.inner.submit(call, user)?;
        self.posted.insert(user, (name, Instant::now()));
        Ok(ticket)
    }

    fn reap(&mut self, sink: &mut impl FnMut(Completion<B>)) -> usize {
        let Logged { inner, posted, log } = self;
        inner.reap(&mut |done| {
            if let Some((name, since)) = posted.get(&done.user) {
                let ended = if done.result.is_ok() { "done" } else { "failed" };
                log.push(format!("{name} {ended} after {} us", since.elapsed().as_micros()));
            }
            if !done.more {
                posted.remove(&done.user);
            }
            sink(done);
        })
    }

    fn wait(&mut self, until: Option<Duration>) -> io::Result<()> {
        self.inner.wait(until)
    }

    fn cancel(&mut self, ticket: Ticket) -> Cancelled {
        self.inner.cancel(ticket)
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }
}

/// Writes a text to a file and reads it back, over any ring.
fn write_and_read(ring: &mut impl Ring<Vec<u8>>, text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("own-ring-{}", std::process::id()));
    let file =
        std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    let fd = file.as_raw_fd();
    let (n, buf) = run(ring, Call::write(fd, text.as_bytes().to_vec(), 0..text.len(), 0))?;
    assert_eq!((n, buf.len()), (text.len(), text.len()));
    let (n, mut buf) = run(ring, Call::read(fd, vec![0; 100], 0..100, 0))?;
    buf.truncate(n);
    Ok(buf)
}

/// Posts a call and waits for its end.
fn run(
    ring: &mut impl Ring<Vec<u8>>,
    call: Call<Vec<u8>>,
) -> Result<(usize, Vec<u8>), Box<dyn Error>> {
    ring.submit(call, 1)?;
    let mut end = None;
    while end.is_none() {
        ring.wait(None)?;
        ring.reap(&mut |done| end = Some(done.result));
    }
    match end {
        Some(Ok(Value::Moved { n, buf })) => Ok((n, buf)),
        Some(Err(failure)) => Err(failure.into()),
        other => Err(format!("unexpected: {other:?}").into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut ring = Logged::new(AnyRing::new(&Options::default())?);
    let text = write_and_read(&mut ring, "posted, not made")?;
    ring.log.iter().for_each(|line| println!("{line}"));
    assert_eq!(text, b"posted, not made");
    assert_eq!(ring.log.len(), 2);
    Ok(())
}
