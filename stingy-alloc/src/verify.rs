//! Is the memory what the layout assumes: k aligned, physically contiguous blocks of one way each?
//!
//! A huge page is contiguous by definition, so huge pages no smaller than a way prove it, on bare metal.
//! In a guest the same page may lie on scattered pages of the host. Else only a clock can hint at it.

use crate::Geometry;
use crate::backing::{Backing, Mapping};
use crate::chase::ns_per_load;
use crate::sys::{self, HUGE_PAGE};

/// What the start-up check proved of the layout, and never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Huge pages on bare metal: every way-sized block is physically contiguous.
    Verified,
    /// Huge pages in a guest, or where it cannot be told: contiguous as far as this kernel knows.
    VerifiedGuest,
    /// Plain pages, yet a pointer chase over the slab is as fast as one over two thirds of it.
    Timed,
    /// Nothing is known about where the slab falls in the cache.
    None,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Verified => "verified",
            Self::VerifiedGuest => "verified-guest",
            Self::Timed => "timed",
            Self::None => "none",
        })
    }
}

/// The result of the start-up check.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// What was proved.
    pub level: Level,
    /// The evidence, and what stood in the way of a better level.
    pub why: String,
    /// What the slab lies on; never [`Backing::Auto`].
    pub backing: Backing,
    /// Whether it is locked into memory.
    pub locked: bool,
}

impl std::fmt::Display for Verification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let locked = if self.locked { "locked" } else { "not locked" };
        write!(f, "{} ({} pages, {locked}): {}", self.level, self.backing, self.why)
    }
}

/// A chase over the slab may take this much of one over two thirds of it, and still count as flat.
const FLAT: f64 = 1.2;

/// What the checks found.
#[derive(Clone, Copy, Debug)]
struct Evidence {
    /// Every page is huge and no smaller than a way; `None` if neither pagemap nor smaps could tell.
    huge: Option<bool>,
    /// A hypervisor is beneath; `None` if unknown.
    guest: Option<bool>,
    /// ns a load over the whole slab and over two thirds of it, where it was measured.
    chase: Option<(f64, f64)>,
}

/// Checks fresh memory; leaves it zeroed.
pub(crate) fn verify(mapping: &mut Mapping, geometry: &Geometry) -> Verification {
    let huge = mapping.is_huge().ok().map(|huge| huge && geometry.way_bytes() <= HUGE_PAGE);
    let chase = (huge != Some(true)).then(|| chase(mapping, geometry));
    let (level, mut why) = decide(Evidence { huge, guest: sys::hypervisor(), chase });
    for refused in &mapping.refused {
        why.push_str("; ");
        why.push_str(refused);
    }
    Verification { level, why, backing: mapping.backing, locked: mapping.locked }
}

fn chase(mapping: &mut Mapping, geometry: &Geometry) -> (f64, f64) {
    let bytes = mapping.slab_mut();
    let slab = bytes.len();
    let part = slab / 3 * 2 / geometry.line * geometry.line;
    let small = ns_per_load(&mut bytes[..part], geometry.line);
    let whole = ns_per_load(&mut bytes[..slab], geometry.line);
    bytes.fill(0);
    (whole, small)
}

/// The level that the evidence carries.
fn decide(evidence: Evidence) -> (Level, String) {
    match (evidence.huge, evidence.guest, evidence.chase) {
        (Some(true), Some(false), _) => {
            (Level::Verified, "every page of the slab is huge, on bare metal".to_owned())
        }
        (Some(true), Some(true), _) => {
            let why =
                "every page of the slab is huge; what the hypervisor lays it on is unknowable";
            (Level::VerifiedGuest, why.to_owned())
        }
        (Some(true), None, _) => {
            let why = "every page of the slab is huge; whether a hypervisor is beneath is unknown";
            (Level::VerifiedGuest, why.to_owned())
        }
        (_, _, Some((whole, small))) if small > 0.0 => {
            let ratio = whole / small;
            let why = format!(
                "no huge pages; a load takes {whole:.2} ns over the slab, {small:.2} ns over 2/3 of it"
            );
            (if ratio <= FLAT { Level::Timed } else { Level::None }, why)
        }
        _ => (Level::None, "no huge pages, and nothing could be timed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_never_more_than_the_evidence() {
        let flat = Some((5.0, 4.5));
        let steep = Some((6.1, 4.8));
        let table = [
            (Some(true), Some(false), None, Level::Verified),
            (Some(true), Some(true), None, Level::VerifiedGuest),
            (Some(true), None, None, Level::VerifiedGuest),
            (Some(false), Some(false), flat, Level::Timed),
            (Some(false), Some(true), flat, Level::Timed),
            (Some(false), Some(false), steep, Level::None),
            (None, Some(false), steep, Level::None),
            (None, Some(false), flat, Level::Timed),
            (None, None, None, Level::None),
            (Some(false), Some(false), Some((0.0, 0.0)), Level::None),
        ];
        for (huge, guest, chase, level) in table {
            assert_eq!(
                decide(Evidence { huge, guest, chase }).0,
                level,
                "{huge:?} {guest:?} {chase:?}"
            );
        }
    }
}
