//! How are the experiments on stealing measured, and what do they have in common?
//!
//! Each window is a process of its own, `demo-server steal-worker`; what it runs stands in its module beneath
//! `worker::steal`. Every claim is a block A/B/B/A, repeated as often as there is time for. x is the number of CPUs.

use std::time::Duration;

use anyhow::Context;

use super::blocks::{self, Time};
use super::counted::Counted;
use super::harpertown::{self, Length, Which};
use super::paired::{Comparison, Finding, Measurement, Paired};
use super::report::{Better, Report};
use super::runner::{Runner, name_of};
use super::worker::{StealBy as By, StealCase as Case, StealFound as Found, StealMetric as Metric};
use super::{Outcome, Setup, WITHOUT_PEERS, scale};
use crate::interval::Interval;

/// A worker's start measures a theft.
const TIME: Time = Time { overhead: Duration::from_millis(100), spare: Duration::from_secs(2) };
/// CPUs of this machine that are used.
const CPUS: u64 = 2;
/// Cores of the paper's machine.
const PAPERS_CORES: u64 = 8;
/// Repetitions of the blocks of a long run.
const REPEATS: usize = 6;
/// And of a quick one, if there is time.
const QUICK_REPEATS: usize = 3;
/// Seeds of the simulations of a long run.
const SEEDS: &[u64] = &[1, 2, 3];
/// And of a quick one.
const QUICK_SEEDS: &[u64] = &[1];
/// Rounds that are counted, of two lengths, and the colors of each.
const COUNTED_ROUNDS: [u64; 2] = [4, 12];
const COUNTED_COLORS: usize = 5_000;

/// A configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    /// The name of its rows.
    name: &'static str,
    case: Case,
    by: By,
    start: Start,
}

/// What comes before a measurement?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// What warms up.
    WarmUp,
    /// A second.
    Second,
    /// A second, and one more after the stages have exchanged what they do.
    Change,
}

impl Start {
    /// Before the measurement, in milliseconds.
    const fn ms(self) -> Option<u64> {
        match self {
            Self::WarmUp => None,
            Self::Second => Some(1_000),
            Self::Change => Some(2_000),
        }
    }
}

impl Config {
    pub(super) const fn new(name: &'static str, case: Case, by: By) -> Config {
        Config { name, case, by, start: Start::WarmUp }
    }

    /// The same, measured from one second on.
    pub(super) const fn after_a_second(self) -> Config {
        Config { start: Start::Second, ..self }
    }

    /// The same, measured from one second after a change of the load on.
    pub(super) const fn after_a_change(self) -> Config {
        Config { start: Start::Change, ..self }
    }

    fn is_of_two_cpus(&self) -> bool {
        !matches!(self.by, By::Bare | By::OneCore)
    }

    fn is_built_in(&self) -> bool {
        cfg!(feature = "peers") || !matches!(self.by, By::Rayon | By::Tokio)
    }

    /// What its worker is told, but for how long.
    fn args(&self) -> Vec<String> {
        vec!["steal-worker".into(), name_of(self.case), "--by".into(), name_of(self.by)]
    }
}

/// A ratio of rates that is promised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    id: &'static str,
    of: &'static str,
    to: &'static str,
    /// The rate below the line counts so many times.
    times: f64,
    /// What the paper's rates come to.
    paper: Option<f64>,
}

impl Claim {
    pub(super) const fn new(id: &'static str, of: &'static str, to: &'static str) -> Claim {
        Claim { id, of, to, times: 1.0, paper: None }
    }

    /// The rate below the line is of one CPU, and counts for two.
    pub(super) const fn twice(self) -> Claim {
        Claim { times: CPUS as f64, ..self }
    }

    /// These two rates of the paper stand for it.
    pub(super) const fn paper(self, of: f64, to: f64) -> Claim {
        Claim { paper: Some(of / to), ..self }
    }

    fn block(&self) -> Comparison {
        Comparison { of: self.of, to: self.to, x: CPUS }
    }
}

/// An experiment.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    /// Milliseconds of a window of a quick run, and of another.
    pub(super) ms: [u64; 2],
    pub(super) configs: &'static [Config],
    pub(super) claims: &'static [Claim],
    /// The paper's rows: configuration, thousands of events a second.
    pub(super) paper: &'static [(&'static str, f64)],
    /// Instructions of an event: the ratio's name, what is above and below its line.
    pub(super) counted: Option<(&'static str, [&'static str; 2])>,
    pub(super) notes: &'static [&'static str],
    /// What the paper's machine is simulated with.
    pub(super) simulated: Which,
}

