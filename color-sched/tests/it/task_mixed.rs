//! Tasks beside handlers: a program with events of its own, stepped by hand with a clock that stands still.

use std::cell::RefCell;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use color_sched::task::{self, JoinHandle, Port, Tasks, Wake};
use color_sched::{
    Clock, Color, Config, Context, Control, Core, Fifo, Machine, NoSteal, StageId, StageInfo, Turn,
};
use futures::channel::oneshot;

use crate::program::Program;

const WORK: StageId = StageId(0);
const TASKS: StageId = StageId(1);

#[derive(Debug)]
enum Event {
    Note(&'static str),
    Answer(Vec<(oneshot::Sender<u64>, u64)>),
    Spawn,
    Close,
    Task(Wake),
}

impl From<Wake> for Event {
    fn from(wake: Wake) -> Self {
        Self::Task(wake)
    }
}

type Log = Arc<Mutex<Vec<String>>>;

/// One core of a program whose colors have tasks.
struct Stand {
    control: Control<Event, Tasks>,
    port: Port,
    core: Core<Event, Tasks>,
    program: Program<Event, Tasks>,
    scheduler: Fifo,
    time: Arc<AtomicU64>,
    log: Log,
}

fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("work"), StageInfo::new("tasks")]
}

fn run(log: &Log, cx: &mut Context<'_, Event, Tasks>, tasks: &mut Tasks, event: Event) {
    let write = |line: &str| log.lock().unwrap().push(line.to_owned());
    match event {
        Event::Note(line) => write(line),
        Event::Task(wake) => tasks.poll(cx, wake),
        Event::Answer(answers) => tasks.with(cx, || {
            answers.into_iter().for_each(|(sender, value)| sender.send(value).unwrap());
        }),
        Event::Spawn => {
            let log = Arc::clone(log);
            drop(tasks.spawn(cx, async move { log.lock().unwrap().push("spawned".into()) }));
            write("spawns");
        }
        Event::Close => cx.close(),
    }
}

impl Stand {
    fn new(queue_limit: usize) -> Self {
        let time = Arc::new(AtomicU64::new(0));
        let clock = Clock::Manual(Arc::clone(&time));
        let config = Config { queue_limit, clock, ..Config::new(1, stages()) };
        let (control, mut cores) = Machine::new(config).unwrap();
        let log = Log::default();
        let in_handler = Arc::clone(&log);
        Self {
            port: Port::new(control.clone()),
            core: cores.remove(0),
            program: Program::new(move |cx, tasks, event| run(&in_handler, cx, tasks, event)),
            scheduler: Fifo::new(&stages()),
            control,
            time,
            log,
        }
    }

    fn open(&self, color: Color) {
        assert!(self.control.open(color, Tasks::new(&self.port, TASKS)).is_ok());
    }

    fn post(&self, color: Color, event: Event) {
        assert!(self.control.post(color, WORK, event).is_ok());
    }

