//! Whether the client has this version already (RFC 9110 §13).

use std::io::Write;

use super::date;
use super::head::{Head, Method};

/// Longest [`ETag`]: two quotes, a dash, 24 and 16 hexadecimal digits.
const TAG_BYTES: usize = 43;

/// A strong entity tag made of a file's modification time and size.
///
/// The inode is left out on purpose: replicas behind one balancer then agree on a file's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ETag {
    text: [u8; TAG_BYTES],
    len: u8,
}

impl ETag {
    /// The tag of a file of `size` bytes, last changed at this second and nanosecond.
    pub fn of(modified_secs: i64, modified_nanos: u32, size: u64) -> Self {
        let mut text = [0; TAG_BYTES];
        let mut rest = &mut text[..];
        // Fits by the widths of the numbers.
        let _ = write!(rest, "\"{modified_secs:x}{modified_nanos:08x}-{size:x}\"");
        let len = (TAG_BYTES - rest.len()) as u8;
        ETag { text, len }
    }

    /// The tag with its quotes, as the `ETag` field has it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }
}

/// What identifies the current version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validators {
    /// Its entity tag.
    pub etag: ETag,
    /// Second of its last change since 1970, as `Last-Modified` says it.
    pub modified: u64,
}

impl Validators {
    /// The validators of a file by its `stat`; a change before 1970 counts as 1970.
    pub fn of(modified_secs: i64, modified_nanos: u32, size: u64) -> Self {
        Validators {
            etag: ETag::of(modified_secs, modified_nanos, size),
            modified: u64::try_from(modified_secs).unwrap_or(0),
        }
    }
}

/// What the preconditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Serve it.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: the client meant another version.
    PreconditionFailed,
}

/// Judges the preconditions of `head` against a file that exists, in the order of RFC 9110 §13.2.2.
pub fn evaluate(head: &Head<'_>, current: &Validators) -> Verdict {
    let unmodified = match (head.if_match, head.if_unmodified_since) {
        (Some(list), _) => lists(list, &current.etag, Comparison::Strong),
        (None, Some(date)) => date::parse(date).is_none_or(|date| current.modified <= date),
        (None, None) => true,
    };
    if !unmodified {
        return Verdict::PreconditionFailed;
    }
    let known = match (head.if_none_match, head.if_modified_since) {
        (Some(list), _) => lists(list, &current.etag, Comparison::Weak),
        (None, Some(date)) => date::parse(date).is_some_and(|date| current.modified <= date),
        (None, None) => false,
    };
    if known { Verdict::NotModified } else { Verdict::Proceed }
}

/// The `Range` of `head`, if it is to be followed: a GET whose `If-Range`, if any, names the current
/// version, by its tag or by exactly its `Last-Modified`.
pub fn applicable_range<'a>(head: &Head<'a>, current: &Validators) -> Option<&'a [u8]> {
    if head.method != Method::Get {
        return None;
    }
    let holds = match head.if_range {
        None => true,
        Some(tag) if tag.ends_with(b"\"") => tag == current.etag.as_bytes(),
        Some(date) => date::parse(date) == Some(current.modified),
    };
    head.range.filter(|_| holds)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of tags, or `*`, names `tag`. Reading ends at the first fault: what stands behind it
/// cannot be told from the inside of a tag.
fn lists(list: &[u8], tag: &ETag, comparison: Comparison) -> bool {
    if list == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        while let [b' ' | b'\t' | b',', tail @ ..] = rest {
            rest = tail;
        }
        let (weak, quoted) = match rest {
            [b'W', b'/', quoted @ ..] => (true, quoted),
            quoted => (false, quoted),
        };
        let [b'"', inside @ ..] = quoted else {
            return false;
        };
        let Some(end) = inside.iter().position(|byte| *byte == b'"') else {
            return false;
        };
        let (this, tail) = quoted.split_at(end + 2);
        if this == tag.as_bytes() && (comparison == Comparison::Weak || !weak) {
            return true;
        }
        rest = tail;
    }
}
