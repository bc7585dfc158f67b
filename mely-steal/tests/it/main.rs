//! Tests of mely-steal: tables of the paper, an oracle, properties on absurd views, sysfs texts, threads, simulated cores.

mod amounts;
mod base;
mod chain;
mod heuristics;
mod oracle;
mod simulated;
mod stress;
mod sysfs_text;
mod topology;
mod views;
