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
    /// Objects left of each need.
    left: [u32; MAX_ALLOCS],
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
    #[error("the {granted} tasks admitted to stage {} have used all they may of site {}; raise its count in alloc= of the stage, or admit more tasks", .stage.0, .site.0)]
    Spent {
        /// The stage of the permit.
        stage: StageId,
        /// The site asked for.
        site: SiteId,
        /// The tasks it was granted for.
        granted: usize,
    },
}

impl<'s> Permit<'s> {
    #[inline]
    pub(crate) fn new(
        home: &'s Home,
        needs: &'s [Need],
        left: [u32; MAX_ALLOCS],
        granted: usize,
        stage: StageId,
    ) -> Self {
        Self { home, needs, left, granted, stage }
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
        for (need, left) in self.needs.iter().zip(&mut self.left) {
            if need.site == site.0 && *left > 0 {
                *left -= 1;
                return Ok(self.home.take(need));
            }
        }
        Err(self.refuse(site))
    }

    #[cold]
    fn refuse(&self, site: SiteId) -> PermitError {
        self.home.fallbacks.count(Reason::NoPermit);
        let (stage, granted) = (self.stage, self.granted);
        match self.needs.iter().any(|need| need.site == site.0) {
            true => PermitError::Spent { stage, site, granted },
            false => PermitError::NotInStage { stage, site },
        }
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        for (need, left) in self.needs.iter().zip(&self.left) {
            if *left > 0 {
                self.home.pools.refund(need, *left);
            }
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit(stage {}, {} tasks)", self.stage.0, self.granted)
    }
}
