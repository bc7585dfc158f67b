//! Where a task's objects come from: the core's slab under permits, or the system allocator.

use color_sched::{Nanos, StageId};
use stingy_alloc::{MemoryMap, Permit, SiteId, Slab, Slot};

use crate::stages::{SITES, Site, Stage};

/// Tasks that may escape at once.
const ESCAPES: usize = 16;
/// A stage that has been refused for this long is let through to the system allocator, a few tasks at a time: whoever
/// holds its objects (clients that do not read, say) must not stop the others. While a stage is refused the worker
/// asks again at least this often ([`Objects::retry_at`]), which is what the measure of patience relies on.
const PATIENCE: Nanos = 5_000_000;
/// What the time between two refusals adds to it at most: a worker that had no CPU meanwhile has not been waiting for
/// memory.
const STEP: Nanos = 2_000_000;
/// Tasks in a batch at most when nothing else bounds it.
const UNBOUNDED_BATCH: usize = 64;

/// The objects of one core.
pub enum Objects<'s> {
    /// From the system allocator, as many as are asked for.
    System,
    /// From the slab.
    Stingy(Box<SlabObjects<'s>>),
}

/// The slab, and the permit of the batch that runs.
pub struct SlabObjects<'s> {
    slab: &'s Slab,
    sites: [SiteId; SITES.len()],
    stages: [stingy_alloc::StageId; Stage::ALL.len()],
    permit: Option<Permit<'s>>,
    refused: [Refusals; Stage::ALL.len()],
    /// Was a stage refused since the last look?
    waiting: bool,
    /// Batches that got a permit.
    pub permits: u64,
    /// Batches that got none.
    pub refusals: u64,
    /// Tasks that went on without one.
    pub escapes: u64,
}

/// The refusals of a stage without a grant between them.
#[derive(Clone, Copy, Debug, Default)]
struct Refusals {
    /// How long they have gone on, as far as it counts.
    waited: Nanos,
    last: Option<Nanos>,
}

impl Refusals {
    /// Notes a refusal. Have there been refusals for longer than patience lasts?
    ///
    /// A stage that was not even asked for in between had no waiting tasks: its patience starts anew.
    fn is_too_long(&mut self, now: Nanos) -> bool {
        let since_last = self.last.map(|last| now.saturating_sub(last));
        self.waited = match since_last {
            Some(time) if time <= 2 * PATIENCE => self.waited + time.min(STEP),
            _ => 0,
        };
        self.last = Some(now);
        self.waited >= PATIENCE
    }
}

/// A map that lacks something that the stages need.
#[derive(Debug, thiserror::Error)]
pub enum MapMismatch {
    /// A site of the source is not in the map.
    #[error("no site `{0}`; write the map again: scg stingygen demo-server/src/stages --out FILE")]
    Site(&'static str),
    /// A stage of the source is not in the map.
    #[error("no stage `{0}`; write the map again: scg stingygen demo-server/src/stages --out FILE")]
    Stage(String),
}

impl<'s> SlabObjects<'s> {
    /// The objects of `slab`, whose sites and stages are found by name in its map.
    pub fn new(slab: &'s Slab) -> Result<Self, MapMismatch> {
        let (sites, stages) = resolve(slab.map())?;
        Ok(Self {
            slab,
            sites,
            stages,
            permit: None,
            refused: [Refusals::default(); Stage::ALL.len()],
            waiting: false,
            permits: 0,
            refusals: 0,
            escapes: 0,
        })
    }

    /// The slab itself.
    #[must_use]
    pub fn slab(&self) -> &'s Slab {
        self.slab
    }

    fn admit(&mut self, stage: usize, wanted: usize, now: Nanos) -> usize {
        self.permit = None;
        let permit = self.slab.admit(self.stages[stage], wanted);
        let granted = permit.granted();
        if granted > 0 {
            self.permits += 1;
            self.permit = Some(permit);
            self.refused[stage] = Refusals::default();
            return granted;
        }
        self.refusals += 1;
        if !self.refused[stage].is_too_long(now) {
            self.waiting = true;
            return 0;
        }
        let escaping = wanted.min(ESCAPES);
        self.escapes += escaping as u64;
        escaping
    }

    fn alloc(&mut self, site: Site, len: usize) -> Slot {
        let at = SITES.iter().position(|known| known.name == site.name).unwrap_or_default();
        let id = self.sites[at];
        if len > site.size {
            return self.slab.oversize(id, len);
        }
        match self.permit.as_mut().map(|permit| permit.alloc(id)) {
            Some(Ok(slot)) => slot,
            _ => self.slab.escape(id),
        }
    }
}

/// Finds the sites and stages of the source in a map.
fn resolve(
    map: &MemoryMap,
) -> Result<([SiteId; SITES.len()], [stingy_alloc::StageId; Stage::ALL.len()]), MapMismatch> {
    let mut sites = [SiteId(0); SITES.len()];
    for (id, site) in sites.iter_mut().zip(SITES) {
        *id = map.site_named(site.name).ok_or(MapMismatch::Site(site.name))?;
    }
    let mut stages = [stingy_alloc::StageId(0); Stage::ALL.len()];
    for (id, stage) in stages.iter_mut().zip(Stage::ALL) {
        let name = stage.name();
        *id = map.stage_named(name).ok_or_else(|| MapMismatch::Stage(name.to_owned()))?;
    }
    Ok((sites, stages))
}

impl Objects<'_> {
    /// How many of `wanted` tasks of a stage may run now. What they allocate is theirs until [`Objects::end_batch`].
    pub fn admit(&mut self, stage: StageId, wanted: usize, now: Nanos) -> usize {
        match self {
            Objects::System => wanted.min(UNBOUNDED_BATCH),
            Objects::Stingy(objects) => objects.admit(usize::from(stage.0), wanted, now),
        }
    }

    /// Gives back what the batch did not use.
    pub fn end_batch(&mut self) {
        if let Objects::Stingy(objects) = self {
            objects.permit = None;
        }
    }

    /// An object of `site`, or a larger one from the system allocator if `len` bytes do not fit in one.
    pub fn alloc(&mut self, site: Site, len: usize) -> Slot {
        match self {
            Objects::System => Slot::heap(len.max(site.size)),
            Objects::Stingy(objects) => objects.alloc(site, len),
        }
    }

    /// When refused tasks are to be tried again even if nothing else happens; asked once a turn.
    #[must_use]
    pub fn retry_at(&mut self, now: Nanos) -> Option<Nanos> {
        match self {
            Objects::System => None,
            Objects::Stingy(objects) => {
                std::mem::take(&mut objects.waiting).then(|| now + PATIENCE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_lasts_as_long_as_it_says_and_starts_anew_after_a_pause() {
        let mut refusals = Refusals::default();
        let refused_at = |refusals: &mut Refusals, ms: u64| refusals.is_too_long(ms * 1_000_000);
        let outcomes: Vec<_> = (1..=6).map(|ms| refused_at(&mut refusals, ms)).collect();
        assert_eq!(outcomes, [false, false, false, false, false, true]);
        assert!(refused_at(&mut refusals, 7));
        assert!(!refused_at(&mut refusals, 18));
    }

    #[test]
    fn time_without_a_cpu_does_not_use_up_patience() {
        let mut refusals = Refusals::default();
        assert!(!refusals.is_too_long(0));
        assert!(!refusals.is_too_long(2 * PATIENCE));
        assert!(!refusals.is_too_long(4 * PATIENCE));
        assert!(refusals.is_too_long(4 * PATIENCE + STEP));
    }
}
