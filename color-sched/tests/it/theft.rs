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
    let config =
        Config { poll_events: 4, steal_cost: Cost::fixed(60_000), ..Config::new(2, stages()) };
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
