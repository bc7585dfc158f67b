//! How many syscall threads are there? One that works, and more while calls block (§3.2.1, §7).
//!
//! | calls wait, none has ended for | and | then |
//! |---|---|---|
//! | `BLOCKED` | a thread sleeps | it is woken |
//! | `BLOCKED` | fewer threads than the bound | one is started |
//! | `STANDSTILL` | all threads are blocked | spares are started: 1, 2, 4 ... |
//! | `STANDSTILL` | all entries are running | the poster adds a page |
//!
//! The bound throttles, but cannot bring things to a standstill: the calls behind it may be those that
//! the blocked ones wait for. There may be a spare for each entry, as in the paper; it ends when it
//! finds nothing to do. A thread beyond the first ends when it has slept for `Options::idle`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::serve::{Shared, serve, serve_once};
use crate::bell::Bell;

/// A thread that ends no call for so long is taken to be blocked.
const BLOCKED: Duration = Duration::from_micros(50);
/// All threads blocked for so long, with calls waiting, are taken to be for ever.
const STANDSTILL: Duration = Duration::from_millis(5);
/// After the system has refused a thread, it is asked again after so long.
const REFUSED: Duration = Duration::from_millis(100);

/// Numbers of spares begin here.
const FIRST_SPARE: u16 = 64;

struct Member {
    thread: JoinHandle<()>,
    bell: Arc<Bell>,
}

/// Since when calls wait while none ends.
struct Crowd {
    since: Instant,
    collected: u64,
    /// Spares to start next.
    step: usize,
}

/// What the poster has to do for calls that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// More entries: all of them run calls that do not end.
    Page,
}

/// The threads, as the poster sees them.
pub(super) struct Crew {
    shared: Arc<Shared>,
    members: Vec<Option<Member>>,
    spares: Vec<Option<Member>>,
    joined: usize,
    crowd: Option<Crowd>,
    refused: Option<Instant>,
    /// Time that the poster has spent on waking threads for what it has published.
    pub(super) waking: Duration,
    /// Times that the system refused a thread.
    pub(super) refusals: u64,
}

impl Crew {
    /// `most` threads at most beside spares; the first starts now.
    pub(super) fn new(shared: Arc<Shared>, most: usize) -> io::Result<Self> {
        let most = most.clamp(1, usize::from(FIRST_SPARE));
        let mut crew = Crew {
            shared,
            members: (0..most).map(|_| None).collect(),
            spares: Vec::new(),
            joined: 0,
            crowd: None,
            refused: None,
            waking: Duration::ZERO,
            refusals: 0,
        };
        crew.start(0)?;
        Ok(crew)
    }

    fn start(&mut self, me: usize) -> io::Result<()> {
        self.shared.idle.arrive(me);
        match spawn(&self.shared, me as u16, serve) {
            Ok(member) => {
                self.members[me] = Some(member);
                if self.shared.seat.is_elsewhere() {
                    // For it to leave for its own processor.
                    thread::yield_now();
                }
                Ok(())
            }
            Err(error) => {
                self.shared.idle.retire(me);
                Err(error)
            }
        }
    }

    /// Starts a thread, or remembers that the system does not let it. True: started.
    fn try_start(&mut self) -> bool {
        let Some(me) = self.members.iter().position(Option::is_none) else { return false };
        let started = self.start(me);
        self.note(started.is_ok())
    }

    fn try_start_spare(&mut self) -> bool {
        let free = self.spares.iter().position(Option::is_none).unwrap_or(self.spares.len());
        let spare = spawn(&self.shared, FIRST_SPARE + free as u16, serve_once).ok();
        let started = self.note(spare.is_some());
        if free == self.spares.len() {
            self.spares.push(None);
        }
        self.spares[free] = spare;
        started
    }

    fn note(&mut self, started: bool) -> bool {
        self.refused = if started { None } else { Some(Instant::now()) };
        self.refusals += u64::from(!started);
        started
    }

    fn is_refused(&self) -> bool {
        self.refused.is_some_and(|at| at.elapsed() < REFUSED)
    }

    /// The bell of a thread that runs a call.
    pub(super) fn bell(&self, runner: u16) -> Option<&Bell> {
        let member = match runner.checked_sub(FIRST_SPARE) {
            Some(spare) => self.spares.get(usize::from(spare)),
            None => self.members.get(usize::from(runner)),
        };
        member?.as_ref().map(|member| &*member.bell)
    }

