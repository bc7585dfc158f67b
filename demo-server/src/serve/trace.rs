//! Where does the trace go, and what if it does not get there?

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use color_sched::Trace;

use crate::config::{Config, ConfigError};

/// The file of `--trace`, opened before anything is served so that a wrong name is known at once.
pub(super) struct TraceFile {
    path: PathBuf,
    file: File,
}

impl TraceFile {
    /// The file that the configuration names, empty now; none if it names none.
    pub(super) fn create(config: &Config) -> Result<Option<Self>, ConfigError> {
        let create = |path: &PathBuf| match File::create(path) {
            Ok(file) => Ok(Self { path: path.clone(), file }),
            Err(source) => Err(ConfigError::Trace { path: path.clone(), source }),
        };
        config.trace.as_ref().map(create).transpose()
    }

    /// Writes what the cores have done, and says how to look at it.
    pub(super) fn write(self, trace: &Trace) -> anyhow::Result<()> {
        let path = self.path.display();
        write(trace, self.file).with_context(|| {
            format!("--trace {path}: the trace is cut short; make room, or name another file")
        })?;
        super::say(&format!("trace in {path}: https://ui.perfetto.dev opens it"));
        Ok(())
    }
}

fn write(trace: &Trace, file: File) -> io::Result<()> {
    let mut to = BufWriter::new(file);
    trace.write_chrome(&mut to)?;
    to.flush()
}

/// Is there such a file that can be written, or a folder for one? Leaves the disk as it is.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    let Some(path) = &config.trace else { return Ok(()) };
    let wrong = |source| ConfigError::Trace { path: path.clone(), source };
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            fs::metadata(folder.unwrap_or(Path::new("."))).map(drop).map_err(wrong)
        }
        opened => opened.map(drop).map_err(wrong),
    }
}
