//! Which numbers does a list such as `0-3,8` hold, and how is it written?

use std::fmt::Write;

/// CPU numbers, and numbers of CPUs, are at most this; Linux itself stops at 8192, and `CoreId` counts no further.
pub(super) const CPUS: usize = 1 << 16;

/// Numbers of a list, ascending and each once. `None` if it is no list, or names a CPU beyond any kernel's.
pub(super) fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut numbers = parse_sequence(text)?;
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

/// Numbers of a list, in its own order.
pub(super) fn parse_sequence(text: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for range in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (parse_number(first)?, parse_number(last)?);
        if first > last || numbers.len() + (last - first) >= CPUS {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

pub(super) fn parse_number(text: &str) -> Option<usize> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| is_plain && number < CPUS)
}

/// A row of the kernel's distances between nodes.
pub(super) fn parse_row(text: &str) -> Option<Vec<Option<u16>>> {
    text.split_ascii_whitespace().map(|slit| slit.parse().ok().map(Some)).collect()
}

/// The list that [`parse_sequence`] reads as these numbers; what counts up by one is a range.
pub(super) fn write_list(numbers: &[usize]) -> String {
    let mut text = String::new();
    for run in numbers.chunk_by(|a, b| a + 1 == *b) {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = match run {
            [first, .., last] => write!(text, "{comma}{first}-{last}"),
            _ => write!(text, "{comma}{}", run[0]),
        };
    }
    text
}
