//! What should not happen, and what happens then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use color_sched::{
    Admission, Clock, Color, Config, ConfigError, Context, Control, Core, CoreId, Fifo, LoadView,
    MAX_STAGES, Machine, NoSteal, Priority, Ready, Scheduler, Slot, StageBatch, StageId, StageInfo,
    Stealer, Theft, Turn,
};

use crate::program::Program;

pub(crate) const WORK: StageId = StageId(0);

pub(crate) fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("work").allocates()]
}

pub(crate) fn machine(cores: usize) -> (Control<u64, u64>, Vec<Core<u64, u64>>) {
    Machine::new(Config::new(cores, stages())).unwrap()
}

fn turns(core: &mut Core<u64, u64>, program: &mut Program<u64, u64>, turns: usize) -> Turn {
    let mut scheduler = StageBatch::new(&stages());
    (0..turns)
        .map(|_| core.turn(program, &mut scheduler, &mut NoSteal).unwrap())
        .last()
        .expect("a turn")
}

#[test]
fn machine_that_could_not_run_is_refused_with_the_reason() {
    let make = |config| Machine::new::<(), ()>(config).map(|_| ());
    assert_eq!(make(Config::new(0, stages())), Err(ConfigError::Cores(0)));
    assert_eq!(make(Config::new(1, vec![])), Err(ConfigError::Stages(0)));
    let many = vec![StageInfo::new("x"); MAX_STAGES + 1];
    assert_eq!(make(Config::new(1, many)), Err(ConfigError::Stages(MAX_STAGES + 1)));
    let config = Config { poll_events: 0, ..Config::new(1, stages()) };
    assert!(make(config).unwrap_err().to_string().contains("at least 1"));
}

#[test]
fn events_that_cannot_be_accepted_come_back() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let mut program = Program::new(move |cx: &mut Context<'_, u64, u64>, _: &mut u64, _| {
        let mut log = log.lock().unwrap();
        log.push(cx.post(Color(5), WORK, 1));
        log.push(cx.post(Color(1), StageId(9), 2));
        log.push(cx.next(StageId(1), 3));
        log.push(cx.open(Color(1), 4));
        log.push(cx.open(Color(2), 5));
        log.push(cx.open(Color(2), 6));
    });
    let (control, mut cores) = machine(1);
    control.open(Color(1), 0).unwrap();
    control.post(Color(1), WORK, 0).unwrap();
    assert_eq!(control.post(Color(1), StageId(1), 7), Err(7), "no such stage");
    turns(&mut cores[0], &mut program, 3);
    let expected = [Err(1), Err(2), Err(3), Err(4), Ok(()), Err(6)];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn handler_that_posts_to_itself_without_end_is_stopped_by_the_queue_limit() {
    let posted = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&posted);
    let mut program = Program::new(move |cx: &mut Context<'_, u64, u64>, _: &mut u64, n| {
        while cx.next(WORK, n + 1).is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let config = Config { queue_limit: 100, ..Config::new(1, stages()) };
    let (control, mut cores) = Machine::new(config).unwrap();
    control.open(Color(0), 0).unwrap();
    control.post(Color(0), WORK, 0).unwrap();
    turns(&mut cores[0], &mut program, 1);
    assert!((100..=100 + 127).contains(&posted.load(Ordering::Relaxed)));
}

