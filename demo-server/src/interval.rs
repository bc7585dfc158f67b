//! Medians, their bootstrap intervals, and ratios of paired measurements.
//!
//! Pure: samples in, numbers out; the resampling is seeded, so the same samples always give the
//! same interval. The interval is Efron's percentile bootstrap (Efron and Tibshirani, *An
//! Introduction to the Bootstrap*, 1993, §13.3): resample with replacement, take the statistic,
//! read off the 2.5 % and the 97.5 % quantile. With few samples it is too narrow rather than too
//! wide, so an interval over fewer than [`FEW`] samples is the range of all of them.

/// Below this many samples the interval is their whole range: resampling so few says nothing more.
pub const FEW: usize = 6;

/// How often a bootstrap resamples. The 2.5 % quantile then rests on 50 medians.
const RESAMPLES: usize = 2000;

/// A median with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The median of the samples.
    pub median: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end of the 95 % interval.
    pub high: f64,
    /// How many samples there were.
    pub n: usize,
}

/// The middle of `samples`, the mean of the two middle ones if their number is even. `None` if
/// there are none, or if one is not a finite number.
pub fn median(samples: &[f64]) -> Option<f64> {
    middle(&sorted(samples)?)
}

/// The median of `samples` with a 95 % bootstrap interval. The same samples and the same `seed`
/// give the same answer.
///
/// ```
/// let interval = demo_server::interval::bootstrap(&[9.0, 10.0, 11.0, 10.5, 9.5, 10.0, 10.2], 1).unwrap();
/// assert_eq!(interval.median, 10.0);
/// assert!(9.0 <= interval.low && interval.low <= 10.0 && 10.0 <= interval.high && interval.high <= 11.0);
/// ```
pub fn bootstrap(samples: &[f64], seed: u64) -> Option<Interval> {
    let samples = sorted(samples)?;
    let (n, median) = (samples.len(), middle(&samples)?);
    if n < FEW {
        return Some(Interval { median, low: samples[0], high: samples[n - 1], n });
    }
    let mut random = SplitMix64(seed);
    let mut resample = vec![0.0; n];
    let mut medians = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        resample.fill_with(|| samples[random.below(n)]);
        resample.sort_by(f64::total_cmp);
        medians.extend(middle(&resample));
    }
    medians.sort_by(f64::total_cmp);
    Some(Interval { median, low: quantile(&medians, 0.025), high: quantile(&medians, 0.975), n })
}

/// One block of four measurements, made in the order A, B, B, A.
///
/// What drifts evenly while a block runs (a warming machine, a neighbour waking up) raises one of
/// its two ratios and lowers the other by as much, so their middle does not move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Abba {
    /// The first and the last measurement.
    pub a: [f64; 2],
    /// The two in between.
    pub b: [f64; 2],
}

impl Abba {
    /// The ratios A / B of the two neighbouring pairs of the block.
    ///
    /// ```
    /// let block = demo_server::interval::Abba { a: [20.0, 30.0], b: [10.0, 10.0] };
    /// assert_eq!(block.ratios(), [2.0, 3.0]);
    /// ```
    pub fn ratios(&self) -> [f64; 2] {
        [self.a[0] / self.b[0], self.a[1] / self.b[1]]
    }
}

/// The median ratio A / B over the pairs of `blocks`, with its interval. `None` without blocks, or
/// if a measurement of B is zero.
pub fn paired_ratio(blocks: &[Abba], seed: u64) -> Option<Interval> {
    let ratios: Vec<f64> = blocks.iter().flat_map(Abba::ratios).collect();
    bootstrap(&ratios, seed)
}

fn sorted(samples: &[f64]) -> Option<Vec<f64>> {
    if samples.is_empty() || samples.iter().any(|sample| !sample.is_finite()) {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(sorted)
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    match sorted {
        [] => None,
        _ if sorted.len() % 2 == 1 => Some(sorted[half]),
        _ => Some(sorted[half - 1] + (sorted[half] - sorted[half - 1]) / 2.0),
    }
}

/// The sample at the nearest rank of `q`; `sorted` is not empty.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * (sorted.len() - 1) as f64).round() as usize;
    sorted[rank]
}

/// Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014: enough to
/// resample, and five lines.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; the bias of the multiplication is below bound / 2^64.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}
