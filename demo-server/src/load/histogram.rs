//! Latencies in a fixed array whose buckets grow with the value.
//!
//! Log-linear, as in Tene's HdrHistogram: every power of two is cut into [`SUB`] buckets of equal
//! width, so a value is known to 1 part in 64 at any size, recording is two shifts and an
//! increment, and nothing is ever allocated again.

use std::time::Duration;

/// Buckets to a power of two.
const SUB: u64 = 1 << SUB_BITS;
const SUB_BITS: u32 = 6;
/// One row of buckets for the values below [`SUB`], one for each of the 58 powers of two from there
/// on.
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB as usize;

/// Counts of durations, in nanoseconds from 0 to `u64::MAX`.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    sum_ns: u128,
    least_ns: u64,
    most_ns: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram {
            counts: vec![0; BUCKETS].into_boxed_slice(),
            count: 0,
            sum_ns: 0,
            least_ns: u64::MAX,
            most_ns: 0,
        }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(ns)] += 1;
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.least_ns = self.least_ns.min(ns);
        self.most_ns = self.most_ns.max(ns);
    }

    /// Counts everything that `other` has counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.least_ns = self.least_ns.min(other.least_ns);
        self.most_ns = self.most_ns.max(other.most_ns);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The duration that the fraction `q` (0 to 1) of all does not exceed: exact to 1 part in 64,
    /// never below the truth. Zero if there is none.
    ///
    /// ```
    /// use std::time::Duration;
    /// let mut latency = demo_server::load::Histogram::default();
    /// (1..=100).for_each(|ms| latency.record(Duration::from_millis(ms)));
    /// let p99 = latency.quantile(0.99);
    /// assert!((99.0..=100.6).contains(&(p99.as_secs_f64() * 1e3)));
    /// ```
    pub fn quantile(&self, q: f64) -> Duration {
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            seen += count;
            if count > 0 && seen >= rank {
                return Duration::from_nanos(last_of(index).clamp(self.least_ns, self.most_ns));
            }
        }
        Duration::ZERO
    }

    /// The mean of all durations, exact. Zero if there is none.
    pub fn mean(&self) -> Duration {
        let mean = self.sum_ns.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The longest duration, exact. Zero if there is none.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.most_ns)
    }
}

fn bucket(ns: u64) -> usize {
    if ns < SUB {
        return ns as usize;
    }
    let shift = ns.ilog2() - SUB_BITS;
    let within = (ns >> shift) & (SUB - 1);
    ((u64::from(shift) + 1) * SUB + within) as usize
}

/// The largest value that falls into the bucket.
fn last_of(bucket: usize) -> u64 {
    let (row, within) = (bucket as u64 / SUB, bucket as u64 % SUB);
    if row == 0 {
        return within;
    }
    let shift = row - 1;
    ((SUB + within) << shift) | ((1 << shift) - 1)
}
