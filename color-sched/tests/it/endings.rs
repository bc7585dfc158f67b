//! How a machine ends, as told or because a core fails: nothing is lost.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use color_sched::{
    Admission, Color, Config, Context, CoreId, Cost, Driver, EventSink, Fifo, Handler, Machine,
    NoSteal, StageId, StageInfo, Turn, Wait, Waker,
};

use crate::bad_input::{WORK, machine, stages};
use crate::program::Program;
use crate::threads::Greedy;

/// A driver that fails.
struct Broken;

impl Admission for Broken {
    fn admit(&mut self, _stage: StageId, wanted: usize) -> usize {
        wanted
    }
}

impl Handler for Broken {
    type Event = u64;
    type State = u64;

    fn run(&mut self, _cx: &mut Context<'_, u64, u64>, _state: &mut u64, _event: u64) {}
}

impl Driver for Broken {
    type Event = u64;
    type State = u64;

    fn poll(&mut self, _: &mut impl EventSink<u64, u64>, _: Wait) -> io::Result<usize> {
        Err(io::Error::other("broken"))
    }

    fn waker(&self) -> Waker {
        Waker::new(|| {})
    }
}

#[test]
fn driver_that_fails_ends_the_machine_and_gives_everything_back() {
    let (control, mut cores) = machine(2);
    let second = cores.pop().unwrap();
    let mut survivor = cores.pop().unwrap();
    let mut program = Program::new(|_: &mut Context<'_, u64, u64>, _: &mut u64, _| {});
    let mut scheduler = Fifo::new(&stages());
    control.open(Color(0), 40).unwrap();
    control.post(Color(0), StageId(0), 41).unwrap();
    let error = second.run(&mut Broken, Fifo::new(&stages()), &mut NoSteal).unwrap_err();
    assert_eq!(error.to_string(), "broken");
    let error = survivor.turn(&mut program, &mut scheduler, &mut NoSteal).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    assert_eq!(program.abandoned, [(Color(0), WORK, 41)]);
    assert_eq!(survivor.turn(&mut program, &mut scheduler, &mut NoSteal).unwrap(), Turn::Over);
}

#[test]
fn nothing_is_accepted_from_outside_after_the_end() {
    let (control, mut cores) = machine(1);
    control.stop();
    assert_eq!(control.open(Color(0), 3), Err(3));
    let mut program = Program::new(|_: &mut Context<'_, u64, u64>, _: &mut u64, _| {});
    cores.remove(0).run(&mut program, Fifo::new(&stages()), &mut NoSteal).unwrap();
    assert_eq!(control.post(Color(0), WORK, 5), Err(5));
}

#[test]
fn core_that_fails_gives_back_what_it_would_have_sent_on_to_thieves() {
    let steal_cost = Cost::fixed(1);
    let config = Config { poll_ns: u64::MAX, steal_cost, ..Config::new(2, stages()) };
    let (control, mut cores) = Machine::new(config).unwrap();
    let mut programs = [0, 1].map(|_| {
        Program::new(|cx: &mut Context<'_, u64, u64>, _: &mut u64, _| {
            if cx.core() == CoreId(1) {
                cx.pin();
            }
        })
    });
    let mut fifos = [0, 1].map(|_| Fifo::new(&stages()));
    for color in (0..200).map(|n| Color(2 * n)) {
        control.open(color, 0).unwrap();
        control.post(color, WORK, 0).unwrap();
    }
    for core in [0, 1, 1, 1].repeat(30) {
        cores[core].turn(&mut programs[core], &mut fifos[core], &mut Greedy).unwrap();
    }
    assert!(cores[1].stats().thefts > 0, "nothing is away");
    (0..200).for_each(|n| control.post(Color(2 * n), WORK, 7).unwrap());
    drop(cores.pop());
    assert!(cores[0].turn(&mut programs[0], &mut fifos[0], &mut Greedy).is_err());
    assert_eq!(programs[0].abandoned.len(), 200);
}

#[test]
fn machine_ends_while_other_threads_post_without_pause() {
    let (control, mut cores) = machine(1);
    control.open(Color(0), 0).unwrap();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) && start.elapsed().as_secs() < 20 {
                    let _ = control.post(Color(0), WORK, 1);
                }
            });
        }
        let mut program = Program::new(|cx: &mut Context<'_, u64, u64>, _: &mut u64, _| {
            if cx.is_stopping() {
                cx.close();
            }
        });
        std::thread::sleep(std::time::Duration::from_millis(5));
        control.stop();
        let ended = cores.remove(0).run(&mut program, Fifo::new(&stages()), &mut NoSteal);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(ended.unwrap().colors, 0);
    });
    assert!(start.elapsed().as_secs() < 20, "it ended when the others did");
    assert_eq!(control.post(Color(0), WORK, 1), Err(1));
}

