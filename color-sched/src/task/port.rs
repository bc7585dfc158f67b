//! How do wakes and tasks get to their color? As events, by way of its home.

use std::fmt;
use std::sync::Arc;

use crate::event::{Color, Nanos, StageId};
use crate::machine::Control;
use crate::task::body::Task;
use crate::task::join::JoinHandle;
use crate::task::packet::Target;
use crate::task::sleep::Ring;

/// An event for a color's [`Tasks`](crate::task::Tasks): a task is to be polled, or arrives, or a sleep is over.
///
/// To drop one is harmless: if its color has closed nobody is waiting for it, and a task in it is cancelled. A program whose
/// colors may have more events waiting than [`Config::queue_limit`](crate::Config::queue_limit) calls
/// [`again`](Self::again) in [`abandoned`](crate::Handler::abandoned).
pub struct Wake(pub(crate) Kind);

pub(crate) enum Kind {
    Resume(Arc<dyn Target>),
    Arrive(Box<Task>),
    Ring(Ring),
}

impl Wake {
    /// Posts it again if it is a wake of a task that lives: its color had too many events waiting. A task that had not
    /// arrived yet is cancelled.
    pub fn again(self) {
        if let Kind::Resume(target) = self.0
            && !target.header().word.is_done()
        {
            Port::resume(&target);
        }
    }

    pub(crate) fn is_arrival(&self) -> bool {
        matches!(self.0, Kind::Arrive(_))
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Resume(_) => "Wake(resume)",
            Kind::Arrive(_) => "Wake(arrive)",
            Kind::Ring(_) => "Wake(ring)",
        })
    }
}

/// A machine, as tasks need it. What cannot be delivered is dropped: the machine has ended.
pub(crate) trait Mail: Send + Sync {
    fn resume(&self, color: Color, stage: StageId, wake: Wake);
    fn admit(&self, task: Task);
    fn now(&self) -> Nanos;
}

/// The way to the colors of one machine, from any thread. Make one a machine and clone it: a wake is a local push only
/// between tasks of the same port.
#[derive(Clone)]
pub struct Port(Arc<Arc<dyn Mail>>);

impl Port {
    /// The port of the machine of `control`.
    #[must_use]
    pub fn new<E, S>(control: Control<E, S>) -> Self
    where
        E: From<Wake> + Send + 'static,
        S: Send + 'static,
    {
        Self::of(Arc::new(Direct(control)))
    }

    pub(crate) fn of(mail: Arc<dyn Mail>) -> Self {
        Self(Arc::new(mail))
    }

    /// The same port with a count of references of its own: a color's tasks count theirs where no other core writes.
    pub(crate) fn fork(&self) -> Self {
        Self::of(Arc::clone(&self.0))
    }

    /// Sends `future` to an open color, whose handler at `stage` passes it to [`Tasks::poll`](crate::task::Tasks::poll).
    /// If the color is not open, the handle says that the task was cancelled.
    pub fn spawn<F>(&self, color: Color, stage: StageId, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = Task::new(color, stage, self.clone(), future);
        self.0.admit(task);
        handle
    }

    /// Sends a wake to its task.
    pub(crate) fn resume(target: &Arc<dyn Target>) {
        let header = target.header();
        let wake = Wake(Kind::Resume(Arc::clone(target)));
        header.port.0.resume(header.color, header.stage, wake);
    }

    pub(crate) fn now(&self) -> Nanos {
        self.0.now()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&*self.0, &*other.0)
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Port")
    }
}

/// The way to colors that the program opens and closes.
struct Direct<E, S>(Control<E, S>);

impl<E, S> Mail for Direct<E, S>
where
    E: From<Wake> + Send,
    S: Send,
{
    fn resume(&self, color: Color, stage: StageId, wake: Wake) {
        // A machine that has ended dropped its tasks: there is nobody to wake.
        let _ = self.0.post(color, stage, wake.into());
    }

    fn admit(&self, task: Task) {
        let (color, stage) = (task.header().color, task.header().stage);
        self.resume(color, stage, Wake(Kind::Arrive(Box::new(task))));
    }

    fn now(&self) -> Nanos {
        self.0.now()
    }
}
