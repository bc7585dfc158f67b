//! Tests of scg-analysis: the front-end, lifetimes, the solver, the map, the command.

mod cli;
mod conventions;
mod fig2;
mod graph;
mod lifetimes;
mod map;
mod refusals;
mod share;
mod solve;

use scg_analysis::{Analysis, Source, analyse};

/// A server with these functions, whose stages are `A`, `B` and `C`, and whose sites are `X` (64
/// bytes) and `Y` (128).
fn server(functions: &str) -> Source {
    let declarations = "enum Stage { A, B, C }\n\
        const X: Site = Site::new(\"x\", 64);\n\
        const Y: Site = Site::new(\"y\", 128);\n";
    Source::new("server.rs", format!("{declarations}{functions}"))
}

/// Analyses [`server`]; its functions begin at line 4.
fn analysed(functions: &str) -> Analysis {
    analyse(&[server(functions)]).unwrap_or_else(|e| panic!("{e}"))
}

/// The errors and warnings that refuse [`server`].
fn refused(functions: &str) -> String {
    match analyse(&[server(functions)]) {
        Ok(analysis) => panic!("not refused:\n{analysis}"),
        Err(error) => error.to_string(),
    }
}

/// `live` and `alloc` of a stage, as the map has them.
fn stage_line(analysis: &Analysis, stage: &str) -> String {
    let map = analysis.map(&scg_analysis::Params::default()).unwrap_or_else(|e| panic!("{e}"));
    let name = format!("name={stage} ");
    let line = map.as_str().lines().find(|l| l.starts_with("stage") && l.contains(&name));
    let line = line.unwrap_or_else(|| panic!("no stage {stage} in\n{map}"));
    let fields = line.split(' ').filter(|f| f.starts_with("live=") || f.starts_with("alloc="));
    fields.collect::<Vec<_>>().join(" ")
}
