//! What does each core do next, and when?
//!
//! A core that has nothing to run looks whom to rob at once; if it finds nothing it waits as long as it has been
//! without work before it looks again (the paper does not say what it does then; so it is late by a factor of two at
//! most). Without stealing it watches its own queue's head.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::books::{Books, BooksError};
use super::chance::Chance;
use super::colors::Colors;
use super::flat::Flat;
use super::lock::{Request, Spinlock};
use super::memory::{CORES, L1_CYCLES, L2_CYCLES, MEMORY_CYCLES, Memory, are_mates};
use super::pool::Pool;
use super::queues::{Event, Post, Queues, line_per_core};
use super::view::{Heuristics, Policy};
use super::workload::Workload;

/// Lines of an event: one for link, handler and color, one for the continuation.
const EVENT_LINES: usize = 2;

/// Which runtime, and who steals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    Libasync { steals: bool },
    Mely { steals: Option<Heuristics> },
}

/// What is done under a lock.
#[derive(Clone, Copy, Debug)]
enum Section {
    Pop,
    Register,
    Rob,
    Migrate,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Look,
    /// Goes to the next core of its set.
    Try,
    /// Begins to spin.
    Ask,
    Locked,
    Unlock(After),
    Run,
    Post,
}

#[derive(Clone, Copy, Debug)]
enum After {
    Look,
    Try,
    Run,
    Post,
    Migrate,
    Stolen,
}

#[derive(Debug)]
struct Core {
    step: Step,
    section: Section,
    /// The lock it waits for or has.
    lock: usize,
    /// Steps that were planned before the last one do not happen.
    plan: u64,
    asked_at: u64,
    granted_at: u64,
    is_asleep: bool,
    idle_since: Option<u64>,
    running: Option<Event>,
    posts: std::vec::IntoIter<Post>,
    registering: Option<Event>,
    victims: std::vec::IntoIter<usize>,
    policy: Option<Policy>,
    loot: Vec<Event>,
    /// What this theft took so far, spinning apart.
    theft_cycles: u64,
}

/// What was counted, of all cores together, in cycles.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) now: u64,
    pub(super) events: u64,
    pub(super) spinning: u64,
    pub(super) holding: u64,
    pub(super) thefts: u64,
    pub(super) theft_cycles: u64,
    pub(super) stolen_cycles: u64,
    pub(super) misses: u64,
}

impl Tally {
    fn since(self, start: Self) -> Self {
        Self {
            now: self.now - start.now,
            events: self.events - start.events,
            spinning: self.spinning - start.spinning,
            holding: self.holding - start.holding,
            thefts: self.thefts - start.thefts,
            theft_cycles: self.theft_cycles - start.theft_cycles,
            stolen_cycles: self.stolen_cycles - start.stolen_cycles,
            misses: self.misses - start.misses,
        }
    }
}

pub(super) struct Engine<W> {
    memory: Memory,
    chance: Chance,
    locks: [Spinlock; CORES],
    queues: Box<dyn Queues>,
    events: Pool,
    cores: [Core; CORES],
    agenda: BinaryHeap<Reverse<(u64, u64, usize)>>,
    planned: u64,
    books: Books,
    tally: Tally,
    workload: W,
}

impl<W: Workload> Engine<W> {
    pub(super) fn new(runtime: Runtime, mut workload: W, seed: u64) -> Self {
        let mut memory = Memory::new();
        let lock_lines = line_per_core(&mut memory);
        let (queues, policy): (Box<dyn Queues>, _) = match runtime {
            Runtime::Libasync { steals } => {
                (Box::new(Flat::new(&mut memory)), steals.then(Policy::libasync))
            }
            Runtime::Mely { steals } => {
                let heuristics = steals.unwrap_or_default();
                (Box::new(Colors::new(heuristics, &mut memory)), steals.map(Policy::mely))
            }
        };
        let first = workload.begin();
        let mut engine = Self {
            locks: lock_lines.map(Spinlock::new),
            memory,
            chance: Chance::new(seed),
            queues,
            events: Pool::new(EVENT_LINES),
            cores: std::array::from_fn(|_| Core::new(policy.clone())),
            agenda: BinaryHeap::new(),
            planned: 0,
            books: Books::default(),
            tally: Tally::default(),
            workload,
        };
        for post in first {
            let home = post.home;
            let (event, _) = engine.make(home, post);
            engine.queues.push(home, home, event, &mut engine.memory);
        }
        (0..CORES).for_each(|core| engine.plan(core, 0, Step::Look));
        engine
    }

