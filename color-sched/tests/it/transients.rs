//! Colors that open with their first event: when do they close, and who hears of it?

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use color_sched::{
    AfterPanic, Clock, Color, Config, Context, Core, CoreId, Cost, Fifo, Handler, Machine, NoSteal,
    StageBatch, StageId, StageInfo, Turn,
};

use crate::program::Program;
use crate::threads::Greedy;

const WORK: StageId = StageId(0);

fn config(cores: usize) -> Config {
    Config { transient_colors: true, ..Config::new(cores, vec![StageInfo::new("work")]) }
}

fn program(
    run: impl FnMut(&mut Context<'_, u64, u64>, &mut u64, u64) + Send + 'static,
) -> Program<u64, u64> {
    let mut program = Program::new(run);
    program.states = Some(Box::new(|color| (color != Color(13)).then_some(color.0 * 100)));
    program
}

fn drain(core: &mut Core<u64, u64>, program: &mut Program<u64, u64>) {
    let mut fifo = Fifo::new(&[]);
    while core.turn(program, &mut fifo, &mut NoSteal).unwrap() == Turn::Busy {}
}

#[test]
fn color_opens_with_its_first_event_and_closes_after_its_last() {
    let (control, mut cores) = Machine::new(config(1)).unwrap();
    let mut program = program(|_, state, event| *state += event);
    for round in 1..=3 {
        for event in [1, 2] {
            control.post(Color(7), WORK, event).unwrap();
        }
        drain(&mut cores[0], &mut program);
        assert_eq!(program.closed, vec![(Color(7), 703); round], "a new state for each time");
        assert_eq!(cores[0].stats().colors, 0);
    }
}

#[test]
fn color_that_posts_to_itself_or_has_a_timer_or_a_pin_stays_open() {
    let (control, mut cores) = Machine::new(config(1)).unwrap();
    let mut program = program(|cx, state, event| {
        *state += 1;
        match event {
            0 => cx.next(WORK, 1).unwrap(),
            1 => cx.pin(),
            2 => {
                cx.unpin();
                cx.arm(cx.now() + 1, WORK, 3);
            }
            _ => {}
        }
    });
    control.post(Color(1), WORK, 0).unwrap();
    drain(&mut cores[0], &mut program);
    assert!(program.closed.is_empty(), "it is pinned");
    control.post(Color(1), WORK, 2).unwrap();
    drain(&mut cores[0], &mut program);
    assert!(program.closed.is_empty(), "it has a timer");
    while program.closed.is_empty() {
        drain(&mut cores[0], &mut program);
    }
    assert_eq!(program.closed, [(Color(1), 104)]);
}

#[test]
fn event_of_a_color_that_is_not_to_be_open_is_given_back() {
    let (control, mut cores) = Machine::new(config(1)).unwrap();
    let mut program = program(|_, _, _| {});
    control.post(Color(13), WORK, 5).unwrap();
    drain(&mut cores[0], &mut program);
    assert_eq!(program.abandoned, [(Color(13), WORK, 5)]);
    assert!(program.closed.is_empty());
    assert_eq!(cores[0].stats().colors, 0);
}

#[test]
fn color_that_was_opened_by_hand_stays_open_until_it_is_closed() {
    let (control, mut cores) = Machine::new(config(1)).unwrap();
    let mut program = program(|cx, _, event| {
        if event == 2 {
            cx.close();
        }
    });
    control.open(Color::default(), 1).unwrap();
    for (event, closed) in [(1, 0), (2, 1)] {
        control.post(Color::DEFAULT, WORK, event).unwrap();
        drain(&mut cores[0], &mut program);
        assert_eq!(program.closed.len(), closed);
    }
}

#[test]
fn stolen_transient_colors_run_every_event_once_and_close_once_for_each_state() {
    const COLORS: u64 = 2_000;
    let config = Config { steal_cost: Cost::fixed(1), ..config(2) };
    let (control, cores) = Machine::new(config).unwrap();
    let sums = Arc::new(Mutex::new(HashMap::<u64, u64>::new()));
    for event in 1..=3 {
        for color in 0..COLORS {
            control.post(Color(2 * color), WORK, event).unwrap();
        }
    }
    control.stop();
    let ended: Vec<_> = thread::scope(|scope| {
        let run = |core: Core<u64, u64>| {
            let sums = Arc::clone(&sums);
            scope.spawn(move || {
                let mut program = program(move |cx, _, event| {
                    *sums.lock().unwrap().entry(cx.color().0).or_default() += event;
                });
                program.states = Some(Box::new(|_| Some(0)));
                let stages = [StageInfo::new("work")];
                core.run(&mut program, StageBatch::new(&stages), &mut Greedy).unwrap();
                program
            })
        };
        let threads: Vec<_> = cores.into_iter().map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sums = sums.lock().unwrap();
    assert_eq!(sums.len() as u64, COLORS);
    assert!(sums.values().all(|sum| *sum == 6), "an event was lost or ran twice");
    let closed: usize = ended.iter().map(|program| program.closed.len()).sum();
    assert!(closed as u64 >= COLORS, "{closed} closed");
    assert!(ended.iter().all(|program| program.abandoned.is_empty()));
}

#[test]
fn stolen_color_that_armed_a_timer_closes_when_the_timer_has_fired() {
    let clock = Arc::new(AtomicU64::new(1));
    let config = Config {
        steal_cost: Cost::fixed(1),
        clock: Clock::Manual(Arc::clone(&clock)),
        ..config(2)
    };
    let (control, mut cores) = Machine::new(config).unwrap();
    let mut programs = [0, 1].map(|_| {
        program(|cx, _, event| {
            if event == 0 && cx.core() == CoreId(1) {
                cx.arm(cx.now() + 5_000_000, WORK, 1);
            }
        })
    });
    let mut fifos = [0, 1].map(|_| Fifo::new(&[]));
    (0..200).for_each(|n| control.post(Color(4 * n), WORK, 0).unwrap());
    for turn in 0..2_000 {
        clock.fetch_add(if turn < 300 { 1 } else { 10_000_000 }, Ordering::Relaxed);
        for core in [0, 1, 1, 1] {
            cores[core].turn(&mut programs[core], &mut fifos[core], &mut Greedy).unwrap();
        }
    }
    assert!(cores[1].stats().timers > 0, "nothing was stolen");
    assert_eq!(cores[0].stats().colors, 0);
}

/// Panics on demand, and says what is to become of the color.
struct Fragile {
    inner: Program<u64, u64>,
    after: AfterPanic,
    told: Vec<(Color, StageId, String)>,
}

impl color_sched::Admission for Fragile {
    fn admit(&mut self, stage: StageId, wanted: usize) -> usize {
        self.inner.admit(stage, wanted)
    }
}

impl color_sched::Driver for Fragile {
    type Event = u64;
    type State = u64;

    fn poll(
        &mut self,
        sink: &mut impl color_sched::EventSink<u64, u64>,
        _: color_sched::Wait,
    ) -> std::io::Result<usize> {
        self.inner.poll(sink, color_sched::Wait::No)
    }

    fn waker(&self) -> color_sched::Waker {
        self.inner.waker()
    }
}

impl Handler for Fragile {
    type Event = u64;
    type State = u64;

    fn run(&mut self, cx: &mut Context<'_, u64, u64>, state: &mut u64, event: u64) {
        self.inner.run(cx, state, event);
    }

    fn batch_end(&mut self, stage: StageId) {
        self.inner.batch_end(stage);
    }

    fn panicked(
        &mut self,
        color: Color,
        stage: StageId,
        payload: Box<dyn std::any::Any + Send>,
    ) -> AfterPanic {
        let text = payload.downcast_ref::<&str>().map_or("?", |text| text);
        self.told.push((color, stage, text.to_string()));
        self.after
    }

    fn abandoned(&mut self, color: Color, stage: StageId, event: u64) {
        self.inner.abandoned(color, stage, event);
    }

    fn closed(&mut self, color: Color, state: u64) {
        self.inner.closed(color, state);
    }
}

#[test]
fn after_a_panic_the_color_goes_on_or_closes_as_the_program_says() {
    for after in [AfterPanic::GoOn, AfterPanic::Close] {
        let (control, mut cores) =
            Machine::new(Config::new(1, vec![StageInfo::new("work")])).unwrap();
        let inner = Program::new(|cx: &mut Context<'_, u64, u64>, sum: &mut u64, event| {
            *sum += event;
            if event == 2 {
                cx.arm(cx.now(), WORK, 8);
                panic!("two");
            }
        });
        let mut program = Fragile { inner, after, told: Vec::new() };
        control.open(Color(5), 0).unwrap();
        for event in [1, 2, 4] {
            control.post(Color(5), WORK, event).unwrap();
        }
        let mut fifo = Fifo::new(&[]);
        while cores[0].stats().timers + cores[0].stats().abandoned == 0 {
            cores[0].turn(&mut program, &mut fifo, &mut NoSteal).unwrap();
        }
        control.stop();
        program.inner.stopping = None;
        assert_eq!(program.told, [(Color(5), WORK, "two".to_string())]);
        assert_eq!(cores[0].stats().panics, 1);
        assert_eq!(program.inner.batch_ends.len() as u64, cores[0].stats().batches);
        if after == AfterPanic::Close {
            assert_eq!(program.inner.closed, [(Color(5), 3)]);
            assert_eq!(program.inner.abandoned, [(Color(5), WORK, 4), (Color(5), WORK, 8)]);
        } else {
            assert_eq!(cores[0].stats().events, 4, "the timer's event has run too");
            assert!(program.inner.closed.is_empty() && program.inner.abandoned.is_empty());
        }
    }
}
