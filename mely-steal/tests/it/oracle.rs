//! A second, slow Mely, and random views.
//!
//! Properties:
//! 1. a plan is the oracle's, with every setting of the switches;
//! 2. with all switches off it is Libasync-smp's;
//! 3. what is planned was on offer, in that slot, at another core;
//! 4. with time left on, no theft is a loss, and there is one if any is worthy at the usual price;
//! 5. no view, however absurd, makes a policy panic, hang, or plan what it was not shown.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;

use color_sched::{CoreId, Load, LoadView, Offer, Stealer, Theft};
use mely_steal::{Distance, Libasync, Mely, Topology};
use proptest::prelude::*;

use crate::views::{Liar, Plain, Victim};

#[derive(Clone, Copy, Debug)]
struct Switches {
    locality: bool,
    time_left: bool,
    penalty: bool,
}

impl Switches {
    fn policy(self, topology: &Topology) -> Mely {
        Mely::new(topology.clone())
            .locality(self.locality)
            .time_left(self.time_left)
            .penalty(self.penalty)
    }
}

/// All there is to steal, ranked by everything at once.
fn oracle(switches: Switches, topology: &Topology, thief: usize, view: &Plain) -> Option<Theft> {
    let cores = view.cores();
    let most = (0..cores).max_by_key(|&core| (view.victims[core].load.events, Reverse(core)))?;
    let mut all = Vec::new();
    for (core, victim) in view.victims.iter().enumerate().filter(|&(core, _)| core != thief) {
        let distance = topology.distance(CoreId(thief as u16), CoreId(core as u16));
        let slots = victim.load.slots;
        for slot in 0..slots {
            let Some(offer) = victim.slots.get(slot).copied().flatten() else { continue };
            let penalty =
                if switches.penalty { u64::from(offer.penalty_pct.max(100)) } else { 100 };
            let left_ns = offer.queued_ns * 100 / penalty;
            let far = match distance {
                Distance::Memory(slit) if switches.locality => u64::from(slit.max(10)),
                _ => 10,
            };
            let price_ns = victim.measured_ns.unwrap_or(view.steal_cost_ns * far / 10);
            let is_stealable = if switches.time_left {
                left_ns > price_ns || price_ns == 0
            } else {
                victim.load.colors > 1 && u64::from(offer.events) * 2 < victim.load.events
            };
            if !is_stealable {
                continue;
            }
            let turn = if switches.locality {
                (distance, if core > thief { core } else { core + cores })
            } else {
                (Distance::Itself, (core + cores - most) % cores)
            };
            let rank = if switches.time_left || switches.penalty {
                (Reverse(left_ns), (slot + slots - thief % slots) % slots)
            } else {
                (Reverse(0), slot)
            };
            all.push(((turn, rank), core, slot, offer.color));
        }
    }
    let (_, core, slot, color) = all.into_iter().min_by_key(|&(rank, ..)| rank)?;
    Some(Theft { victim: CoreId(core as u16), slot, color })
}

fn any_switches() -> impl Strategy<Value = Switches> {
    any::<(bool, bool, bool)>().prop_map(|(locality, time_left, penalty)| Switches {
        locality,
        time_left,
        penalty,
    })
}

fn any_offer() -> impl Strategy<Value = Offer> {
    (0u64..50, prop_oneof![0u64..6, 0u64..1_000], 0u32..8, prop_oneof![0u32..4, Just(1000)])
        .prop_map(|(color, queued_ns, events, penalty)| {
            crate::views::offer(color, queued_ns, events, penalty)
        })
}

/// A core whose load and board need not agree.
fn any_victim() -> impl Strategy<Value = Victim> {
    let slots = prop::collection::vec(prop::option::of(any_offer()), 0..9);
    let measured = prop::option::of(0u64..500);
    (slots, 0u64..40, 0u64..5, 0usize..2, measured).prop_map(
        |(slots, events, colors, missing, measured_ns)| {
            let shown = slots.len().saturating_sub(missing);
            let load = Load { queued_ns: 0, events, colors, slots: shown };
            Victim { load, slots, measured_ns }
        },
    )
}

