//! What a thief is asked, and what owner and thief learn from a theft.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use color_sched::{
    Clock, Color, Config, Context, Control, Core, CoreId, Cost, LoadView, Machine, NoSteal,
    StageBatch, StageId, StageInfo, Stealer, Theft,
};

use crate::program::Program;
use crate::threads::Greedy;

const A: StageId = StageId(0);
const THIEF: CoreId = CoreId(1);
/// After this time a core has published what it has learned.
const PUBLISHED: Duration = Duration::from_millis(110);

type Parts = (Control<u32, ()>, Core<u32, ()>, Core<u32, ()>);

/// Two cores, and so many colors with an event each at home on the first.
fn machine(config: Config, colors: u64) -> Parts {
    let (control, mut cores) = Machine::new(config).unwrap();
    for color in (0..colors).map(|n| Color::at_home(CoreId(0), n, 2)) {
        control.open(color, ()).unwrap();
        control.post(color, A, 0).unwrap();
    }
    let thief = cores.remove(1);
    (control, cores.remove(0), thief)
}

fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("work").cost(Cost::fixed(50_000))]
}

fn config() -> Config {
    Config { steal_cost: Cost::fixed(1), poll_events: 1, ..Config::new(2, stages()) }
}

/// Steals up to so many colors in a search, and remembers what it was told.
#[derive(Default)]
struct Told {
    most: usize,
    asked_again: Vec<usize>,
    refused: Vec<Theft>,
    /// Proposed instead of what is there.
    proposal: Option<Theft>,
}

impl Stealer for Told {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        self.proposal.take().or_else(|| Greedy.plan(thief, view))
    }

    fn again(
        &mut self,
        thief: CoreId,
        view: &impl LoadView,
        last: &Theft,
        stolen: usize,
    ) -> Option<Theft> {
        assert_eq!(last.victim, CoreId(0));
        self.asked_again.push(stolen);
        if stolen < self.most { Greedy.plan(thief, view) } else { None }
    }

    fn refused(&mut self, theft: &Theft) {
        self.refused.push(*theft);
    }
}