#[test]
fn color_that_keeps_itself_busy_starves_neither_the_driver_nor_another_color() {
    for scheduler in 0..3 {
        let ran = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&ran);
        let mut program = Program::new(move |cx: &mut Context<'_, u64, u64>, _: &mut u64, n| {
            if cx.color() == Color(0) {
                cx.next(WORK, n).unwrap();
            } else {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        // A clock that stands still, so that a turn ends after its number of events, not of microseconds.
        let clock = Clock::Manual(Arc::default());
        let config = Config { clock, ..Config::new(1, stages()) };
        let (control, mut cores) = Machine::new(config).unwrap();
        control.open(Color(0), 0).unwrap();
        control.open(Color(1), 0).unwrap();
        control.post(Color(0), WORK, 0).unwrap();
        let mut scheduler: Box<dyn Scheduler> = match scheduler {
            0 => Box::new(Fifo::new(&stages())),
            1 => Box::new(StageBatch::new(&stages())),
            _ => Box::new(color_sched::ColorQueues::new(&stages())),
        };
        cores[0].turn(&mut program, &mut scheduler, &mut NoSteal).unwrap();
        for turn in 0..10 {
            program.arrivals.push_back((Color(1), WORK, turn));
            cores[0].turn(&mut program, &mut scheduler, &mut NoSteal).unwrap();
            assert_eq!(program.waits.len() as u64, turn + 2, "the driver is polled each turn");
            assert_eq!(ran.load(Ordering::Relaxed), turn + 1, "the other color runs each turn");
        }
    }
}

#[test]
fn admission_that_always_refuses_costs_no_spinning_and_loses_nothing() {
    let clock = Arc::new(AtomicU64::new(0));
    let ran = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&ran);
    let mut program = Program::new(move |_: &mut Context<'_, u64, u64>, _: &mut u64, _| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    program.grants = Box::new(|_, _| 0);
    let config = Config { clock: Clock::Manual(Arc::clone(&clock)), ..Config::new(1, stages()) };
    let (control, mut cores) = Machine::new(config).unwrap();
    control.open(Color(0), 0).unwrap();
    control.post(Color(0), WORK, 0).unwrap();
    let mut scheduler = StageBatch::new(&stages());
    let mut longest = 0;
    for _ in 0..10 {
        let turn = cores[0].turn(&mut program, &mut scheduler, &mut NoSteal).unwrap();
        let Turn::Idle(Some(until)) = turn else { panic!("it waits for permits, not {turn:?}") };
        longest = longest.max(until - clock.load(Ordering::Relaxed));
        clock.store(until, Ordering::Relaxed);
    }
    assert!((1_000_000..100_000_000).contains(&longest), "it asks again after {longest} ns");
    assert_eq!(cores[0].stats().refusals, 10);
    program.grants = Box::new(|_, wanted| wanted);
    cores[0].turn(&mut program, &mut scheduler, &mut NoSteal).unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

#[test]
fn panic_closes_its_color_and_nothing_else() {
    let mut program = Program::new(|cx: &mut Context<'_, u64, u64>, _: &mut u64, n| {
        if n == 13 {
            cx.arm(cx.now() + 1_000_000_000, WORK, 14);
            cx.next(WORK, 15).unwrap();
            panic!("the handler of color {} panics, as it should in this test", cx.color().0);
        }
    });
    let (control, mut cores) = machine(1);
    for color in [1, 2] {
        control.open(Color(color), 100 + color).unwrap();
        control.post(Color(color), WORK, 11 + color).unwrap();
        control.post(Color(color), WORK, 20).unwrap();
    }
    turns(&mut cores[0], &mut program, 3);
    let stats = cores[0].stats();
    assert_eq!((stats.panics, stats.events, stats.colors), (1, 3, 1));
    assert_eq!(program.batch_ends.len() as u64, stats.batches);
    program.abandoned.sort_unstable();
    let lost = [14, 15, 20].map(|event| (Color(2), WORK, event));
    assert_eq!(program.abandoned, lost);
    assert_eq!(program.closed, [(Color(2), 102)]);
}

/// Plans what makes no sense, or has gone.
struct Mad(u64);

impl Stealer for Mad {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        self.0 += 1;
        assert_eq!(view.load(CoreId(9)).events, 0, "there is no core 9");
        assert_eq!(view.offered(CoreId(9), 0), None);
        assert_eq!(view.offered(thief, 1 << 40), None);
        let color = Color(self.0);
        Some(match self.0 % 4 {
            0 => Theft { victim: thief, slot: 0, color },
            1 => Theft { victim: CoreId(999), slot: 0, color },
            2 => Theft { victim: CoreId(0), slot: usize::MAX, color },
            _ => Theft { victim: CoreId(0), slot: 3, color },
        })
    }
}

