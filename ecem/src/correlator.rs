//! Deliver this event now, or defer it? (ECEM §3.2, §5.1)
//!
//! | the paper's call | here |
//! |---|---|
//! | `ecem_add(fd_disk, fd_net)` | [`Correlator::add`] |
//! | `ecem_del(fd_disk, fd_net)` | [`Correlator::del`] |
//! | `ecem_retrieve_correlated_network(fd_disk)` | [`Correlator::by_pre`] |
//! | `ecem_retrieve_correlated_disk(fd_net)` | [`Correlator::by_post`] |
//! | `ecem_check_if_RW_state(fd_net, fd_disk)` | [`Correlator::state`] |
//!
//! Differs: the paper's table sits in the kernel and is hashed at every event. Here the hash is
//! paid at `add`, `del` and `by_*` only; an event names its pair by a [`PairId`].

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::deferred::{Deferred, Line};
use crate::{Event, Nanos, Pair, PairId, PairState, Readiness, Refusal, Verdict};

/// What happens to an event whose pair is in state RW.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is delivered at once, as conventional systems do. Pairs are tracked, nothing is held.
    Eager,
    /// It is held until its post side is ready: the paper's deferred event delivery.
    Deferred,
}

/// Why a pair was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The pre key belongs to a live pair, which is named.
    #[error(
        "pre key {pre} already belongs to a pair; del() that pair first, or use a key of its own for each stream"
    )]
    PreTaken {
        /// The key.
        pre: u64,
        /// The pair that has it.
        by: PairId,
    },
    /// The post key belongs to a live pair, which is named.
    #[error("post key {post} already belongs to a pair; del() that pair first")]
    PostTaken {
        /// The key.
        post: u64,
        /// The pair that has it.
        by: PairId,
    },
    /// 2³² − 1 pairs are alive.
    #[error("2^32 - 1 pairs are alive; del() some first")]
    TooMany,
}

/// What [`Correlator::del`] gives back.
#[must_use = "held events are lost if this is dropped"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed<E> {
    /// The pair as it stood.
    pub pair: Pair,
    /// The events that were held for it, oldest first.
    pub held: Vec<E>,
}

/// Counters since the correlator was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events delivered the moment they came, their pair being RR.
    pub at_once: u64,
    /// Events delivered the moment they came although their pair was RW ([`Delivery::Eager`]):
    /// each one a receiver that most likely blocked.
    pub eager: u64,
    /// Events that were held.
    pub deferred: u64,
    /// Held events that were delivered later.
    pub released: u64,
    /// Held events given back by [`Correlator::del`]: `deferred` = `released` + `returned` + those
    /// held now.
    pub returned: u64,
    /// Events given back because their pair's limit was reached.
    pub refused: u64,
    /// Events that named no live pair.
    pub stale: u64,
    /// Pairs deleted.
    pub dropped_pairs: u64,
    /// Time that released events were held, summed.
    pub held_ns: u64,
    /// The longest time that a released event was held.
    pub longest_held_ns: u64,
}

#[derive(Debug, Clone)]
struct Slot {
    pre: u64,
    post: u64,
    line: Line,
    generation: u32,
    live: bool,
    pre_ready: bool,
    post_ready: bool,
}

impl Slot {
    /// The pre side is ready as long as one of its events is held: `PreWait` speaks of the events
    /// to come.
    fn state(&self) -> PairState {
        let side = |ready| if ready { Readiness::Ready } else { Readiness::Wait };
        PairState::of(side(self.pre_ready || !self.line.is_empty()), side(self.post_ready))
    }
}

/// The pairs, their states, and the events held for them. `E` is the payload of a pre-event: what
/// its receiver needs, often a completed read. A pure state machine: no descriptor, no clock.
///
/// A call of [`on_event`](Correlator::on_event) is an index and a few branches. Memory is
/// proportional to the highest number of pairs alive, plus that of events held, at once; nothing
/// is allocated for an event below those.
#[derive(Debug, Clone)]
pub struct Correlator<E> {
    delivery: Delivery,
    limit: u32,
    slots: Vec<Slot>,
    free: Vec<u32>,
    held: Deferred<E>,
    by_pre: HashTable<u32>,
    by_post: HashTable<u32>,
    hasher: RandomState,
    stats: Stats,
}