    /// Runs all there is to run; gives the time of the next timer. What is abandoned is posted again.
    fn settle(&mut self) -> Option<u64> {
        for _ in 0..10_000 {
            let turn =
                self.core.turn(&mut self.program, &mut self.scheduler, &mut NoSteal).unwrap();
            for (_, _, event) in self.program.abandoned.drain(..) {
                if let Event::Task(wake) = event {
                    wake.again();
                }
            }
            self.program.closed.clear();
            match turn {
                Turn::Idle(at) => return at,
                Turn::Over => return None,
                Turn::Busy => {}
            }
        }
        panic!("it never comes to rest");
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// A task that adds a line when `line` has come.
    fn listen(&self, color: Color) -> (oneshot::Sender<u64>, JoinHandle<u64>) {
        let (sender, receiver) = oneshot::channel();
        let log = Arc::clone(&self.log);
        let handle = self.port.spawn(color, TASKS, async move {
            let value = receiver.await.unwrap();
            log.lock().unwrap().push(format!("heard {value}"));
            value
        });
        (sender, handle)
    }
}

#[test]
fn handlers_and_tasks_of_a_color_run_in_the_order_of_their_events() {
    let mut stand = Stand::new(100);
    stand.open(Color(0));
    stand.post(Color(0), Event::Note("one"));
    stand.post(Color(0), Event::Spawn);
    stand.post(Color(0), Event::Note("two"));
    assert_eq!(stand.settle(), None);
    assert_eq!(stand.lines(), ["one", "spawns", "two", "spawned"]);
}

#[test]
fn handler_that_answers_a_task_wakes_it_by_a_local_push() {
    let mut stand = Stand::new(100);
    stand.open(Color(0));
    let (sender, handle) = stand.listen(Color(0));
    stand.settle();
    stand.post(Color(0), Event::Answer(vec![(sender, 7)]));
    // One turn takes the handler's event and, without a message to the home, the task's.
    let turn = stand.core.turn(&mut stand.program, &mut stand.scheduler, &mut NoSteal);
    assert!(turn.is_ok());
    assert_eq!(stand.lines(), ["heard 7"]);
    assert_eq!(handle.wait(), Ok(7));
}

#[test]
fn task_for_a_color_that_is_not_open_is_cancelled() {
    let mut stand = Stand::new(100);
    let handle = stand.port.spawn(Color(5), TASKS, async {});
    stand.settle();
    assert!(handle.wait().unwrap_err().is_cancelled());
}

#[test]
fn color_that_closes_cancels_its_tasks_and_timers() {
    let mut stand = Stand::new(100);
    stand.open(Color(0));
    let handle = stand.port.spawn(Color(0), TASKS, task::sleep(Duration::from_secs(1)));
    assert!(stand.settle().is_some());
    stand.post(Color(0), Event::Close);
    assert_eq!(stand.settle(), None);
    assert!(handle.wait().unwrap_err().is_cancelled());
}

#[test]
fn sleep_ends_at_its_time_of_the_machines_clock_and_dropped_leaves_no_timer() {
    let mut stand = Stand::new(100);
    stand.open(Color(0));
    let sleeping = stand.port.spawn(Color(0), TASKS, task::sleep(Duration::from_millis(50)));
    assert!(stand.settle().is_some());
    stand.time.store(49_999_999, Ordering::Relaxed);
    stand.settle();
    assert!(!sleeping.is_finished());
    stand.time.store(53_000_000, Ordering::Relaxed);
    assert_eq!(stand.settle(), None);
    assert_eq!(sleeping.wait(), Ok(Ok(())));

    let aborted = stand.port.spawn(Color(0), TASKS, task::sleep(Duration::from_millis(50)));
    let (sender, receiver) = oneshot::channel::<()>();
    let raced = stand.port.spawn(Color(0), TASKS, async move {
        task::timeout(Duration::from_secs(1), receiver).await
    });
    assert!(stand.settle().is_some());
    aborted.abort();
    sender.send(()).unwrap();
    assert_eq!(stand.settle(), None, "a timer is left");
    assert_eq!(raced.wait(), Ok(Ok(Ok(()))));
}

#[test]
fn wake_that_meets_a_full_queue_comes_again() {
    const WOKEN: u64 = 20;
    for is_local in [true, false] {
        let mut stand = Stand::new(4);
        stand.open(Color(0));
        let mut handles = Vec::new();
        let mut answers = Vec::new();
        for n in 0..WOKEN {
            let (sender, handle) = stand.listen(Color(0));
            stand.settle();
            answers.push((sender, n));
            handles.push(handle);
        }
        // All at once: by a handler, whose pushes are refused; or from outside, and the home refuses.
        match is_local {
            true => stand.post(Color(0), Event::Answer(answers)),
            false => answers.into_iter().for_each(|(sender, n)| sender.send(n).unwrap()),
        }
        stand.settle();
        let finished = handles.iter().filter(|handle| handle.is_finished()).count() as u64;
        assert_eq!(finished, WOKEN, "local: {is_local}");
        let values = handles.into_iter().map(|handle| handle.wait().unwrap());
        assert!(values.eq(0..WOKEN));
    }
}

#[test]
fn task_sent_to_another_color_by_a_mistaken_handler_is_cancelled() {
    let mut stand = Stand::new(100);
    thread_local!(static ASTRAY: RefCell<Vec<Wake>> = const { RefCell::new(Vec::new()) });
    stand.program = Program::new(|cx, tasks: &mut Tasks, event| match event {
        Event::Task(wake) if cx.color() == Color(0) => {
            ASTRAY.with(|astray| astray.borrow_mut().push(wake));
        }
        _ => ASTRAY.with(|astray| {
            astray.borrow_mut().drain(..).for_each(|wake| tasks.poll(cx, wake));
        }),
    });
    stand.open(Color(0));
    stand.open(Color(1));
    let handle = stand.port.spawn(Color(0), TASKS, pending::<()>());
    stand.settle();
    stand.post(Color(1), Event::Note("go"));
    stand.settle();
    assert!(handle.wait().unwrap_err().is_cancelled());
}
