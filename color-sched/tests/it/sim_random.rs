//! Ten thousand random programs on random machines. What an event does hangs on the event alone, so that a serial loop
//! knows what each color must have seen, in whatever order; the order of each producer's events, and that no color runs
//! twice at once, is checked besides, here and by the simulation itself.
//!
//! Half of the programs also close, open again, cancel, and overflow queues, which hangs on who comes first. Of
//! these it is known that every event runs once or comes back once.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use color_sched::sim::{Act, Costs, Dice, Report, SimError, Simulation, Start, Topology, Workload};
use color_sched::{
    Color, ColorQueues, CoreId, Fifo, Flat, NoSteal, Priority, Scheduler, StageBatch, StageId,
    StageInfo, Target, TimerId,
};

use crate::sim::Greedy;

/// An event; all that it does follows from `seed`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    seed: u64,
    depth: u64,
    /// The color that posted it and the how manieth it is from there for its color, if it has to keep an order.
    order: Option<(u64, u64)>,
}

/// What an event has posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Post,
    Next,
    Timer,
    Canceled,
    Call,
}

/// What an event does.
#[derive(Debug)]
struct Deed {
    way: Way,
    work_ns: u64,
    color: u64,
    target: Target,
    seed: u64,
}

/// A random program.
struct Plan {
    seed: u64,
    cores: usize,
    colors: u64,
    /// From one color to the next: all are at home on one core if it is the number of cores.
    step: u64,
    stages: u64,
    roots: u64,
    work_ns: u64,
    is_wild: bool,
    refuses: bool,
}

impl Plan {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        let cores = 1 + dice.below(16).min(dice.below(16));
        Self {
            seed,
            cores: cores as usize,
            colors: 1 + dice.below(24),
            step: if dice.one_in(2) { cores } else { 1 },
            stages: 1 + dice.below(4),
            roots: 4 + dice.below(12),
            work_ns: 10_u64.pow(1 + dice.below(5) as u32),
            is_wild: dice.one_in(2),
            refuses: dice.one_in(3),
        }
    }

    fn stages(&self) -> Vec<StageInfo> {
        let stage = |n| StageInfo::new(format!("stage {n}")).weight(4 - n as u32);
        let stages = (0..self.stages).map(stage);
        stages.map(|stage| if self.refuses { stage.allocates() } else { stage }).collect()
    }

    fn roots(&self) -> impl Iterator<Item = (Color, StageId, u64, Event)> {
        let mut dice = Dice::new(self.seed);
        let (colors, step, stages) = (self.colors, self.step, self.stages);
        (0..self.roots).map(move |_| {
            let color = Color(dice.below(colors) * step);
            let stage = StageId(dice.below(stages) as u16);
            let at = dice.below(4) * dice.below(100_000);
            (color, stage, at, Event { seed: dice.roll(), depth: 0, order: None })
        })
    }

    fn deeds(&self, event: &Event, color: u64) -> Vec<Deed> {
        let mut dice = Dice::new(event.seed);
        let count = if event.depth == 4 { 0 } else { dice.below(5).min(3) };
        let favourite = dice.below(self.colors) * self.step;
        let deed = |_| {
            let way = match dice.below(12) {
                0..=5 => Way::Post,
                6..=8 => Way::Next,
                9 => Way::Timer,
                10 => Way::Canceled,
                _ => Way::Call,
            };
            let stage = StageId(dice.below(self.stages) as u16);
            let priority = Priority::ALL.get(dice.below(6) as usize).copied();
            Deed {
                way,
                work_ns: dice.below(self.work_ns),
                color: if way == Way::Post { favourite } else { color },
                target: Target { stage, priority },
                seed: dice.roll(),
            }
        };
        (0..count).map(deed).collect()
    }

    /// What each color must see: the events that a serial loop finds, without their order.
    fn oracle(&self) -> HashMap<u64, Vec<u64>> {
        let mut seen: HashMap<u64, Vec<u64>> = HashMap::new();
        let mut waiting: VecDeque<_> =
            self.roots().map(|(color, _, _, event)| (color.0, event)).collect();
        while let Some((color, event)) = waiting.pop_front() {
            seen.entry(color).or_default().push(event.seed);
            for deed in self.deeds(&event, color) {
                if deed.way != Way::Canceled {
                    let event = Event { seed: deed.seed, depth: event.depth + 1, order: None };
                    waiting.push_back((deed.color, event));
                }
            }
        }
        seen.values_mut().for_each(|seen| seen.sort_unstable());
        seen
    }
}

