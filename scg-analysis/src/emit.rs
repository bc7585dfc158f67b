//! The memory map: regions, counts and stages as the text that the slab is configured from.
//!
//! ```text
//! scg-map 1
//! geometry size=1048576 ways=16 line=64 k=12
//! stack bytes=16384 clusters=-
//! region 0 slot=4096 slots=48
//! site 3 name=header size=4000 align=64 cap=48 region=0 guard=on
//! stage 2 name=parse live=3 alloc=3*1,7*2 weight=40
//! dominates 3 7
//! end crc32=0f1e2d3c
//! ```
//!
//! The checksum is CRC-32/ISO-HDLC over every byte before the line that starts with `end `. The
//! text depends on the sources' declarations and lifetimes only, not on paths or line numbers.

use std::fmt;

use crate::Analysis;
use crate::facts::SiteIx;
use crate::share::{colour, numbered};
use crate::site::LINE;
use crate::solve::{Demand, Mode, Object, Problem, Solution, TooSmall, solve};

/// A cache, and how many of its ways the slab takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of the cache.
    pub size: u64,
    /// Ways of the cache.
    pub ways: u64,
    /// Bytes of a line.
    pub line: u64,
    /// Ways that the slab takes; the slab has `k * size / ways` bytes.
    pub k: u64,
}

impl Default for Geometry {
    /// The reference: 1 MiB, 16 ways, lines of 64 bytes, ¾ of the ways.
    fn default() -> Self {
        Geometry { size: 1 << 20, ways: 16, line: 64, k: 12 }
    }
}

impl Geometry {
    /// Bytes of the slab; `None` if the geometry is of no cache.
    pub fn slab_bytes(&self) -> Option<u64> {
        let powers = self.line.is_power_of_two() && self.line >= LINE;
        let way = self.size.checked_div(self.ways)?;
        let whole = way * self.ways == self.size && way > 0 && way.is_multiple_of(self.line);
        let some = self.k > 0 && self.k <= self.ways;
        (powers && whole && some).then(|| way * self.k)
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "size={} ways={} line={} k={}", self.size, self.ways, self.line, self.k)
    }
}

/// What a map is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The cache.
    pub geometry: Geometry,
    /// Bytes kept for the stack at the bottom of the slab.
    pub stack_bytes: u64,
    /// The largest batch of one stage that is of use.
    pub batch_max: u32,
}

impl Default for Params {
    /// The reference geometry, a stack of 16 KiB, batches of at most 64.
    fn default() -> Self {
        Params { geometry: Geometry::default(), stack_bytes: 16 * 1024, batch_max: 64 }
    }
}

/// Why there is no map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The geometry is of no cache.
    #[error(
        "no cache is {0}: size must be ways * a multiple of line, line a power of two of at least \
         64, and k at least 1 and at most ways"
    )]
    Geometry(Geometry),
    /// The stack leaves no room.
    #[error("a stack of {stack} bytes does not fit a slab of {slab}; pass a smaller --stack")]
    Stack {
        /// Bytes of the stack.
        stack: u64,
        /// Bytes of the slab.
        slab: u64,
    },
    /// The largest batch is 0.
    #[error("batches of 0 tasks do nothing; pass --batch 1 or more")]
    NoBatch,
    /// One task does not fit.
    #[error("{0}: make the largest site smaller, or pass the --geometry of a larger cache")]
    TooSmall(#[from] TooSmall),
}

/// A memory map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapText {
    text: String,
    /// The counts behind it; objects are the used sites, in order.
    pub solution: Solution,
    /// By used site: its region.
    pub region_of: Vec<usize>,
}

impl MapText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for MapText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Analysis {
    /// Decides regions and counts for a cache, and writes the map.
    ///
    /// # Errors
    /// When the parameters are of no cache, or one task does not fit it.
    pub fn map(&self, params: &Params) -> Result<MapText, PlanError> {
        let geometry = params.geometry;
        let slab = geometry.slab_bytes().ok_or(PlanError::Geometry(geometry))?;
        let stack = params.stack_bytes.checked_next_multiple_of(LINE).unwrap_or(u64::MAX);
        let budget =
            slab.checked_sub(stack).ok_or(PlanError::Stack { stack: params.stack_bytes, slab })?;
        if params.batch_max == 0 {
            return Err(PlanError::NoBatch);
        }
        let (region_of, solution) = self.plan(budget, params.batch_max)?;
        let text = self.text(params, &region_of, &solution);
        Ok(MapText { text, solution, region_of })
    }

