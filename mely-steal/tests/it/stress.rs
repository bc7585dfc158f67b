//! Two real threads and a machine on which everything has its home at core 0: the policies at work, for two seconds at most.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use color_sched::{
    Admission, Color, ColorQueues, Config, Context, CoreId, CoreStats, Cost, Driver, Handler,
    Machine, NoSteal, StageId, StageInfo, Stealer,
};
use mely_steal::{Libasync, Mely, Topology};

const COLORS: u64 = 200;
/// Events of a color: the first half is posted from outside, the other by the color itself.
const EVENTS: u64 = 20;
const STAGE: StageId = StageId(0);
/// A machine that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(20);

/// Counts what it runs, and stops the machine after the last color.
struct Program {
    open: Arc<AtomicUsize>,
    disorders: usize,
    ends: Vec<u64>,
    lost: usize,
}

impl Admission for Program {
    fn admit(&mut self, _stage: StageId, wanted: usize) -> usize {
        wanted
    }
}

impl Handler for Program {
    type Event = u64;
    type State = u64;

    fn run(&mut self, cx: &mut Context<'_, u64, u64>, next: &mut u64, event: u64) {
        self.disorders += usize::from(*next != event);
        *next += 1;
        let until = Instant::now() + Duration::from_micros(2);
        while Instant::now() < until {
            thread::yield_now();
        }
        if event + 1 == EVENTS / 2 {
            let refused = (EVENTS / 2..EVENTS).filter(|&event| cx.next(STAGE, event).is_err());
            self.lost += refused.count();
        }
        if event + 1 == EVENTS {
            cx.close();
            if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
                cx.stop();
            }
        }
    }

    fn abandoned(&mut self, _color: Color, _stage: StageId, _event: u64) {
        self.lost += 1;
    }

    fn closed(&mut self, _color: Color, state: u64) {
        self.ends.push(state);
    }
}

impl Driver for Program {
    type Event = u64;
    type State = u64;
}

/// What one core did.
type Done = (Program, CoreStats);

/// Runs all events of all colors on two threads, and returns how many thefts there were.
fn run<S: Stealer + Clone + Send + 'static>(steal_cost: Cost, penalty: u32, stealer: &S) -> u64 {
    let stages = vec![StageInfo::new("work").cost(Cost::fixed(2_000)).penalty(penalty)];
    let config = Config { steal_cost, ..Config::new(2, stages.clone()) };
    let (control, cores) = Machine::new(config).unwrap();
    for color in (0..COLORS).map(|n| Color::at_home(CoreId(0), n, 2)) {
        control.open(color, 0).unwrap();
        for event in 0..EVENTS / 2 {
            control.post(color, STAGE, event).unwrap();
        }
    }
    let open = Arc::new(AtomicUsize::new(COLORS as usize));
    let (sender, receiver) = mpsc::channel();
    for core in cores {
        let (scheduler, mut stealer) = (ColorQueues::new(&stages), stealer.clone());
        let (open, sender) = (Arc::clone(&open), sender.clone());
        thread::spawn(move || {
            let mut program = Program { open, disorders: 0, ends: Vec::new(), lost: 0 };
            let stats = core.run(&mut program, scheduler, &mut stealer).unwrap();
            sender.send((program, stats)).unwrap();
        });
    }
    let done = [(); 2].map(|()| -> Done {
        receiver.recv_timeout(LONGEST).expect("a core that ends, as all colors have closed")
    });
    let ends: Vec<u64> = done.iter().flat_map(|(program, _)| program.ends.clone()).collect();
    assert_eq!(ends, vec![EVENTS; COLORS as usize]);
    assert_eq!(done.iter().map(|(program, _)| program.disorders).sum::<usize>(), 0);
    assert_eq!(done.iter().map(|(program, _)| program.lost).sum::<usize>(), 0);
    assert_eq!(done.iter().map(|(_, stats)| stats.events).sum::<u64>(), COLORS * EVENTS);
    assert_eq!(done.iter().map(|(_, stats)| stats.nonsense).sum::<u64>(), 0);
    done.iter().map(|(_, stats)| stats.thefts).sum()
}

/// Machines are run until one of them saw a theft; a busy computer may run a thread too late for it.
fn steals<S: Stealer + Clone + Send + 'static>(steal_cost: Cost, stealer: &S) -> bool {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        if run(steal_cost, 1, stealer) > 0 {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
    }
}

#[test]
fn libasync_steals_and_every_color_keeps_its_order() {
    assert!(steals(Cost::fixed(0), &Libasync::new()));
}

#[test]
fn mely_steals_and_every_color_keeps_its_order() {
    assert!(steals(Cost::fixed(1_000), &Mely::new(Topology::uniform(2))));
}

#[test]
fn mely_leaves_warm_memory_where_it_is() {
    // The events of a color take at most 40 µs, which is on offer, but seems 40 ns to a thief that asks for the penalty.
    let mely = Mely::new(Topology::uniform(2));
    assert_eq!(run(Cost::fixed(1_000), 1_000, &mely), 0);
}

#[test]
fn nobody_steals_if_stealing_is_off() {
    assert_eq!(run(Cost::fixed(0), 1, &NoSteal), 0);
}