/// Lets the owner offer and the thief look once; how many colors are stolen then.
fn steal(stealer: &mut Told, colors: u64) -> (u64, u64, u64) {
    let (_control, mut owner, mut thief) = machine(config(), colors);
    let idle = || Program::new(|_: &mut Context<'_, u32, ()>, _: &mut (), _| {});
    let (mut scheduler, mut away) = (StageBatch::new(&stages()), StageBatch::new(&stages()));
    owner.turn(&mut idle(), &mut scheduler, &mut Greedy).unwrap();
    thief.turn(&mut idle(), &mut away, stealer).unwrap();
    let stats = thief.stats();
    assert_eq!(stats.thefts, stats.stealing.len());
    assert_eq!(stats.thefts, stats.loot.len());
    (stats.thefts, stats.misses, stats.nonsense)
}

#[test]
fn policy_is_asked_again_after_each_theft_until_it_has_enough() {
    for (most, thefts) in [(0, 1), (1, 1), (3, 3), (99, 8)] {
        let mut stealer = Told { most, ..Told::default() };
        assert_eq!(steal(&mut stealer, 20), (thefts, 0, 0), "at most {most}");
        let asked: Vec<usize> = (1..=thefts as usize).collect();
        assert_eq!(stealer.asked_again, asked, "at most {most}");
    }
}

#[test]
fn policy_hears_of_thefts_that_cannot_be_and_is_not_asked_again() {
    let color = Color(0);
    let beyond = Theft { victim: CoreId(9), slot: 0, color };
    let oneself = Theft { victim: THIEF, slot: 0, color };
    let late = Theft { victim: CoreId(0), slot: 7, color: Color(1) };
    for (proposal, misses, nonsense) in [(beyond, 0, 1), (oneself, 0, 1), (late, 1, 0)] {
        let mut stealer = Told { proposal: Some(proposal), ..Told::default() };
        assert_eq!(steal(&mut stealer, 4), (0, misses, nonsense), "{proposal:?}");
        assert_eq!((stealer.refused, stealer.asked_again), (vec![proposal], vec![]));
    }
}

#[test]
fn victim_that_never_steals_learns_what_thefts_cost_the_thief() {
    const START_NS: u64 = 1_000_000_000;
    let config = Config { steal_cost: Cost::learned(START_NS), ..config() };
    let long = vec![StageInfo::new("work").cost(Cost::fixed(2 * START_NS))];
    let (_control, mut owner, mut thief) = machine(Config { stages: long, ..config }, 20);
    let mut program = Program::new(|_: &mut Context<'_, u32, ()>, _: &mut (), _| {});
    let mut idle = Program::new(|_: &mut Context<'_, u32, ()>, _: &mut (), _| {});
    let (mut scheduler, mut away) = (StageBatch::new(&stages()), StageBatch::new(&stages()));
    for _ in 0..4 {
        owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
        thief.turn(&mut idle, &mut away, &mut Greedy).unwrap();
    }
    thread::sleep(PUBLISHED);
    owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
    let stats = owner.stats();
    assert!(stats.stolen >= 2 && stats.thefts == 0, "{stats:?}");
    assert!((1..START_NS).contains(&stats.steal_cost_ns), "{stats:?}");
}

/// Proposes nonsense after each theft.
struct Fickle;

impl Stealer for Fickle {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        Greedy.plan(thief, view)
    }

    fn again(
        &mut self,
        _thief: CoreId,
        _view: &impl LoadView,
        _last: &Theft,
        _stolen: usize,
    ) -> Option<Theft> {
        Some(Theft { victim: CoreId(9), slot: 0, color: Color(0) })
    }
}

#[test]
fn search_that_ends_with_a_miss_wakes_the_next_thief() {
    const LONG: u32 = 1;
    const PATIENCE: Duration = Duration::from_secs(5);
    let config = Config { wake_cost: Cost::fixed(1), ..Config::new(3, stages()) };
    let config = Config { steal_cost: Cost::fixed(1), ..config };
    let (control, mut cores) = Machine::new(config).unwrap();
    let colors = (0..5).map(|n| Color::at_home(CoreId(0), n, 3));
    for (n, color) in colors.enumerate() {
        control.open(color, ()).unwrap();
        control.post(color, A, u32::from(n == 0)).unwrap();
    }
    // At home one event goes on until two of the others run elsewhere, each of which waits for the other.
    let away = Arc::new(AtomicU64::new(0));
    let was_seen = Arc::new(AtomicU64::new(0));
    let program = |away: Arc<AtomicU64>, was_seen: Arc<AtomicU64>| {
        Program::new(move |cx: &mut Context<'_, u32, ()>, _: &mut (), event| {
            if event == LONG || cx.core() != CoreId(0) {
                away.fetch_add(u64::from(event != LONG), Ordering::SeqCst);
                let start = Instant::now();
                while away.load(Ordering::SeqCst) < 2 && start.elapsed() < PATIENCE {
                    thread::yield_now();
                }
            }
            if event == LONG {
                was_seen.store(away.load(Ordering::SeqCst), Ordering::SeqCst);
                cx.stop();
            }
            cx.close();
        })
    };
    let owner = cores.remove(0);
    let run = |core: Core<u32, ()>| {
        let mut program = program(Arc::clone(&away), Arc::clone(&was_seen));
        move || core.run(&mut program, StageBatch::new(&stages()), &mut Fickle).unwrap()
    };
    let thieves: Vec<_> = cores.into_iter().map(|core| thread::spawn(run(core))).collect();
    // They wait by then.
    thread::sleep(Duration::from_millis(50));
    run(owner)();
    thieves.into_iter().for_each(|thief| assert_eq!(thief.join().unwrap().panics, 0));
    assert!(was_seen.load(Ordering::SeqCst) >= 2, "one thief alone");
}

/// Work that takes so much longer at the thief, by a clock that is turned by hand; the penalty as an owner offers it, and at last
/// as the thief knows it, ten seconds after the owner has gone to sleep.
fn penalty_after(times: &[u64]) -> Vec<u32> {
    let clock = Arc::new(AtomicU64::new(0));
    let config = Config {
        clock: Clock::Manual(Arc::clone(&clock)),
        stages: vec![StageInfo::new("work")],
        steal_cost: Cost::fixed(1),
        poll_events: 1,
        ..Config::new(2, Vec::new())
    };
    let (control, mut owner, mut thief) = machine(config, 4);
    let factor = Arc::new(AtomicU64::new(1));
    let work = |factor: Arc<AtomicU64>| {
        let clock = Arc::clone(&clock);
        Program::new(move |_: &mut Context<'_, u32, ()>, _: &mut (), _| {
            clock.fetch_add(5_000 * factor.load(Ordering::Relaxed), Ordering::Relaxed);
        })
    };
    let (mut program, mut away_program) =
        (work(Arc::new(AtomicU64::new(1))), work(Arc::clone(&factor)));
    let (mut scheduler, mut away) = (StageBatch::new(&stages()), StageBatch::new(&stages()));
    let mut seen = Vec::new();
    for &times in times {
        factor.store(times, Ordering::Relaxed);
        for _ in 0..400 {
            for color in (0..4).map(|n| Color::at_home(CoreId(0), n, 2)) {
                control.post(color, A, 0).unwrap();
            }
            for _ in 0..4 {
                owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
                // The stolen color comes home before the next theft.
                thief.turn(&mut away_program, &mut away, &mut Greedy).unwrap();
                thief.turn(&mut away_program, &mut away, &mut NoSteal).unwrap();
            }
        }
        clock.fetch_add(PUBLISHED.as_nanos() as u64, Ordering::Relaxed);
        assert!(thief.stats().thefts > 100, "{:?}", thief.stats());
        for _ in 0..4 {
            owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
            thief.turn(&mut away_program, &mut away, &mut Greedy).unwrap();
        }
        seen.extend(owner.stats().stage_penalty_pct.first());
    }
    for _ in 0..100 {
        clock.fetch_add(PUBLISHED.as_nanos() as u64, Ordering::Relaxed);
        thief.turn(&mut away_program, &mut away, &mut NoSteal).unwrap();
    }
    seen.extend(thief.stats().stage_penalty_pct.first());
    seen
}