fn any_view() -> impl Strategy<Value = Plain> {
    (prop::collection::vec(any_victim(), 0..10), prop_oneof![Just(0u64), 0u64..500])
        .prop_map(|(victims, steal_cost_ns)| Plain { victims, steal_cost_ns, asked: Cell::new(0) })
}

fn any_topology() -> impl Strategy<Value = Topology> {
    (0usize..12, prop::collection::vec((1u8..5, 0usize..6), 0..4))
        .prop_map(|(cores, caches)| Topology::grouped(cores, &caches))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_plan_is_that_of_the_oracle(
        switches in any_switches(), topology in any_topology(), view in any_view(), thief in 0usize..10,
    ) {
        let plan = switches.policy(&topology).plan(CoreId(thief as u16), &view);
        prop_assert_eq!(plan, oracle(switches, &topology, thief, &view));
    }

    #[test]
    fn all_switches_off_is_libasync(view in any_view(), thief in 0u16..10) {
        let off = Switches { locality: false, time_left: false, penalty: false };
        let plan = off.policy(&Topology::uniform(view.cores())).plan(CoreId(thief), &view);
        prop_assert_eq!(plan, Libasync::new().plan(CoreId(thief), &view));
    }

    #[test]
    fn what_is_planned_was_on_offer_at_another_core(
        switches in any_switches(), topology in any_topology(), view in any_view(), thief in 0u16..10,
    ) {
        let plans = [
            switches.policy(&topology).plan(CoreId(thief), &view),
            Libasync::new().plan(CoreId(thief), &view),
        ];
        for theft in plans.into_iter().flatten() {
            prop_assert_ne!(theft.victim, CoreId(thief));
            prop_assert!(theft.slot < view.load(theft.victim).slots);
            let offer = view.offered(theft.victim, theft.slot);
            prop_assert_eq!(offer.map(|offer| offer.color), Some(theft.color));
        }
    }

    #[test]
    fn no_theft_is_a_loss_and_none_that_pays_is_missed(
        topology in any_topology(), view in any_view(), thief in 0u16..10,
    ) {
        let switches = Switches { locality: true, time_left: true, penalty: false };
        let others = (0..view.cores() as u16).filter(|&core| core != thief).map(CoreId);
        let pays = |core: CoreId, offer: &Offer| {
            let price_ns = view.steal_cost_from_ns(core).unwrap_or(view.steal_cost_ns);
            offer.queued_ns > price_ns || price_ns == 0
        };
        let any_pays = others
            .flat_map(|core| (0..view.load(core).slots).map(move |slot| (core, slot)))
            .any(|(core, slot)| view.offered(core, slot).is_some_and(|offer| pays(core, &offer)));
        match switches.policy(&topology).plan(CoreId(thief), &view) {
            Some(theft) => {
                let offer = view.offered(theft.victim, theft.slot);
                prop_assert!(offer.is_some_and(|offer| pays(theft.victim, &offer)));
            }
            None => prop_assert!(!any_pays),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn no_absurd_view_makes_a_policy_plan_what_it_was_not_shown(
        switches in any_switches(), topology in any_topology(), thief: u16, seed: u64,
    ) {
        let view = Liar { state: Cell::new(seed), said: RefCell::default() };
        let mut policy = switches.policy(&topology);
        for _ in 0..4 {
            let plans =
                [policy.plan(CoreId(thief), &view), Libasync::new().plan(CoreId(thief), &view)];
            for theft in plans.into_iter().flatten() {
                prop_assert_ne!(theft.victim, CoreId(thief));
                let shown = (theft.victim, theft.slot, theft.color);
                prop_assert!(view.said.borrow().contains(&shown));
            }
        }
    }
}
