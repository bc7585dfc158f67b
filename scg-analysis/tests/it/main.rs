//! Tests of scg-analysis: the front-end, lifetimes, the solver, the map, the command.
