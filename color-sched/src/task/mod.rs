//! What if a task is a future? Then it is a chain of events of one color: each wake is one, and runs one poll.
//!
//! ```
//! use color_sched::{Color, Config, NoSteal, task};
//! use std::time::Duration;
//!
//! let runtime = task::Runtime::new(Config::new(2, vec![]))?;
//! let running = runtime.start(|_core| NoSteal)?;
//! let answer = running.spawner().spawn(Color(7), async {
//!     let half = task::spawn(Color(8), async { 21 })?; // on another core, in parallel
//!     task::sleep(Duration::from_millis(2)).await?;
//!     let half = task::timeout(Duration::from_secs(5), half).await??;
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(2 * half)
//! });
//! assert_eq!(answer.wait()?.unwrap(), 42);
//! running.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Tasks of one color never run at once, wherever a thief takes it, so that what they share needs no contended lock; their
//! wakes keep their order, for each thread or color that wakes. A program with handlers of its own has async code beside them by a
//! [`Tasks`] in its colors' state and a [`Port`] to its machine; [`Runtime`] is one such program.
//!
//! | file | the question it answers |
//! |---|---|
//! | [`Runtime`], [`Spawner`] | how is it all started, and ended? |
//! | [`JoinHandle`] | what became of a task? |
//! | [`Tasks`], [`Port`], [`Wake`] | how does a program mix handlers and tasks? |
//! | [`spawn`], [`sleep`], [`timeout`], [`yield_now`] | what can a task do, next to computing? |
//! | [`state`] | who polls a task, and who posts its event? |
//!
//! **Costs.** A task is two allocations, its future and what it shares with wakers and handle. A wake is one atomic
//! read-modify-write, and if the task was idle an event: a push if the waker is a task of this core, else a message to the
//! color's home, which wakes that core if it sleeps. A poll adds two atomic writes to its event, and whatever it asks
//! for (wake, sleep, spawn) is noted in a thread-local list and carried out after it. A sleep is an allocation, a timer, and
//! two events: the timer's and the wake's. A spawn from another color or from outside takes a lock of one of 64 shards twice.
//! A task that never awaits keeps its core; nothing interrupts it.
//!
//! **Use tokio instead**, or async-executor with async-io, when tasks do their own I/O: there is no reactor here, a socket's
//! wake must come from a [`Driver`](crate::Driver) or another thread. Use this when tasks that share something are to be
//! serialised by color instead of by locks, or when they run beside handlers.

mod body;
mod current;
mod gate;
mod join;
mod packet;
mod port;
mod runtime;
mod sleep;
pub mod state;
mod tasks;
mod timeout;
mod yield_now;

pub use current::{OutsideTask, color, core, spawn};
pub use join::{JoinError, JoinHandle};
pub use port::{Port, Wake};
pub use runtime::{Running, Runtime, Spawner, Worker};
pub use sleep::{Sleep, sleep};
pub use tasks::Tasks;
pub use timeout::{Timeout, TimeoutError, timeout};
pub use yield_now::{YieldNow, yield_now};
