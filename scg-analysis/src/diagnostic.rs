//! What is wrong, where, and what to do about it.

use std::fmt;
use std::sync::Arc;

/// A line of a source file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The path that the source was given with.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Whether a finding stops the analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No map can be made from this source.
    Error,
    /// The result holds, with the reservation stated.
    Warning,
}

/// One finding: `file:line: error: what is wrong; what to do about it`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Where; `None` when it concerns all files.
    pub place: Option<Place>,
    /// How bad.
    pub severity: Severity,
    /// What is wrong, and the next step.
    pub message: String,
}

impl Diagnostic {
    pub(crate) fn error(place: &Place, message: impl Into<String>) -> Self {
        let place = Some(place.clone());
        Diagnostic { place, severity: Severity::Error, message: message.into() }
    }

    pub(crate) fn warning(place: &Place, message: impl Into<String>) -> Self {
        let place = Some(place.clone());
        Diagnostic { place, severity: Severity::Warning, message: message.into() }
    }

    pub(crate) fn general(message: impl Into<String>) -> Self {
        Diagnostic { place: None, severity: Severity::Error, message: message.into() }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}", self.message)
    }
}

/// Why no analysis came out: at least one error, with the warnings found so far.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .diagnostics.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n"))]
pub struct AnalyseError {
    /// Sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Sorts findings, and turns them into an error if one of them is.
pub(crate) fn settle(mut found: Vec<Diagnostic>) -> Result<Vec<Diagnostic>, AnalyseError> {
    found.sort();
    found.dedup();
    if found.iter().any(|d| d.severity == Severity::Error) {
        return Err(AnalyseError { diagnostics: found });
    }
    Ok(found)
}
