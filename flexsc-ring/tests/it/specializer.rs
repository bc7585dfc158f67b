//! The policy of core specialization: case by case, and in a small world whose load moves.

use flexsc_ring::{Load, Place, Specializer};

const WINDOW: u64 = 20_000_000;

/// A window of a poster that is busy with calls of 2 us, made here.
const BUSY: Load = Load {
    window_ns: WINDOW,
    poster_ns: WINDOW,
    made_here: 5_000,
    posted: 0,
    service_ns: 2_000,
    handover_ns: 100,
    delay_ns: 0,
};

/// The same where calls are posted.
const POSTED: Load = Load { made_here: 0, posted: 8_000, ..BUSY };

#[test]
fn each_condition_alone_keeps_calls_here() {
    let cases = [
        ("busy, long calls", BUSY, Place::Elsewhere),
        ("calls as dear as the hand-over", Load { handover_ns: 1_001, ..BUSY }, Place::Here),
        ("a poster with time", Load { poster_ns: WINDOW * 84 / 100, ..BUSY }, Place::Here),
        ("hardly any calls", Load { made_here: 99, ..BUSY }, Place::Here),
        ("nothing at all", Load::default(), Place::Here),
        ("numbers without bounds", Load { service_ns: u64::MAX, ..BUSY }, Place::Elsewhere),
    ];
    for (name, load, place) in cases {
        let mut policy = Specializer::new();
        assert_eq!(policy.observe(&load), Place::Here, "{name}: once is not enough");
        assert_eq!(policy.observe(&load), place, "{name}");
    }
}

#[test]
fn each_condition_alone_brings_calls_back() {
    let cases = [
        ("as before", POSTED, Place::Elsewhere),
        ("short calls", Load { service_ns: 124, ..POSTED }, Place::Here),
        (
            "not so short calls",
            Load { service_ns: 2_000, handover_ns: 1_600, ..POSTED },
            Place::Elsewhere,
        ),
        ("no core for the threads", Load { delay_ns: WINDOW / 4 + 1, ..POSTED }, Place::Here),
        ("a poster with time", Load { posted: 500, poster_ns: WINDOW / 2, ..POSTED }, Place::Here),
        ("hardly any calls", Load { posted: 10, ..POSTED }, Place::Here),
    ];
    for (name, load, place) in cases {
        let mut policy = Specializer::new();
        policy.observe(&BUSY);
        policy.observe(&BUSY);
        assert_eq!(policy.observe(&load), Place::Elsewhere, "{name}: once is not enough");
        assert_eq!(policy.observe(&load), place, "{name}");
    }
}

#[test]
fn trials_that_find_no_core_become_rare() {
    let mut policy = Specializer::new();
    let full = Load { delay_ns: WINDOW, ..POSTED };
    let mut trials = 0;
    for _ in 0..1_000 {
        let before = policy.place();
        let load = if before == Place::Here { BUSY } else { full };
        trials += u32::from(policy.observe(&load) == Place::Elsewhere && before == Place::Here);
    }
    assert!((4..=13).contains(&trials), "{trials} trials");
}

/// A program on one core: each request computes, then makes a call; another core may make it.
#[derive(Clone, Copy)]
struct World {
    compute_ns: f64,
    service_ns: f64,
    handover_ns: f64,
    /// Requests a second that come at most.
    asked: f64,
    /// The part of the other core that somebody else uses.
    taken: f64,
}

impl World {
    /// Requests a second.
    fn rate(&self, place: Place) -> f64 {
        match place {
            Place::Here => self.asked.min(1e9 / (self.compute_ns + self.service_ns)),
            Place::Elsewhere => {
                let other = (1.0 - self.taken) * 1e9 / self.service_ns;
                self.asked.min(1e9 / (self.compute_ns + self.handover_ns)).min(other)
            }
        }
    }

    fn window(&self, place: Place) -> Load {
        let calls = self.rate(place) * WINDOW as f64 / 1e9;
        let (here, posted) = if place == Place::Here { (calls, 0.0) } else { (0.0, calls) };
        let each = if place == Place::Here { self.service_ns } else { self.handover_ns };
        let wanted = posted * self.service_ns;
        let delay = (wanted * self.taken / (1.0 - self.taken).max(0.01)).min(WINDOW as f64);
        Load {
            window_ns: WINDOW,
            poster_ns: (calls * (self.compute_ns + each)) as u64,
            made_here: here as u64,
            posted: posted as u64,
            service_ns: self.service_ns as u64,
            handover_ns: self.handover_ns as u64,
            delay_ns: delay as u64,
        }
    }
}

#[test]
fn where_load_moves_the_policy_follows() {
    let full = World {
        compute_ns: 4_000.0,
        service_ns: 4_000.0,
        handover_ns: 150.0,
        asked: f64::INFINITY,
        taken: 0.0,
    };
    let phases = [
        ("little to do", World { asked: 10_000.0, ..full }, Place::Here),
        ("all that it can", full, Place::Elsewhere),
        ("the other core is taken", World { taken: 0.8, ..full }, Place::Here),
        ("it is free again", full, Place::Elsewhere),
        ("cheap calls", World { service_ns: 120.0, ..full }, Place::Here),
        ("long calls", World { service_ns: 8_000.0, ..full }, Place::Elsewhere),
        ("night", World { asked: 5_000.0, ..full }, Place::Here),
    ];
    let mut policy = Specializer::new();
    for (name, world, place) in phases {
        let mut done = 0.0;
        for window in 0..400 {
            done += if window < 200 { 0.0 } else { world.rate(policy.place()) };
            policy.observe(&world.window(policy.place()));
        }
        assert_eq!(policy.place(), place, "{name}");
        let best = world.rate(Place::Here).max(world.rate(Place::Elsewhere));
        assert!(done >= 0.95 * 200.0 * best, "{name}: {done} of {}", 200.0 * best);
    }
}

#[test]
fn a_load_at_the_edge_does_not_move_calls_to_and_fro() {
    let mut policy = Specializer::new();
    let mut random = crate::support::Random(7);
    let mut moves = 0;
    for _ in 0..1_000 {
        let before = policy.place();
        let asked = 106_000.0 + random.below(24_000) as f64;
        let world = World {
            compute_ns: 4_000.0,
            service_ns: 4_000.0,
            handover_ns: 150.0,
            asked,
            taken: 0.0,
        };
        moves += u32::from(policy.observe(&world.window(before)) != before);
    }
    assert!(moves <= 1, "{moves} moves");
}
