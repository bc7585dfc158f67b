//! Do programs for Libasync carry over? Its operations, by their names, on a machine of this crate.
//!
//! Libasync is callbacks on one loop; Libasync-smp gave them colors and more cores (Zeldovich et al., *Multiprocessor
//! Support for Event-Driven Programs*, USENIX 2003; Mely §2.1).
//!
//! ```
//! use color_sched::Color;
//! use color_sched::libasync::{Libasync, aexit, cpucb, cwrap, delaycb, fdcb, selread};
//! use std::io::{Read, Write};
//! use std::os::{fd::AsRawFd, unix::net::UnixStream};
//!
//! let (mut near, mut far) = UnixStream::pair()?;
//! Libasync::new(2)?.run(move || {
//!     let fd = far.as_raw_fd();
//!     let read = move || {
//!         let mut line = [0; 5];
//!         far.read_exact(&mut line).expect("it is ready");
//!         fdcb(fd, selread, None).expect("inside of a callback");
//!         aexit().expect("inside of a callback");
//!     };
//!     fdcb(fd, selread, cwrap(Color(1), read)).expect("a socket");
//!     delaycb(0, 1_000_000, move || near.write_all(b"hello").expect("room")).expect("inside");
//!     cpucb(cwrap(Color(2), || println!("beside both"))).expect("inside");
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | theirs | ours |
//! |---|---|
//! | `fdcb(fd, selread, cb)`, `fdcb(fd, selread, NULL)` | [`fdcb`]`(fd, selread, cb)`, `fdcb(fd, selread, None)` |
//! | `delaycb(sec, nsec, cb)`, `timecb(when, cb)` | [`delaycb`]`(sec, nsec, cb)`, [`timecb`]`(when, cb)` |
//! | `timecb_remove(timecb_t *)` | [`timecb_remove`]`(`[`TimeCb`]`)` |
//! | `cpucb(cb)` | [`cpucb`]`(cb)` |
//! | `wrap(&f, a)` | a closure: `move || f(a)`, of color 0 |
//! | `cwrap(wrap(&f, a), color)` | [`cwrap`]`(color, move || f(a))` |
//! | a callback's priority | `cwrap(..).`[`priority`](Colored::priority)`(..)` |
//! | set up, then `amain()` | [`amain`]`(move || set_up())`, or [`Libasync`] to choose cores, scheduler and stealer |
//! | `exit(0)` in a callback | [`aexit`]`()`: callbacks end, the loop returns |
//! | `sigcb(sig, cb)` | none: it would have to block the signal in threads that are not ours. `fdcb` on a signalfd or a pipe |
//!
//! What differs:
//!
//! * Operations are for callbacks. Outside of them they give back what they were passed: [`Refused`]. What a callback asks
//!   for, descriptors aside, happens when it has returned, or panicked.
//! * A color is any 64-bit number and collides with no other. Its home is the core `color % cores`.
//! * A descriptor's callback keeps the level-triggered meaning of `select`, by one-shot epolls that are armed again after
//!   each call: so it waits at most once, and a slow one is no flood. The epoll is that of the home of the callback's
//!   color, whoever registers it: one producer tells of all descriptors of a color, in the order in which it found
//!   them, and when the color is stolen the home forwards what it finds, as any post; no epoll has to change hands.
//! * The order in a color is that of [the crate](crate): as posted, by each producer. Priorities are between colors.
//! * Files cannot be waited for: the kernel refuses them, where `select` called them ready.
//! * A panic ends its callback only, which is counted; that of a descriptor is removed.
//! * The loop does not end when nothing is left to be called. Theirs doesn't either.

mod callback;
mod calls;
mod descriptors;
mod program;
mod run;
mod timers;

pub use callback::{Callback, Colored, FdCallback, Never, cwrap};
pub use calls::{Reason, Refused, aexit, cpucb, delaycb, fdcb, timecb, timecb_remove};
pub use descriptors::SelOp::{self, Read as selread, Write as selwrite};
pub use run::{Ended, Libasync, RunError, amain};
pub use timers::TimeCb;
