//! How much to take at once? The paper's thieves take one color and come back; these take more of one victim.
//!
//! | policy | takes of a victim |
//! |---|---|
//! | any other | one color |
//! | [`Batch`] | up to so many colors |
//! | [`Half`] | colors up to half of the time that it offers; at least one |
//!
//! Which ones, the policy inside says: it is asked again, and shown that victim alone.

use color_sched::{CoreId, Load, LoadView, Offer, Stealer, Theft};

use crate::board;

/// The machine as if no core but one offered anything.
struct Only<'v, V> {
    view: &'v V,
    victim: CoreId,
}

impl<V: LoadView> LoadView for Only<'_, V> {
    fn cores(&self) -> usize {
        self.view.cores()
    }

    fn load(&self, core: CoreId) -> Load {
        if core == self.victim { self.view.load(core) } else { Load::default() }
    }

    fn offered(&self, core: CoreId, slot: usize) -> Option<Offer> {
        if core == self.victim { self.view.offered(core, slot) } else { None }
    }

    fn steal_cost_ns(&self) -> u64 {
        self.view.steal_cost_ns()
    }

    fn steal_cost_from_ns(&self, victim: CoreId) -> Option<u64> {
        self.view.steal_cost_from_ns(victim)
    }
}

/// Up to so many colors of one victim, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Batch<P> {
    policy: P,
    colors: usize,
}

impl<P> Batch<P> {
    /// What `policy` would take, up to `colors` times; at least once.
    pub const fn new(policy: P, colors: usize) -> Self {
        Self { policy, colors }
    }
}

impl<P: Stealer> Stealer for Batch<P> {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        self.policy.plan(thief, view)
    }

    fn again(
        &mut self,
        thief: CoreId,
        view: &impl LoadView,
        last: &Theft,
        stolen: usize,
    ) -> Option<Theft> {
        let only = Only { view, victim: last.victim };
        if stolen < self.colors { self.policy.plan(thief, &only) } else { None }
    }

    fn refused(&mut self, theft: &Theft) {
        self.policy.refused(theft);
    }

    fn steals(&self) -> bool {
        self.policy.steals()
    }
}

/// Half of the time that a victim offers, in colors; at least one.
#[derive(Clone, Copy, Debug)]
pub struct Half<P> {
    policy: P,
    /// What may still be taken of the victim.
    left_ns: u64,
}

impl<P> Half<P> {
    /// What `policy` would take, until half of what the victim offered at first is gone.
    pub const fn new(policy: P) -> Self {
        Self { policy, left_ns: 0 }
    }
}

impl<P: Stealer> Stealer for Half<P> {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let theft = self.policy.plan(thief, view)?;
        let slots = view.load(theft.victim).slots;
        let offers = board::offers(theft.victim, slots, view);
        let offered_ns = offers.fold(0, |sum: u64, (_, offer)| sum.saturating_add(offer.queued_ns));
        self.left_ns = (offered_ns / 2).saturating_sub(queued_ns(&theft, view));
        Some(theft)
    }

    fn again(
        &mut self,
        thief: CoreId,
        view: &impl LoadView,
        last: &Theft,
        _stolen: usize,
    ) -> Option<Theft> {
        let only = Only { view, victim: last.victim };
        let theft = self.policy.plan(thief, &only)?;
        self.left_ns = self.left_ns.checked_sub(queued_ns(&theft, view))?;
        Some(theft)
    }

    fn refused(&mut self, theft: &Theft) {
        self.policy.refused(theft);
    }

    fn steals(&self) -> bool {
        self.policy.steals()
    }
}

/// What the theft would bring; if it has gone meanwhile, nothing.
fn queued_ns(theft: &Theft, view: &impl LoadView) -> u64 {
    view.offered(theft.victim, theft.slot).map_or(0, |offer| offer.queued_ns)
}
