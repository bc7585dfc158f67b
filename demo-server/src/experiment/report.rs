//! An experiment's figures: the JSON that other tools read, and the table that people do.

use std::fmt;

use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, System};

use crate::interval::Interval;

/// Everything an experiment has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The experiment's name on the command line.
    pub experiment: String,
    /// Processor, memory and kernel.
    pub machine: String,
    /// Do the figures come from a simulated machine?
    pub simulated: bool,
    /// Measured values.
    pub rows: Vec<Row>,
    /// What follows from them.
    pub ratios: Vec<Ratio>,
    /// What a reader should know: missing peers, disturbances, how it was measured.
    pub notes: Vec<String>,
}

/// One metric of one configuration at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured: a server, or a policy of it.
    pub config: String,
    /// The point on the experiment's axis, such as the number of connections.
    pub x: u64,
    /// What the value is.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// The median of `n` windows.
    pub median: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end of its 95 % interval.
    pub high: f64,
    /// How many windows.
    pub n: usize,
}

/// Which way a ratio is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Of a rate.
    Higher,
    /// Of a cost.
    Lower,
}

/// The metric of `of`, divided by the metric of `to`, over the pairs of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Its name, which later runs keep.
    pub id: String,
    /// The configuration above the line.
    pub of: String,
    /// The configuration below the line.
    pub to: String,
    /// The metric of both.
    pub metric: String,
    /// Which way is good.
    pub better: Better,
    /// The median of the pairs.
    pub median: f64,
    /// The lower end of its 95 % bootstrap interval.
    pub low: f64,
    /// The upper end of its 95 % bootstrap interval.
    pub high: f64,
}

impl Report {
    /// An empty report about measurements on this machine.
    pub fn measured(experiment: &str) -> Report {
        Report {
            experiment: experiment.into(),
            machine: machine(),
            simulated: false,
            rows: Vec::new(),
            ratios: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, config: &str, x: u64, metric: &str, unit: &str, value: Interval) {
        let Interval { median, low, high, n } = value;
        let (config, metric, unit) = (config.into(), metric.into(), unit.into());
        self.rows.push(Row { config, x, metric, unit, median, low, high, n });
    }

    /// Adds a note.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The report as JSON, ending in a new line.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|json| json + "\n")
    }
}

/// What the figures were measured on, in a line.
fn machine() -> String {
    let mut parts = Vec::new();
    if let Ok(mut system) = System::new() {
        system.refresh_cpu_list(CpuRefreshKind::nothing());
        system.refresh_memory();
        let cpus = system.cpus();
        parts.push(format!(
            "{} x {}",
            cpus.len(),
            cpus.first().map_or("CPU", |cpu| cpu.brand()).trim()
        ));
        parts.push(format!("{} MiB", system.total_memory() >> 20));
    }
    parts.extend(System::kernel_version().map(|version| format!("Linux {version}")));
    parts.join(", ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simulated = if self.simulated { " (simulated)" } else { "" };
        writeln!(f, "{}{simulated}: {}", self.experiment, self.machine)?;
        if !self.rows.is_empty() {
            writeln!(f)?;
            write_table(f, &table(&self.rows))?;
        }
        if !self.ratios.is_empty() {
            writeln!(f)?;
            write_table(f, &ratio_table(&self.ratios))?;
        }
        for (index, note) in self.notes.iter().enumerate() {
            let gap = if index == 0 { "\n" } else { "" };
            writeln!(f, "{gap}note: {note}")?;
        }
        Ok(())
    }
}

/// A line for each configuration and point, a column for each metric; medians only, as the ratios
/// carry the intervals.
fn table(rows: &[Row]) -> Vec<Vec<String>> {
    let mut lines: Vec<(&str, u64)> = Vec::new();
    let mut metrics: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        let (line, metric) =
            ((row.config.as_str(), row.x), (row.metric.as_str(), row.unit.as_str()));
        if !lines.contains(&line) {
            lines.push(line);
        }
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    let mut table = vec![vec!["config".to_string(), "x".to_string()]];
    table[0].extend(metrics.iter().map(|(metric, unit)| format!("{metric} [{unit}]")));
    for (config, x) in lines {
        let mut cells = vec![config.to_string(), x.to_string()];
        for (metric, unit) in &metrics {
            let found = rows.iter().find(|row| {
                (row.config.as_str(), row.x) == (config, x)
                    && (row.metric.as_str(), row.unit.as_str()) == (*metric, *unit)
            });
            cells.push(found.map_or("-".into(), |row| figure(row.median)));
        }
        table.push(cells);
    }
    table
}

fn ratio_table(ratios: &[Ratio]) -> Vec<Vec<String>> {
    let head = ["ratio", "median", "95 % interval", "of", "to", "metric", "better"];
    let mut table = vec![head.map(String::from).to_vec()];
    table.extend(ratios.iter().map(|ratio| {
        let better = match ratio.better {
            Better::Higher => "higher",
            Better::Lower => "lower",
        };
        vec![
            ratio.id.clone(),
            format!("{:.3}", ratio.median),
            format!("{:.3} .. {:.3}", ratio.low, ratio.high),
            ratio.of.clone(),
            ratio.to.clone(),
            ratio.metric.clone(),
            better.into(),
        ]
    }));
    table
}

/// Four figures, or all of those before the point.
fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// Columns as wide as their widest cell; the first to the left, the others to the right.
fn write_table(f: &mut fmt::Formatter<'_>, table: &[Vec<String>]) -> fmt::Result {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        table.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for line in table {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            if column == 0 {
                write!(f, "{cell:<width$}")?;
            } else {
                write!(f, "  {cell:>width$}")?;
            }
        }
        writeln!(f)?;
    }
    Ok(())
}
