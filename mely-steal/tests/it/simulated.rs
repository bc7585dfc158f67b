//! Every policy on simulated cores, with random programs, schedulers and machines.
//!
//! The simulation keeps books itself: no color runs on two cores at once, no event is lost, run twice or overtaken. Here
//! policies are watched besides: what they plan makes sense, and what was refused is not asked for again at once.

use std::cell::Cell;
use std::rc::Rc;

use color_sched::sim::{Act, Dice, Report, Simulation, Start, Topology as Distances, Workload};
use color_sched::{
    Color, ColorQueues, CoreId, Fifo, Flat, LoadView, NoSteal, Scheduler, StageBatch, StageId,
    StageInfo, Stealer, Theft,
};
use mely_steal::{
    BackOff, Batch, Half, Heuristic, Libasync, Locality, Mely, Penalty, Random, TimeLeft, Topology,
};

/// Programs for each policy.
const SEEDS: u64 = 40;
/// Policies: see [`with_policy`].
const POLICIES: usize = 14;
/// Slots of a board.
const SLOTS: usize = 8;

/// What was seen of all thieves of a run.
#[derive(Debug, Default)]
struct Seen {
    refused: Cell<u64>,
    /// Plans that no scheduler can carry out.
    nonsense: Cell<u64>,
    /// Plans that were refused and made again in the next breath.
    stubborn: Cell<u64>,
    /// Plans of what was not on offer when it was planned.
    invented: Cell<u64>,
}

fn count(cell: &Cell<u64>, is_one: bool) {
    cell.set(cell.get() + u64::from(is_one));
}

/// A policy under watch.
struct Watched<P> {
    policy: P,
    seen: Rc<Seen>,
    refused: Option<Theft>,
}

impl<P> Watched<P> {
    fn look(&mut self, thief: CoreId, view: &impl LoadView, plan: Option<Theft>) -> Option<Theft> {
        let last = self.refused.take();
        let theft = plan?;
        let Theft { victim, slot, color } = theft;
        let is_possible = victim != thief && victim.index() < view.cores() && slot < SLOTS;
        count(&self.seen.nonsense, !is_possible);
        let offer = view.offered(victim, slot);
        count(&self.seen.invented, offer.is_none_or(|offer| offer.color != color));
        count(&self.seen.stubborn, last == Some(theft));
        Some(theft)
    }
}

impl<P: Stealer> Stealer for Watched<P> {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let plan = self.policy.plan(thief, view);
        self.look(thief, view, plan)
    }

    fn again(
        &mut self,
        thief: CoreId,
        view: &impl LoadView,
        last: &Theft,
        stolen: usize,
    ) -> Option<Theft> {
        let plan = self.policy.again(thief, view, last, stolen);
        self.look(thief, view, plan)
    }

    fn refused(&mut self, theft: &Theft) {
        count(&self.seen.refused, true);
        self.refused = Some(*theft);
        self.policy.refused(theft);
    }

    fn steals(&self) -> bool {
        self.policy.steals()
    }
}

/// An event; what it does follows from `seed`.
#[derive(Clone, Copy, Debug)]
struct Event {
    seed: u64,
    depth: u32,
}

/// A random program, most of whose colors have their home at one core.
#[derive(Clone, Debug)]
struct Program {
    seed: u64,
    cores: usize,
    colors: u64,
    stages: u64,
    work_ns: u64,
}

impl Program {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        let cores = [2, 3, 4, 8, 13, 32][dice.below(6) as usize];
        Self {
            seed,
            cores,
            colors: 8 + dice.below(40),
            stages: 1 + dice.below(4),
            work_ns: 1_000 << dice.below(6),
        }
    }

    /// Three in four are at home on core 0.
    fn color(&self, n: u64) -> Color {
        Color(if n % 4 == 3 { n * self.cores as u64 + 1 } else { n * self.cores as u64 })
    }

    fn stage(&self, dice: &mut Dice) -> StageId {
        StageId(dice.below(self.stages) as u16)
    }
}

impl Workload for Program {
    type Event = Event;
    type State = ();

    fn stages(&self) -> Vec<StageInfo> {
        (0..self.stages).map(|n| StageInfo::new(format!("stage {n}"))).collect()
    }

    fn start(&self, start: &mut Start<Event, ()>) {
        let mut dice = Dice::new(self.seed);
        for n in 0..self.colors {
            start.open(self.color(n), ());
            let stage = self.stage(&mut dice);
            for _ in 0..=dice.below(4) {
                start.post(self.color(n), stage, Event { seed: dice.roll(), depth: 0 });
            }
        }
    }

    fn run(&self, act: &mut Act<'_, '_, Event, ()>, (): &mut (), event: Event) {
        let mut dice = Dice::new(event.seed);
        act.touch(dice.below(8) as u32);
        act.spend(dice.below(self.work_ns));
        if event.depth == 3 {
            return;
        }
        for _ in 0..dice.below(3) {
            let (stage, next) =
                (self.stage(&mut dice), Event { seed: dice.roll(), depth: event.depth + 1 });
            let posted = match dice.below(4) {
                0 => act.post(self.color(dice.below(self.colors)), stage, next).is_ok(),
                1 => {
                    act.arm(dice.below(200_000), stage, next);
                    true
                }
                _ => act.next(stage, next).is_ok(),
            };
            assert!(posted, "every color is open, and queues are long");
            act.spend(dice.below(self.work_ns));
        }
    }
}