/// What a color remembers.
#[derive(Debug, Default)]
struct Memory {
    color: u64,
    seen: Vec<u64>,
    /// Events posted to each color.
    sent: HashMap<u64, u64>,
    /// The last event from each color.
    last: HashMap<u64, u64>,
    timers: Vec<TimerId>,
}

/// A random program, and what came of it.
struct Program {
    plan: Plan,
    dice: RefCell<Dice>,
    memories: RefCell<Vec<Memory>>,
    made: Cell<u64>,
    run: Cell<u64>,
    given_back: Cell<u64>,
    disorder: Cell<u64>,
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl Program {
    fn new(plan: Plan) -> Rc<Self> {
        Rc::new(Self {
            dice: RefCell::new(Dice::new(plan.seed)),
            plan,
            memories: RefCell::default(),
            made: Cell::default(),
            run: Cell::default(),
            given_back: Cell::default(),
            disorder: Cell::default(),
        })
    }

    fn memory(color: u64) -> Memory {
        Memory { color, ..Memory::default() }
    }

    fn act(
        &self,
        act: &mut Act<'_, '_, Event, Memory>,
        memory: &mut Memory,
        deed: &Deed,
        depth: u64,
    ) {
        let from = memory.color;
        let mut event = Event { seed: deed.seed, depth, order: None };
        count(&self.made);
        let refused = match deed.way {
            Way::Post | Way::Next => {
                let sent = memory.sent.entry(deed.color).or_default();
                *sent += 1;
                // A color that closes forgets its numbers.
                event.order = (!self.plan.is_wild).then_some((from, *sent));
                act.post(Color(deed.color), deed.target, event).is_err()
            }
            Way::Timer => {
                memory.timers.push(act.arm(deed.seed % 3_000_000, deed.target, event));
                false
            }
            Way::Canceled => {
                let timer = act.arm(deed.seed % 3_000_000, deed.target, event.clone());
                let canceled = act.cancel(timer);
                if canceled != Some(event) {
                    count(&self.disorder);
                }
                true
            }
            Way::Call => {
                act.call(deed.seed % 50_000, deed.target.stage, event);
                false
            }
        };
        if refused {
            count(&self.given_back);
        }
    }

    /// What is done or not as the dice fall.
    fn act_wildly(&self, act: &mut Act<'_, '_, Event, Memory>, memory: &mut Memory) {
        if act.dice().one_in(8) {
            act.close();
        }
        if act.dice().one_in(4) {
            let color = act.dice().below(self.plan.colors) * self.plan.step;
            if let Err(memory) = act.open(Color(color), Self::memory(color)) {
                assert_eq!(memory.color, color);
            }
        }
        if act.dice().one_in(2)
            && let Some(timer) = memory.timers.pop()
            && act.cancel(timer).is_some()
        {
            count(&self.given_back);
        }
    }
}

impl Workload for Program {
    type Event = Event;
    type State = Memory;

    fn stages(&self) -> Vec<StageInfo> {
        self.plan.stages()
    }

    fn start(&self, start: &mut Start<Event, Memory>) {
        for color in (0..self.plan.colors).map(|number| number * self.plan.step) {
            start.open(Color(color), Self::memory(color));
        }
        for (color, stage, at, event) in self.plan.roots() {
            count(&self.made);
            start.post_at(at, color, stage, event);
        }
    }

    fn run(&self, act: &mut Act<'_, '_, Event, Memory>, memory: &mut Memory, event: Event) {
        count(&self.run);
        memory.seen.push(event.seed);
        if let Some((from, number)) = event.order {
            let last = memory.last.insert(from, number).unwrap_or(0);
            if number != last + 1 {
                count(&self.disorder);
            }
        }
        if memory.color != act.color().0 {
            count(&self.disorder);
        }
        act.touch((event.seed % 8) as u32);
        for deed in self.plan.deeds(&event, memory.color) {
            act.spend(deed.work_ns);
            self.act(act, memory, &deed, event.depth + 1);
        }
        act.spend(event.seed % self.plan.work_ns);
        if self.plan.is_wild {
            self.act_wildly(act, memory);
        }
    }

    fn admit(&self, _core: CoreId, _stage: StageId, wanted: usize) -> usize {
        self.dice.borrow_mut().below(wanted as u64 + 1) as usize
    }

