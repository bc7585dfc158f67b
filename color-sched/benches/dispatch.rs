//! What does an event cost, from its post to the end of its handler? A: a queue of boxed closures. B: colors and stages:
//! a color that is alone, 64 and 50 000 that pass events round, and colors that open with their event and close after it.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use color_sched::{
    Admission, Color, ColorQueues, Config, Context, Control, Core, Driver, Fifo, Handler, Machine,
    NoSteal, Scheduler, StageBatch, StageId, StageInfo,
};
use criterion::{Criterion, criterion_group, criterion_main};

const STAGE: StageId = StageId(0);

/// Posts one event for each that it runs: to its own color, or to the color that the event names.
struct Relay;

impl Admission for Relay {}

impl Handler for Relay {
    type Event = u64;
    type State = u64;

    fn new_state(&mut self, color: Color) -> Option<u64> {
        Some(color.0 + 64)
    }

    #[inline]
    fn run(&mut self, cx: &mut Context<'_, u64, u64>, next: &mut u64, event: u64) {
        let posted = if *next == cx.color().0 {
            cx.next(STAGE, event)
        } else {
            cx.post(Color(*next), STAGE, event)
        };
        assert!(posted.is_ok());
    }
}

impl Driver for Relay {
    type Event = u64;
    type State = u64;
}

fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("relay")]
}

/// A core whose `colors` colors pass `events` events round, in an order without pattern.
fn core(colors: u64, events: u64) -> (Control<u64, u64>, Core<u64, u64>) {
    let (control, mut cores) = Machine::new(Config::new(1, stages())).expect("a valid machine");
    let mut order: Vec<u64> = (0..colors).collect();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for i in (1..order.len()).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        order.swap(i, (random % (i as u64 + 1)) as usize);
    }
    for (i, color) in order.iter().enumerate() {
        let next = order[(i + 1) % order.len()];
        control.open(Color(*color), next).expect("not stopped");
    }
    for color in order.iter().step_by((colors / events) as usize) {
        control.post(Color(*color), STAGE, 0).expect("running");
    }
    (control, cores.remove(0))
}

/// The time of `events` events.
fn relay(core: &mut Core<u64, u64>, scheduler: &mut impl Scheduler, events: u64) -> Duration {
    let target = core.stats().events + events;
    let start = Instant::now();
    while core.stats().events < target {
        core.turn(&mut Relay, scheduler, &mut NoSteal).expect("a driver that cannot fail");
    }
    start.elapsed()
}

type Closure = Box<dyn FnOnce(&mut u64)>;

fn boxed_closures(criterion: &mut Criterion) {
    criterion.bench_function("dispatch/boxed_closures", |bencher| {
        let mut queue: VecDeque<Closure> = VecDeque::new();
        let mut state = 0;
        bencher.iter(|| {
            let n = black_box(3);
            queue.push_back(Box::new(move |state| *state += n));
            if let Some(run) = queue.pop_front() {
                run(&mut state);
            }
        });
    });
}

fn colors(criterion: &mut Criterion) {
    for (name, colors, events) in
        [("lone_color", 1, 1), ("64_colors", 64, 64), ("50000_colors", 50_000, 1_000)]
    {
        let (_control, mut machine) = core(colors, events);
        let mut scheduler = StageBatch::new(&stages());
        relay(&mut machine, &mut scheduler, 2 * colors);
        criterion.bench_function(&format!("dispatch/stage/{name}"), |bencher| {
            bencher.iter_custom(|n| relay(&mut machine, &mut scheduler, n));
        });
    }
    let config = Config { transient_colors: true, ..Config::new(1, stages()) };
    let (control, mut cores) = Machine::new::<u64, u64>(config).expect("a valid machine");
    for color in 0..64 {
        control.post(Color(color), STAGE, 0).expect("running");
    }
    let mut scheduler = StageBatch::new(&stages());
    criterion.bench_function("dispatch/stage/new_color", |bencher| {
        bencher.iter_custom(|n| relay(&mut cores[0], &mut scheduler, n));
    });
    let (_control, mut machine) = core(1, 1);
    let mut scheduler = Fifo::new(&stages());
    criterion.bench_function("dispatch/fifo/known_color", |bencher| {
        bencher.iter_custom(|n| relay(&mut machine, &mut scheduler, n));
    });
    let (_control, mut machine) = core(1, 1);
    let mut scheduler = ColorQueues::new(&stages());
    criterion.bench_function("dispatch/color/known_color", |bencher| {
        bencher.iter_custom(|n| relay(&mut machine, &mut scheduler, n));
    });
}

criterion_group!(benches, boxed_closures, colors);
criterion_main!(benches);
