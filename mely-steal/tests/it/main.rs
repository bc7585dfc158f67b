//! Tests of mely-steal: tables of the paper, an oracle, properties on absurd views, sysfs texts.

mod base;
mod heuristics;
mod oracle;
mod sysfs_text;
mod topology;
mod views;