impl<E> Correlator<E> {
    /// Events held for a pair unless [`with_limit`](Correlator::with_limit) says otherwise. A
    /// server that keeps one read a connection in flight needs 1.
    pub const DEFAULT_LIMIT: u32 = 16;

    /// A correlator without pairs.
    pub fn new(delivery: Delivery) -> Self {
        Correlator {
            delivery,
            limit: Self::DEFAULT_LIMIT,
            slots: Vec::new(),
            free: Vec::new(),
            held: Deferred::new(),
            by_pre: HashTable::new(),
            by_post: HashTable::new(),
            hasher: RandomState::default(),
            stats: Stats::default(),
        }
    }

    /// Bounds the events held for one pair. An event above it is given back as
    /// [`Refusal::Full`]; 0 holds nothing.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Adds the pair `pre` ⇒ `post`. It starts as WR: nothing was read yet, the socket takes data.
    ///
    /// A key is in at most one pair on its side; the two sides are separate name spaces. Where
    /// many sockets are sent from one open file, the pre key is the stream's, not the descriptor.
    ///
    /// # Errors
    /// When one of the keys belongs to a live pair.
    pub fn add(&mut self, pre: u64, post: u64) -> Result<PairId, AddError> {
        if let Some(by) = self.by_pre(pre) {
            return Err(AddError::PreTaken { pre, by });
        }
        if let Some(by) = self.by_post(post) {
            return Err(AddError::PostTaken { post, by });
        }
        let index = self.vacant_slot()?;
        let slot = &mut self.slots[index as usize];
        slot.pre = pre;
        slot.post = post;
        slot.live = true;
        slot.pre_ready = false;
        slot.post_ready = true;
        let id = PairId { index, generation: slot.generation };

        let (slots, hasher) = (&self.slots, &self.hasher);
        self.by_pre.insert_unique(hasher.hash_one(pre), index, |&i| {
            hasher.hash_one(slots[i as usize].pre)
        });
        self.by_post.insert_unique(hasher.hash_one(post), index, |&i| {
            hasher.hash_one(slots[i as usize].post)
        });
        Ok(id)
    }

    fn vacant_slot(&mut self) -> Result<u32, AddError> {
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        let index = u32::try_from(self.slots.len()).map_err(|_| AddError::TooMany)?;
        if index == u32::MAX {
            return Err(AddError::TooMany);
        }
        self.slots.push(Slot {
            pre: 0,
            post: 0,
            line: Line::EMPTY,
            generation: 0,
            live: false,
            pre_ready: false,
            post_ready: false,
        });
        Ok(index)
    }

    /// Deletes a pair and gives back the events held for it. `None` when there is no such pair.
    pub fn del(&mut self, id: PairId) -> Option<Removed<E>> {
        let pair = self.pair(id)?;
        let slot = &mut self.slots[id.index()];
        let mut held = Vec::with_capacity(pair.held);
        while let Some((event, _)) = self.held.pop(&mut slot.line) {
            held.push(event);
        }
        slot.live = false;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);

