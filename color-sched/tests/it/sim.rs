//! Is the simulated machine fast where it should be, the same each time, and does it charge what it says?

use color_sched::sim::{
    Act, Costs, MAX_CORES, Report, SimError, Simulation, Start, Topology, Workload,
};
use color_sched::{
    Color, CoreId, Cost, Fifo, LoadView, NoSteal, StageId, StageInfo, Stealer, Theft,
};

const WORK: StageId = StageId(0);

/// Robs the next core that offers anything.
pub(crate) struct Greedy;

impl Stealer for Greedy {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let cores = view.cores();
        (1..cores).find_map(|step| {
            let victim = CoreId(((thief.index() + step) % cores) as u16);
            let slots = view.load(victim).slots;
            let offer = |slot| Some((slot, view.offered(victim, slot)?.color));
            let (slot, color) = (0..slots).find_map(offer)?;
            Some(Theft { victim, slot, color })
        })
    }
}

/// Colors with some events each, all there at the beginning, at home on the first `homes` cores.
struct Heap {
    colors: u64,
    events: u64,
    homes: usize,
    ns: u64,
}

impl Workload for Heap {
    type Event = u64;
    type State = ();

    fn stages(&self) -> Vec<StageInfo> {
        vec![StageInfo::new("work")]
    }

    fn start(&self, start: &mut Start<u64, ()>) {
        let homes = self.homes as u64;
        for number in 0..self.colors {
            let home = CoreId((number % homes) as u16);
            let color = Color::at_home(home, number / homes, start.cores());
            start.open(color, ());
            start.post(color, WORK, self.events);
        }
    }

    fn run(&self, act: &mut Act<'_, '_, u64, ()>, _state: &mut (), left: u64) {
        let ns = self.ns / 2 + act.dice().below(self.ns);
        act.spend(ns);
        act.touch(2);
        if left > 1 {
            assert_eq!(act.next(WORK, left - 1), Ok(()));
        }
    }
}

fn fifo(_core: CoreId) -> Fifo {
    Fifo::new(&[])
}

fn unbalanced(cores: usize, seed: u64) -> (Report, Report) {
    let heap = || Heap { colors: 300, events: 10, homes: 1, ns: 5_000 };
    let simulation = Simulation::new(cores).seed(seed).watch_parked(true).trace(true);
    let alone = simulation.run(heap(), fifo, |_| NoSteal).unwrap();
    let together = simulation.run(heap(), fifo, |_| Greedy).unwrap();
    (alone, together)
}

#[test]
fn independent_colors_on_n_cores_take_an_nth_of_the_time() {
    for cores in [1_usize, 2, 4, 8, 16] {
        let heap = Heap { colors: 16 * 20, events: 10, homes: cores, ns: 1_000 };
        let report = Simulation::new(cores).run(heap, fifo, |_| NoSteal).unwrap();
        assert_eq!(report.events, 3_200);
        let ideal_ns = report.sum(|core| core.busy_ns) / cores as u64;
        let ratio = report.makespan_ns as f64 / ideal_ns as f64;
        assert!((1.0..1.1).contains(&ratio), "{cores} cores: {ratio}");
    }
}

