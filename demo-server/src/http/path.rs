//! Which file below the root a request path names.
//!
//! Decoding and normalising happen here, once, on bytes, so that what is opened is what was checked;
//! the kernel's `RESOLVE_BENEATH` is the second wall, not the first.

use thiserror::Error;

use super::status::Status;

/// Why a path names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// It does not start at the root.
    #[error("a path starts with a slash")]
    Relative,
    /// A percent sign without two hexadecimal digits.
    #[error("a percent sign needs two hexadecimal digits; write a plain one as %25")]
    Escape,
    /// A control byte, a backslash or an encoded slash, plain or escaped: no portable file name has them,
    /// and programs disagree on what they mean.
    #[error("a path has no control bytes, backslashes or encoded slashes")]
    Byte,
    /// More `..` than directories.
    #[error("a path stays below the root")]
    AboveRoot,
    /// The decoded path does not fit the buffer.
    #[error("the path is longer than the server's buffer")]
    TooLong,
}

impl PathError {
    /// What to answer; the connection may stay open.
    pub const fn status(self) -> Status {
        match self {
            PathError::TooLong => Status::UriTooLong,
            _ => Status::BadRequest,
        }
    }
}

/// A path below the root, without a slash at either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Bytes of it in the buffer; 0 is the root itself.
    pub len: usize,
    /// The path asked for a directory: it ended in `/`, `/.` or `/..`.
    pub directory: bool,
}

/// Decodes and normalises `raw`, the path of a request, into `out`.
///
/// `%XX` is decoded once; empty segments and `.` vanish, `..` takes the segment before it, and never
/// leads above the root. A buffer as long as `raw` always suffices.
pub fn resolve(raw: &[u8], out: &mut [u8]) -> Result<Resolved, PathError> {
    let [b'/', rest @ ..] = raw else {
        return Err(PathError::Relative);
    };
    let mut len = 0;
    let mut directory = true;
    for segment in rest.split(|byte| *byte == b'/') {
        let start = if len == 0 { 0 } else { len + 1 };
        let end = decode(segment, out, start)?;
        let name = out.get(start..end).unwrap_or(&[]);
        directory = matches!(name, b"" | b"." | b"..");
        match name {
            b"" | b"." => {}
            b".." if len == 0 => return Err(PathError::AboveRoot),
            b".." => {
                let parent = out[..len].iter().rposition(|byte| *byte == b'/');
                len = parent.unwrap_or(0);
            }
            _ => {
                if start > 0 {
                    out[start - 1] = b'/';
                }
                len = end;
            }
        }
    }
    Ok(Resolved { len, directory })
}

/// Decodes one segment to `out[at..]`; returns where it ends.
fn decode(segment: &[u8], out: &mut [u8], mut at: usize) -> Result<usize, PathError> {
    let mut rest = segment;
    while let [byte, tail @ ..] = rest {
        let mut byte = *byte;
        rest = tail;
        if byte == b'%' {
            let [high, low, tail @ ..] = tail else {
                return Err(PathError::Escape);
            };
            byte = hex(*high)? << 4 | hex(*low)?;
            rest = tail;
        }
        if byte.is_ascii_control() || matches!(byte, b'\\' | b'/') {
            return Err(PathError::Byte);
        }
        *out.get_mut(at).ok_or(PathError::TooLong)? = byte;
        at += 1;
    }
    Ok(at)
}

fn hex(digit: u8) -> Result<u8, PathError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(PathError::Escape),
    }
}

/// Writes the `Location` of a directory that was asked for without its closing slash: `/`, the resolved
/// path escaped, `/`, and the query. Returns its length, or `None` if `out` is too small.
///
/// It is built from the resolved path, never from the request's: `//evil.example` sent back as it came
/// would name another host.
pub fn directory_location(resolved: &[u8], query: Option<&[u8]>, out: &mut [u8]) -> Option<usize> {
    let mut at = 0;
    let mut put = |byte: u8| {
        *out.get_mut(at)? = byte;
        at += 1;
        Some(())
    };
    put(b'/')?;
    for byte in resolved {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(byte) {
            put(*byte)?;
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            put(b'%')?;
            put(DIGITS[usize::from(byte >> 4)])?;
            put(DIGITS[usize::from(byte & 15)])?;
        }
    }
    if !resolved.is_empty() {
        put(b'/')?;
    }
    if let Some(query) = query {
        put(b'?')?;
        query.iter().try_for_each(|byte| put(*byte))?;
    }
    Some(at)
}