#[test]
fn core_that_fails_gives_back_timers_of_colors_that_are_away() {
    let config = Config { steal_cost: Cost::fixed(1), ..Config::new(2, stages()) };
    let (control, mut cores) = Machine::new(config).unwrap();
    let armed = Arc::new(AtomicU64::new(0));
    let mut programs = [0, 1].map(|_| {
        let armed = Arc::clone(&armed);
        Program::new(move |cx: &mut Context<'_, u64, u64>, _: &mut u64, event| match event {
            0 => {
                armed.fetch_add(u64::from(cx.core() == CoreId(0)), Ordering::Relaxed);
                cx.arm(cx.now() + 3_600_000_000_000, WORK, 55);
                cx.next(WORK, 1).unwrap();
            }
            _ if cx.core() == CoreId(1) => cx.pin(),
            _ => cx.next(WORK, 1).unwrap(),
        })
    });
    let mut fifos = [0, 1].map(|_| Fifo::new(&stages()));
    for color in (0..20).map(|n| Color(2 * n)) {
        control.open(color, 0).unwrap();
        control.post(color, WORK, 0).unwrap();
    }
    for core in [0, 1, 1].repeat(200) {
        cores[core].turn(&mut programs[core], &mut fifos[core], &mut Greedy).unwrap();
    }
    assert!(cores[1].stats().thefts > 0, "nothing is away");
    drop(cores.pop());
    assert!(cores[0].turn(&mut programs[0], &mut fifos[0], &mut Greedy).is_err());
    let timers = programs[0].abandoned.iter().filter(|(_, _, event)| *event == 55);
    assert_eq!(timers.count() as u64, armed.load(Ordering::Relaxed));
}

#[test]
fn what_was_sent_to_a_core_that_is_gone_is_given_back() {
    let (_control, mut cores) = machine(2);
    drop(cores.pop());
    let mut program = Program::new(|_: &mut Context<'_, u64, u64>, _: &mut u64, _| {});
    program.arrivals.push_back((Color(1), WORK, 9));
    let mut scheduler = Fifo::new(&stages());
    assert!(cores[0].turn(&mut program, &mut scheduler, &mut NoSteal).is_err());
    assert_eq!(program.abandoned, [(Color(1), WORK, 9)]);
}

#[test]
fn core_that_fails_gives_back_what_it_offers_to_thieves() {
    let stages = vec![StageInfo::new("work")];
    let steal_cost = Cost::fixed(0);
    let config = Config { poll_events: 1, steal_cost, ..Config::new(2, stages.clone()) };
    let (control, mut cores) = Machine::new(config).unwrap();
    for n in 0..50 {
        control.open(Color(2 * n), n).unwrap();
        control.post(Color(2 * n), WORK, n).unwrap();
    }
    let mut program = Program::new(|_: &mut Context<'_, u64, u64>, _: &mut u64, _| {});
    let mut scheduler = Fifo::new(&stages);
    for _ in 0..3 {
        cores[0].turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
    }
    let stats = cores[0].stats().clone();
    assert!(stats.offers > 0 && stats.events < 50, "{stats:?}");
    drop(cores.pop());
    assert!(cores[0].turn(&mut program, &mut scheduler, &mut Greedy).is_err());
    let mut states: Vec<_> = program.closed.iter().map(|(_, state)| *state).collect();
    states.sort_unstable();
    assert_eq!(states, (0..50).collect::<Vec<_>>());
    assert_eq!(program.abandoned.len() as u64 + stats.events, 50);
}
