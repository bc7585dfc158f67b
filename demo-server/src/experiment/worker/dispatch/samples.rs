//! What are the quantiles of many times?

/// Times in nanoseconds, or in what else who adds them measures in, kept in memory that was touched before the first of
/// them came.
#[derive(Debug)]
pub(in super::super) struct Samples {
    ns: Vec<u32>,
    len: usize,
}

impl Samples {
    /// Room for so many; what comes after them is left out.
    pub(in super::super) fn new(room: usize) -> Samples {
        // Not zero: the kernel would lend zeros without memory.
        Samples { ns: vec![u32::MAX; room], len: 0 }
    }

    #[inline]
    pub(in super::super) fn add(&mut self, ns: u64) {
        if let Some(slot) = self.ns.get_mut(self.len) {
            *slot = u32::try_from(ns).unwrap_or(u32::MAX);
            self.len += 1;
        }
    }

    pub(in super::super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(in super::super) fn len(&self) -> usize {
        self.len
    }

    /// Adds those of another.
    pub(in super::super) fn append(&mut self, other: &Samples) {
        self.ns.truncate(self.len);
        self.ns.extend_from_slice(&other.ns[..other.len]);
        self.len = self.ns.len();
    }

    /// The values at these quantiles (nearest rank), each divided by `by`. Nothing if there are no times.
    pub(in super::super) fn quantiles<M: Copy>(
        &mut self,
        by: f64,
        asked: &[(M, f64)],
    ) -> Vec<(M, f64)> {
        let times = &mut self.ns[..self.len];
        times.sort_unstable();
        let Some(last) = times.len().checked_sub(1) else { return Vec::new() };
        let at = |q: f64| f64::from(times[(q * last as f64).round() as usize]) / by;
        asked.iter().map(|&(metric, q)| (metric, at(q))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metric;
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let mut samples = Samples::new(2000);
        for ns in (0..=1000).rev() {
            samples.add(ns);
        }
        let asked = [(Metric::P50, 0.5), (Metric::P99, 0.99), (Metric::P999, 0.999)];
        let expected = vec![(Metric::P50, 250.0), (Metric::P99, 495.0), (Metric::P999, 499.5)];
        assert_eq!(samples.quantiles(2.0, &asked), expected);
        samples.clear();
        assert_eq!(samples.quantiles(2.0, &asked), []);
    }

    #[test]
    fn times_beyond_the_room_are_left_out_and_those_of_another_are_not() {
        let mut samples = Samples::new(2);
        (1..=3).for_each(|ns| samples.add(ns));
        let mut more = Samples::new(8);
        more.add(9);
        samples.append(&more);
        assert_eq!(samples.len(), 3);
        assert_eq!(samples.quantiles(1.0, &[(Metric::P50, 1.0)]), [(Metric::P50, 9.0)]);
    }
}
