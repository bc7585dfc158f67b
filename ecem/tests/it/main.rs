//! Tests of ecem: tables of the paper, oracles, properties.

mod ack_clock;
mod correlator;
mod fig7;
mod oracle;
mod splice;
mod table2;