    /// Something was published: wakes a thread if all sleep. One runs what does not block; `help` adds
    /// more when calls do.
    pub(super) fn alert(&mut self) {
        if self.shared.idle.nobody_is_awake() {
            let start = Instant::now();
            self.wake_one();
            self.waking += start.elapsed();
        }
    }

    /// The kernel's number of the first thread.
    pub(super) fn first(&self) -> Option<u32> {
        self.bell(0).map(Bell::thread)
    }

    fn wake_one(&self) -> bool {
        let picked = self.shared.idle.pick();
        if let Some(Some(member)) = picked.and_then(|me| self.members.get(me)) {
            member.thread.thread().unpark();
        }
        picked.is_some()
    }

    /// A thread could be woken or started.
    fn has_helpers(&self) -> bool {
        self.shared.idle.any_asleep() || self.members.iter().any(Option::is_none)
    }

    /// When to look again whether waiting calls need help; `None`: only when something ends.
    pub(super) fn look_again(&self, in_line: bool, may_grow: bool) -> Option<Duration> {
        let waiting = self.shared.pages.unclaimed() > 0;
        if !waiting && !in_line {
            None
        } else if self.is_refused() {
            Some(REFUSED)
        } else if waiting && self.has_helpers() {
            Some(BLOCKED)
        } else if waiting || may_grow {
            Some(STANDSTILL)
        } else {
            None
        }
    }

    /// If calls wait and none has ended for a while, the threads are blocked: others take part.
    /// `collected` changes when a call has ended; `in_line`: calls wait for an entry.
    pub(super) fn help(&mut self, collected: u64, in_line: bool) -> Need {
        self.bury();
        let unclaimed = self.shared.pages.unclaimed();
        let waiting = unclaimed > 0;
        if !waiting && !in_line {
            self.crowd = None;
            return Need::Nothing;
        }
        let now = Instant::now();
        let (blocked, step) = match &self.crowd {
            Some(crowd) if crowd.collected == collected => (now - crowd.since, crowd.step),
            _ => {
                self.crowd = Some(Crowd { since: now, collected, step: 1 });
                return Need::Nothing;
            }
        };
        let mut next = Crowd { since: now, collected, step };
        if waiting && self.has_helpers() {
            if blocked < BLOCKED {
                return Need::Nothing;
            }
            let _ = self.wake_one() || !self.is_refused() && self.try_start();
            self.crowd = Some(next);
            return Need::Nothing;
        }
        if blocked < STANDSTILL {
            return Need::Nothing;
        }
        if waiting && !self.is_refused() {
            let _ = (0..step.min(unclaimed)).all(|_| self.try_start_spare());
            next.step = step.saturating_mul(2);
        }
        self.crowd = Some(next);
        if in_line && !waiting { Need::Page } else { Need::Nothing }
    }

    /// Joins the threads that have ended.
    fn bury(&mut self) {
        if self.shared.ended.load(Ordering::Acquire) == self.joined {
            return;
        }
        for member in self.members.iter_mut().chain(&mut self.spares) {
            if let Some(member) = member.take_if(|member| member.thread.is_finished()) {
                drop(member.thread.join());
                self.joined += 1;
            }
        }
    }

    /// Tells all threads to end once they find nothing to do.
    pub(super) fn dismiss(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.members.iter().flatten().for_each(|member| member.thread.thread().unpark());
    }

    /// Waits for the end of all threads.
    pub(super) fn join(&mut self) {
        for member in self.members.drain(..).chain(self.spares.drain(..)).flatten() {
            drop(member.thread.join());
        }
    }
}

fn spawn(
    shared: &Arc<Shared>,
    me: u16,
    serve: fn(&Arc<Shared>, u16, Arc<Bell>),
) -> io::Result<Member> {
    let bell = Arc::new(Bell::new());
    let (shared, its_bell) = (Arc::clone(shared), Arc::clone(&bell));
    let builder = thread::Builder::new().name(format!("syscall-{me}")).stack_size(64 * 1024);
    let thread = builder.spawn(move || serve(&shared, me, its_bell))?;
    Ok(Member { thread, bell })
}
