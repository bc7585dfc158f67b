//! Which task is being polled on this thread, and what does it want done? What it asks for is noted in a thread-local, and
//! carried out by the handler after the poll: nothing of the core is borrowed while the user's code runs.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use thiserror::Error;

use crate::event::{Color, CoreId, StageId};
use crate::task::body::Task;
use crate::task::join::JoinHandle;
use crate::task::packet::Target;
use crate::task::port::Port;
use crate::task::sleep::Alarm;

/// A function of this module was called by code that no core polls as a task.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not in a task of color-sched: run this code in one, by Spawner::spawn for example")]
pub struct OutsideTask;

/// Something to be done after the poll.
pub(crate) enum Command {
    Wake(Arc<dyn Target>),
    Insert(Task),
    Arm(Arc<Alarm>),
    Cancel(Arc<Alarm>),
}

/// A poll in progress.
pub(crate) struct Current {
    pub(crate) color: Color,
    pub(crate) stage: StageId,
    pub(crate) core: CoreId,
    pub(crate) port: Port,
    pub(crate) commands: Vec<Command>,
}

/// Commands that a thread keeps room for between polls.
const KEPT: usize = 1 << 10;

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
    static SPARE: Cell<Vec<Command>> = const { Cell::new(Vec::new()) };
}

/// Room for commands.
pub(crate) fn spare() -> Vec<Command> {
    SPARE.take()
}

/// Gives room back.
pub(crate) fn recycle(commands: Vec<Command>) {
    if commands.is_empty() && commands.capacity() <= KEPT {
        SPARE.set(commands);
    }
}

/// Sets the poll in progress, and gives the one that it interrupts: a task may run a machine of its own.
pub(crate) fn swap(current: Option<Current>) -> Option<Current> {
    CURRENT.with(|cell| cell.replace(current))
}

/// Reads or notes something. `f` calls no user's code. `None`: no task is being polled on this thread.
pub(crate) fn with<R>(f: impl FnOnce(&mut Current) -> R) -> Option<R> {
    // A thread that ends may drop wakers after this thread-local.
    CURRENT.try_with(|cell| cell.borrow_mut().as_mut().map(f)).ok().flatten()
}

pub(crate) fn is_inside() -> bool {
    with(|_| ()).is_some()
}

/// Posts the event of a task that was woken: after the poll in progress if that is of the same machine, else at once.
pub(crate) fn deliver(target: Arc<dyn Target>) {
    let mut target = Some(target);
    with(|current| {
        if let Some(local) = target.take_if(|target| target.header().port.is(&current.port)) {
            current.commands.push(Command::Wake(local));
        }
    });
    if let Some(foreign) = target {
        Port::resume(&foreign);
    }
}

/// Starts a task of any color, which may be the caller's. Tasks of one color never run at once.
///
/// ```
/// # use color_sched::{Color, task};
/// assert_eq!(task::spawn(Color(1), async {}).unwrap_err(), task::OutsideTask);
/// ```
///
/// # Errors
/// [`OutsideTask`], if the caller is not a task.
pub fn spawn<F>(color: Color, future: F) -> Result<JoinHandle<F::Output>, OutsideTask>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let here = with(|current| (current.port.clone(), current.color, current.stage));
    let (port, own, stage) = here.ok_or(OutsideTask)?;
    if color != own {
        return Ok(port.spawn(color, stage, future));
    }
    let (task, handle) = Task::new(color, stage, port, future);
    with(|current| current.commands.push(Command::Insert(task)));
    Ok(handle)
}

/// The color of the task that calls; `None` outside of one.
#[must_use]
pub fn color() -> Option<Color> {
    with(|current| current.color)
}

/// The core that runs the task that calls, which may be another one after the next await; `None` outside of a task.
#[must_use]
pub fn core() -> Option<CoreId> {
    with(|current| current.core)
}
