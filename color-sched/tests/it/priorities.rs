//! Are urgent events run before others, and for how long can they keep the others waiting?

use color_sched::elect::AGING;
use color_sched::{
    Color, ColorQueues, Config, Core, Fifo, Flat, Machine, NoSteal, Priority, Ready, Scheduler,
    Slot, StageBatch, StageId, StageInfo,
};

use crate::program::Program;

const WORK: StageId = StageId(0);

fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("work"), StageInfo::new("chores").priority(Priority::Low)]
}

fn all() -> [(&'static str, Box<dyn Scheduler>); 4] {
    [
        ("fifo", Box::new(Fifo::new(&stages()).with_batch_limit(1))),
        ("flat", Box::new(Flat::new(&stages()).with_threshold(1))),
        ("color", Box::new(ColorQueues::new(&stages()).with_threshold(1))),
        ("stage", Box::new(StageBatch::new(&stages()).with_batch_limit(1))),
    ]
}

fn ready(slot: u32, priority: Priority) -> Ready {
    Ready { color: Color(u64::from(slot)), slot: Slot(slot), stage: WORK, priority }
}

fn next(scheduler: &mut impl Scheduler) -> Option<u32> {
    let mut batch = Vec::new();
    scheduler.elect(&mut |_: StageId, wanted: usize| wanted, 1, &mut batch)?;
    batch.first().map(|ready| ready.slot.0)
}

#[test]
fn urgent_colors_come_first_and_equals_in_order_of_arrival() {
    for (name, mut scheduler) in all() {
        let levels = [Priority::Low, Priority::Normal, Priority::High];
        for slot in 0..9 {
            scheduler.push(ready(slot, levels[slot as usize % 3]));
        }
        let order: Vec<_> = std::iter::from_fn(|| next(&mut scheduler)).collect();
        assert_eq!(order, [2, 5, 8, 1, 4, 7, 0, 3, 6], "{name}");
    }
}

#[test]
fn color_without_urgency_is_elected_though_urgent_ones_never_end() {
    for (name, mut scheduler) in all() {
        scheduler.push(ready(0, Priority::Low));
        scheduler.push(ready(1, Priority::Normal));
        let mut waited = 0;
        for slot in (2..4).cycle() {
            scheduler.push(ready(slot, Priority::High));
            if next(&mut scheduler) == Some(0) {
                break;
            }
            waited += 1;
            assert!(waited <= AGING, "{name}: not elected in {waited} elections");
        }
        assert!(waited > AGING / 2, "{name}: elected after {waited}: it was not last");
    }
}

#[test]
fn batches_of_urgent_colors_do_not_keep_the_others_out() {
    let mut fifo = Fifo::new(&stages());
    fifo.push(ready(0, Priority::Low));
    (1..40).for_each(|slot| fifo.push(ready(slot, Priority::High)));
    let mut ran = 0;
    loop {
        let mut batch = Vec::new();
        fifo.elect(&mut |_: StageId, wanted: usize| wanted, 100, &mut batch);
        if batch.iter().any(|ready| ready.slot == Slot(0)) {
            break;
        }
        ran += batch.len();
        assert!(ran <= 2 * AGING as usize, "{ran} urgent ones, and no end");
        batch.into_iter().for_each(|ready| fifo.push(ready));
    }
}

#[test]
fn less_urgent_color_waits_for_64_batches_of_its_stage_however_stages_alternate() {
    for (stages, idle) in [(1u16, 0), (2, 0), (2, 1), (3, 1), (4, 33)] {
        let infos: Vec<_> = (0..stages).map(|n| StageInfo::new(n.to_string())).collect();
        let mut scheduler = StageBatch::new(&infos);
        let all = &mut |_: StageId, wanted: usize| wanted;
        (0..idle).for_each(|_| assert_eq!(scheduler.elect(all, 4, &mut Vec::new()), None));
        for stage in 0..stages {
            for n in 0..9 {
                let priority = if n == 0 { Priority::Low } else { Priority::High };
                let slot = u32::from(stage) * 9 + n;
                scheduler.push(Ready { stage: StageId(stage), ..ready(slot, priority) });
            }
        }
        let mut waited = vec![0; stages.into()];
        for _ in 0..20_000 {
            let mut batch = Vec::new();
            let stage = scheduler.elect(all, 4, &mut batch).unwrap();
            waited[stage.index()] += 1;
            if batch.iter().any(|ready| ready.priority == Priority::Low) {
                waited[stage.index()] = 0;
            }
            assert!(waited[stage.index()] <= AGING, "{stages} stages, {idle} idle elections");
            batch.into_iter().for_each(|ready| scheduler.push(ready));
        }
    }
}

type Order = std::sync::Arc<std::sync::Mutex<Vec<u64>>>;

/// A core whose program notes the events that it runs.
fn noting(order: &Order) -> (color_sched::Control<u64, ()>, Core<u64, ()>, Program<u64, ()>) {
    let (control, mut cores) = Machine::new(Config::new(1, stages())).unwrap();
    let order = std::sync::Arc::clone(order);
    let program = Program::new(move |_, _: &mut (), event| order.lock().unwrap().push(event));
    (control, cores.remove(0), program)
}

#[test]
fn color_is_as_urgent_as_the_most_urgent_of_its_events_which_keep_their_order() {
    for (name, mut scheduler) in all() {
        let order = Order::default();
        let (control, mut core, mut program) = noting(&order);
        for color in 0..3 {
            control.open(Color(color), ()).unwrap();
            control.post(Color(color), WORK, 10 * color).unwrap();
        }
        control.post(Color(2), WORK, 21).unwrap();
        control.post(Color(2), WORK.at(Priority::High), 22).unwrap();
        control.post(Color(2), WORK, 23).unwrap();
        while order.lock().unwrap().len() < 6 {
            core.turn(&mut program, &mut scheduler, &mut NoSteal).unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [20, 21, 22, 0, 10, 23], "{name}");
    }
}

#[test]
fn color_that_waits_moves_forward_when_it_becomes_urgent() {
    for (name, mut scheduler) in all() {
        let order = Order::default();
        let (control, mut core, _) = noting(&order);
        let noted = std::sync::Arc::clone(&order);
        // The first event makes a color urgent that is in the scheduler by then.
        let mut program = Program::new(move |cx, _: &mut (), event| {
            noted.lock().unwrap().push(event);
            if event == 0 {
                cx.post(Color(2), WORK.at(Priority::High), 21).unwrap();
            }
        });
        for color in 0..3 {
            control.open(Color(color), ()).unwrap();
            control.post(Color(color), WORK, 10 * color).unwrap();
        }
        while order.lock().unwrap().len() < 4 {
            core.turn(&mut program, &mut scheduler, &mut NoSteal).unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 20, 21, 10], "{name}");
    }
}

#[test]
fn events_have_the_priority_of_their_stage_unless_they_are_given_one() {
    let order = Order::default();
    let (control, mut core, mut program) = noting(&order);
    let mut scheduler = Fifo::new(&stages());
    let chores = StageId(1);
    for (color, target) in
        [chores.into(), WORK.into(), chores.at(Priority::High)].into_iter().enumerate()
    {
        let target: color_sched::Target = target;
        control.open(Color(color as u64), ()).unwrap();
        control.post(Color(color as u64), target, color as u64).unwrap();
    }
    while order.lock().unwrap().len() < 3 {
        core.turn(&mut program, &mut scheduler, &mut NoSteal).unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [2, 1, 0]);
}
