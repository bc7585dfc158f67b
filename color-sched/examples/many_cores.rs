//! What is stealing worth on machines that we do not have? Everything starts on one core of 1, 2, 8, 64 simulated ones.

use color_sched::sim::{Act, Dice, Report, SimError, Simulation, Start, Topology, Workload};
use color_sched::{
    Color, ColorQueues, CoreId, LoadView, NoSteal, StageId, StageInfo, Stealer, Theft,
};

const WORK: StageId = StageId(0);
const COLORS: u64 = 400;
const EVENTS: u32 = 5;

/// Colors of [`EVENTS`] events each, one after the other, all at home on core 0.
struct Unbalanced;

impl Workload for Unbalanced {
    type Event = u32;
    type State = ();

    fn stages(&self) -> Vec<StageInfo> {
        vec![StageInfo::new("work")]
    }

    fn start(&self, start: &mut Start<u32, ()>) {
        for number in 0..COLORS {
            let color = Color::at_home(CoreId(0), number, start.cores());
            start.open(color, ());
            start.post(color, WORK, EVENTS);
        }
    }

    fn run(&self, act: &mut Act<'_, '_, u32, ()>, _state: &mut (), left: u32) {
        act.touch(4);
        act.spend(20_000);
        if left > 1 && act.next(WORK, left - 1).is_err() {
            unreachable!("a color has room for its next event");
        }
    }
}

/// Robs whoever offers something, and starts to look at a slot of its own: thieves that all begin with the first slot
/// come too late most of the time.
struct Anything(Dice);

impl Stealer for Anything {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let cores = view.cores();
        let others = (0..cores).map(|core| CoreId(core as u16)).filter(|core| *core != thief);
        let victim = others.max_by_key(|core| view.load(*core).queued_ns)?;
        let slots = view.load(victim).slots.max(1);
        let first = self.0.below(slots as u64) as usize;
        (0..slots).map(|step| (first + step) % slots).find_map(|slot| {
            let color = view.offered(victim, slot)?.color;
            Some(Theft { victim, slot, color })
        })
    }
}

fn run(cores: usize, steals: bool) -> Result<Report, SimError> {
    let simulation = Simulation::new(cores).seed(1).topology(Topology::flat(256).level(8, 75));
    let scheduler = |_| ColorQueues::new(&Unbalanced.stages());
    match steals {
        true => simulation
            .run(Unbalanced, scheduler, |core: CoreId| Anything(Dice::new(u64::from(core.0)))),
        false => simulation.run(Unbalanced, scheduler, |_| NoSteal),
    }
}

fn main() -> Result<(), SimError> {
    println!("simulated: {COLORS} colors of {EVENTS} events of 20 µs, all on core 0");
    println!("cores  stealing  makespan ms  speed-up  thefts  misses  wakes  p99 wait ms");
    let alone_ns = run(1, false)?.makespan_ns;
    let mut best = 1.0_f64;
    for (cores, steals) in [1, 2, 8, 64].into_iter().flat_map(|n| [(n, false), (n, true)]) {
        let report = run(cores, steals)?;
        assert_eq!(report.events, COLORS * u64::from(EVENTS));
        let speed_up = alone_ns as f64 / report.makespan_ns as f64;
        println!(
            "{cores:>5}  {:>8}  {:>11.2}  {speed_up:>8.2}  {:>6}  {:>6}  {:>5}  {:>11.2}",
            if steals { "yes" } else { "no" },
            report.makespan_ns as f64 / 1e6,
            report.sum(|core| core.thefts),
            report.sum(|core| core.misses),
            report.sum(|core| core.wakes),
            report.latency.p99_ns as f64 / 1e6,
        );
        best = best.max(speed_up);
    }
    assert!(best > 5.0, "no speed-up beyond {best}");
    Ok(())
}