    /// The program of [`solve`](crate::solve) for the used sites, each in a region of its own.
    pub fn problem(&self, budget: u64, batch_max: u32, mode: Mode) -> Problem {
        let used = self.used_sites();
        let index = |site: SiteIx| used.iter().position(|&u| u == site);
        let mut objects: Vec<Object> = used
            .iter()
            .enumerate()
            .map(|(region, &site)| Object { slot: self.sites[site].slot(), region, least: 1 })
            .collect();
        let mut stages = Vec::new();
        for (stage, life) in self.stages.iter().zip(&self.lifetimes.stages) {
            let mut demand = Demand { weight: stage.weight, ..Demand::default() };
            let mut one_task = vec![0u32; used.len()];
            for &(site, n) in &life.live {
                if let Some(i) = index(site) {
                    demand.live.push(i);
                    one_task[i] += n;
                }
            }
            let mut needs = vec![0u32; used.len()];
            for (i, n) in life.held.iter().filter_map(|&(site, n)| Some((index(site)?, n))) {
                needs[i] += n;
            }
            for (i, n) in life.alloc.iter().filter_map(|&(site, n)| Some((index(site)?, n))) {
                demand.alloc.push((i, n));
                needs[i] = needs[i].saturating_add(n);
                one_task[i] = one_task[i].saturating_add(n);
            }
            demand.needs = needs.into_iter().enumerate().filter(|(_, n)| *n > 0).collect();
            for (object, n) in objects.iter_mut().zip(one_task) {
                object.least = object.least.max(n);
            }
            stages.push(demand);
        }
        let dominates = &self.lifetimes.dominates;
        let dominates =
            dominates.iter().filter_map(|&(i, j)| Some((index(i)?, index(j)?))).collect();
        Problem { objects, stages, dominates, budget, batch_max, mode }
    }

    /// Regions and counts. Sharing a region lets batches grow where the budget is short, and makes
    /// tasks compete for its slots; so it is done only where it lowers the cost: pair by pair as
    /// long as that helps, or as the colouring says, whichever is better.
    fn plan(&self, budget: u64, batch_max: u32) -> Result<(Vec<usize>, Solution), TooSmall> {
        let mut problem = self.problem(budget, batch_max, Mode::Strict);
        let used = self.used_sites();
        let slots: Vec<u64> = problem.objects.iter().map(|o| o.slot).collect();
        let mut try_regions = |region_of: &[usize]| {
            problem.objects.iter_mut().zip(region_of).for_each(|(o, &r)| o.region = r);
            solve(&problem)
        };
        let alone: Vec<usize> = (0..used.len()).collect();
        let mut best = (alone.clone(), try_regions(&alone));

        let coloured = self.unwound(&slots, &used);
        let solution = try_regions(&coloured);
        if is_better(&solution, &best.1) {
            best = (coloured, solution);
        }
        let mut merged = alone;
        let mut merged_cost = try_regions(&merged);
        loop {
            let mut step: Option<(Vec<usize>, Result<Solution, TooSmall>)> = None;
            for candidate in self.merges(&merged, &used) {
                let solution = try_regions(&candidate);
                let so_far = step.as_ref().map_or(&merged_cost, |(_, s)| s);
                if is_better(&solution, so_far) {
                    step = Some((candidate, solution));
                }
            }
            let Some((candidate, solution)) = step else { break };
            (merged, merged_cost) = (candidate, solution);
        }
        if is_better(&merged_cost, &best.1) {
            best = (merged, merged_cost);
        }
        let (region_of, solution) = best;
        Ok((numbered(&region_of), solution?))
    }

