//! Which stealing policy has been chosen, when it is the command line that chooses?

use color_sched::{CoreId, LoadView, NoSteal, Stealer, Theft};
use mely_steal::{Libasync, Mely};

/// The stealing policy of one core.
#[derive(Clone, Debug)]
pub(crate) enum AnyStealer<M = Mely> {
    None(NoSteal),
    Libasync(Libasync),
    Mely(M),
}

impl<M: Stealer> Stealer for AnyStealer<M> {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        match self {
            Self::None(policy) => policy.plan(thief, view),
            Self::Libasync(policy) => policy.plan(thief, view),
            Self::Mely(policy) => policy.plan(thief, view),
        }
    }

    fn again(
        &mut self,
        thief: CoreId,
        view: &impl LoadView,
        last: &Theft,
        stolen: usize,
    ) -> Option<Theft> {
        match self {
            Self::None(policy) => policy.again(thief, view, last, stolen),
            Self::Libasync(policy) => policy.again(thief, view, last, stolen),
            Self::Mely(policy) => policy.again(thief, view, last, stolen),
        }
    }

    fn refused(&mut self, theft: &Theft) {
        match self {
            Self::None(policy) => policy.refused(theft),
            Self::Libasync(policy) => policy.refused(theft),
            Self::Mely(policy) => policy.refused(theft),
        }
    }

    fn steals(&self) -> bool {
        match self {
            Self::None(policy) => policy.steals(),
            Self::Libasync(policy) => policy.steals(),
            Self::Mely(policy) => policy.steals(),
        }
    }
}