    /// Runs all rounds; what was counted after the first of them.
    pub(super) fn run(mut self) -> Result<Tally, BooksError> {
        let mut start = None;
        while !self.workload.is_over()
            && let Some(Reverse((now, plan, core))) = self.agenda.pop()
        {
            if self.cores[core].plan != plan {
                continue;
            }
            self.tally.now = now;
            self.step(core, now)?;
            if start.is_none() && self.workload.rounds() == 1 && !self.workload.is_over() {
                start = Some(self.count());
            }
        }
        self.books.close()?;
        Ok(self.count().since(start.unwrap_or_default()))
    }

    fn count(&self) -> Tally {
        Tally { events: self.books.run() as u64, misses: self.memory.misses(), ..self.tally }
    }

    fn plan(&mut self, core: usize, at: u64, step: Step) {
        self.planned += 1;
        self.cores[core].plan = self.planned;
        self.cores[core].step = step;
        self.agenda.push(Reverse((at, self.planned, core)));
    }

    /// A new event, as its producer fills it in.
    fn make(&mut self, core: usize, post: Post) -> (Event, u64) {
        let line = self.events.take(core, &mut self.memory);
        let cycles = self.memory.write(core, line) + self.memory.store(core, line + 1);
        (Event { serial: self.books.register(), line, post }, cycles)
    }

    fn step(&mut self, core: usize, now: u64) -> Result<(), BooksError> {
        match self.cores[core].step {
            Step::Look => self.look(core, now),
            Step::Try => self.next_victim(core, now),
            Step::Ask => self.ask(core, now),
            Step::Locked => self.locked(core, now),
            Step::Unlock(after) => self.unlock(core, now, after),
            Step::Run => self.run_handler(core, now)?,
            Step::Post => self.post(core, now),
        }
        Ok(())
    }

    fn look(&mut self, core: usize, now: u64) {
        let mut now = now + self.memory.read(core, self.queues.head(core));
        if self.queues.is_busy(core) {
            self.cores[core].idle_since = None;
            return self.lock(core, core, now, Section::Pop);
        }
        let started = now;
        let Some(policy) = &mut self.cores[core].policy else {
            self.cores[core].is_asleep = true;
            return;
        };
        let set = policy.core_set(core, &*self.queues);
        if set.is_by_count {
            let heads = (0..CORES).map(|other| self.queues.head(other));
            now += heads.map(|head| self.memory.read(core, head)).sum::<u64>();
        }
        let thief = &mut self.cores[core];
        thief.victims = set.cores.into_iter();
        thief.theft_cycles = now - started;
        thief.idle_since.get_or_insert(started);
        self.plan(core, now, Step::Try);
    }

    fn next_victim(&mut self, core: usize, now: u64) {
        if let Some(victim) = self.cores[core].victims.next() {
            return self.lock(core, victim, now, Section::Rob);
        }
        let idle = now - self.cores[core].idle_since.unwrap_or(now);
        self.plan(core, now + idle, Step::Look);
    }

    fn lock(&mut self, core: usize, lock: usize, now: u64, section: Section) {
        (self.cores[core].lock, self.cores[core].section) = (lock, section);
        self.plan(core, now, Step::Ask);
    }

    fn ask(&mut self, core: usize, now: u64) {
        self.cores[core].asked_at = now;
        self.cores[core].step = Step::Locked;
        let lock = self.cores[core].lock;
        match self.locks[lock].request(core, now, &mut self.memory) {
            Request::Waits => {}
            Request::Granted { at, passed_over } => {
                if let Some(waiter) = passed_over {
                    self.cores[waiter].plan = 0;
                }
                self.plan(core, at, Step::Locked);
            }
        }
    }

    fn unlock(&mut self, core: usize, now: u64, after: After) {
        let lock = self.cores[core].lock;
        let (released, next) =
            self.locks[lock].release(core, now, &mut self.memory, &mut self.chance);
        if let Some((waiter, at)) = next {
            self.plan(waiter, at, Step::Locked);
        }
        self.tally.spinning += self.cores[core].granted_at - self.cores[core].asked_at;
        self.tally.holding += released - self.cores[core].granted_at;
        let held = released - self.cores[core].granted_at;
        self.cores[core].theft_cycles += held;
        match after {
            After::Look => self.plan(core, released, Step::Look),
            After::Try => self.plan(core, released, Step::Try),
            After::Run => self.plan(core, released, Step::Run),
            After::Post => self.plan(core, released, Step::Post),
            After::Migrate => self.lock(core, core, released, Section::Migrate),
            After::Stolen => {
                self.tally.thefts += 1;
                self.tally.theft_cycles += self.cores[core].theft_cycles;
                self.plan(core, released, Step::Look);
            }
        }
    }

