//! Which bytes of a file a `Range` field asks for (RFC 9110 §14).

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranged {
    /// All of it, as 200: the field asks for nothing that is served in part. Several ranges are
    /// among that, so no request can ask for more bytes than the file has.
    Whole,
    /// These bytes, as 206.
    Part(Part),
    /// Nothing, as 416: the range starts behind the end of the file.
    Unsatisfiable,
}

/// Bytes `start..end` of a file; never empty, never beyond its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// First byte.
    pub start: u64,
    /// One behind the last byte.
    pub end: u64,
}

impl Part {
    /// Bytes to send.
    #[expect(clippy::len_without_is_empty, reason = "a part is never empty")]
    pub const fn len(&self) -> u64 {
        self.end - self.start
    }
}

/// Reads the value of a `Range` field of a GET for a file of `size` bytes: `bytes=a-b`, `bytes=a-` or
/// `bytes=-n`. Other units, several ranges and faults in the form mean [`Ranged::Whole`].
pub fn select(value: &[u8], size: u64) -> Ranged {
    let Some((unit, set)) = value.split_at_checked("bytes=".len()) else {
        return Ranged::Whole;
    };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Ranged::Whole;
    }
    let set = set.trim_ascii();
    let Some(dash) = set.iter().position(|byte| *byte == b'-') else {
        return Ranged::Whole;
    };
    match (number(&set[..dash]), number(&set[dash + 1..])) {
        (Number::Value(first), Number::Value(last)) if first > last => Ranged::Whole,
        (Number::Value(first), Number::Value(last)) => from(first, last.saturating_add(1), size),
        (Number::Value(first), Number::Absent) => from(first, size, size),
        (Number::Absent, Number::Value(0)) => Ranged::Unsatisfiable,
        (Number::Absent, Number::Value(_)) if size == 0 => Ranged::Whole,
        (Number::Absent, Number::Value(last)) => from(size.saturating_sub(last), size, size),
        _ => Ranged::Whole,
    }
}

fn from(start: u64, end: u64, size: u64) -> Ranged {
    if start >= size {
        return Ranged::Unsatisfiable;
    }
    Ranged::Part(Part { start, end: end.min(size) })
}

enum Number {
    Absent,
    Value(u64),
    Faulty,
}

/// Digits, as many as come: what exceeds 64 bits lies behind the end of any file.
fn number(digits: &[u8]) -> Number {
    if digits.is_empty() {
        return Number::Absent;
    }
    let mut value = 0u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Number::Faulty;
        }
        value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    }
    Number::Value(value)
}
