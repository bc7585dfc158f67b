//! The one file that asks the kernel: it reads sysfs.

use std::path::Path;
use std::{fs, io};

/// Where sysfs is mounted.
pub(crate) const SYSFS: &str = "/sys";

/// The text of a file, or `None` if there is no such file.
pub(crate) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
