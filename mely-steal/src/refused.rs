//! What was refused, and is not to be proposed again at once?

use color_sched::{CoreId, Theft};

/// The theft that was refused last, until the next plan. A view may be stale for as long as it likes; a policy that
/// believed it each time would ask for the same thing for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused(Option<Theft>);

impl Refused {
    pub(crate) const NOTHING: Self = Self(None);

    pub(crate) fn note(&mut self, theft: &Theft) {
        self.0 = Some(*theft);
    }

    /// What this plan has to leave out.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    pub(crate) fn is(self, victim: CoreId, slot: usize) -> bool {
        self.0.is_some_and(|theft| (theft.victim, theft.slot) == (victim, slot))
    }
}