#[test]
fn nonsensical_theft_is_ignored_and_counted() {
    let (_control, mut cores) = machine(2);
    let mut program = Program::new(|_: &mut Context<'_, u64, u64>, _: &mut u64, _| {});
    let mut scheduler = Fifo::new(&stages());
    let mut mad = Mad(0);
    for _ in 0..8 {
        cores[1].turn(&mut program, &mut scheduler, &mut mad).unwrap();
    }
    let stats = cores[1].stats();
    assert_eq!((stats.nonsense, stats.misses, stats.thefts), (6, 2, 0));
}

/// Elects a color twice, another color in its slot, and a slot that does not exist.
struct Confused(Vec<Ready>);

impl Scheduler for Confused {
    fn push(&mut self, ready: Ready) {
        self.0.push(ready);
    }

    fn elect(
        &mut self,
        _admission: &mut dyn Admission,
        _limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        let ready = self.0.pop()?;
        let elsewhere = Ready { slot: Slot(u32::MAX), ..ready };
        let other = Ready { color: Color(12345), ..ready };
        batch.extend([elsewhere, other, ready, ready]);
        Some(StageId(77))
    }

    fn take_color(&mut self, _color: Color, _slot: Slot) -> Option<Ready> {
        None
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

#[test]
fn scheduler_that_elects_nonsense_runs_every_event_once() {
    let ran = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&ran);
    let mut program = Program::new(move |_: &mut Context<'_, u64, u64>, _: &mut u64, n| {
        log.lock().unwrap().push(n);
    });
    let (control, mut cores) = machine(1);
    control.open(Color(0), 0).unwrap();
    for n in 0..3 {
        control.post(Color(0), WORK, n).unwrap();
    }
    let mut scheduler = Confused(Vec::new());
    for _ in 0..5 {
        cores[0].turn(&mut program, &mut scheduler, &mut NoSteal).unwrap();
    }
    assert_eq!(*ran.lock().unwrap(), [0, 1, 2]);
}

/// Elects what has gone, as many times as it says, and counts how often permits came back.
struct Late {
    left: u64,
    returns: u64,
}

impl Scheduler for Late {
    fn push(&mut self, _ready: Ready) {}

    fn elect(
        &mut self,
        _admission: &mut dyn Admission,
        _limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        self.left = self.left.checked_sub(1)?;
        batch.push(Ready {
            color: Color(1),
            stage: WORK,
            slot: Slot(0),
            priority: Priority::Normal,
        });
        Some(WORK)
    }

    fn take_color(&mut self, _color: Color, _slot: Slot) -> Option<Ready> {
        None
    }

    fn len(&self) -> usize {
        self.left as usize
    }

    fn permits_returned(&mut self) {
        self.returns += 1;
    }
}

#[test]
fn permits_come_back_after_a_batch_of_which_nothing_was_left_to_run() {
    let config = Config { poll_ns: u64::MAX, ..Config::new(1, stages()) };
    let (_control, mut cores) = Machine::new(config).unwrap();
    let mut program = Program::new(|_: &mut Context<'_, u64, u64>, _: &mut u64, _| {});
    let mut late = Late { left: 3, returns: 0 };
    cores[0].turn(&mut program, &mut late, &mut NoSteal).unwrap();
    assert_eq!((program.batch_ends.len(), late.returns), (3, 4), "once a poll, once a batch");
}

#[test]
fn clock_that_stands_still_stops_nothing() {
    let clock = Clock::Manual(Arc::new(AtomicU64::new(7)));
    let (control, mut cores) = Machine::new(Config { clock, ..Config::new(1, stages()) }).unwrap();
    let mut program =
        Program::new(
            |cx: &mut Context<'_, u64, u64>, _: &mut u64, n| {
                if n < 1_000 { cx.next(WORK, n + 1).unwrap() } else { cx.close() }
            },
        );
    control.open(Color(0), 0).unwrap();
    control.post(Color(0), WORK, 0).unwrap();
    turns(&mut cores[0], &mut program, 20);
    assert_eq!(program.closed.len(), 1);
}

#[test]
fn clock_that_jumps_ahead_or_back_loses_no_timer_and_teaches_no_nonsense() {
    let nanos = Arc::new(AtomicU64::new(1 << 50));
    let clock = Clock::Manual(Arc::clone(&nanos));
    let (control, mut cores) = Machine::new(Config { clock, ..Config::new(1, stages()) }).unwrap();
    let turned = Arc::clone(&nanos);
    let mut program = Program::new(move |cx: &mut Context<'_, u64, u64>, fired: &mut u64, n| {
        match n {
            0 => {
                for step in 1..=20 {
                    cx.arm(cx.now() + (step << 30), WORK, step);
                }
            }
            n => {
                *fired += 1;
                // A year ahead, and then years back.
                let now = if n == 1 { 1 << 55 } else { 1 };
                turned.store(now, std::sync::atomic::Ordering::Relaxed);
            }
        }
        if *fired == 20 {
            cx.close();
        }
    });
    control.open(Color(0), 0).unwrap();
    control.post(Color(0), WORK, 0).unwrap();
    let mut scheduler = Fifo::new(&stages());
    for turn in 0..1_000 {
        nanos.fetch_add(1 << 28, std::sync::atomic::Ordering::Relaxed);
        cores[0].turn(&mut program, &mut scheduler, &mut NoSteal).unwrap();
        if !program.closed.is_empty() {
            break;
        }
        assert!(turn < 999, "timers are lost");
    }
    assert_eq!(program.closed, [(Color(0), 20)]);
    assert!(program.abandoned.is_empty());
    let stats = cores[0].stats();
    assert_eq!(stats.timers, 20);
    assert!(stats.running.max() < 1 << 56);
}

