//! How often to look? A thief that finds nothing lets the next looks be, twice as many each time.
//!
//! A look costs lines that the victims write. Nothing is lost by not looking, but some of it is found later: a core
//! with something worthy wakes those that wait, and wakes them again. A theft makes the thief look at once again; a plan that nobody has refused was one.

use color_sched::{CoreId, LoadView, Stealer, Theft};

/// Looks that are let be after many that found nothing, at most, unless another number is set.
const MOST: u32 = 64;

/// A policy that is asked less often the less it finds: after `n` looks in a row that brought nothing, the next 2ⁿ - 1
/// are let be, up to a limit.
#[derive(Clone, Copy, Debug)]
pub struct BackOff<P> {
    policy: P,
    most: u32,
    /// Looks that are let be next time.
    next: u32,
    left: u32,
    /// What was planned last has not been refused so far.
    has_plan: bool,
}

impl<P> BackOff<P> {
    /// Up to 64 looks are let be.
    pub const fn new(policy: P) -> Self {
        Self { policy, most: MOST, next: 0, left: 0, has_plan: false }
    }

    /// Up to `most` looks are let be.
    #[must_use]
    pub const fn at_most(mut self, most: u32) -> Self {
        self.most = most;
        self
    }

    fn found_nothing(&mut self) {
        self.next = self.next.saturating_mul(2).saturating_add(1).min(self.most);
        self.left = self.next;
    }
}

impl<P: Stealer> Stealer for BackOff<P> {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return None;
        }
        if self.has_plan {
            self.next = 0;
        }
        let plan = self.policy.plan(thief, view);
        self.has_plan = plan.is_some();
        if !self.has_plan {
            self.found_nothing();
        }
        plan
    }

    fn again(
        &mut self,
        thief: CoreId,
        view: &impl LoadView,
        last: &Theft,
        stolen: usize,
    ) -> Option<Theft> {
        self.policy.again(thief, view, last, stolen)
    }

    fn refused(&mut self, theft: &Theft) {
        self.has_plan = false;
        self.found_nothing();
        self.policy.refused(theft);
    }

    fn steals(&self) -> bool {
        self.policy.steals()
    }
}