#[test]
fn stealing_helps_a_load_that_is_all_on_one_core() {
    for (cores, at_least) in [(2, 1.8), (4, 3.3), (8, 5.0)] {
        let (alone, together) = unbalanced(cores, 1);
        let gain = alone.makespan_ns as f64 / together.makespan_ns as f64;
        assert!(gain > at_least, "{cores} cores: {gain}");
        assert_eq!(alone.sum(|core| core.thefts), 0);
        assert!(together.sum(|core| core.thefts) > 50);
        assert!(together.sum(|core| core.transfer_ns) > 0, "a stolen color's lines travel");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for seed in 0..5 {
        let (first, second) = (unbalanced(4, seed).1, unbalanced(4, seed).1);
        assert_eq!(first, second, "seed {seed}");
        let trace = first.trace.unwrap();
        assert!(trace.lines().count() > 6_000 && trace.contains(" steal "), "seed {seed}");
    }
}

#[test]
fn another_seed_gives_another_trace() {
    let hashes: std::collections::HashSet<u64> =
        (0..20).map(|seed| unbalanced(2, seed).1.trace_hash).collect();
    assert_eq!(hashes.len(), 20);
}

#[test]
fn the_trace_need_not_be_kept_for_its_hash() {
    let heap = || Heap { colors: 50, events: 3, homes: 2, ns: 900 };
    let kept = Simulation::new(3).trace(true).run(heap(), fifo, |_| Greedy).unwrap();
    let not = Simulation::new(3).run(heap(), fifo, |_| Greedy).unwrap();
    assert_eq!(kept.trace_hash, not.trace_hash);
    assert!(kept.trace.is_some() && not.trace.is_none());
}

#[test]
fn a_hundred_and_twenty_eight_cores_run_and_no_more() {
    let heap = || Heap { colors: 512, events: 3, homes: MAX_CORES, ns: 50_000 };
    let report = Simulation::new(MAX_CORES).run(heap(), fifo, |_| Greedy).unwrap();
    assert_eq!((report.events, report.cores.len()), (512 * 3, MAX_CORES));
    assert!(report.cores.iter().all(|core| core.events > 0));
    for cores in [0, MAX_CORES + 1] {
        let refused = Simulation::new(cores).run(heap(), fifo, |_| NoSteal);
        assert_eq!(refused, Err(SimError::Cores(cores)));
    }
}

#[test]
fn a_core_accounts_for_all_of_its_time() {
    let (_, report) = unbalanced(4, 3);
    for core in &report.cores {
        let sum = core.busy_ns + core.overhead_ns + core.stealing_ns + core.waking_ns;
        let slack_ns = report.makespan_ns / 20;
        assert!(sum + core.idle_ns >= report.makespan_ns);
        assert!(sum + core.idle_ns <= report.makespan_ns + slack_ns, "{report}");
    }
    assert!(report.cores[0].waking_ns > 0 && report.cores[1].stealing_ns > 0, "{report}");
}

/// Two colors, and a ball.
struct PingPong {
    hits: u32,
}

impl Workload for PingPong {
    type Event = u32;
    type State = ();

    fn stages(&self) -> Vec<StageInfo> {
        vec![StageInfo::new("hit")]
    }

    fn start(&self, start: &mut Start<u32, ()>) {
        start.open(Color(0), ());
        start.open(Color(1), ());
        start.post(Color(0), WORK, self.hits);
    }

    fn run(&self, act: &mut Act<'_, '_, u32, ()>, _state: &mut (), hits: u32) {
        act.spend(500);
        if hits > 1 {
            assert_eq!(act.post(Color(1 - act.color().0), WORK, hits - 1), Ok(()));
        }
    }
}

#[test]
fn a_hit_across_cores_costs_the_handler_a_message_a_line_a_wake_and_nothing_else() {
    let costs = Costs::default();
    let run = |hits| {
        let simulation = Simulation::new(2).topology(Topology::flat(100));
        simulation.run(PingPong { hits }, fifo, |_| NoSteal).unwrap()
    };
    let (short, long) = (run(10), run(1_010));
    let hit_ns = (long.makespan_ns - short.makespan_ns) / 1_000;
    // The message is paid for after the wake was made, while the other core is getting up.
    let must_ns = costs.wake_latency_ns + costs.poll_ns + costs.dispatch_ns + 100 + 500;
    assert_eq!(hit_ns, must_ns);
    assert_eq!(long.sum(|core| core.wakes), 1_009);
    assert_eq!(long.sum(|core| core.waking_ns), 1_009 * costs.wake_call_ns);
    assert_eq!(long.latency.p50_ns, costs.wake_latency_ns + costs.poll_ns);
    assert!(long.latency.p999_ns >= long.latency.p99_ns);
}

/// One color that touches its lines on the core where it is, and is moved by a theft once.
struct Mover;

impl Workload for Mover {
    type Event = bool;
    type State = ();

    fn stages(&self) -> Vec<StageInfo> {
        vec![StageInfo::new("touch").cost(Cost::fixed(80_000))]
    }

    fn start(&self, start: &mut Start<bool, ()>) {
        for color in [0, 2, 4].map(Color) {
            start.open(color, ());
            (0..4).for_each(|_| start.post(color, WORK, color.0 == 0));
        }
    }

    fn run(&self, act: &mut Act<'_, '_, bool, ()>, _state: &mut (), is_long: bool) {
        act.spend(if is_long { 100_000 } else { 60_000 });
        act.touch(10);
    }
}

#[test]
fn a_color_that_moves_pays_for_its_lines_and_one_that_stays_does_not() {
    let run = |stealer: Option<Greedy>| {
        let simulation = Simulation::new(2).topology(Topology::flat(200));
        match stealer {
            Some(_) => simulation.run(Mover, fifo, |_| Greedy).unwrap(),
            None => simulation.run(Mover, fifo, |_| NoSteal).unwrap(),
        }
    };
    assert_eq!(run(None).sum(|core| core.transfer_ns), 0);
    let moved = run(Some(Greedy));
    let events = moved.cores[1].events;
    assert!(events > 0 && moved.cores[1].thefts > 0, "{moved}");
    // Every stolen event's own line; the color's lines when it moves after having run elsewhere.
    let lines = moved.sum(|core| core.transfer_ns) / 200;
    assert!(
        lines >= events && lines <= events + 10 * moved.sum(|core| core.thefts) + 10,
        "{moved}"
    );
}

/// One event that takes long, and six short ones behind it, all at home on core 0.
struct LongFirst;

impl Workload for LongFirst {
    type Event = u64;
    type State = ();

    fn stages(&self) -> Vec<StageInfo> {
        let stage = |ns| StageInfo::new("work").cost(Cost::fixed(ns));
        vec![stage(10_000_000), stage(2_000)]
    }

    fn start(&self, start: &mut Start<u64, ()>) {
        for n in 0..7 {
            let color = Color::at_home(CoreId(0), n, start.cores());
            start.open(color, ());
            let stage = StageId(u16::from(n > 0));
            start.post(color, stage, if n == 0 { 10_000_000 } else { 2_000 });
        }
    }

    fn run(&self, act: &mut Act<'_, '_, u64, ()>, _state: &mut (), ns: u64) {
        act.spend(ns);
    }
}

#[test]
fn thief_is_woken_for_little_work_if_the_core_will_not_get_to_it() {
    let greedy = |_| Greedy;
    let report = Simulation::new(2).run(LongFirst, fifo, greedy).unwrap();
    assert_eq!(report.events, 7);
    assert!(report.sum(|core| core.thefts) >= 5, "{report}");
    assert!(report.latency.p50_ns < 1_000_000, "{report}");
}
