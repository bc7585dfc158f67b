//! Medians and intervals against known values and against properties that hold for every sample.

use demo_server::interval::{Abba, FEW, Interval, bootstrap, median, paired_ratio};
use proptest::prelude::*;

#[test]
fn median_of_known_samples_is_the_known_one() {
    let table: [(&[f64], Option<f64>); 8] = [
        (&[], None),
        (&[7.0], Some(7.0)),
        (&[1.0, 2.0], Some(1.5)),
        (&[3.0, 1.0, 2.0], Some(2.0)),
        (&[4.0, 1.0, 3.0, 2.0], Some(2.5)),
        (&[1.0, 1.0, 1.0, 100.0], Some(1.0)),
        (&[1.0, f64::NAN], None),
        (&[f64::INFINITY, 1.0], None),
    ];
    for (samples, expected) in table {
        assert_eq!(median(samples), expected, "{samples:?}");
    }
}

#[test]
fn few_samples_give_their_whole_range() {
    let interval = bootstrap(&[2.0, 1.0, 4.0, 3.0], 1);
    assert_eq!(interval, Some(Interval { median: 2.5, low: 1.0, high: 4.0, n: 4 }));
}

#[test]
fn equal_samples_give_an_interval_without_width() {
    let interval = bootstrap(&[1.5; 20], 9);
    assert_eq!(interval, Some(Interval { median: 1.5, low: 1.5, high: 1.5, n: 20 }));
}

/// The exact distribution: a resampled median of 1..=7 is at most k when at least four of seven
/// draws are, so the 2.5 % quantile is 2 (P(≤1) = 0.010, P(≤2) = 0.108) and by symmetry the 97.5 %
/// one is 6.
#[test]
fn interval_of_seven_samples_is_the_exact_bootstrap_one() {
    let samples: Vec<f64> = (1..=7).map(f64::from).collect();
    for seed in 0..20 {
        let interval = bootstrap(&samples, seed);
        assert_eq!(
            interval,
            Some(Interval { median: 4.0, low: 2.0, high: 6.0, n: 7 }),
            "seed {seed}"
        );
    }
}

/// The same by the binomial sum, for the 101 samples 0..=100: the quantiles are near 50 ± 1.96 *
/// sqrt(101) / 2.
#[test]
fn interval_of_many_samples_has_the_width_of_the_binomial() {
    let samples: Vec<f64> = (0..=100).map(f64::from).collect();
    let interval = bootstrap(&samples, 3).expect("finite samples");
    assert_eq!(interval.median, 50.0);
    assert!((38.0..=43.0).contains(&interval.low), "{interval:?}");
    assert!((57.0..=62.0).contains(&interval.high), "{interval:?}");
}

#[test]
fn even_drift_does_not_move_the_ratio_of_a_block() {
    let at = |base: f64, time: f64| base * (1.0 + 0.1 * time);
    let block = Abba { a: [at(200.0, 0.0), at(200.0, 3.0)], b: [at(100.0, 1.0), at(100.0, 2.0)] };
    let [first, second] = block.ratios();
    assert!(first < 2.0 && second > 2.0);
    let ratio = paired_ratio(&[block], 1).expect("two pairs");
    assert!((ratio.median - 2.0).abs() < 0.01, "{ratio:?}");
    let unpaired = at(200.0, 3.0) / at(100.0, 1.0);
    assert!((unpaired - 2.0).abs() > 0.3, "the drift would have shown without pairing");
}

#[test]
fn ratio_to_nothing_is_no_ratio() {
    assert_eq!(paired_ratio(&[], 1), None);
    assert_eq!(paired_ratio(&[Abba { a: [1.0, 1.0], b: [0.0, 1.0] }], 1), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn interval_lies_within_the_samples_and_holds_their_median(
        samples in prop::collection::vec(-1e9..1e9f64, 1..40), seed: u64
    ) {
        let interval = bootstrap(&samples, seed).expect("finite samples");
        let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
        let most = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(least <= interval.low && interval.low <= interval.median);
        prop_assert!(interval.median <= interval.high && interval.high <= most);
        prop_assert_eq!(interval.n, samples.len());
    }

    #[test]
    fn order_of_the_samples_does_not_matter(
        mut samples in prop::collection::vec(0.0..1e6f64, FEW..30), seed: u64
    ) {
        let before = bootstrap(&samples, seed);
        samples.reverse();
        prop_assert_eq!(before, bootstrap(&samples, seed));
    }

    #[test]
    fn scaled_samples_give_the_scaled_interval(
        samples in prop::collection::vec(1.0..1e6f64, 1..30), seed: u64
    ) {
        let plain = bootstrap(&samples, seed).expect("finite samples");
        let doubled: Vec<f64> = samples.iter().map(|sample| sample * 2.0).collect();
        let doubled = bootstrap(&doubled, seed).expect("finite samples");
        prop_assert_eq!(doubled.low, plain.low * 2.0);
        prop_assert_eq!(doubled.median, plain.median * 2.0);
        prop_assert_eq!(doubled.high, plain.high * 2.0);
    }
}
