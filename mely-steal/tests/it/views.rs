//! Views for tests: a board as plain data, and one that lies.

use std::cell::{Cell, RefCell};

use color_sched::{Color, CoreId, Load, LoadView, Offer};

/// One core of a [`Plain`] view.
#[derive(Clone, Debug, Default)]
pub(crate) struct Victim {
    pub(crate) load: Load,
    pub(crate) slots: Vec<Option<Offer>>,
    /// What thefts from here have cost.
    pub(crate) measured_ns: Option<u64>,
}

/// A view that is what it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plain {
    pub(crate) victims: Vec<Victim>,
    pub(crate) steal_cost_ns: u64,
    /// How often a load was asked for.
    pub(crate) asked: Cell<u64>,
}

impl LoadView for Plain {
    fn cores(&self) -> usize {
        self.victims.len()
    }

    fn load(&self, core: CoreId) -> Load {
        self.asked.set(self.asked.get() + 1);
        self.victims.get(core.index()).map_or_else(Load::default, |victim| victim.load)
    }

    fn offered(&self, core: CoreId, slot: usize) -> Option<Offer> {
        *self.victims.get(core.index())?.slots.get(slot)?
    }

    fn steal_cost_ns(&self) -> u64 {
        self.steal_cost_ns
    }

    fn steal_cost_from_ns(&self, victim: CoreId) -> Option<u64> {
        self.victims.get(victim.index())?.measured_ns
    }
}

/// An offer of a color that is so many times slower elsewhere.
pub(crate) fn offer(color: u64, queued_ns: u64, events: u32, penalty: u32) -> Offer {
    Offer { color: Color(color), queued_ns, events, penalty_pct: penalty * 100 }
}

/// A core whose waiting colors are exactly those on its board.
pub(crate) fn victim(offers: &[Offer]) -> Victim {
    let load = Load {
        queued_ns: offers.iter().map(|offer| offer.queued_ns).sum(),
        events: offers.iter().map(|offer| u64::from(offer.events)).sum(),
        colors: offers.len() as u64,
        slots: offers.len(),
    };
    Victim { load, slots: offers.iter().copied().map(Some).collect(), measured_ns: None }
}

/// A machine on which nothing waits.
pub(crate) fn idle(cores: usize, steal_cost_ns: u64) -> Plain {
    Plain { victims: vec![Victim::default(); cores], steal_cost_ns, asked: Cell::new(0) }
}

/// A view that gives another answer each time it is asked, and remembers what it offered.
pub(crate) struct Liar {
    pub(crate) state: Cell<u64>,
    pub(crate) said: RefCell<Vec<(CoreId, usize, Color)>>,
}

impl Liar {
    /// The next number of splitmix64, or an extreme one.
    fn draw(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        match mixed >> 62 {
            0 => 0,
            1 => u64::MAX,
            2 => mixed % 40,
            _ => mixed,
        }
    }
}

impl LoadView for Liar {
    fn cores(&self) -> usize {
        if self.draw() == u64::MAX { usize::MAX } else { self.draw() as usize % 40 }
    }

    fn load(&self, _core: CoreId) -> Load {
        let slots = if self.draw() == u64::MAX { usize::MAX } else { self.draw() as usize % 40 };
        Load { queued_ns: self.draw(), events: self.draw(), colors: self.draw(), slots }
    }

    fn offered(&self, core: CoreId, slot: usize) -> Option<Offer> {
        if self.draw() == 0 {
            return None;
        }
        let color = Color(self.draw());
        self.said.borrow_mut().push((core, slot, color));
        let (events, penalty_pct) = (self.draw() as u32, self.draw() as u32);
        Some(Offer { color, queued_ns: self.draw(), events, penalty_pct })
    }

    fn steal_cost_ns(&self) -> u64 {
        self.draw()
    }

    fn steal_cost_from_ns(&self, _victim: CoreId) -> Option<u64> {
        (self.draw() == 0).then(|| self.draw())
    }
}