impl Plan {
    fn config(&self, name: &str) -> anyhow::Result<&'static Config> {
        let config = self.configs.iter().find(|config| config.name == name);
        config.with_context(|| format!("{}: no configuration {name}", self.name))
    }

    /// All blocks of a run, without those that need two CPUs where there is one, and those that this build has not.
    fn blocks(&self, quick: bool, has_two: bool) -> anyhow::Result<Vec<Comparison>> {
        let mut once = Vec::new();
        for claim in self.claims {
            let [of, to] = [self.config(claim.of)?, self.config(claim.to)?];
            let can_run =
                |config: &Config| config.is_built_in() && (has_two || !config.is_of_two_cpus());
            if can_run(of) && can_run(to) {
                once.push((
                    claim.block(),
                    [of, to].iter().any(|config| config.start != Start::WarmUp),
                ));
            }
        }
        let repeats = if quick { QUICK_REPEATS } else { REPEATS };
        let pass = |repeat: usize| {
            let is_wanted =
                move |&&(_, is_slow): &&(Comparison, bool)| !(quick && is_slow && repeat > 0);
            once.iter().filter(is_wanted).map(|(block, _)| block.clone())
        };
        Ok((0..repeats).flat_map(pass).collect())
    }
}

/// Runs an experiment.
pub(super) fn run(setup: &Setup, plan: &Plan) -> anyhow::Result<Outcome> {
    let mut report = Report::measured(plan.name);
    let ms = plan.ms[usize::from(!setup.quick)];
    let windows = Windows { runner: &Runner::new(setup, ms)?, setup, plan, ms };
    let has_two = setup.can_pin && setup.server_cpu != setup.load_cpu;
    describe(&mut report, setup, plan, ms);
    let seeds = if setup.quick { QUICK_SEEDS } else { SEEDS };
    harpertown::add(&mut report, plan.simulated, seeds, Length::Full, &setup.interrupt)?;
    scale::add(&mut report, plan.simulated, &scale::MACHINES, seeds, &setup.interrupt)?;
    if let Some((id, names)) = plan.counted {
        windows.count(&mut report, id, names)?;
    }
    let paired = windows.measure(&mut report, &plan.blocks(setup.quick, has_two)?)?;
    paired.rows(&mut report);
    conclude(&mut report, plan, &paired);
    super::note_null(&mut report);
    Ok(Outcome { report, failure: None })
}

fn describe(report: &mut Report, setup: &Setup, plan: &Plan, ms: u64) {
    report.note(format!("every window is a process of its own and measures {ms} ms; x: CPUs"));
    for note in plan.notes {
        report.note(*note);
    }
    let Setup { server_cpu, load_cpu, .. } = setup;
    if !setup.can_pin {
        report.note("this process may not bind itself to a CPU: nothing is said of two cores");
    } else if server_cpu == load_cpu {
        report.note(format!("all is on one CPU, {server_cpu}: nothing is said of two cores"));
    } else {
        report.note(format!(
            "the first core is on CPU {server_cpu}, the second one on CPU {load_cpu}"
        ));
    }
    if !plan.configs.iter().all(Config::is_built_in) {
        report.note(format!("{WITHOUT_PEERS} {}", plan.name));
    }
}

/// How the windows are measured.
struct Windows<'a> {
    runner: &'a Runner,
    setup: &'a Setup,
    plan: &'a Plan,
    ms: u64,
}

