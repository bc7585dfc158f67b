//! Tests of ecem: tables of the paper, oracles, properties.
