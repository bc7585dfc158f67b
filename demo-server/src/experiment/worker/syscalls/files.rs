//! Which files are hot, and how are they read by hand?

use std::ffi::CString;
use std::fs::File;
use std::hint::black_box;

use anyhow::Context;

use super::sys;
use crate::experiment::scratch::Scratch;

/// Bytes of a file that is opened for one read.
pub(super) const SMALL: usize = 1024;
/// Bytes of a read of a file that is open.
pub(super) const PIECE: usize = 4096;

/// Small files in a directory of their own.
pub(super) struct Small {
    pub(super) paths: Vec<CString>,
    _dir: Scratch,
}

impl Small {
    /// So many, each written and so in memory.
    pub(super) fn new(n: usize) -> anyhow::Result<Small> {
        let dir = Scratch::new().context("cannot make a temporary directory")?;
        let mut paths = Vec::new();
        for i in 0..n {
            let path = dir.path().join(format!("file-{i}"));
            std::fs::write(&path, [b'x'; SMALL]).context("cannot write a temporary file")?;
            paths.push(CString::new(path.into_os_string().into_encoded_bytes())?);
        }
        Ok(Small { paths, _dir: dir })
    }

    /// Opens a file, looks at it, reads it and closes it.
    pub(super) fn by_traps(&self, i: usize, buf: &mut [u8]) -> anyhow::Result<()> {
        let file = sys::open(&self.paths[i])?;
        black_box((sys::stat(&file)?, sys::read(&file, buf)?));
        Ok(())
    }
}

/// A file of `bytes` that has no name, in memory.
pub(super) fn open_file(bytes: usize) -> anyhow::Result<File> {
    let dir = Scratch::new().context("cannot make a temporary directory")?;
    let path = dir.path().join("open");
    std::fs::write(&path, vec![b'x'; bytes]).context("cannot write a temporary file")?;
    let file = File::options().read(true).write(true).open(&path)?;
    sys::read(&file, &mut vec![0; bytes])?;
    Ok(file)
}
