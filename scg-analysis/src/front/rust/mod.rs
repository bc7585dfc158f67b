//! The front-end for Rust. Its conventions are in the [crate's documentation](crate).
//!
//! It reads syntax, without types: calls are resolved by name, module and number of arguments.
//! Where that leaves several functions, all are taken, and the analysis says so.

mod body;
mod constants;
mod items;
mod macros;
mod names;
mod patterns;

use std::sync::Arc;

use proc_macro2::Span;

use crate::diagnostic::{AnalyseError, settle};
use crate::facts::{Facts, Function, StageFact};
use crate::{Diagnostic, Place, Source};

use items::Items;
use names::Names;

/// Reads the facts out of Rust sources.
///
/// # Errors
/// When a file does not parse, or breaks a convention; every finding names its line.
pub fn read(sources: &[Source]) -> Result<(Facts, Vec<Diagnostic>), AnalyseError> {
    let mut found = Vec::new();
    let files = parse(sources, &mut found);
    if !found.is_empty() {
        return Err(AnalyseError { diagnostics: found });
    }
    let mut items = Items::default();
    for (file, path) in &files {
        items.read_file(path, file, &mut found);
    }
    let sites = items.sites(&mut found);
    let stages = items.stages(&mut found);
    let found = settle(found)?;

    let names = Names::new(&items, &sites, &stages);
    let functions = items
        .functions
        .iter()
        .map(|f| {
            let (body, diagnostics) = body::lower(f, &names);
            Function { name: f.name.clone(), place: f.place.clone(), body, diagnostics }
        })
        .collect();
    let stages = stages
        .into_iter()
        .map(|s| StageFact { name: s.name, entry: s.entry, weight: s.weight })
        .collect();
    Ok((Facts { stages, sites, functions }, found))
}

fn parse(sources: &[Source], found: &mut Vec<Diagnostic>) -> Vec<(syn::File, Arc<str>)> {
    let mut files = Vec::new();
    for source in sources {
        let path: Arc<str> = source.path.as_str().into();
        match syn::parse_file(&source.text) {
            Ok(file) => files.push((file, path)),
            Err(error) => {
                let place = place(&path, error.span());
                found.push(Diagnostic::error(&place, format!("not valid Rust: {error}")));
            }
        }
    }
    files
}

fn place(file: &Arc<str>, span: Span) -> Place {
    Place { file: file.clone(), line: span.start().line }
}
