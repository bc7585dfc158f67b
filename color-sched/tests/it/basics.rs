//! One core: what a handler may do, and what happens to what it leaves behind.

use std::sync::{Arc, Mutex};

use color_sched::{
    Color, Config, Context, Core, Cost, Fifo, Machine, NoSteal, StageBatch, StageId, StageInfo,
    Turn,
};

use crate::program::Program;
use crate::threads::Greedy;

const A: StageId = StageId(0);
const B: StageId = StageId(1);

fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("a"), StageInfo::new("b")]
}

fn one_core<E: Send, S: Send>() -> Core<E, S> {
    let (_, mut cores) = Machine::new(Config::new(1, stages())).expect("a valid machine");
    cores.remove(0)
}

#[test]
fn events_of_a_color_run_in_the_order_in_which_they_were_posted() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let mut program = Program::new(move |cx, _state: &mut (), n: u32| {
        if n == 0 {
            for n in 1..=100 {
                let stage = if n % 3 == 0 { A } else { B };
                assert!(cx.next(stage, n).is_ok());
            }
            return;
        }
        log.lock().unwrap().push(n);
        if n == 100 {
            cx.close();
            cx.stop();
        }
    });
    let (control, mut cores) = Machine::new(Config::new(1, stages())).unwrap();
    control.open(Color(1), ()).unwrap();
    control.post(Color(1), A, 0).unwrap();
    let stats =
        cores.remove(0).run(&mut program, StageBatch::new(&stages()), &mut NoSteal).unwrap();
    assert_eq!(*seen.lock().unwrap(), (1..=100).collect::<Vec<_>>());
    assert_eq!(stats.events, 101);
    assert_eq!(program.closed.len(), 1);
}

#[test]
fn core_that_was_not_told_to_stop_becomes_idle() {
    let mut core = one_core::<u32, ()>();
    let mut program = Program::new(|_, _, _| {});
    let mut scheduler = Fifo::new(&stages());
    assert_eq!(core.turn(&mut program, &mut scheduler, &mut NoSteal).unwrap(), Turn::Idle(None));
}

#[test]
fn color_of_a_batch_that_runs_can_be_stolen_while_it_has_not_run() {
    let stages = vec![StageInfo::new("long").cost(Cost::fixed(50_000))];
    let config = Config { steal_cost: Cost::fixed(1_000), ..Config::new(2, stages.clone()) };
    let (control, mut cores) = Machine::new(config).unwrap();
    let mut thief = cores.remove(1);
    let mut owner = cores.remove(0);
    for color in (0..20).map(|n| Color(2 * n)) {
        control.open(color, ()).unwrap();
        control.post(color, A, 0).unwrap();
    }
    let stolen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&stolen);
    let mut away = Program::new(|cx: &mut Context<'_, u32, ()>, _: &mut (), _| cx.close());
    let mut scheduler = StageBatch::new(&stages);
    let mut program = Program::new(move |cx: &mut Context<'_, u32, ()>, _: &mut (), _| {
        for _ in 0..2 {
            thief.turn(&mut away, &mut scheduler, &mut Greedy).unwrap();
        }
        *count.lock().unwrap() = thief.stats().thefts;
        cx.close();
    });
    let mut scheduler = StageBatch::new(&stages);
    owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
    owner.turn(&mut program, &mut scheduler, &mut Greedy).unwrap();
    let stolen = *stolen.lock().unwrap();
    assert!(stolen > 8, "{stolen} colors were stolen out of a batch: no more than the board holds");
    assert_eq!(owner.stats().events + stolen, 20);
    assert_eq!((owner.stats().colors, program.closed.len() as u64), (0, 20 - stolen));
}

#[test]
fn what_was_opened_and_posted_before_the_stop_is_run() {
    let (control, mut cores) = Machine::new(Config::new(1, stages())).unwrap();
    for color in (0..1_000).map(Color) {
        control.open(color, ()).unwrap();
        control.post(color, A, 0).unwrap();
    }
    control.stop();
    let mut program = Program::new(|cx: &mut Context<'_, u32, ()>, _: &mut (), _| cx.close());
    let stats =
        cores.remove(0).run(&mut program, StageBatch::new(&stages()), &mut NoSteal).unwrap();
    assert_eq!((stats.events, stats.abandoned), (1_000, 0));
}