    fn locked(&mut self, core: usize, now: u64) {
        let lock = self.cores[core].lock;
        self.cores[core].granted_at = now;
        self.locks[lock].pass(core, &mut self.memory);
        let (cycles, after) = match self.cores[core].section {
            Section::Pop => {
                let (cycles, event) = self.queues.pop(core, &mut self.memory);
                let after = if event.is_some() { After::Run } else { After::Look };
                self.cores[core].running = event;
                (cycles, after)
            }
            Section::Register => self.register(core, lock, now),
            Section::Rob => self.rob(core, lock),
            Section::Migrate => {
                let loot = std::mem::take(&mut self.cores[core].loot);
                (self.queues.attach(core, loot, &mut self.memory), After::Stolen)
            }
        };
        self.plan(core, now + cycles, Step::Unlock(after));
    }

    fn register(&mut self, core: usize, target: usize, now: u64) -> (u64, After) {
        let Some(event) = self.cores[core].registering.take() else { return (0, After::Post) };
        // The color may have moved while this core waited for the lock.
        if self.queues.holder(event.post.color).unwrap_or(event.post.home) != target {
            self.cores[core].registering = Some(event);
            return (L1_CYCLES, After::Post);
        }
        let cycles = self.queues.push(core, target, event, &mut self.memory);
        if std::mem::take(&mut self.cores[target].is_asleep) {
            let fetch = if are_mates(core, target) { L2_CYCLES } else { MEMORY_CYCLES };
            self.plan(target, now + cycles + fetch, Step::Look);
        }
        (cycles, After::Post)
    }

    fn rob(&mut self, core: usize, victim: usize) -> (u64, After) {
        let cost = match self.tally.thefts {
            0 => 0,
            thefts => self.tally.theft_cycles / thefts,
        };
        let Some(policy) = &mut self.cores[core].policy else { return (0, After::Try) };
        let (color, slots) = policy.choose(core, victim, &*self.queues, cost);
        let cycles = self.queues.look(core, victim, &slots, &mut self.memory);
        let Some(color) = color else { return (cycles, After::Try) };
        let (more, loot) = self.queues.detach(core, victim, color, &mut self.memory);
        self.tally.stolen_cycles += loot.iter().map(|event| event.post.time).sum::<u64>();
        self.cores[core].loot = loot;
        (cycles + more, After::Migrate)
    }

    fn run_handler(&mut self, core: usize, now: u64) -> Result<(), BooksError> {
        let Some(event) = &self.cores[core].running else {
            self.plan(core, now, Step::Look);
            return Ok(());
        };
        self.books.start(core, event.serial, event.post.color)?;
        let continuation = self.memory.read(core, event.line + 1);
        let ran = self.workload.run(core, &event.post, &mut self.memory);
        self.cores[core].posts = ran.posts.into_iter();
        self.plan(core, now + continuation + ran.cycles, Step::Post);
        Ok(())
    }

    fn post(&mut self, core: usize, now: u64) {
        let mut now = now;
        if self.cores[core].registering.is_none()
            && let Some(post) = self.cores[core].posts.next()
        {
            let (event, cycles) = self.make(core, post);
            now += cycles;
            self.cores[core].registering = Some(event);
        }
        if let Some(event) = &self.cores[core].registering {
            let target = self.queues.holder(event.post.color).unwrap_or(event.post.home);
            now += self.memory.read(core, self.queues.map(event.post.color));
            return self.lock(core, target, now, Section::Register);
        }
        if let Some(event) = self.cores[core].running.take() {
            now += self.memory.write(core, event.line);
            self.events.give(core, event.line);
        }
        self.books.end(core);
        self.plan(core, now, Step::Look);
    }
}

impl Core {
    fn new(policy: Option<Policy>) -> Self {
        Self {
            step: Step::Look,
            section: Section::Pop,
            lock: 0,
            plan: 0,
            asked_at: 0,
            granted_at: 0,
            is_asleep: false,
            idle_since: None,
            running: None,
            posts: Vec::new().into_iter(),
            registering: None,
            victims: Vec::new().into_iter(),
            policy,
            loot: Vec::new(),
            theft_cycles: 0,
        }
    }
}