impl Windows<'_> {
    /// Measures the blocks in turn, as many as there is time for.
    fn measure(&self, report: &mut Report, blocks: &[Comparison]) -> anyhow::Result<Paired> {
        let label = |block: &Comparison| format!("{} and {}", block.of, block.to);
        blocks::measure(self.runner, report, blocks, TIME, label, |name, _| {
            Ok(measurement(&self.ask(self.plan.config(name)?)?))
        })
    }

    /// What one window found.
    fn ask(&self, config: &Config) -> anyhow::Result<Found> {
        let mut args = config.args();
        let mut tell = |name: &str, value: u64| args.extend([name.into(), value.to_string()]);
        tell("--ms", self.ms);
        config.start.ms().into_iter().for_each(|ms| tell("--after", ms));
        let Setup { server_cpu, load_cpu, can_pin, .. } = *self.setup;
        let mut cpus = Vec::new();
        if can_pin {
            tell("--cpu", server_cpu as u64);
            cpus.push(server_cpu);
        }
        if can_pin && config.is_of_two_cpus() {
            tell("--other-cpu", load_cpu as u64);
            cpus.push(load_cpu);
        }
        args.extend((config.start == Start::Change).then(|| "--change".into()));
        self.runner.ask(&args, &cpus)
    }

    /// Counts the instructions of an event, if valgrind is there.
    fn count(&self, report: &mut Report, id: &str, names: [&'static str; 2]) -> anyhow::Result<()> {
        if !self.runner.can_count() {
            report.note("no instructions: apt-get install valgrind");
            return Ok(());
        }
        let mut counted = Counted::new("instructions", "1");
        counted.all(report, self.runner, &names.map(|name| (name, CPUS)), |name, _| {
            let config = self.plan.config(name)?;
            self.runner.instructions_of(COUNTED_ROUNDS, &[], |rounds| {
                let mut args = config.args();
                let told = [("--rounds", rounds), ("--colors", COUNTED_COLORS as u64)];
                args.extend(told.into_iter().flat_map(|(name, n)| [name.into(), n.to_string()]));
                args
            })
        })?;
        counted.ratio(report, id, (names[0], names[1]), &[CPUS]);
        Ok(())
    }
}

fn measurement(found: &Found) -> Measurement {
    let named = found.values.iter().map(|&(metric, value)| {
        let (name, unit) = metric.names();
        (name, unit, value)
    });
    Measurement(named.collect())
}

