//! The policy of core specialization: case by case, and in a small world whose load moves.

use flexsc_ring::{Load, Place, Specializer};

const WINDOW: u64 = 1_000_000;

/// A window of a poster that is busy with calls of 2 us, made here.
const BUSY: Load = Load {
    window_ns: WINDOW,
    poster_ns: WINDOW,
    made_here: 250,
    posted: 0,
    service_ns: 2_000,
    handover_ns: 100,
    delay_ns: 0,
};

/// The same where calls are posted.
const POSTED: Load = Load { made_here: 0, posted: 400, ..BUSY };

#[test]
fn each_condition_alone_keeps_calls_here() {
    let cases = [
        ("busy, long calls", BUSY, Place::Elsewhere),
        ("calls as dear as the hand-over", Load { handover_ns: 1_601, ..BUSY }, Place::Here),
        ("a poster with time", Load { poster_ns: WINDOW * 84 / 100, ..BUSY }, Place::Here),
        ("hardly any calls", Load { made_here: 4, ..BUSY }, Place::Here),
        ("nothing at all", Load::default(), Place::Here),
        ("numbers without bounds", Load { service_ns: u64::MAX, ..BUSY }, Place::Elsewhere),
    ];
    for (name, load, place) in cases {
        let mut policy = Specializer::new();
        assert_eq!(policy.observe(&load), Place::Here, "{name}: once is not enough");
        assert_eq!(policy.observe(&load), place, "{name}");
    }
}

/// A policy that has tried both places, found the other core better, and moved calls there.
fn moved() -> Specializer {
    let mut policy = Specializer::new();
    while policy.moves() == 0 {
        let here = policy.place() == Place::Here;
        policy.observe(if here { &BUSY } else { &POSTED });
    }
    assert_eq!(policy.place(), Place::Elsewhere);
    policy
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
        ("a poster with time", Load { posted: 25, poster_ns: WINDOW / 2, ..POSTED }, Place::Here),
        ("hardly any calls", Load { posted: 4, ..POSTED }, Place::Here),
    ];
    for (name, load, place) in cases {
        let mut policy = moved();
        for _ in 0..7 {
            assert_eq!(policy.observe(&load), Place::Elsewhere, "{name}: once is not enough");
        }
        assert_eq!(policy.observe(&load), place, "{name}");
    }
}

#[test]
fn trials_that_gain_nothing_become_rare() {
    let mut policy = Specializer::new();
    let slow = Load { posted: 240, ..POSTED };
    let (mut elsewhere, mut last) = (0, 0);
    for window in 0..20_000 {
        let load = if policy.place() == Place::Here { BUSY } else { slow };
        policy.observe(&load);
        if policy.place() == Place::Elsewhere {
            elsewhere += 1;
            last = window;
        }
    }
    assert_eq!(policy.moves(), 0);
    assert!((60..=90).contains(&elsewhere), "{elsewhere} windows elsewhere");
    assert!(last > 18_900, "the last trial was {last}: they do not cease");
}

#[test]
fn calls_of_another_kind_are_tried_sooner() {
    let mut policy = Specializer::new();
    let windows_to_a_move = |policy: &mut Specializer, here: Load, there: Load, most: u32| {
        let before = policy.moves();
        (0..most).find(|_| {
            let load = if policy.place() == Place::Here { here } else { there };
            policy.observe(&load);
            policy.moves() > before
        })
    };
    let slow = Load { posted: 200, ..POSTED };
    assert_eq!(windows_to_a_move(&mut policy, BUSY, slow, 10_000), None);
    let here = Load { made_here: 100, service_ns: 9_000, ..BUSY };
    let there = Load { posted: 190, service_ns: 9_000, ..POSTED };
    let taken = windows_to_a_move(&mut policy, here, there, 1_000);
    assert!(taken.is_some_and(|windows| windows < 100), "{taken:?}");
}

/// A program on one core: each request computes, then makes a call; another core may make it.
#[derive(Clone, Copy)]
struct World {
    compute_ns: f64,
    service_ns: f64,
    /// A call's time on the other core, whose caches may not have what it needs.
    there_ns: f64,
    handover_ns: f64,
    /// Requests a second that come at most.
    asked: f64,
    /// The part of the other core that somebody else uses.
    taken: f64,
}

/// As much is asked as can be done; the other core makes calls as quickly as this one.
const FULL: World = World {
    compute_ns: 4_000.0,
    service_ns: 4_000.0,
    there_ns: 4_000.0,
    handover_ns: 150.0,
    asked: f64::INFINITY,
    taken: 0.0,
};

impl World {
    /// Requests a second.
    fn rate(&self, place: Place) -> f64 {
        match place {
            Place::Here => self.asked.min(1e9 / (self.compute_ns + self.service_ns)),
            Place::Elsewhere => {
                let other = (1.0 - self.taken) * 1e9 / self.there_ns;
                self.asked.min(1e9 / (self.compute_ns + self.handover_ns)).min(other)
            }
        }
    }

