//! On which processors does a syscall thread run?

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

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

    /// Poster, when it begins: who spins keeps the processor from whom it waits for. The threads' own
    /// processors count here, as a poster that stays on one of its own may have others serve it.
    pub(super) fn is_shared(&self) -> bool {
        match self {
            Seat::Anywhere => thread::available_parallelism().is_ok_and(|n| n.get() == 1),
            Seat::Cpus(cpus) => {
                let mine = machine::own_cpus();
                mine.len() == 1 && cpus.iter().all(|cpu| mine.contains(cpu))
            }
            Seat::With { .. } => true,
            Seat::Apart { .. } => !self.has_another(),
        }
    }

    /// There is a processor for threads beside the poster's.
    pub(super) fn has_another(&self) -> bool {
        !matches!(self, Seat::Apart { allowed, .. } if allowed.len() < 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poster_that_stays_on_one_processor_does_not_share_it_with_threads_on_another() {
        let all = machine::allowed_cpus();
        let (&mine, Some(&other)) = (all.first().expect("one"), all.get(1)) else {
            return eprintln!("skipped: one processor");
        };
        let stays = move || {
            assert!(machine::stay_on(&[mine]));
            let is_shared = |placement| Seat::new(&placement).is_shared();
            assert!(is_shared(Placement::Anywhere) && is_shared(Placement::Poster));
            assert!(is_shared(Placement::Cpus(vec![mine])));
            assert!(!is_shared(Placement::Cpus(vec![other])));
            assert!(!is_shared(Placement::Cpus(vec![mine, other])));
            assert!(!is_shared(Placement::Measured));
        };
        // A thread of its own, which stays where it is told to.
        thread::spawn(stays).join().expect("as told");
    }
}
