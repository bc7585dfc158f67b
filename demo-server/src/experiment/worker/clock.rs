//! How many rounds, and how long did they take?
//!
//! The number of rounds is found while warming up and fixed before the measurement, so that the clock is
//! read twice a window and not once a round.

use std::time::{Duration, Instant};

use super::Answer;

/// Of the measured time, spent on warming up beforehand.
pub(in super::super) const WARM_UP: f64 = 0.2;
/// The first round has page faults that no later one has.
const ROUNDS_TO_WARM_UP: u64 = 2;

/// How long a worker works.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// About so long, after warming up.
    Time(Duration),
    /// So many rounds, without a look at the clock.
    Rounds(u64),
}

impl Clock {
    pub(super) fn new(ms: u64, rounds: Option<u64>) -> Clock {
        rounds.map_or(Clock::Time(Duration::from_millis(ms)), Clock::Rounds)
    }

    /// Runs `round`, which does `units` units of work, as often as it takes.
    pub(super) fn measure(
        self,
        units: u64,
        mut round: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Answer> {
        let window = match self {
            Clock::Time(window) => window,
            Clock::Rounds(rounds) => {
                for _ in 0..rounds {
                    round()?;
                }
                return Ok(Answer { ns: 0.0, units: rounds * units });
            }
        };
        let rounds = rounds_in(window, &mut round)?;
        let begun = Instant::now();
        for _ in 0..rounds {
            round()?;
        }
        let elapsed = begun.elapsed();
        let units = rounds * units;
        Ok(Answer { ns: elapsed.as_nanos() as f64 / units as f64, units })
    }
}

/// Warms up, and says how many rounds fill the window.
fn rounds_in(
    window: Duration,
    round: &mut impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let warm_up = window.mul_f64(WARM_UP);
    let (begun, mut rounds, mut step) = (Instant::now(), 0, 1);
    round()?;
    let after_first = Instant::now();
    while rounds < ROUNDS_TO_WARM_UP || begun.elapsed() < warm_up {
        for _ in 0..step {
            round()?;
        }
        rounds += step;
        // Rounds may be short: look at the clock after ever more of them.
        step = (step * 2).min(1 << 10);
    }
    let each = after_first.elapsed().as_nanos() as f64 / rounds as f64;
    Ok(((window.as_nanos() as f64 / each.max(1.0)) as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_run_as_often_as_said() {
        let mut ran = 0;
        let answer = Clock::new(1000, Some(3)).measure(5, || {
            ran += 1;
            Ok(())
        });
        assert_eq!((ran, answer.expect("no error")), (3, Answer { ns: 0.0, units: 15 }));
    }

    #[test]
    fn window_lasts_about_as_long_as_said_whatever_a_round_takes() {
        for us in [0, 20, 3000] {
            let begun = Instant::now();
            let answer = Clock::new(40, None).measure(1, || {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_micros(us) {}
                Ok(())
            });
            let (answer, elapsed) = (answer.expect("no error"), begun.elapsed());
            let measured = Duration::from_nanos((answer.ns * answer.units as f64) as u64);
            assert!(measured <= elapsed, "{measured:?} of {elapsed:?}");
            assert!(answer.ns >= us as f64 * 1e3, "{us} us a round were {} ns", answer.ns);
            assert!(elapsed > Duration::from_millis(25), "{us} us a round: {elapsed:?}");
        }
    }

    #[test]
    fn error_ends_the_rounds() {
        let mut ran = 0;
        let answer = Clock::new(1, None).measure(1, || {
            ran += 1;
            if ran < 4 { Ok(()) } else { Err(anyhow::anyhow!("enough")) }
        });
        assert!(answer.is_err());
        assert_eq!(ran, 4);
    }
}
