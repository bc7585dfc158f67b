//! A directory for what an experiment needs on disk, removed when it goes out of scope; only a
//! process that is killed outright leaves it behind.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A new directory under the system's temporary one.
///
/// Readable by everybody, as servers may drop their privileges; writable by us.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> io::Result<Scratch> {
        let pid = std::process::id();
        // `mkdir` fails on a name that is taken, so nobody can slip in a directory or a link of his own.
        for attempt in 0..1000 {
            let path = std::env::temp_dir().join(format!("demo-server-experiment-{pid}-{attempt}"));
            match DirBuilder::new().mode(0o755).create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Scratch(path)),
            }
        }
        Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "a thousand leftover experiment directories in the temporary directory",
        ))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a directory in it.
    pub(super) fn dir(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        DirBuilder::new().mode(0o755).create(&path)?;
        Ok(path)
    }

    /// Does it belong to root, and so what we start too?
    pub(super) fn is_roots(&self) -> bool {
        fs::metadata(&self.0).is_ok_and(|metadata| metadata.uid() == 0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("demo-server: cannot remove {}: {error}", self.0.display());
        }
    }
}
