//! What may a heuristic change of the base algorithm?
//!
//! Mely keeps Libasync-smp's algorithm (§2.2, Fig. 2) and replaces its decisions one by one (§3). So a heuristic is a
//! set of answers, each of which it may leave to others:
//!
//! | question | the base's answer | [`Locality`] | [`TimeLeft`] | [`Penalty`] |
//! |---|---|---|---|---|
//! | whom to look at ([`core_set`]) | most loaded, then its successors | nearest first | | |
//! | what does it cost ([`price_ns`]) | the same from everywhere | more from far memory | | |
//! | how much is in it ([`left_ns`]) | time of the waiting events | | | time ÷ penalty |
//! | may it be stolen ([`is_stealable`]) | two colors wait, and it has under half of the events | | worth the trip | |
//! | which of those ([`takes_most`]) | the first | | most time left | most time left |
//!
//! In a chain the first answer to `core_set` and to `is_stealable` holds, prices and times pass through all, and the
//! color with the most time left is taken if anybody says so.
//!
//! [`Locality`]: crate::Locality
//! [`TimeLeft`]: crate::TimeLeft
//! [`Penalty`]: crate::Penalty
//! [`core_set`]: Heuristic::core_set
//! [`price_ns`]: Heuristic::price_ns
//! [`left_ns`]: Heuristic::left_ns
//! [`is_stealable`]: Heuristic::is_stealable
//! [`takes_most`]: Heuristic::takes_most

use color_sched::{CoreId, Offer};

/// Part of a stealing policy: see the [module](self). Every method has a default, which leaves the answer to others.
///
/// ```
/// use color_sched::{CoreId, Offer};
/// use mely_steal::{Heuristic, Mely, TimeLeft};
///
/// /// Leaves colors alone that have a single event, whatever a theft costs (if it costs anything).
/// struct Crowds;
/// impl Heuristic for Crowds {
///     fn left_ns(&self, offer: &Offer, left_ns: u64) -> u64 {
///         if offer.events > 1 { left_ns } else { 0 }
///     }
/// }
/// let policy = Mely::by(Crowds.then(TimeLeft));
/// ```
pub trait Heuristic {
    /// A search of `thief` on a machine of `cores` cores begins.
    fn prepare(&mut self, _thief: CoreId, _cores: usize) {}

    /// Whom to look at, in this order, in the search that was prepared. The thief itself is passed over.
    fn core_set(&self) -> Option<&[CoreId]> {
        None
    }

    /// What a theft from `victim` costs, if one costs `price_ns` usually; not asked where the thief has measured it.
    fn price_ns(&self, _thief: CoreId, _victim: CoreId, price_ns: u64) -> u64 {
        price_ns
    }

    /// How much time a thief should see in an offer, in nanoseconds. The base algorithm does not ask: this counts only
    /// where [`is_stealable`](Self::is_stealable) or [`takes_most`](Self::takes_most) is answered, in this heuristic or
    /// one beside it. 0 keeps an offer from [`TimeLeft`](crate::TimeLeft) unless a theft costs nothing (a pinned price
    /// of 0): then every color may be stolen.
    fn left_ns(&self, _offer: &Offer, left_ns: u64) -> u64 {
        left_ns
    }

    /// May a color with so much time left be stolen at this price? The first in a chain that answers is the only one
    /// asked: a veto goes before [`TimeLeft`](crate::TimeLeft), which always answers.
    fn is_stealable(&self, _left_ns: u64, _price_ns: u64) -> Option<bool> {
        None
    }

    /// Is the color with the most time left the one to steal, and not just the first?
    fn takes_most(&self) -> bool {
        false
    }

    /// This heuristic, and then another one.
    fn then<H: Heuristic>(self, next: H) -> Then<Self, H>
    where
        Self: Sized,
    {
        Then { first: self, next }
    }
}

/// Nothing is changed: with it alone [`Mely`](crate::Mely) is the base algorithm.
impl Heuristic for () {}

/// Two heuristics, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Then<A, B> {
    pub(crate) first: A,
    pub(crate) next: B,
}

impl<A: Heuristic, B: Heuristic> Heuristic for Then<A, B> {
    fn prepare(&mut self, thief: CoreId, cores: usize) {
        self.first.prepare(thief, cores);
        self.next.prepare(thief, cores);
    }

    fn core_set(&self) -> Option<&[CoreId]> {
        self.first.core_set().or_else(|| self.next.core_set())
    }

    fn price_ns(&self, thief: CoreId, victim: CoreId, price_ns: u64) -> u64 {
        self.next.price_ns(thief, victim, self.first.price_ns(thief, victim, price_ns))
    }

    fn left_ns(&self, offer: &Offer, left_ns: u64) -> u64 {
        self.next.left_ns(offer, self.first.left_ns(offer, left_ns))
    }

    fn is_stealable(&self, left_ns: u64, price_ns: u64) -> Option<bool> {
        let first = self.first.is_stealable(left_ns, price_ns);
        first.or_else(|| self.next.is_stealable(left_ns, price_ns))
    }

    fn takes_most(&self) -> bool {
        self.first.takes_most() || self.next.takes_most()
    }
}

/// A heuristic that can be switched off.
#[derive(Clone, Copy, Debug)]
pub struct Switch<H> {
    pub(crate) is_on: bool,
    pub(crate) heuristic: H,
}

impl<H> Switch<H> {
    /// Switched on, or off.
    pub const fn new(heuristic: H, is_on: bool) -> Self {
        Self { is_on, heuristic }
    }
}

impl<H: Heuristic> Heuristic for Switch<H> {
    fn prepare(&mut self, thief: CoreId, cores: usize) {
        if self.is_on {
            self.heuristic.prepare(thief, cores);
        }
    }

    fn core_set(&self) -> Option<&[CoreId]> {
        if self.is_on { self.heuristic.core_set() } else { None }
    }

    fn price_ns(&self, thief: CoreId, victim: CoreId, price_ns: u64) -> u64 {
        if self.is_on { self.heuristic.price_ns(thief, victim, price_ns) } else { price_ns }
    }

    fn left_ns(&self, offer: &Offer, left_ns: u64) -> u64 {
        if self.is_on { self.heuristic.left_ns(offer, left_ns) } else { left_ns }
    }

    fn is_stealable(&self, left_ns: u64, price_ns: u64) -> Option<bool> {
        if self.is_on { self.heuristic.is_stealable(left_ns, price_ns) } else { None }
    }

    fn takes_most(&self) -> bool {
        self.is_on && self.heuristic.takes_most()
    }
}
