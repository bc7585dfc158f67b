//! What a victim offers, slot by slot, however absurd the view is.

use color_sched::{CoreId, LoadView, Offer};

/// Slots of one board that are looked at. Boards have 8 to 16; the bound is for views that claim to be endless.
pub(crate) const MAX_SLOTS: usize = 1024;

/// Number of cores that a [`CoreId`] can name.
const MAX_CORES: usize = 1 << 16;

/// The cores of `view` as numbers: at most as many as there are numbers for.
pub(crate) fn cores(view: &impl LoadView) -> usize {
    view.cores().min(MAX_CORES)
}

/// What `victim` offers, with its slot.
pub(crate) fn offers(
    victim: CoreId,
    slots: usize,
    view: &impl LoadView,
) -> impl Iterator<Item = (usize, Offer)> {
    (0..slots.min(MAX_SLOTS)).filter_map(move |slot| Some((slot, view.offered(victim, slot)?)))
}
