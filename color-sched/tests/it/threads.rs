//! Cores on threads of their own: they sleep, wake, steal and end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use color_sched::{
    Color, Config, Control, Core, CoreId, CoreStats, Cost, LoadView, Machine, NoSteal, StageBatch,
    StageId, StageInfo, Stealer, Theft, pin_thread,
};

use crate::program::Program;

const WORK: StageId = StageId(0);

fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("work")]
}

/// Takes the first color that is offered by anyone else.
pub(crate) struct Greedy;

impl Stealer for Greedy {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let cores = (0..view.cores() as u16).map(CoreId).filter(|core| *core != thief);
        cores.into_iter().find_map(|victim| {
            (0..view.load(victim).slots).find_map(|slot| {
                let offer = view.offered(victim, slot)?;
                Some(Theft { victim, slot, color: offer.color })
            })
        })
    }
}

fn run_all<S: Stealer + Send>(
    cores: Vec<Core<u64, u64>>,
    program: impl Fn() -> Program<u64, u64> + Sync,
    stealer: impl Fn() -> S + Sync,
) -> Vec<(CoreStats, Program<u64, u64>)> {
    thread::scope(|scope| {
        let threads: Vec<_> = cores
            .into_iter()
            .map(|core| {
                scope.spawn(|| {
                    let mut program = program();
                    let stats = core.run(&mut program, StageBatch::new(&stages()), &mut stealer());
                    (stats.unwrap(), program)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn token_that_goes_round_is_never_left_with_a_sleeping_core() {
    const ROUNDS: u64 = 20_000;
    let (control, cores) = Machine::new(Config::new(2, stages())).unwrap();
    control.open(Color(0), 0).unwrap();
    control.open(Color(1), 0).unwrap();
    control.post(Color(0), WORK, 0).unwrap();
    let program = || {
        Program::new(|cx, seen: &mut u64, round: u64| {
            *seen += 1;
            let other = Color(1 - cx.color().0);
            if round < ROUNDS {
                cx.post(other, WORK, round + 1).unwrap();
            } else if round == ROUNDS {
                cx.post(other, WORK, round + 1).unwrap();
                cx.close();
            } else {
                cx.close();
                cx.stop();
            }
        })
    };
    let ended = run_all(cores, program, || NoSteal);
    assert_eq!(ended.iter().map(|(stats, _)| stats.events).sum::<u64>(), ROUNDS + 2);
    assert!(ended.iter().all(|(stats, _)| stats.parks > 0 || stats.polls > 0));
}

/// Checks, from inside of handlers, that no two events of a color run at once and that each color's come in order.
#[derive(Default)]
struct Witness {
    inside: AtomicU64,
    last: Mutex<Vec<u64>>,
}

#[test]
fn stolen_colors_keep_their_order_and_run_one_event_at_a_time() {
    const COLORS: u64 = 64;
    const EVENTS: u64 = 400;
    let config = Config { steal_cost: Cost::fixed(1), ..Config::new(2, stages()) };
    let (control, cores) = Machine::new(config).unwrap();
    let witnesses: Arc<Vec<Witness>> = Arc::new((0..COLORS).map(|_| Witness::default()).collect());
    for color in (0..COLORS).map(|n| Color(n * 2)) {
        control.open(color, 0).unwrap();
    }
    let poster = {
        let control = control.clone();
        thread::spawn(move || post_from_outside(&control, COLORS, EVENTS))
    };
    let program = || {
        let witnesses = Arc::clone(&witnesses);
        Program::new(move |cx, last: &mut u64, n: u64| {
            let witness = &witnesses[(cx.color().0 / 2) as usize];
            assert_eq!(witness.inside.fetch_add(1, Ordering::SeqCst), 0, "two events at once");
            assert_eq!(*last + 1, n, "out of order");
            *last = n;
            spin(Duration::from_micros(10));
            witness.last.lock().unwrap().push(n);
            assert_eq!(witness.inside.fetch_sub(1, Ordering::SeqCst), 1);
            if n == EVENTS {
                cx.close();
            }
        })
    };
    let ended = run_all(cores, program, || Greedy);
    poster.join().unwrap();
    let events: u64 = ended.iter().map(|(stats, _)| stats.events).sum();
    assert_eq!(events, COLORS * EVENTS);
    assert!(ended.iter().all(|(stats, program)| stats.panics == 0 && program.abandoned.is_empty()));
    assert!(ended.iter().any(|(stats, _)| stats.thefts > 0), "nothing was stolen");
}

fn post_from_outside(control: &Control<u64, u64>, colors: u64, events: u64) {
    for n in 1..=events {
        for color in 0..colors {
            control.post(Color(color * 2), WORK, n).unwrap();
        }
        if n % 16 == 0 {
            thread::sleep(Duration::from_micros(200));
        }
    }
    control.stop();
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn idle_core_sleeps_until_its_timer() {
    let (control, cores) = Machine::new(Config::new(1, stages())).unwrap();
    control.open(Color(0), 0).unwrap();
    control.post(Color(0), WORK, 0).unwrap();
    let program = || {
        Program::new(|cx, armed_at: &mut u64, n: u64| {
            if n == 0 {
                *armed_at = cx.now();
                cx.arm(cx.now() + 20_000_000, WORK, 1);
            } else {
                let waited = cx.now() - *armed_at;
                assert!((20_000_000..1_000_000_000).contains(&waited), "{waited} ns");
                cx.close();
                cx.stop();
            }
        })
    };
    let (stats, _) = run_all(cores, program, || NoSteal).remove(0);
    assert_eq!((stats.timers, stats.panics), (1, 0));
    assert!(stats.polls < 20, "{} polls while nothing was to be done", stats.polls);
}

#[test]
fn core_that_is_dropped_ends_the_others() {
    let (_control, mut cores) = Machine::new::<u64, u64>(Config::new(2, stages())).unwrap();
    let dropped = cores.pop();
    let core = cores.remove(0);
    let thread = thread::spawn(move || {
        let mut program = Program::new(|_, _: &mut u64, _: u64| {});
        core.run(&mut program, StageBatch::new(&stages()), &mut NoSteal).unwrap_err().kind()
    });
    thread::sleep(Duration::from_millis(5));
    drop(dropped);
    assert_eq!(thread.join().unwrap(), std::io::ErrorKind::Interrupted);
}

#[test]
fn thread_is_pinned_to_a_cpu_that_exists_only() {
    thread::spawn(|| {
        assert!(pin_thread(1 << 20).is_err());
        assert!(pin_thread(0).is_ok() || pin_thread(1).is_ok());
    })
    .join()
    .unwrap();
}