    fn abandoned(&self, _color: Color, _stage: StageId, _event: Event) {
        count(&self.given_back);
    }

    fn closed(&self, color: Color, memory: Memory) {
        if memory.color != color.0 {
            count(&self.disorder);
        }
        self.memories.borrow_mut().push(memory);
    }
}

fn scheduler(plan: &Plan) -> Box<dyn Scheduler> {
    let stages = plan.stages();
    match plan.seed / 4 % 4 {
        0 => Box::new(Flat::new(&stages)),
        1 => Box::new(Fifo::new(&stages)),
        2 => Box::new(StageBatch::new(&stages).with_batch_limit(8)),
        _ => Box::new(ColorQueues::new(&stages).with_threshold(3)),
    }
}

fn simulation(plan: &Plan) -> Simulation {
    let mut dice = Dice::new(plan.seed ^ 1 << 63);
    let line_ns = dice.below(300);
    let (costs, topology) = match dice.below(3) {
        0 => (Costs::free(), Topology::flat(0)),
        1 => (Costs::default(), Topology::flat(line_ns)),
        _ => {
            let costs = Costs {
                dispatch_ns: dice.below(50),
                poll_ns: 1 + dice.below(1_000),
                wake_call_ns: dice.below(10_000),
                wake_latency_ns: dice.below(50_000),
                ..Costs::default()
            };
            (costs, Topology::flat(256).level(4, 75).level(2, 20))
        }
    };
    let (is_wild, limit) = (plan.is_wild, 1 + dice.below(6) as usize);
    let (poll_events, spin_ns) = (1 + dice.below(127) as usize, dice.below(2) * 50_000);
    let is_watched = !plan.refuses;
    Simulation::new(plan.cores)
        .seed(plan.seed)
        .costs(costs)
        .topology(topology)
        .watch_parked(is_watched)
        .tune(move |config| {
            config.poll_events = poll_events;
            config.spin_ns = spin_ns;
            if is_wild {
                config.queue_limit = limit;
            }
        })
}

fn run(program: &Rc<Program>) -> Result<Report, SimError> {
    let plan = &program.plan;
    let simulation = simulation(plan);
    let workload = Rc::clone(program);
    match plan.seed % 4 {
        0 => simulation.run(workload, |_| scheduler(plan), |_| NoSteal),
        _ => simulation.run(workload, |_| scheduler(plan), |_| Greedy),
    }
}

fn check(seed: u64) -> Report {
    let program = Program::new(Plan::new(seed));
    let report = run(&program).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(program.disorder.get(), 0, "seed {seed}: a color saw something wrong");
    assert_eq!(report.sum(|core| core.panics), 0, "seed {seed}");
    let (made, ran, given_back) = (program.made.get(), program.run.get(), program.given_back.get());
    assert_eq!(made, ran + given_back, "seed {seed}: {ran} ran, {given_back} came back");
    assert_eq!((report.events, report.given_back), (ran, given_back), "seed {seed}");
    if !program.plan.is_wild {
        let mut expected = program.plan.oracle();
        for memory in program.memories.take() {
            let mut seen = memory.seen;
            seen.sort_unstable();
            let must = expected.remove(&memory.color).unwrap_or_default();
            assert_eq!(seen, must, "seed {seed}: color {}", memory.color);
        }
        assert!(expected.is_empty(), "seed {seed}: a color was never opened");
    }
    report
}

/// Checks some seeds, and that the things that can go wrong did happen.
fn check_all(seeds: std::ops::Range<u64>) {
    let (mut events, mut given_back, mut thefts, mut misses, mut wakes) = (0, 0, 0, 0, 0);
    for seed in seeds {
        let report = check(seed);
        events += report.events;
        given_back += report.given_back;
        thefts += report.sum(|core| core.thefts);
        misses += report.sum(|core| core.misses);
        wakes += report.sum(|core| core.wakes);
    }
    let told = format!(
        "{events} events, {given_back} given back, {thefts} thefts, {misses} misses, {wakes} wakes"
    );
    println!("{told}");
    let is_enough = events > 50_000 && given_back > 5_000 && thefts > 5_000 && misses > 100;
    assert!(is_enough && wakes > 5_000, "too little of it: {told}");
}

#[test]
fn random_programs_lose_double_and_reorder_nothing_seeds_0_to_4999() {
    check_all(0..5_000);
}

#[test]
fn random_programs_lose_double_and_reorder_nothing_seeds_5000_to_9999() {
    check_all(5_000..10_000);
}
