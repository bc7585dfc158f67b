//! All tests of color-sched, in one binary.

#[cfg(not(loom))]
mod bad_input;
#[cfg(not(loom))]
mod basics;
#[cfg(not(loom))]
mod elect;
#[cfg(not(loom))]
mod endings;
#[cfg(not(loom))]
mod learned;
#[cfg(not(loom))]
mod libasync;
#[cfg(loom)]
mod loom_board;
#[cfg(loom)]
mod loom_park;
#[cfg(loom)]
mod loom_task;
#[cfg(not(loom))]
mod observed;
#[cfg(not(loom))]
mod priorities;
#[cfg(not(loom))]
mod program;
#[cfg(not(loom))]
mod schedulers;
#[cfg(not(loom))]
mod searches;
#[cfg(not(loom))]
mod sim;
#[cfg(not(loom))]
mod sim_random;
#[cfg(not(loom))]
mod stepped;
#[cfg(not(loom))]
mod task;
#[cfg(not(loom))]
mod task_end;
#[cfg(not(loom))]
mod task_foreign;
#[cfg(not(loom))]
mod task_mixed;
#[cfg(not(loom))]
mod task_time;
#[cfg(not(loom))]
mod theft;
#[cfg(not(loom))]
mod threads;
#[cfg(not(loom))]
mod timers;
#[cfg(not(loom))]
mod transients;
#[cfg(not(loom))]
mod worthy;