fn scheduler(program: &Program) -> Box<dyn Scheduler> {
    let stages = program.stages();
    match program.seed % 4 {
        0 => Box::new(Fifo::new(&stages)),
        1 => Box::new(Flat::new(&stages)),
        2 => Box::new(ColorQueues::new(&stages)),
        _ => Box::new(StageBatch::new(&stages)),
    }
}

/// Groups of two and of four, or none, and lines that take up to 300 ns.
fn machine(program: &Program) -> (Simulation, Topology) {
    let mut dice = Dice::new(program.seed ^ 1 << 63);
    let (cores, far_ns) = (program.cores, 20 + dice.below(280));
    let simulation = Simulation::new(cores).seed(program.seed);
    if dice.one_in(3) {
        return (simulation.topology(Distances::flat(far_ns)), Topology::uniform(cores));
    }
    let distances = Distances::flat(far_ns).level(4, far_ns / 2).level(2, far_ns / 5);
    (simulation.topology(distances), Topology::grouped(cores, &[(2, 2), (3, 4)]))
}

fn run<P: Stealer + 'static>(
    program: &Program,
    simulation: &Simulation,
    seen: &Rc<Seen>,
    policy: impl Fn(CoreId) -> P,
) -> Report {
    let watched = |core| Watched { policy: policy(core), seen: Rc::clone(seen), refused: None };
    let report = simulation.run(program.clone(), |_| scheduler(program), watched);
    report.unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a program with the policy of this number: Mely with each setting of its switches first.
fn run_policy(number: usize, program: &Program, seen: &Rc<Seen>) -> Report {
    let (simulation, topology) = machine(program);
    let all = Mely::new(topology.clone());
    match number {
        0..8 => {
            let is_on = |bit: usize| number >> bit & 1 == 1;
            let policy = all.locality(is_on(0)).time_left(is_on(1)).penalty(is_on(2));
            run(program, &simulation, seen, |_| policy.clone())
        }
        8 => run(program, &simulation, seen, |_| Libasync::new()),
        9 => {
            let chain = || Locality::new(topology.clone()).then(TimeLeft).then(Penalty);
            run(program, &simulation, seen, |_| Mely::by(chain()))
        }
        10 => run(program, &simulation, seen, |_| Batch::new(all.clone(), 3)),
        11 => run(program, &simulation, seen, |_| Half::new(all.clone())),
        12 => run(program, &simulation, seen, |_| BackOff::new(all.clone()).at_most(4)),
        _ => run(program, &simulation, seen, |core| Random::new(u64::from(core.0))),
    }
}

/// Runs all programs with one policy.
fn check(policy: usize) -> (u64, u64) {
    let (mut thefts, mut refused) = (0, 0);
    for seed in 0..SEEDS {
        let (program, seen) = (Program::new(seed), Rc::new(Seen::default()));
        let report = run_policy(policy, &program, &seen);
        let told = format!("policy {policy}, seed {seed}: {seen:?}");
        assert_eq!(report.sum(|core| core.panics), 0, "{told}");
        assert_eq!(report.given_back, 0, "{told}");
        assert_eq!([&seen.nonsense, &seen.invented].map(Cell::get), [0, 0], "{told}");
        assert_eq!(seen.stubborn.get(), 0, "{told}");
        assert_eq!(report.sum(|core| core.misses), seen.refused.get(), "{told}");
        thefts += report.sum(|core| core.thefts);
        refused += seen.refused.get();
    }
    assert!(thefts > SEEDS, "policy {policy} has stolen {thefts} times only");
    (thefts, refused)
}

#[test]
fn no_policy_breaks_the_books_plans_nonsense_or_asks_again_for_what_was_refused() {
    let found: Vec<_> = (0..POLICIES).map(check).collect();
    println!("thefts and refusals of each policy: {found:?}");
    let refused: u64 = found.iter().map(|(_, refused)| refused).sum();
    assert!(refused > 100, "hardly anything was refused: {found:?}");
}

#[test]
fn mely_shortens_programs_that_begin_on_one_core() {
    let mut gains: Vec<f64> = Vec::new();
    for seed in 0..SEEDS {
        let program = Program { work_ns: 32_000, ..Program::new(seed) };
        let (simulation, topology) = machine(&program);
        let seen = Rc::new(Seen::default());
        let alone = run(&program, &simulation, &seen, |_| NoSteal);
        let together = run(&program, &simulation, &seen, |_| Mely::new(topology.clone()));
        assert_eq!(alone.events, together.events, "seed {seed}");
        gains.push(alone.makespan_ns as f64 / together.makespan_ns as f64);
    }
    assert!(gains.iter().all(|&gain| gain > 1.0), "{gains:.2?}");
    assert!(gains.iter().sum::<f64>() / gains.len() as f64 > 1.5, "{gains:.2?}");
}
