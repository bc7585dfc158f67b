//! On which processors does a syscall thread run?

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::machine;
use crate::options::Placement;

/// No processor has this number.
pub(super) const NO_SEAT: usize = usize::MAX;

/// Where threads sit. `poster` is the processor that the poster was on when it last published.
pub(super) enum Seat {
    /// Anywhere.
    Anywhere,
    /// One of these each.
    Cpus(Vec<usize>),
    /// With the poster.
    With { poster: AtomicUsize },
    /// On any of these, but not with the poster.
    Apart { poster: AtomicUsize, allowed: Vec<usize> },
}

fn here() -> AtomicUsize {
    AtomicUsize::new(machine::current_cpu().unwrap_or(NO_SEAT))
}

impl Seat {
    /// Made by the poster.
    pub(super) fn new(placement: &Placement) -> Self {
        match placement {
            Placement::Anywhere => Seat::Anywhere,
            Placement::Cpus(cpus) => Seat::Cpus(cpus.clone()),
            Placement::Poster => Seat::With { poster: here() },
            Placement::Measured => Seat::Apart { poster: here(), allowed: machine::allowed_cpus() },
        }
    }

    /// Poster: it may have moved.
    #[inline]
    pub(super) fn follow(&self) {
        let (Seat::With { poster } | Seat::Apart { poster, .. }) = self else { return };
        if let Some(now) = machine::current_cpu()
            && now != poster.load(Ordering::Relaxed)
        {
            poster.store(now, Ordering::Relaxed);
        }
    }

    /// Thread `me`: takes its seat, if it is another than `sits`. Where the kernel does not let it, it
    /// stays where it is.
    pub(super) fn sit(&self, me: u16, sits: &mut usize) {
        let to = match self {
            Seat::Anywhere => return,
            Seat::Cpus(cpus) => cpus[usize::from(me) % cpus.len()],
            Seat::With { poster } | Seat::Apart { poster, .. } => poster.load(Ordering::Relaxed),
        };
        if to == *sits || to == NO_SEAT {
            return;
        }
        *sits = to;
        match self {
            Seat::Apart { allowed, .. } => {
                let others: Vec<usize> = allowed.iter().copied().filter(|cpu| *cpu != to).collect();
                machine::stay_on(if others.is_empty() { allowed } else { &others });
            }
            _ => {
                machine::stay_on(&[to]);
            }
        }
    }

    /// Threads have a processor of their own, which would be idle while the poster goes on.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self, Seat::Cpus(_) | Seat::Apart { .. })
    }

    /// There is a processor for threads beside the poster's.
    pub(super) fn has_another(&self) -> bool {
        !matches!(self, Seat::Apart { allowed, .. } if allowed.len() < 2)
    }
}
