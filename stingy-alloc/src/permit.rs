//! The right to allocate: everything that a batch of one stage needs, reserved before it starts.

use std::fmt;

use crate::fallback::Reason;
use crate::home::Home;
use crate::map::{MAX_ALLOCS, SiteId, StageId};
use crate::pool::Need;
use crate::slot::Slot;

/// A permit allocates without fail for [`granted`](Self::granted) tasks of one stage.
///
/// What is not used goes back when it is dropped. A permit that is leaked costs its capacity, nothing else.
/// Permits may be held side by side; but never wait for one while holding another.
#[must_use = "dropping a permit returns what it reserved"]
pub struct Permit<'s> {
    home: &'s Home,
    needs: &'s [Need],
    /// Objects taken of each need. Zero at first, so that nothing is copied here piece by piece.
    used: [u32; MAX_ALLOCS],
    granted: usize,
    stage: StageId,
}

/// An allocation that the permit does not cover. Nothing was allocated; it counts as `no_permit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PermitError {
    /// The map lists no such site for the stage.
    #[error("stage {} allocates nothing at site {}; list it in alloc= of the stage in the map", .stage.0, .site.0)]
    NotInStage {
        /// The stage of the permit.
        stage: StageId,
        /// The site asked for.
        site: SiteId,
    },
    /// Everything reserved at the site is used.
    #[error("the tasks admitted to stage {} have used all they may of site {}; raise its count in alloc= of the stage, or admit more tasks", .stage.0, .site.0)]
    Spent {
        /// The stage of the permit.
        stage: StageId,
        /// The site asked for.
        site: SiteId,
    },
}

impl<'s> Permit<'s> {
    /// A permit for what was charged to the pools before.
    #[inline]
    pub(crate) fn new(home: &'s Home, needs: &'s [Need], granted: usize, stage: StageId) -> Self {
        Self { home, needs, used: [0; MAX_ALLOCS], granted, stage }
    }

    /// Tasks that may run; 0 is a refusal.
    #[inline]
    pub fn granted(&self) -> usize {
        self.granted
    }

    /// The stage it was granted for.
    pub fn stage(&self) -> StageId {
        self.stage
    }

    /// One object of `site`. Cannot fail for as many objects as the map lists for the stage, times the
    /// tasks granted.
    #[inline]
    pub fn alloc(&mut self, site: SiteId) -> Result<Slot, PermitError> {
        let Some(at) = self.needs.iter().position(|need| need.site == site.0) else {
            return Err(self.refuse(PermitError::NotInStage { stage: self.stage, site }));
        };
        let (need, used) = (&self.needs[at], &mut self.used[at % MAX_ALLOCS]);
        if *used == need.of_tasks(self.granted) {
            return Err(self.refuse(PermitError::Spent { stage: self.stage, site }));
        }
        *used += 1;
        Ok(self.home.take(need))
    }

    #[cold]
    fn refuse(&self, error: PermitError) -> PermitError {
        self.home.fallbacks.count(Reason::NoPermit);
        error
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        for (at, need) in self.needs.iter().enumerate() {
            let left = need.of_tasks(self.granted) - self.used[at % MAX_ALLOCS];
            if left > 0 {
                self.home.pools.refund(need, left);
            }
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit(stage {}, {} tasks)", self.stage.0, self.granted)
    }
}
