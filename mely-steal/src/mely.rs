//! Mely's algorithm (§3, §4.2): Libasync-smp's three questions, each answered better by a heuristic on its own switch.
//!
//! With all of them off it plans exactly what [`Libasync`](crate::Libasync) plans ("Mely - base WS" of Tables 3 to 6).
//! Penalty without time left takes the color with the most time ÷ penalty of those under half of the events, worth the
//! trip or not.

use std::cmp::Reverse;

use color_sched::{CoreId, LoadView, Stealer, Theft};

use crate::heuristic::{Heuristic, Switch, Then};
use crate::locality::Locality;
use crate::penalty::Penalty;
use crate::refused::Refused;
use crate::time_left::TimeLeft;
use crate::topology::Topology;
use crate::{board, libasync};

/// The paper's heuristics, each on its own switch.
pub type Switches = Then<Then<Switch<Locality>, Switch<TimeLeft>>, Switch<Penalty>>;

/// Mely's policy, with the paper's heuristics or [others](Mely::by). One a core: it remembers its thief's core set, and
/// allocates only when that changes.
///
/// ```
/// use mely_steal::{Heuristic, Locality, Mely, Penalty, TimeLeft, Topology};
/// let topology = Topology::uniform(2);
/// let all = Mely::new(topology.clone());
/// let only_time_left = all.clone().locality(false).penalty(false);
/// let all_again = Mely::by(Locality::new(topology).then(TimeLeft).then(Penalty));
/// ```
#[derive(Clone, Debug)]
pub struct Mely<H = Switches> {
    heuristics: H,
    refused: Refused,
}

impl Mely {
    /// All three heuristics on.
    #[must_use]
    pub const fn new(topology: Topology) -> Self {
        let locality = Switch::new(Locality::new(topology), true);
        let first = Then { first: locality, next: Switch::new(TimeLeft, true) };
        Self::by(Then { first, next: Switch::new(Penalty, true) })
    }

    /// Nearest victims first (§3.1), and dearer thefts from other memory ([`price`](crate::price)).
    #[must_use]
    pub const fn locality(mut self, is_on: bool) -> Self {
        self.heuristics.first.first.is_on = is_on;
        self
    }

    /// Only colors that take longer to run than to steal (§3.2).
    #[must_use]
    pub const fn time_left(mut self, is_on: bool) -> Self {
        self.heuristics.first.next.is_on = is_on;
        self
    }

    /// Colors whose memory is warm where they are look smaller (§3.3).
    #[must_use]
    pub const fn penalty(mut self, is_on: bool) -> Self {
        self.heuristics.next.is_on = is_on;
        self
    }

    /// A CPU has gone or come back: from now on the distances are these. A core that runs has its policy to itself, so
    /// let a policy around this one look, before it plans, whether there is something new:
    ///
    /// ```
    /// use std::sync::mpsc::Receiver;
    /// use color_sched::{CoreId, LoadView, Stealer, Theft};
    /// use mely_steal::{Mely, Topology};
    ///
    /// /// Goes by the last topology that it was sent, say after a [`Topology::refresh`] elsewhere.
    /// struct Informed {
    ///     policy: Mely,
    ///     news: Receiver<Topology>,
    /// }
    /// impl Stealer for Informed {
    ///     fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
    ///         if let Some(topology) = self.news.try_iter().last() {
    ///             self.policy.set_topology(topology);
    ///         }
    ///         self.policy.plan(thief, view)
    ///     }
    ///     fn refused(&mut self, theft: &Theft) {
    ///         self.policy.refused(theft);
    ///     }
    /// } // `Mely` leaves the trait's other methods as they are; `Batch` and the like would not
    /// ```
    pub fn set_topology(&mut self, topology: Topology) {
        self.heuristics.first.first.heuristic.set_topology(topology);
    }
}

impl<H> Mely<H> {
    /// The base algorithm, as these heuristics change it; `()` changes nothing.
    #[must_use]
    pub const fn by(heuristics: H) -> Self {
        Self { heuristics, refused: Refused::NOTHING }
    }
}

impl<H: Heuristic> Stealer for Mely<H> {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let refused = self.refused.take();
        self.heuristics.prepare(thief, board::cores(view));
        let search = Search { heuristics: &self.heuristics, thief, view, refused };
        match self.heuristics.core_set() {
            Some(cores) => search.first(cores.iter().copied()),
            None => search.first(libasync::core_set(view)),
        }
    }

    fn refused(&mut self, theft: &Theft) {
        self.refused.note(theft);
    }
}

/// One look around.
struct Search<'a, H, V> {
    heuristics: &'a H,
    thief: CoreId,
    view: &'a V,
    refused: Refused,
}

impl<H: Heuristic, V: LoadView> Search<'_, H, V> {
    fn first(&self, mut cores: impl Iterator<Item = CoreId>) -> Option<Theft> {
        cores.find_map(|victim| if victim == self.thief { None } else { self.rob(victim) })
    }

    /// What to take from `victim`.
    fn rob(&self, victim: CoreId) -> Option<Theft> {
        let (view, by) = (self.view, self.heuristics);
        let load = view.load(victim);
        if load.slots == 0 {
            return None;
        }
        let price_ns = view
            .steal_cost_from_ns(victim)
            .unwrap_or_else(|| by.price_ns(self.thief, victim, view.steal_cost_ns()));
        let slots = load.slots.min(board::MAX_SLOTS);
        let mut stealable = board::offers(victim, slots, view).filter_map(|(slot, offer)| {
            let left_ns = by.left_ns(&offer, offer.queued_ns);
            let is_stealable = by.is_stealable(left_ns, price_ns).unwrap_or_else(|| {
                libasync::can_be_stolen(&load) && libasync::is_under_half(&offer, &load)
            });
            let may_go = is_stealable && !self.refused.is(victim, slot);
            may_go.then_some((left_ns, slot, offer.color))
        });
        let chosen = if by.takes_most() {
            // Thieves with the same victim count slots from their own number, and of equals take different ones.
            let turn = |slot: usize| (slot + slots - self.thief.index() % slots) % slots;
            stealable.min_by_key(|&(left_ns, slot, _)| (Reverse(left_ns), turn(slot)))
        } else {
            stealable.next()
        };
        chosen.map(|(_, slot, color)| Theft { victim, slot, color })
    }
}
