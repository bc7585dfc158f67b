//! Tests of mely-steal: tables of the paper, an oracle, properties on absurd views, sysfs texts, threads.

mod amounts;
mod base;
mod chain;
mod heuristics;
mod oracle;
mod stress;
mod sysfs_text;
mod topology;
mod views;
