#![doc = include_str!("../README.md")]
//!
//! | module | the question it answers |
//! |---|---|
//! | `call`, `calls`, `facts`, `result` | what can be posted, and what comes back? |
//! | `chain`, `chains` | which calls can be made one after the other, and which is next? |
//! | `address`, `socket_option`, `mapping` | what do connect, setsockopt, mmap speak of? |
//! | `ring` | how is it posted, reaped, awaited, cancelled? |
//! | `event_loop` | which callback runs when a call has completed? |
//! | `options` | who makes the calls, and why not another? |
//! | `engine` | io_uring, syscall threads, or the trap |
//! | `slots`, `op`, `work`, `lent` | where does a call live until its last completion? |
//! | `timers` | which calls wait for a time? |
//! | `slab` | which buffers of the caller's can be registered? |
//! | `buffer`, `returns` | where do received bytes live, and how do they come home? |
//! | `completions` | which results wait to be reaped? |
//! | `entry`, `page`, `pages`, `idle`, `syscall_threads` | how do threads share calls with the poster? |
//! | `specializer` | which core makes the short calls? |
//! | `trap`, `program` | what does a thread make: one call, or several that feed each other? |
//! | `interrupt`, `bell` | how does a call end that a thread is running? |
//! | `epoch`, `waker` | how is a wait ended from elsewhere? |
//! | `probe` | what does this kernel allow? |
//! | `fallback` | what went another way, and how often? |
//! | `machine` | what do kernel, limits and processors offer to this process? |
//! | `sys`, `atomics` | the ways into the kernel, and the atomics that a model replaces |

mod address;
mod atomics;
mod bell;
mod buffer;
mod call;
mod calls;
mod chain;
mod chains;
mod completions;
mod engine;
mod entry;
mod epoch;
mod event_loop;
mod facts;
mod fallback;
mod idle;
mod interrupt;
mod lent;
mod machine;
mod mapping;
mod op;
mod options;
mod page;
mod pages;
mod probe;
mod program;
mod result;
mod returns;
mod ring;
mod slab;
mod slots;
mod socket_option;
mod specializer;
mod sys;
mod syscall_threads;
mod timers;
mod trap;
mod waker;
mod work;

pub use address::Address;
pub use buffer::RecvBuf;
pub use call::{Buffer, CURRENT, CWD, Call, EpollChange, Interest, Lock, RawCall, Readiness};
pub use chain::{Chain, ChainFault, OPENED};
pub use engine::{AnyRing, Direct, Threads, Uring};
pub use event_loop::{EventLoop, LoopStats, Refused};
pub use fallback::{Reason, Stats};
pub use mapping::{Advice, Mapping};
pub use options::{Engine, Options, Placement, Report, RingError, SharedPoller};
pub use probe::{Cause, Limit, Probe};
pub use result::{Cancelled, Completion, Failure, FileStat, PostError, Ticket, Value};
pub use ring::Ring;
pub use slab::{BufferSlab, SlabBuffer};
pub use socket_option::SocketOption;
pub use specializer::{Load, Place, Specializer};
pub use waker::Waker;
