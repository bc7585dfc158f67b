//! Thefts at awkward moments: in the middle of a batch, beside refused work, while a third core sleeps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use std::{io, thread};

use color_sched::{
    Admission, Clock, Color, Config, Context, Control, Core, CoreId, Cost, Driver, EventSink,
    Handler, Load, LoadView, Machine, Scheduler, StageBatch, StageId, StageInfo, Stealer, Theft,
    Turn, Wait, Waker,
};

use crate::program::Program;
use crate::threads::Greedy;

const A: StageId = StageId(0);
const STOLEN: Color = Color(0);

/// A machine whose colors are worthy with two events, but not with one; each event lets thieves see the board.
fn machine(config: Config) -> (Control<u32, ()>, Core<u32, ()>, Core<u32, ()>) {
    let (control, mut cores) = Machine::new(config).unwrap();
    let other = cores.remove(1);
    (control, cores.remove(0), other)
}

fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("long").cost(Cost::fixed(50_000))]
}

#[test]
fn color_stolen_before_the_scheduler_has_it_is_not_pushed_any_more() {
    let steal_cost = Cost::fixed(60_000);
    let config =
        Config { poll_events: 4, poll_ns: u64::MAX, steal_cost, ..Config::new(2, stages()) };
    let (control, mut owner, mut thief) = machine(config);
    for color in [STOLEN, Color(2), Color(4), Color(6), Color(8)] {
        control.open(color, ()).unwrap();
    }
    for (color, event) in [(2, 1), (4, 2), (6, 0), (8, 0)] {
        control.post(Color(color), A, event).unwrap();
    }
    let away = Arc::new(AtomicU64::new(0));
    let ran_away = Arc::clone(&away);
    let mut away_program = Program::new(|_: &mut Context<'_, u32, ()>, _: &mut (), _| {});
    let mut away_scheduler = StageBatch::new(&stages());
    let mut program =
        Program::new(move |cx: &mut Context<'_, u32, ()>, _: &mut (), event| match event {
            1 => (0..2).for_each(|_| cx.post(STOLEN, A, 0).unwrap()),
            2 => {
                thief.turn(&mut away_program, &mut away_scheduler, &mut Greedy).unwrap();
                ran_away.store(thief.stats().events, Ordering::Relaxed);
            }
            _ => {}
        });
    let mut scheduler = StageBatch::new(&stages());
    owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
    assert_eq!(away.load(Ordering::Relaxed), 2, "the color was stolen, and goes home");
    for color in [Color(2), STOLEN, Color(4)] {
        control.post(color, A, 0).unwrap();
    }
    for _ in 0..4 {
        owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
    }
    assert_eq!((owner.stats().events, scheduler.len()), (7, 0));
    let turn = owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
    assert_eq!(turn, Turn::Idle(None));
}

/// Robs like [`Greedy`], and tells the events at the victim that it saw beside the first offer.
struct Witness(mpsc::Sender<u64>);

impl Stealer for Witness {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let theft = Greedy.plan(thief, view)?;
        let Load { events, .. } = view.load(theft.victim);
        // Nobody listens once the test is over.
        let _ = self.0.send(events);
        Some(theft)
    }
}

/// A core that tells of each of its polls, and sleeps until it is called.
struct Sleeper {
    polls: mpsc::Sender<Wait>,
    calls: mpsc::Receiver<()>,
    waker: Waker,
    work: Box<dyn FnMut() + Send>,
}

impl Sleeper {
    /// The core, and what it tells; `on_call` runs at its caller once it has been called.
    fn new(
        on_call: impl Fn() + Send + Sync + 'static,
        work: impl FnMut() + Send + 'static,
    ) -> (Self, mpsc::Receiver<Wait>) {
        let (polls, told) = mpsc::channel();
        let (caller, calls) = mpsc::channel();
        let waker = Waker::new(move || {
            // It may have ended meanwhile.
            let _ = caller.send(());
            on_call();
        });
        (Self { polls, calls, waker, work: Box::new(work) }, told)
    }
}

impl Admission for Sleeper {
    fn admit(&mut self, _stage: StageId, wanted: usize) -> usize {
        wanted
    }
}

impl Handler for Sleeper {
    type Event = u32;
    type State = ();

    fn run(&mut self, cx: &mut Context<'_, u32, ()>, _: &mut (), _: u32) {
        (self.work)();
        cx.close();
    }
}

impl Driver for Sleeper {
    type Event = u32;
    type State = ();