#[test]
fn penalty_is_the_measured_slow_down_and_is_learned_anew_when_the_load_changes() {
    let seen = penalty_after(&[1, 3, 1]);
    let [same, slower, same_again, _] = seen[..] else { panic!("{seen:?}") };
    assert!((100..=110).contains(&same), "{seen:?}");
    assert!((250..=310).contains(&slower), "{seen:?}");
    assert!((100..=120).contains(&same_again), "{seen:?}");
}

#[test]
fn penalty_falls_back_though_the_first_core_sleeps() {
    let seen = penalty_after(&[3]);
    let [slower, forgotten] = seen[..] else { panic!("{seen:?}") };
    assert!(slower >= 250 && forgotten == 100, "{seen:?}");
}

/// Steals two colors in a search, which takes a while by a clock that is turned by hand.
struct Slow(Arc<AtomicU64>);

impl Stealer for Slow {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        Greedy.plan(thief, view)
    }

    fn again(
        &mut self,
        thief: CoreId,
        view: &impl LoadView,
        _last: &Theft,
        stolen: usize,
    ) -> Option<Theft> {
        self.0.fetch_add(100, Ordering::Relaxed);
        if stolen < 2 { Greedy.plan(thief, view) } else { None }
    }
}

#[test]
fn core_that_never_waits_forgets_too_what_a_theft_cost() {
    const START_NS: u64 = 1_000;
    let clock = Arc::new(AtomicU64::new(0));
    let config = Config {
        clock: Clock::Manual(Arc::clone(&clock)),
        steal_cost: Cost::learned(START_NS),
        ..config()
    };
    let (control, mut owner, mut thief) = machine(config, 40);
    let work = |ns: u64| {
        let clock = Arc::clone(&clock);
        Program::new(move |_: &mut Context<'_, u32, ()>, _: &mut (), _| {
            clock.fetch_add(ns, Ordering::Relaxed);
        })
    };
    let (mut busy, mut idle) = (work(PUBLISHED.as_nanos() as u64), work(0));
    let (mut scheduler, mut away) = (StageBatch::new(&stages()), StageBatch::new(&stages()));
    // The owner hears that thefts cost less than at the start.
    let mut slow = Slow(Arc::clone(&clock));
    for _ in 0..20 {
        owner.turn(&mut work(0), &mut scheduler, &mut Greedy).unwrap();
        thief.turn(&mut idle, &mut away, &mut slow).unwrap();
        clock.fetch_add(10_000, Ordering::Relaxed);
    }
    let mut costs = Vec::new();
    for _ in 0..400 {
        control.post(Color(0), A, 0).unwrap();
        owner.turn(&mut busy, &mut scheduler, &mut Greedy).unwrap();
        costs.push(owner.stats().steal_cost_ns);
    }
    let (first, last) = (costs[1], costs[399]);
    assert!(first < START_NS / 2 && last > START_NS * 9 / 10, "{first}, {last}");
    assert_eq!(owner.stats().parks, 0);
}
