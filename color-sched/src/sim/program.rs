//! What a simulated core runs: the workload, with every step booked and paid for.

use std::io;
use std::rc::Rc;

use super::act::{Act, Job, Kept};
use super::dice::Dice;
use super::fault::Fault;
use super::ledger::{Producer, Tag};
use super::trace::What;
use super::workload::{Call, Calls, Workload};
use super::world::{On, World, Yielder};
use crate::admission::Admission;
use crate::context::{Context, Local};
use crate::driver::{Driver, EventSink, Wait, Waker};
use crate::event::{Color, CoreId, StageId};
use crate::handler::Handler;

/// The program of one core.
pub(super) struct Program<'y, W: Workload> {
    pub(super) core: CoreId,
    pub(super) fiber: &'y Yielder,
    pub(super) world: Rc<World>,
    pub(super) workload: Rc<W>,
    pub(super) calls: Calls<W::Event, W::State>,
    pub(super) dice: Dice,
}

/// Books the end of an event, whichever way its handler ends.
struct Ending<'a> {
    world: &'a World,
    core: CoreId,
    color: Color,
    tag: Tag,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let now = self.world.now();
        self.world.account(self.core).events += 1;
        self.world.ledger().end(now, self.core, self.color, &self.tag);
    }
}

impl<W: Workload> Program<'_, W> {
    fn give_back(&self, color: Color, stage: StageId, job: Job<W::Event>) {
        let Job::Event { tag, event, .. } = job else { return };
        self.world.ledger().give_back(self.world.now(), self.core, color, &tag);
        self.workload.abandoned(color, stage, event);
    }

    /// Hands over what has arrived.
    fn hand_over(&mut self, sink: &mut impl EventSink<Job<W::Event>, Kept<W::State>>) -> usize {
        let (core, world) = (self.core, Rc::clone(&self.world));
        let mut found = 0;
        while let Some((at, call)) = self.calls.pop(world.now()) {
            found += 1;
            let (color, stage, producer, completes, event) = match call {
                Call::Open { color, state } => {
                    self.open(sink, color, state);
                    continue;
                }
                Call::Arrival { color, stage, event } => {
                    (color, stage, Producer::Arrival(core), None, event)
                }
                Call::Completion { color, serial, stage, event } => {
                    (color, stage, Producer::Ring(core, serial), Some(serial), event)
                }
            };
            let tag = world.ledger().make(producer, color, stage, core, at);
            world.ledger().left -= 1;
            if let Err(job) = sink.post(color, stage, Job::Event { tag, completes, event }) {
                self.give_back(color, stage, job);
            }
        }
        found
    }

    fn open(
        &self,
        sink: &mut impl EventSink<Job<W::Event>, Kept<W::State>>,
        color: Color,
        state: W::State,
    ) {
        let serial = {
            let mut ledger = self.world.ledger();
            ledger.left -= 1;
            ledger.opened += 1;
            ledger.opened
        };
        if let Err(kept) = sink.open(color, Kept { serial, state }) {
            self.world.ledger().closed += 1;
            self.workload.closed(color, kept.state);
        }
    }
}

impl<W: Workload> Admission for Program<'_, W> {
    fn admit(&mut self, stage: StageId, wanted: usize) -> usize {
        self.workload.admit(self.core, stage, wanted)
    }
}

impl<W: Workload> Handler for Program<'_, W> {
    type Event = Job<W::Event>;
    type State = Kept<W::State>;

    fn run(
        &mut self,
        cx: &mut Context<'_, Job<W::Event>, Kept<W::State>>,
        kept: &mut Kept<W::State>,
        job: Job<W::Event>,
    ) {
        let Job::Event { tag, completes, event } = job else { return cx.close() };
        let (core, color, world) = (self.core, cx.color(), &*self.world);
        let before = world.ledger().begin(world.now(), core, (color, cx.stage()), &tag);
        let ending = Ending { world, core, color, tag };
        if completes == Some(kept.serial) {
            cx.unpin();
            if tag.core != core {
                world.blame(core, Fault::Moved { id: tag.id, color });
            }
        }
        world.pay(self.fiber, core, On::Overhead, world.costs.dispatch_ns);
        let event_ns = world.topology.line_ns(tag.core, core);
        world.pay(self.fiber, core, On::Transfers, event_ns);
        let mut act = Act {
            cx,
            world,
            fiber: self.fiber,
            calls: &mut self.calls,
            dice: &mut self.dice,
            serial: kept.serial,
            line_ns: before.map_or(0, |before| world.topology.line_ns(before, core)),
        };
        self.workload.run(&mut act, &mut kept.state, event);
        drop(ending);
    }

    fn batch_end(&mut self, stage: StageId) {
        self.workload.batch_end(self.core, stage);
    }

    fn stopping(&mut self, local: &mut Local<'_, Job<W::Event>, Kept<W::State>>) {
        for color in local.colors() {
            // Nothing waits any more when the machine stops, so there is room.
            let _ = local.post(color, StageId(0), Job::Close);
        }
    }

    fn abandoned(&mut self, color: Color, stage: StageId, job: Job<W::Event>) {
        self.give_back(color, stage, job);
    }

    fn closed(&mut self, color: Color, kept: Kept<W::State>) {
        self.world.note(self.core, What::Close, Some(color));
        self.world.ledger().closed += 1;
        self.workload.closed(color, kept.state);
    }
}

impl<W: Workload> Driver for Program<'_, W> {
    type Event = Job<W::Event>;
    type State = Kept<W::State>;

    fn poll(
        &mut self,
        sink: &mut impl EventSink<Job<W::Event>, Kept<W::State>>,
        wait: Wait,
    ) -> io::Result<usize> {
        let (core, wire) = (self.core, &self.world.wire);
        let has_arrived = self.calls.next_at().is_some_and(|at| at <= self.world.now());
        if wait != Wait::No && !has_arrived {
            let latency_ns = self.world.costs.wake_latency_ns;
            let arrival = self.calls.next_at().map(|at| at.saturating_add(latency_ns));
            let until = match wait {
                Wait::Until(at) => Some(at),
                _ => None,
            };
            let until = [until, arrival].into_iter().flatten().min();
            self.world.wait(self.fiber, core, until);
        }
        wire.forget_wake(core);
        self.world.pay(self.fiber, core, On::Overhead, self.world.costs.poll_ns);
        Ok(self.hand_over(sink))
    }

    fn waker(&self) -> Waker {
        self.world.wire.waker(self.core)
    }
}
