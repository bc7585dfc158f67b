//! Which files to read, in an order that does not depend on the machine.

use std::io;
use std::path::{Path, PathBuf};

/// One source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is; shown in diagnostics, and its last parts are its module path.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl Source {
    /// A source held in memory.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Source { path: path.into(), text: text.into() }
    }

    /// Reads files, and every `.rs` file beneath directories, sorted by path.
    ///
    /// # Errors
    /// When a path cannot be read, or is not UTF-8; the message names it.
    pub fn read<P: AsRef<Path>>(paths: &[P]) -> io::Result<Vec<Source>> {
        let mut files = Vec::new();
        for path in paths {
            collect(path.as_ref(), &mut files)?;
        }
        files.sort();
        files.dedup();
        files
            .into_iter()
            .map(|path| {
                let text = std::fs::read_to_string(&path).map_err(|e| named(&path, &e))?;
                Ok(Source { path: path.display().to_string(), text })
            })
            .collect()
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(|e| named(path, &e))? {
        let entry = entry.map_err(|e| named(path, &e))?;
        let path = entry.path();
        if entry.file_type().map_err(|e| named(&path, &e))?.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