    /// The colouring of used sites, without circles that sharing would close.
    fn unwound(&self, slots: &[u64], used: &[SiteIx]) -> Vec<usize> {
        let mut interference = self.interference_of(used);
        let alone: Vec<usize> = (0..used.len()).collect();
        loop {
            let region_of = colour(slots, &interference).region_of;
            let circle =
                interference.circle(&region_of).filter(|_| interference.circle(&alone).is_none());
            let shared = circle.iter().flatten().find_map(|&region| {
                let mut inside = (0..used.len()).filter(|&i| region_of[i] == region);
                Some((inside.next()?, inside.next()?))
            });
            match shared {
                Some(pair) => interference.together.insert(pair),
                None => return region_of,
            };
        }
    }

    fn interference_of(&self, used: &[SiteIx]) -> crate::share::Interference {
        let index = |site: SiteIx| used.iter().position(|&u| u == site);
        let pair = |&(i, j): &(SiteIx, SiteIx)| Some((index(i)?, index(j)?));
        crate::share::Interference {
            together: self.interference.together.iter().filter_map(pair).collect(),
            waits: self.interference.waits.iter().filter_map(pair).collect(),
        }
    }

    /// Every way to put two regions into one.
    fn merges(&self, region_of: &[usize], used: &[SiteIx]) -> Vec<Vec<usize>> {
        let interference = self.interference_of(used);
        let circle_before = interference.circle(region_of).is_some();
        let mut found = Vec::new();
        for b in 0..used.len() {
            for a in 0..b {
                let pairs = (0..used.len()).filter(|&i| region_of[i] == a).flat_map(|i| {
                    (0..used.len()).filter(|&j| region_of[j] == b).map(move |j| (i, j))
                });
                let pairs: Vec<_> = pairs.collect();
                if pairs.is_empty() || !pairs.iter().all(|&(i, j)| interference.may_share(i, j)) {
                    continue;
                }
                let merged: Vec<usize> =
                    region_of.iter().map(|&r| if r == b { a } else { r }).collect();
                if circle_before || interference.circle(&merged).is_none() {
                    found.push(merged);
                }
            }
        }
        found
    }

    fn text(&self, params: &Params, region_of: &[usize], solution: &Solution) -> String {
        let used = self.used_sites();
        let mut lines = vec![
            "scg-map 1".to_owned(),
            format!("geometry {}", params.geometry),
            format!("stack bytes={} clusters=-", params.stack_bytes),
        ];
        let regions = region_of.iter().max().map_or(0, |r| r + 1);
        for region in 0..regions {
            let inside: Vec<usize> = (0..used.len()).filter(|&i| region_of[i] == region).collect();
            let slot = inside.iter().map(|&i| self.sites[used[i]].slot()).max().unwrap_or(0);
            let slots = inside.iter().map(|&i| solution.counts[i]).max().unwrap_or(0);
            lines.push(format!("region {region} slot={slot} slots={slots}"));
        }
        for (i, &site) in used.iter().enumerate() {
            let Solution { counts, .. } = solution;
            let (name, size) = (&self.sites[site].name, self.sites[site].size);
            let (cap, region) = (counts[i], region_of[i]);
            lines.push(format!(
                "site {site} name={name} size={size} align={LINE} cap={cap} region={region} guard=on"
            ));
        }
        for (id, (stage, life)) in self.stages.iter().zip(&self.lifetimes.stages).enumerate() {
            let live = list(life.live.iter().map(|(site, _)| site.to_string()));
            let alloc = list(life.alloc.iter().map(|(site, n)| format!("{site}*{n}")));
            let (name, weight) = (&stage.name, stage.weight);
            lines.push(format!("stage {id} name={name} live={live} alloc={alloc} weight={weight}"));
        }
        for &(i, j) in &self.lifetimes.dominates {
            lines.push(format!("dominates {i} {j}"));
        }
        let mut text = lines.join("\n");
        text.push('\n');
        let crc = crc32fast::hash(text.as_bytes());
        text.push_str(&format!("end crc32={crc:08x}\n"));
        text
    }
}

fn is_better(a: &Result<Solution, TooSmall>, b: &Result<Solution, TooSmall>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => a.cost < b.cost,
        (Ok(_), Err(_)) => true,
        (Err(a), Err(b)) => a.needs < b.needs,
        (Err(_), Ok(_)) => false,
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "-".to_owned() } else { items.join(",") }
}
