//! When does a color open and close, if nobody but its tasks says so? It opens with the first and closes with the last.
//!
//! A task on its way to a color that closes must not be lost, nor be overtaken by a later one of the same spawner. So the
//! tasks that are on their way from outside are counted, under a lock of the color's shard:
//!
//! | color is | a spawn | the last task of the color is over | the color has closed |
//! |---|---|---|---|
//! | unknown | opens it and posts: *open* | - | - |
//! | open | counts and posts | none on their way: *closing*, else nothing | (a panic outside of a task, or the end) as below |
//! | closing | waits here | - | none wait: *unknown*; else opens it again and posts them in order: *open* |
//!
//! A color spawns for itself without this: it is open, and sees its own tasks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::collections::HashMap;

use crate::event::{Color, Nanos, StageId};
use crate::machine::Control;
use crate::task::body::Task;
use crate::task::port::{Kind, Mail, Port, Wake};
use crate::task::tasks::Tasks;

/// Colors whose doors are kept under one lock: a power of two.
const SHARDS: usize = 64;
/// The stage of a runtime's tasks.
const STAGE: StageId = StageId(0);

/// What a color of the runtime is told.
#[derive(Debug)]
pub(crate) enum Event {
    Wake(Wake),
    /// Drop all tasks: the machine stops.
    Shut,
}

impl From<Wake> for Event {
    fn from(wake: Wake) -> Self {
        Self::Wake(wake)
    }
}

/// What is known of a color that is not closed.
#[derive(Default)]
struct Door {
    /// Tasks from outside that have not arrived.
    coming: usize,
    is_closing: bool,
    waiting: Vec<Task>,
}

type Doors = HashMap<Color, Door>;

/// The colors of a runtime.
pub(crate) struct Gate {
    control: Control<Event, Tasks>,
    shards: [Mutex<Doors>; SHARDS],
}

impl Gate {
    pub(crate) fn new(control: Control<Event, Tasks>) -> Arc<Self> {
        Arc::new(Self { control, shards: std::array::from_fn(|_| Mutex::default()) })
    }

    pub(crate) fn control(&self) -> &Control<Event, Tasks> {
        &self.control
    }

    fn doors(&self, color: Color) -> MutexGuard<'_, Doors> {
        let spread = color.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let shard = &self.shards[spread as usize & (SHARDS - 1)];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task from outside has arrived, or was lost with its color.
    pub(crate) fn arrived(&self, color: Color) {
        if let Some(door) = self.doors(color).get_mut(&color) {
            door.coming = door.coming.saturating_sub(1);
        }
    }

    /// Told when a color has no task left. May it close?
    pub(crate) fn close(&self, color: Color) -> bool {
        match self.doors(color).get_mut(&color) {
            Some(door) if door.coming > 0 => false,
            Some(door) => {
                door.is_closing = true;
                true
            }
            None => true,
        }
    }

    /// A color has closed: if tasks wait, it opens again.
    pub(crate) fn closed(&self, color: Color) {
        let mut doors = self.doors(color);
        let waiting = doors.remove(&color).map(|door| door.waiting).unwrap_or_default();
        // Dropped without the lock: what a future drops may spawn.
        let mut refused = Vec::new();
        if waiting.first().is_some_and(|task| self.open(color, &task.header().port)) {
            let door = doors.entry(color).or_default();
            refused.extend(waiting.into_iter().filter_map(|task| self.send(door, task)));
        } else {
            refused.extend(waiting.into_iter().map(|task| Event::from(arrival(task))));
        }
        drop(doors);
        drop(refused);
    }

    /// Opens a color of which its home knows nothing, or has been told that it closed. False: the machine stops.
    fn open(&self, color: Color, port: &Port) -> bool {
        self.control.open(color, Tasks::new(port, STAGE)).is_ok()
    }

    /// Posts a task. It comes back if the machine has ended.
    fn send(&self, door: &mut Door, task: Task) -> Option<Event> {
        let color = task.header().color;
        let sent = self.control.post(color, STAGE, arrival(task).into());
        door.coming += usize::from(sent.is_ok());
        sent.err()
    }
}

fn arrival(task: Task) -> Wake {
    Wake(Kind::Arrive(Box::new(task)))
}

impl Mail for Gate {
    fn resume(&self, color: Color, stage: StageId, wake: Wake) {
        // A machine that has ended dropped its tasks: there is nobody to wake.
        let _ = self.control.post(color, stage, wake.into());
    }

    fn admit(&self, task: Task) {
        let color = task.header().color;
        let mut doors = self.doors(color);
        let refused = match doors.get_mut(&color) {
            Some(door) if door.is_closing => {
                door.waiting.push(task);
                None
            }
            Some(door) => self.send(door, task),
            None if self.open(color, &task.header().port) => {
                self.send(doors.entry(color).or_default(), task)
            }
            None => Some(Event::from(arrival(task))),
        };
        // Its drop, which says that it was cancelled, may call user's code: not under the lock.
        drop(doors);
        drop(refused);
    }

    fn now(&self) -> Nanos {
        self.control.now()
    }
}