    fn best(&self) -> f64 {
        self.rate(Place::Here).max(self.rate(Place::Elsewhere))
    }

    /// What is measured in a window in which `speed` of the usual work is done.
    fn window(&self, place: Place, speed: f64) -> Load {
        let calls = self.rate(place) * speed * WINDOW as f64 / 1e9;
        let (here, posted) = if place == Place::Here { (calls, 0.0) } else { (0.0, calls) };
        let each = if place == Place::Here { self.service_ns } else { self.handover_ns };
        let service_ns = if place == Place::Here { self.service_ns } else { self.there_ns };
        let wanted = posted * service_ns;
        let delay = (wanted * self.taken / (1.0 - self.taken).max(0.01)).min(WINDOW as f64);
        Load {
            window_ns: WINDOW,
            poster_ns: (calls * (self.compute_ns + each)) as u64,
            made_here: here as u64,
            posted: posted as u64,
            service_ns: service_ns as u64,
            handover_ns: self.handover_ns as u64,
            delay_ns: delay as u64,
        }
    }

    /// Runs the policy for some windows; the part of what the better place would have done.
    fn run(&self, policy: &mut Specializer, windows: u32, mut speed: impl FnMut() -> f64) -> f64 {
        let mut done = 0.0;
        for _ in 0..windows {
            let speed = speed();
            done += self.rate(policy.place()) * speed;
            policy.observe(&self.window(policy.place(), speed));
        }
        done / (f64::from(windows) * self.best())
    }
}

#[test]
fn the_policy_does_as_well_as_the_better_place() {
    let mut random = crate::support::Random(11);
    let times = [200.0, 600.0, 2_500.0, 10_000.0, 40_000.0];
    for (compute_ns, service_ns) in times.iter().flat_map(|a| times.iter().map(move |b| (*a, *b))) {
        for (slower, taken) in [(1.0, 0.0), (1.2, 0.0), (1.6, 0.0), (1.0, 0.1), (3.0, 0.7)] {
            let there_ns = service_ns * slower;
            let world = World { compute_ns, service_ns, there_ns, taken, ..FULL };
            // The machine stops now and then for the half of a window.
            let speed = || if random.below(8) == 0 { 0.5 } else { 1.0 };
            let mut policy = Specializer::new();
            let part = world.run(&mut policy, 2_000, speed) / (1.0 - 0.5 / 8.0);
            let best = world.best();
            let case = (compute_ns, service_ns, slower, taken);
            assert!(part > 0.94, "{part:.3} of {best:.0}: {case:?}");
        }
    }
}

#[test]
fn a_move_that_pays_is_made_within_ten_windows() {
    let mut policy = Specializer::new();
    FULL.run(&mut policy, 10, || 1.0);
    assert_eq!((policy.place(), policy.moves()), (Place::Elsewhere, 1));
}

#[test]
fn a_poster_without_other_work_keeps_calls_that_take_longer_elsewhere() {
    let world = World { compute_ns: 0.0, there_ns: 5_500.0, ..FULL };
    let mut policy = Specializer::new();
    let part = world.run(&mut policy, 1_000, || 1.0);
    assert_eq!((policy.place(), policy.moves()), (Place::Here, 0));
    assert!(part > 0.97, "{part}");
}

#[test]
fn where_load_moves_the_policy_follows() {
    let phases = [
        ("little to do", World { asked: 10_000.0, ..FULL }, Place::Here),
        ("all that it can", FULL, Place::Elsewhere),
        ("the other core is taken", World { taken: 0.8, ..FULL }, Place::Here),
        ("it is free again", FULL, Place::Elsewhere),
        ("the other core is slow", World { there_ns: 9_000.0, ..FULL }, Place::Here),
        ("it is quick again", FULL, Place::Elsewhere),
        ("cheap calls", World { service_ns: 120.0, there_ns: 120.0, ..FULL }, Place::Here),
        ("long calls", World { service_ns: 8_000.0, there_ns: 8_000.0, ..FULL }, Place::Elsewhere),
        ("night", World { asked: 5_000.0, ..FULL }, Place::Here),
    ];
    let mut policy = Specializer::new();
    for (name, world, place) in phases {
        // It may rest for up to 1024 windows.
        world.run(&mut policy, 1_100, || 1.0);
        let part = world.run(&mut policy, 1_000, || 1.0);
        assert_eq!(policy.place(), place, "{name}");
        assert!(part >= 0.95, "{name}: {part}");
    }
}

#[test]
fn a_load_at_the_edge_does_not_move_calls_to_and_fro() {
    let mut policy = Specializer::new();
    let mut random = crate::support::Random(7);
    for _ in 0..20_000 {
        let asked = 106_000.0 + random.below(24_000) as f64;
        World { asked, ..FULL }.run(&mut policy, 1, || 1.0);
    }
    assert!(policy.moves() <= 10, "{} moves", policy.moves());
}
