//! How long do things take? Counts of times in buckets, each an eighth of a power of two wide.

use crate::event::Nanos;

/// Buckets of a power of two, as a power of two.
const FINE_BITS: u32 = 3;
const FINE: usize = 1 << FINE_BITS;
/// Times of 2⁴⁰ ns, 18 minutes, and more share the last bucket.
const POWERS: usize = 40;
const BUCKETS: usize = (POWERS - FINE_BITS as usize + 1) * FINE;

/// A distribution of times, to 12.5 %, in 2.4 KB.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
    max: Nanos,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0, max: 0 }
    }
}

fn bucket(time: Nanos) -> usize {
    let Some(power) = (time >> FINE_BITS).checked_ilog2() else { return time as usize };
    let fine = (time >> power) as usize - FINE;
    ((power as usize + 1) * FINE + fine).min(BUCKETS - 1)
}

/// The longest time that is counted in a bucket.
fn upper(bucket: usize) -> Nanos {
    match (bucket / FINE).checked_sub(1) {
        None => bucket as Nanos,
        Some(power) => (((FINE + bucket % FINE + 1) as Nanos) << power) - 1,
    }
}

impl Histogram {
    /// Counts `n` things that took `time` each.
    pub fn record(&mut self, time: Nanos, n: u64) {
        self.counts[bucket(time)] += n;
        self.total += n;
        self.max = self.max.max(time);
    }

    /// How many have been counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Has nothing been counted?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The longest time.
    #[must_use]
    pub fn max(&self) -> Nanos {
        self.max
    }

    /// The time within which `share` (0 to 1) of those counted were done, at most an eighth too long. 0 if there are none.
    ///
    /// ```
    /// let mut times = color_sched::Histogram::default();
    /// (1..=1000).for_each(|ns| times.record(ns, 1));
    /// assert!((500..=562).contains(&times.quantile(0.5)));
    /// assert_eq!(times.quantile(1.0), 1000);
    /// ```
    #[must_use]
    pub fn quantile(&self, share: f64) -> Nanos {
        let rank = (share.clamp(0.0, 1.0) * self.total as f64).ceil().max(1.0) as u64;
        let mut counted = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            counted += count;
            if counted >= rank {
                return upper(bucket).min(self.max);
            }
        }
        self.max
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| self.quantile(share));
        write!(f, "Histogram {{ {} times, p50 {p50}, p99 {p99}, p99.9 {p999} ns }}", self.total)
    }
}
