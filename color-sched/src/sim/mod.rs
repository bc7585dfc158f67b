//! What would it do on 64 cores? The real [`Core`](crate::Core)s, schedulers and stealers, in simulated time.
//!
//! Each core has a time of its own and a stack of its own, and all run in one thread: always the core that is furthest
//! behind, until it has spent so much time that another one is. So whatever a core does, others have done all that they
//! do before that, in the middle of turns, batches and thefts too: a thief comes too late if somebody else was there
//! between its look and its grasp. Cores of equal time go first as the seed decides; nothing else is left to chance, so
//! that the same seed gives the same [trace](Report::trace), byte for byte.
//!
//! ```
//! use color_sched::sim::{Act, Simulation, Start, Workload};
//! use color_sched::{Color, Fifo, NoSteal, StageId, StageInfo};
//!
//! /// Two colors, and a ball.
//! struct PingPong;
//!
//! impl Workload for PingPong {
//!     type Event = u32;
//!     type State = ();
//!
//!     fn stages(&self) -> Vec<StageInfo> {
//!         vec![StageInfo::new("hit")]
//!     }
//!
//!     fn start(&self, start: &mut Start<u32, ()>) {
//!         start.open(Color(0), ());
//!         start.open(Color(1), ());
//!         start.post(Color(0), StageId(0), 100);
//!     }
//!
//!     fn run(&self, act: &mut Act<'_, '_, u32, ()>, _state: &mut (), hits: u32) {
//!         act.spend(500);
//!         if hits > 1 {
//!             let other = Color(1 - act.color().0);
//!             act.post(other, StageId(0), hits - 1).unwrap();
//!         }
//!     }
//! }
//!
//! let run = |cores| Simulation::new(cores).run(PingPong, |_| Fifo::new(&[]), |_| NoSteal);
//! let (alone, apart) = (run(1)?, run(2)?);
//! assert_eq!((alone.events, apart.events), (100, 100));
//! assert!(apart.makespan_ns > 30 * alone.makespan_ns, "each hit wakes a core that waits");
//! # Ok::<(), color_sched::sim::SimError>(())
//! ```
//!
//! # What is paid for
//!
//! | what | when | how much |
//! |---|---|---|
//! | a handler's work | as it [spends](Act::spend) it | as the workload says |
//! | a color's lines | as the handler [touches](Act::touch) them | lines × distance to the core where it ran last |
//! | an event's line | when it runs | distance to the core where it was made |
//! | dispatch | when an event runs | [`Costs::dispatch_ns`] |
//! | a poll | at each turn | [`Costs::poll_ns`] |
//! | a look at a core's load, or at its board | after the stealer's plan, before its theft | a line, [several at once](Costs::looks_at_once) |
//! | a theft | after it | [`Costs::theft_ns`] + [`Costs::theft_lines`] × distance |
//! | a theft that came too late | after it | [`Costs::rmw_ns`] + a line |
//! | a wake | by the waker, at its next payment | [`Costs::wake_call_ns`] |
//! | | by the core that waits | [`Costs::wake_latency_ns`] from the waker's call on |
//! | messages and offers | at the end of the turn, all at once | [`Costs::message_ns`] and [`Costs::rmw_ns`] each |
//!
//! What the simulation watches over is listed at [`Fault`]: that nothing is lost, doubled, overtaken, early, or at two places
//! at once, and if [asked for](Simulation::watch_parked) that no core waits in vain.
//!
//! # What is not
//!
//! * Caches have no size: a color that stays on its core finds all of its lines there, however much ran in between.
//!   Memory, and links between caches, have no bandwidth: a hundred cores may move lines at once, at the price of one.
//!   Lines that nobody has written since are paid for again when a thief looks again.
//! * Between two payments nothing else happens: an instruction-level race is not to be found here (loom is for that).
//!   Memory is sequentially consistent.
//! * Costs are constants. No interrupts, no other processes, no frequency changes; a core that waits gets up after the
//!   same time always. A timer wakes its core without delay.
//! * The costs of a theft and of a wake that cores reckon with are pinned at what they cost here. What stages cost is
//!   learned, in simulated time.
//! * Arrivals come in at the homes of their colors. There is no kernel behind the driver.

mod act;
mod costs;
mod dice;
mod fault;
mod ledger;
mod life;
mod program;
mod report;
mod simulation;
mod thief;
mod topology;
mod trace;
mod wire;
mod workload;
mod world;

pub use act::Act;
pub use costs::Costs;
pub use dice::Dice;
pub use fault::{Fault, SimError};
pub use report::{CoreReport, Latency, Report};
pub use simulation::{MAX_CORES, Simulation};
pub use topology::Topology;
pub use workload::{Start, Workload};