#[test]
fn colors_that_open_and_close_over_and_over_use_what_the_last_ones_left() {
    let config = Config { transient_colors: true, ..Config::new(1, stages()) };
    let (control, mut cores) = Machine::new(config).unwrap();
    let slots = Arc::new(std::sync::Mutex::new(HighestSlot::default()));
    let mut scheduler = Noting { inner: Fifo::new(&stages()), slots: Arc::clone(&slots) };
    let mut program = Program::new(|_: &mut Context<'_, u64, u64>, _: &mut u64, _| {});
    program.states = Some(Box::new(|_| Some(0)));
    for round in 0..100 {
        for n in 0..10 {
            control.post(Color(round * 10 + n), WORK, 0).unwrap();
        }
        while let Turn::Busy = cores[0].turn(&mut program, &mut scheduler, &mut NoSteal).unwrap() {}
    }
    assert_eq!(cores[0].stats().events, 1_000);
    assert!(slots.lock().unwrap().0 < 20, "a slot for each color that ever was");
}

/// The highest slot that a scheduler was told of.
#[derive(Default)]
struct HighestSlot(u32);

/// Notes the slots of a scheduler's colors.
struct Noting {
    inner: Fifo,
    slots: Arc<std::sync::Mutex<HighestSlot>>,
}

impl Scheduler for Noting {
    fn push(&mut self, ready: Ready) {
        let mut highest = self.slots.lock().unwrap();
        highest.0 = highest.0.max(ready.slot.0);
        self.inner.push(ready);
    }

    fn elect(
        &mut self,
        admission: &mut dyn Admission,
        limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        self.inner.elect(admission, limit, batch)
    }

    fn take_color(&mut self, color: Color, slot: Slot) -> Option<Ready> {
        self.inner.take_color(color, slot)
    }

    fn len(&self) -> usize {
        self.inner.len()
    }
}

#[test]
fn lone_color_of_a_stage_that_allocates_is_admitted_event_by_event() {
    let stages = vec![StageInfo::new("work").allocates()];
    let (control, mut cores) = Machine::new(Config::new(1, stages.clone())).unwrap();
    let granted = Arc::new(AtomicU64::new(0));
    let grants = Arc::clone(&granted);
    let mut program = Program::new(|cx: &mut Context<'_, u64, u64>, ran: &mut u64, n| {
        *ran += 1;
        if n < 50 { cx.next(WORK, n + 1).unwrap() } else { cx.close() }
    });
    program.grants = Box::new(move |_, wanted| {
        grants.fetch_add(wanted as u64, Ordering::Relaxed);
        wanted
    });
    control.open(Color(0), 0).unwrap();
    control.post(Color(0), WORK, 0).unwrap();
    let mut scheduler = StageBatch::new(&stages);
    while program.closed.is_empty() {
        cores[0].turn(&mut program, &mut scheduler, &mut NoSteal).unwrap();
    }
    assert_eq!(program.closed, [(Color(0), 51)]);
    assert_eq!(granted.load(Ordering::Relaxed), 51);
}

#[test]
fn color_with_many_timers_arms_and_cancels_each_at_no_more_than_a_few() {
    const TIMERS: u64 = 20_000;
    let (control, mut cores) = machine(1);
    let mut program = Program::new(|cx: &mut Context<'_, u64, u64>, _: &mut u64, _| {
        let start = std::time::Instant::now();
        let at = cx.now() + 3_600_000_000_000;
        let timers: Vec<_> = (0..TIMERS).map(|n| cx.arm(at + n, WORK, n)).collect();
        for (n, timer) in timers.into_iter().enumerate() {
            assert_eq!(cx.cancel(timer), Some(n as u64));
        }
        // Looking through all of them for each would take minutes.
        assert!(start.elapsed() < std::time::Duration::from_secs(5));
        cx.close();
    });
    control.open(Color(0), 0).unwrap();
    control.post(Color(0), WORK, 0).unwrap();
    turns(&mut cores[0], &mut program, 1);
    assert_eq!((program.closed.len(), program.abandoned.len()), (1, 0));
}