        let is_it = |&index: &u32| index == id.index;
        if let Ok(entry) = self.by_pre.find_entry(self.hasher.hash_one(pair.pre), is_it) {
            entry.remove();
        }
        if let Ok(entry) = self.by_post.find_entry(self.hasher.hash_one(pair.post), is_it) {
            entry.remove();
        }
        self.stats.dropped_pairs += 1;
        self.stats.returned += held.len() as u64;
        Some(Removed { pair, held })
    }

    /// Takes one event and says what to do. Events of a pair are delivered in the order in which
    /// they came, each exactly once.
    ///
    /// `now` dates held events; it need not advance, and a clock that jumps back counts as 0 ns.
    #[inline]
    pub fn on_event(&mut self, event: Event<E>, now: Nanos) -> Verdict<E> {
        let id = event.pair();
        let slot = match self.slots.get_mut(id.index()) {
            Some(slot) if slot.live && slot.generation == id.generation => slot,
            _ => return self.stale(event),
        };
        match event {
            Event::PreReady(_, event) => {
                slot.pre_ready = true;
                if slot.line.is_empty() && (slot.post_ready || self.delivery == Delivery::Eager) {
                    let counter = if slot.post_ready {
                        &mut self.stats.at_once
                    } else {
                        &mut self.stats.eager
                    };
                    *counter += 1;
                    return Verdict::Deliver(event);
                }
                self.hold(id, event, now)
            }
            Event::PreWait(_) => {
                slot.pre_ready = false;
                Verdict::Nothing
            }
            Event::PostReady(_) => {
                slot.post_ready = true;
                self.deliver_next(id, now).map_or(Verdict::Nothing, Verdict::Deliver)
            }
            Event::PostWait(_) => {
                slot.post_ready = false;
                Verdict::Nothing
            }
        }
    }

    #[cold]
    fn stale(&mut self, event: Event<E>) -> Verdict<E> {
        self.stats.stale += 1;
        match event {
            Event::PreReady(_, event) => Verdict::Refused(event, Refusal::NoPair),
            Event::PreWait(_) | Event::PostReady(_) | Event::PostWait(_) => Verdict::Nothing,
        }
    }

    /// Puts `event` behind those held already. If the post side is ready, the oldest of them comes
    /// out in exchange: the newcomer does not overtake.
    fn hold(&mut self, id: PairId, event: E, now: Nanos) -> Verdict<E> {
        let slot = &mut self.slots[id.index()];
        if !slot.post_ready && slot.line.len() >= self.limit {
            self.stats.refused += 1;
            return Verdict::Refused(event, Refusal::Full);
        }
        if let Err(event) = self.held.push(&mut slot.line, event, now) {
            self.stats.refused += 1;
            return Verdict::Refused(event, Refusal::Full);
        }
        self.stats.deferred += 1;
        self.deliver_next(id, now).map_or(Verdict::Defer, Verdict::Deliver)
    }

    /// The oldest event held for a pair, if its post side is ready. After [`Verdict::Deliver`],
    /// call this until it returns `None`, or until delivering made the post side wait and
    /// [`Event::PostWait`] was passed in.
    #[inline]
    pub fn deliver_next(&mut self, id: PairId, now: Nanos) -> Option<E> {
        let slot = self.slots.get_mut(id.index())?;
        if !slot.live || slot.generation != id.generation || !slot.post_ready {
            return None;
        }
        let (event, since) = self.held.pop(&mut slot.line)?;
        let held_ns = now.saturating_sub(since);
        self.stats.released += 1;
        self.stats.held_ns = self.stats.held_ns.saturating_add(held_ns);
        self.stats.longest_held_ns = self.stats.longest_held_ns.max(held_ns);
        Some(event)
    }

    /// The state of a pair; `None` when there is no such pair.
    pub fn state(&self, id: PairId) -> Option<PairState> {
        self.live(id).map(Slot::state)
    }

    /// A pair as it stands; `None` when there is no such pair.
    pub fn pair(&self, id: PairId) -> Option<Pair> {
        self.live(id).map(|slot| Pair {
            pre: slot.pre,
            post: slot.post,
            state: slot.state(),
            held: slot.line.len() as usize,
        })
    }

    fn live(&self, id: PairId) -> Option<&Slot> {
        self.slots.get(id.index()).filter(|slot| slot.live && slot.generation == id.generation)
    }

    /// The pair whose pre key is `pre`.
    pub fn by_pre(&self, pre: u64) -> Option<PairId> {
        let hash = self.hasher.hash_one(pre);
        let index = *self.by_pre.find(hash, |&i| self.slots[i as usize].pre == pre)?;
        Some(PairId { index, generation: self.slots[index as usize].generation })
    }

    /// The pair whose post key is `post`.
    pub fn by_post(&self, post: u64) -> Option<PairId> {
        let hash = self.hasher.hash_one(post);
        let index = *self.by_post.find(hash, |&i| self.slots[i as usize].post == post)?;
        Some(PairId { index, generation: self.slots[index as usize].generation })
    }

    /// Live pairs.
    pub fn len(&self) -> usize {
        self.by_pre.len()
    }

    /// Whether no pair is alive.
    pub fn is_empty(&self) -> bool {
        self.by_pre.is_empty()
    }

    /// How events in state RW are treated.
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Counters since the correlator was made.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}
