//! Which tasks has a color? A part of the color's state, to which the handler passes the events that wake them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::context::Context;
use crate::event::StageId;
use crate::task::body::Task;
use crate::task::current::{self, Command, Current};
use crate::task::join::JoinHandle;
use crate::task::packet::Target;
use crate::task::port::{Kind, Port, Wake};
use crate::task::state::Next;

/// The tasks of one color. Dropped, it cancels them.
///
/// A program keeps one in its state and gives it the events that are a [`Wake`]; all other events are its own.
///
/// ```
/// use color_sched::{Context, task::{Tasks, Wake}};
///
/// enum Event { Line(String), Task(Wake) }
/// impl From<Wake> for Event {
///     fn from(wake: Wake) -> Self { Self::Task(wake) }
/// }
/// struct Session { lines: u64, tasks: Tasks }
///
/// // Handler::run of the program
/// fn run(cx: &mut Context<'_, Event, Session>, session: &mut Session, event: Event) {
///     match event {
///         Event::Task(wake) => session.tasks.poll(cx, wake),
///         Event::Line(line) => {
///             session.lines += 1;
///             session.tasks.spawn(cx, async move { println!("{line}") });
///         }
///     }
/// }
/// ```
pub struct Tasks {
    stage: StageId,
    port: Port,
    /// A second reference, lent to each poll, which so counts none.
    lent: Option<Port>,
    slots: Vec<Option<Task>>,
    free: Vec<usize>,
}

impl Tasks {
    /// No tasks yet; their events go to `stage`.
    #[must_use]
    pub fn new(port: &Port, stage: StageId) -> Self {
        let port = port.fork();
        Self { stage, lent: Some(port.clone()), port, slots: Vec::new(), free: Vec::new() }
    }

    /// Number of tasks that are not over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Are all tasks over?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts a task of this color: it is polled for the first time when its event's turn comes.
    pub fn spawn<E, S, F>(&mut self, cx: &mut Context<'_, E, S>, future: F) -> JoinHandle<F::Output>
    where
        E: From<Wake> + Send,
        S: Send,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = Task::new(cx.color(), self.stage, self.port.clone(), future);
        self.admit(cx, task);
        handle
    }

    /// Acts on an event: polls a task, as a rule. A wake of a task that is over, or not of this color, does nothing.
    pub fn poll<E, S>(&mut self, cx: &mut Context<'_, E, S>, wake: Wake)
    where
        E: From<Wake> + Send,
        S: Send,
    {
        match wake.0 {
            Kind::Resume(target) => {
                if let Some(index) = self.find(&target) {
                    self.turn(cx, index);
                }
            }
            Kind::Arrive(task) if task.header().color == cx.color() => {
                let index = self.insert(*task);
                self.turn(cx, index);
            }
            Kind::Arrive(_) => {}
            Kind::Ring(ring) => self.enter(cx, |_| ring.fire()),
        }
    }

    /// Calls `f` as if a task of this color did: what it wakes or spawns is pushed locally, without a detour by the
    /// color's home. For a handler that completes something tasks wait for.
    pub fn with<E, S, R>(&mut self, cx: &mut Context<'_, E, S>, f: impl FnOnce() -> R) -> R
    where
        E: From<Wake> + Send,
        S: Send,
    {
        match self.enter(cx, |_| catch_unwind(AssertUnwindSafe(f))) {
            Ok(value) => value,
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Cancels all tasks.
    pub fn clear(&mut self) {
        self.free.clear();
        self.slots.clear();
    }

    /// Polls a task, or drops it if it was aborted, and carries out what it asked for.
    fn turn<E, S>(&mut self, cx: &mut Context<'_, E, S>, index: usize)
    where
        E: From<Wake> + Send,
        S: Send,
    {
        let next = self.enter(cx, |tasks| {
            let Some(task) = &mut tasks.slots[index] else { return Next::Rest };
            let next = task.turn();
            if next == Next::Drop {
                tasks.slots[index] = None;
                tasks.free.push(index);
            }
            next
        });
        if next == Next::Go
            && let Some(task) = &self.slots[index]
        {
            post(cx, task.target());
        }
    }

    /// Runs `f`, which lets no panic out, as the poll in progress, and then carries out what was asked for.
    fn enter<E, S, R>(&mut self, cx: &mut Context<'_, E, S>, f: impl FnOnce(&mut Self) -> R) -> R
    where
        E: From<Wake> + Send,
        S: Send,
    {
        let outer = current::swap(Some(Current {
            color: cx.color(),
            stage: self.stage,
            core: cx.core(),
            port: self.lent.take().unwrap_or_else(|| self.port.clone()),
            commands: current::spare(),
        }));
        let value = f(self);
        if let Some(Current { port, mut commands, .. }) = current::swap(outer) {
            self.lent = Some(port);
            for command in commands.drain(..) {
                self.carry_out(cx, command);
            }
            current::recycle(commands);
        }
        value
    }

    fn carry_out<E, S>(&mut self, cx: &mut Context<'_, E, S>, command: Command)
    where
        E: From<Wake> + Send,
        S: Send,
    {
        match command {
            Command::Wake(target) => post(cx, &target),
            Command::Insert(task) => self.admit(cx, task),
            Command::Arm(alarm) => {
                alarm.arm(|at, ring| cx.arm(at, self.stage, Wake(Kind::Ring(ring)).into()));
            }
            Command::Cancel(alarm) => {
                if let Some(timer) = alarm.timer() {
                    drop(cx.cancel(timer));
                }
            }
        }
    }

    fn admit<E, S>(&mut self, cx: &mut Context<'_, E, S>, task: Task)
    where
        E: From<Wake> + Send,
        S: Send,
    {
        let target = Arc::clone(task.target());
        self.insert(task);
        post(cx, &target);
    }

    fn insert(&mut self, task: Task) -> usize {
        let index = self.free.pop().unwrap_or(self.slots.len());
        task.header().set_index(index);
        match self.slots.get_mut(index) {
            Some(slot) => *slot = Some(task),
            None => self.slots.push(Some(task)),
        }
        index
    }

    fn find(&self, target: &Arc<dyn Target>) -> Option<usize> {
        let index = target.header().index();
        let task = self.slots.get(index)?.as_ref()?;
        Arc::ptr_eq(task.target(), target).then_some(index)
    }
}

/// Posts the event of a task that was woken on this core. One that is refused takes the long way: its color has closed and
/// it will be abandoned, or the color has too many events waiting, as [`Wake::again`] is for.
fn post<E, S>(cx: &mut Context<'_, E, S>, target: &Arc<dyn Target>)
where
    E: From<Wake> + Send,
    S: Send,
{
    let header = target.header();
    let wake = Wake(Kind::Resume(Arc::clone(target)));
    let posted = cx.post(header.color, header.stage, wake.into());
    if posted.is_err() && !header.word.is_done() {
        Port::resume(target);
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("len", &self.len()).finish_non_exhaustive()
    }
}
