#![doc = include_str!("../README.md")]
//!
//! | module | the question it answers |
//! |---|---|
//! | [`Color`], [`Priority`], [`Target`], [`Ready`] | what is scheduled, where, and how soon? |
//! | [`Admission`] | may a batch run? |
//! | [`scheduler`], [`elect`] | which ready color, of which stage, runs next? |
//! | [`worthy`], [`board`] | which colors do thieves see, and who has one? |
//! | [`Stealer`], [`LoadView`] | whom to rob? |
//! | [`Driver`], [`EventSink`] | where do events come from? |
//! | [`Handler`], [`Context`] | what is done with them, and what may that do? |
//! | [`Core`] | what does a core do next? |
//! | [`park`] | is a core awake? |
//! | [`timer`] | when does it fire? |
//! | [`task`] | what if it is a future? |
//! | [`learn`], [`Penalty`] | what do things cost, and what do they cost elsewhere? |
//! | [`CoreStats`], [`Histogram`], [`Trace`] | what has it done, and how long did it take? |
//! | [`Machine`], [`Control`] | how is it all made, and ended? |
//! | [`sim`] | what would it do on 64 cores? |
//! | [`libasync`] | do programs for Libasync carry over? |
//!
//! Events of one producer (a color, a core's driver, a thread outside) for one color run in the order in which they were
//! posted. A stolen color is posted to by way of its home, which forwards; only what the color itself, its timers, and the
//! driver of a core that it is [pinned](Context::pin) to post takes the short way. So there are two exceptions to the order:
//! what a driver posted to a stolen color before the color was pinned there may still be on the long way, and be overtaken
//! by what the same driver posts after; and timers that a color armed on different cores keep no order among themselves.

mod admission;
mod arms;
mod atomics;
mod batches;
pub mod board;
mod clock;
mod context;
mod course;
mod desk;
mod driver;
pub mod elect;
mod ending;
mod event;
mod hand_over;
mod handler;
mod histogram;
mod home;
mod hub;
mod idle;
mod inbox;
mod index;
pub mod learn;
pub mod libasync;
mod links;
mod machine;
mod offers;
mod outbox;
pub mod park;
mod penalty;
mod prefetch;
mod record;
mod reserve;
mod rings;
mod running;
pub mod scheduler;
#[cfg(not(loom))]
pub mod sim;
mod stage_cost;
mod stats;
mod stealer;
mod sys;
pub mod task;
mod theft;
pub mod timer;
mod trace;
mod worker;
pub mod worthy;

pub use admission::Admission;
pub use clock::Clock;
pub use context::{Context, Local, TimerId};
pub use driver::{Driver, EventSink, Wait, Waker};
pub use event::{Color, CoreId, Nanos, Priority, Ready, Slot, StageId, Target};
pub use handler::{AfterPanic, Handler};
pub use histogram::Histogram;
pub use learn::Cost;
pub use machine::{Config, ConfigError, Control, MAX_CORES, MAX_STAGES, Machine, Parts, StageInfo};
pub use penalty::Penalty;
pub use scheduler::{ColorQueues, Fifo, Flat, Scheduler, StageBatch};
pub use stats::CoreStats;
pub use stealer::{Load, LoadView, NoSteal, Offer, Stealer, Theft};
pub use sys::pin_thread;
pub use trace::{Doing, Span, Trace};
pub use worker::{Core, Turn};
