//! Seconds as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// A rendered date.
pub type DateText = [u8; 29];

/// The last second that has four digits of year.
const LAST_SECOND: u64 = 253_402_300_799;

/// Writes a second since 1970; what lies behind the year 9999 is written as its last second.
pub fn imf_fixdate(unix_secs: u64) -> DateText {
    let time = UNIX_EPOCH + Duration::from_secs(unix_secs.min(LAST_SECOND));
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    // 29 bytes by construction of the format: writing to the array cannot come up short.
    let _ = write!(&mut text[..], "{}", HttpDate::from(time));
    text
}

/// Reads any of the three forms of a date; `None` if it is none.
pub fn parse(text: &[u8]) -> Option<u64> {
    let time: SystemTime = httpdate::parse_http_date(std::str::from_utf8(text).ok()?).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// The `Date` of all answers within one second, rendered once.
#[derive(Clone, Debug)]
pub struct DateCache {
    secs: u64,
    text: DateText,
}

impl DateCache {
    /// A cache that holds the second `unix_secs`.
    pub fn new(unix_secs: u64) -> Self {
        DateCache { secs: unix_secs, text: imf_fixdate(unix_secs) }
    }

    /// The text of the second `unix_secs`; costs a comparison while the second lasts.
    pub fn at(&mut self, unix_secs: u64) -> &DateText {
        if unix_secs != self.secs {
            *self = DateCache::new(unix_secs);
        }
        &self.text
    }
}
