//! The one file that asks the kernel: it reads files, of sysfs, of procfs, and of topologies.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Below this sysfs and procfs are mounted.
pub(crate) const ROOT: &str = "/";
/// Where sysfs is mounted.
pub(crate) const SYSFS: &str = "/sys";
/// What reading a file says whose device is unplugged after it was opened, and one whose thread has ended.
const ENODEV: i32 = 19;
const ESRCH: i32 = 3;

/// The text of a file, or `None` if there is no such file (any more).
pub(crate) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bytes of a file that has at most `limit`.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// What is in a folder; nothing if there is no such folder.
pub(crate) fn entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(path) {
        Ok(entries) => {
            Ok(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
        }
        Err(error) if is_gone(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || matches!(error.raw_os_error(), Some(ENODEV | ESRCH))
}
