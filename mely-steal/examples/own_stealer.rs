//! A policy written outside of the crate: steal from the core that is farthest behind, at most half of its time, and never
//! across memory. Run it as `cargo run -p mely-steal --example own_stealer`.

use color_sched::{Color, CoreId, Load, LoadView, Offer, Stealer, Theft};
use mely_steal::time_left::is_worthy;
use mely_steal::{Distance, Topology};

/// Steals the largest worthy color that is at most half of what waits at the most delayed near core.
struct HalfOfTheLatest {
    topology: Topology,
}

impl Stealer for HalfOfTheLatest {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let victim = (0..view.cores() as u16)
            .map(CoreId)
            .filter(|&core| matches!(self.topology.distance(thief, core), Distance::Cache(_)))
            .max_by_key(|&core| view.load(core).queued_ns)?;
        let load = view.load(victim);
        (0..load.slots)
            .filter_map(|slot| Some((slot, view.offered(victim, slot)?)))
            .filter(|(_, offer)| offer.queued_ns <= load.queued_ns / 2)
            .filter(|(_, offer)| is_worthy(offer.queued_ns, view.steal_cost_ns()))
            .max_by_key(|(_, offer)| offer.queued_ns)
            .map(|(slot, offer)| Theft { victim, slot, color: offer.color })
    }
}

/// What four cores offer: the time that waits for each color, in nanoseconds.
struct Snapshot([&'static [u64]; 4]);

impl LoadView for Snapshot {
    fn cores(&self) -> usize {
        self.0.len()
    }

    fn load(&self, core: CoreId) -> Load {
        let colors = self.0.get(core.index()).copied().unwrap_or_default();
        let waiting = colors.len() as u64;
        let queued_ns = colors.iter().sum();
        Load { queued_ns, events: waiting, colors: waiting, slots: colors.len() }
    }

    fn offered(&self, core: CoreId, slot: usize) -> Option<Offer> {
        let queued_ns = *self.0.get(core.index())?.get(slot)?;
        let color = Color::at_home(core, slot as u64, self.0.len());
        Some(Offer { color, queued_ns, events: 1, penalty_pct: 100 })
    }

    fn steal_cost_ns(&self) -> u64 {
        300
    }
}

fn main() {
    // Cores 0 and 1 share an L3, as do 2 and 3. On a real machine: Topology::detect(&[0, 1, 2, 3])
    let topology = Topology::grouped(4, &[(3, 2)]);
    let mut policy = HalfOfTheLatest { topology };
    let view = Snapshot([&[], &[9_000, 4_000, 200], &[90_000, 80_000], &[250]]);

    let theft = policy.plan(CoreId(0), &view);
    println!("core 0 plans {theft:?}");
    assert_eq!(theft.map(|theft| (theft.victim, theft.slot)), Some((CoreId(1), 1)));

    let theft = policy.plan(CoreId(2), &view);
    println!("core 2 plans {theft:?}");
    assert_eq!(
        theft, None,
        "what waits at core 3 is not worth the trip, and cores 0 and 1 are far"
    );
}