/// Adds the ratios, and what the paper found.
fn conclude(report: &mut Report, plan: &Plan, paired: &Paired) {
    let (metric, unit) = Metric::Rate.names();
    for claim in plan.claims {
        let Claim { id, of, to, times, .. } = *claim;
        let finding = Finding { id, of, to, x: None, metric, better: Better::Higher };
        let Some(mut ratio) = paired.ratio(&finding) else { continue };
        for value in [&mut ratio.median, &mut ratio.low, &mut ratio.high] {
            *value /= times;
        }
        if times > 1.0 {
            ratio.to = format!("{times} x {to}");
        }
        report.ratios.push(ratio);
    }
    for (name, thousands) in plan.paper {
        let rate = thousands * 1e3;
        let value = Interval { median: rate, low: rate, high: rate, n: 0 };
        report.row(&format!("paper: {name}"), PAPERS_CORES, metric, unit, value);
    }
    let said = plan
        .claims
        .iter()
        .filter_map(|claim| claim.paper.map(|paper| format!("{} {paper:.3}", claim.id)));
    let said: Vec<_> = said.collect();
    if !said.is_empty() {
        report.note(format!(
            "the paper, 8 cores of 2010 (its rows have no windows, n is 0): {}",
            said.join(", ")
        ));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;
    use std::collections::hash_map::Entry;

    use super::*;
    use crate::experiment::worker::{StealArgs, steal_found};
    use crate::load::sys::allowed_cpus;

    /// A window of a few milliseconds in this process.
    fn tiny(config: &Config, cpus: &[usize]) -> anyhow::Result<Measurement> {
        let args = StealArgs {
            case: config.case,
            by: config.by,
            colors: Some(40),
            cpu: cpus.first().copied(),
            other_cpu: cpus.last().copied(),
            ms: 3,
            after: config.start.ms().map(|ms| ms / 500),
            change: config.start == Start::Change,
            rounds: None,
        };
        // In a thread of its own, which it may bind to a CPU.
        let found = std::thread::spawn(move || steal_found(&args)).join();
        Ok(measurement(&found.map_err(|_| anyhow::anyhow!("{} panicked", config.name))??))
    }

    /// Names are those of one configuration each, every claim has its block, and a run of tiny windows has every ratio.
    pub(in super::super) fn check(plan: &Plan) {
        for (i, one) in plan.configs.iter().enumerate() {
            let is_alone = plan.configs[..i].iter().all(|other| other.name != one.name);
            let is_used = plan.claims.iter().any(|c| c.of == one.name || c.to == one.name);
            assert!(is_alone && is_used, "{}", one.name);
        }
        for (i, claim) in plan.claims.iter().enumerate() {
            assert!(plan.claims[..i].iter().all(|other| other.id != claim.id), "{}", claim.id);
        }
        let of_one = plan.blocks(true, false).expect("every claim is of two configurations");
        let is_of_one = |name| !plan.config(name).expect("a configuration").is_of_two_cpus();
        assert!(of_one.iter().all(|block| is_of_one(block.of) && is_of_one(block.to)));
        let cpus = allowed_cpus().expect("the kernel says where we may run");
        let has_two = cpus.len() > 1;
        let blocks = plan.blocks(true, has_two).expect("every claim is of two configurations");
        let (mut paired, mut windows) = (Paired::default(), HashMap::<_, Measurement>::new());
        for block in &blocks {
            // One window of each, as many times as it is asked for.
            let measured = paired.block(block, |name, _| match windows.entry(name) {
                Entry::Occupied(entry) => Ok(entry.get().clone()),
                Entry::Vacant(entry) => {
                    tiny(plan.config(name)?, &cpus).map(|it| entry.insert(it).clone())
                }
            });
            measured.unwrap_or_else(|error| panic!("{block:?}: {error:#}"));
        }
        let mut report = Report::measured(plan.name);
        paired.rows(&mut report);
        conclude(&mut report, plan, &paired);
        for claim in plan.claims {
            let is_there = blocks.contains(&claim.block());
            let found = report.ratios.iter().find(|ratio| ratio.id == claim.id);
            assert_eq!(found.is_some(), is_there, "{}", claim.id);
            let Some(ratio) = found else { continue };
            let is_sound = ratio.median > 0.0 && ratio.low <= ratio.median;
            assert!(is_sound && ratio.median <= ratio.high, "{ratio:?}");
        }
        assert!(!has_two || report.ratios.iter().any(|ratio| ratio.id == "aa_null"));
        let of_paper = |row: &&crate::experiment::Row| row.n == 0;
        assert_eq!(report.rows.iter().filter(of_paper).count(), plan.paper.len());
    }

    const TWO: Plan = Plan {
        name: "two",
        ms: [1, 1],
        configs: &[
            Config::new("one-thread", Case::Unbalanced, By::Bare),
            Config::new("two-cores", Case::Unbalanced, By::Learned),
            Config::new("late", Case::Unbalanced, By::Hand).after_a_second(),
        ],
        claims: &[
            Claim::new("two_vs_ideal", "two-cores", "one-thread").twice(),
            Claim::new("two_vs_late", "two-cores", "late").paper(3.0, 4.0),
        ],
        paper: &[("two-cores", 5.0)],
        counted: None,
        notes: &[],
        simulated: Which::Unbalanced,
    };

    #[test]
    fn slow_blocks_are_measured_once_in_a_quick_run_and_every_time_in_another() {
        let count = |quick, of: &str| {
            let blocks = TWO.blocks(quick, true).expect("configurations");
            blocks.iter().filter(|block| block.to == of).count()
        };
        assert_eq!([count(true, "one-thread"), count(true, "late")], [QUICK_REPEATS, 1]);
        assert_eq!([count(false, "one-thread"), count(false, "late")], [REPEATS; 2]);
    }

    #[test]
    fn ratio_to_ideal_is_to_twice_the_rate_of_one_thread() {
        let mut paired = Paired::default();
        for block in TWO.blocks(true, true).expect("configurations") {
            let rate = |name: &str| if name == "two-cores" { 36.0 } else { 20.0 };
            let measure = |name, _| anyhow::Ok(Measurement(vec![("rate", "1/s", rate(name))]));
            paired.block(&block, measure).expect("measured");
        }
        let mut report = Report::measured("two");
        conclude(&mut report, &TWO, &paired);
        let found: Vec<_> = report.ratios.iter().map(|r| (r.to.as_str(), r.median)).collect();
        assert_eq!(found, [("2 x one-thread", 0.9), ("late", 1.8)]);
        assert_eq!((report.rows[0].config.as_str(), report.rows[0].n), ("paper: two-cores", 0));
        assert_eq!(report.rows[0].median, 5_000.0);
        assert!(report.notes[0].contains("two_vs_late 0.750"), "{:?}", report.notes);
    }
}