    fn poll(&mut self, _: &mut impl EventSink<u32, ()>, wait: Wait) -> io::Result<usize> {
        // The test need not listen to the end.
        let _ = self.polls.send(wait);
        if wait != Wait::No {
            let _ = self.calls.recv();
        }
        Ok(0)
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

#[test]
fn thief_that_is_woken_finds_the_load_beside_the_offer() {
    let costs = (Cost::fixed(1), Cost::fixed(1));
    let config = Config { steal_cost: costs.0, wake_cost: costs.1, ..Config::new(2, stages()) };
    let (control, mut owner, thief) = machine(config);
    let (witness, seen) = mpsc::channel();
    let (seen, loads) = (Mutex::new(seen), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&loads);
    let look = move || {
        let load = seen.lock().unwrap().recv_timeout(Duration::from_secs(1));
        noted.lock().unwrap().extend(load);
    };
    let (mut sleeper, polls) = Sleeper::new(look, || {});
    let mut program = Program::new(|cx: &mut Context<'_, u32, ()>, _: &mut (), _| cx.close());
    let mut scheduler = StageBatch::new(&stages());
    thread::scope(|scope| {
        scope.spawn(|| thief.run(&mut sleeper, StageBatch::new(&stages()), &mut Witness(witness)));
        assert_eq!(polls.recv(), Ok(Wait::Forever));
        for color in (0..4).map(|n| Color(2 * n)) {
            control.open(color, ()).unwrap();
            control.post(color, A, 0).unwrap();
        }
        owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
        control.stop();
        while owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap() != Turn::Over {}
    });
    assert_eq!(loads.lock().unwrap().first(), Some(&4));
}

#[test]
fn core_that_runs_what_it_stole_is_not_counted_on_to_find_more() {
    const LONG: Duration = Duration::from_secs(5);
    let config = Config {
        steal_cost: Cost::fixed(1),
        wake_cost: Cost::fixed(1),
        clock: Clock::Manual(Arc::default()),
        ..Config::new(3, stages())
    };
    let (control, mut cores) = Machine::new(config).unwrap();
    let (third, thief, mut owner) = (cores.remove(2), cores.remove(1), cores.remove(0));
    let (began, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (mut thief_program, thief_polls) = Sleeper::new(
        || {},
        move || {
            // Ends when the owner's side does, whatever that has found.
            let _ = began.send(());
            let _ = released.recv_timeout(LONG);
        },
    );
    let calls = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&calls);
    let call = move || {
        count.fetch_add(1, Ordering::Relaxed);
    };
    let (mut third_program, third_polls) = Sleeper::new(call, || {});
    let mut seen = Vec::new();
    let (tell, told) = mpsc::channel();
    let (first_release, release) = (release.clone(), release);
    let mut scheduler = StageBatch::new(&stages());
    let calls_while_it_ran = thread::scope(|scope| {
        scope.spawn(|| thief.run(&mut thief_program, StageBatch::new(&stages()), &mut Greedy));
        scope.spawn(|| third.run(&mut third_program, StageBatch::new(&stages()), &mut Greedy));
        assert_eq!(thief_polls.recv(), Ok(Wait::Forever));
        assert_eq!(third_polls.recv(), Ok(Wait::Forever));
        control.open(Color(1), ()).unwrap();
        first_release.send(()).unwrap();
        control.post(Color(1), A, 0).unwrap();
        // What brought the thief out of its first sleep was not stolen; since then it searches.
        has_begun.recv().unwrap();
        while thief_polls.try_recv().is_ok() {}
        assert_eq!(thief_polls.recv(), Ok(Wait::No));
        let mut program = Program::new(move |cx: &mut Context<'_, u32, ()>, _: &mut (), _| {
            match seen.len() {
                0 => has_begun.recv_timeout(LONG).unwrap(),
                1 => tell.send(calls.load(Ordering::Relaxed)).unwrap(),
                _ => drop(release.send(())),
            }
            seen.push(cx.color());
            cx.close();
        });
        for color in (0..20).map(|n| Color(3 * n)) {
            control.open(color, ()).unwrap();
            control.post(color, A, 0).unwrap();
        }
        owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
        control.stop();
        while owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap() != Turn::Over {}
        told.try_recv()
    });
    assert_eq!(calls_while_it_ran, Ok(1));
}

#[test]
fn core_whose_work_is_all_refused_does_not_steal_more() {
    let stages = || vec![StageInfo::new("long").cost(Cost::fixed(50_000)).allocates()];
    let config = Config { steal_cost: Cost::fixed(1), ..Config::new(2, stages()) };
    let (control, mut owner, mut thief) = machine(config);
    for color in (0..8).map(|n| Color(2 * n)) {
        control.open(color, ()).unwrap();
        control.post(color, A, 0).unwrap();
    }
    let refusing = || {
        let mut program = Program::new(|_: &mut Context<'_, u32, ()>, _: &mut (), _| {});
        program.grants = Box::new(|_, _| 0);
        program
    };
    let (mut program, mut away_program) = (refusing(), refusing());
    let (mut scheduler, mut away_scheduler) =
        (StageBatch::new(&stages()), StageBatch::new(&stages()));
    owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
    for _ in 0..5 {
        thief.turn(&mut away_program, &mut away_scheduler, &mut Greedy).unwrap();
    }
    let stats = thief.stats();
    assert_eq!((stats.thefts, stats.refused_stolen), (1, 1));
    away_program.grants = Box::new(|_, wanted| wanted);
    thief.turn(&mut away_program, &mut away_scheduler, &mut Greedy).unwrap();
    assert_eq!((thief.stats().events, thief.stats().refused_stolen), (1, 0));
}
