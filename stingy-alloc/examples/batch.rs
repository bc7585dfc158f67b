//! Four thousand tasks through three stages, in batches as large as the slab admits: however many are
//! in flight, the memory they touch never grows.

use std::collections::VecDeque;
use std::error::Error;

use stingy_alloc::{MemoryMap, Options, SiteId, Slab, Slot, StageId};

const TASKS: usize = 4000;

/// A task holds what it allocated until it is done.
#[derive(Default)]
struct Task {
    number: usize,
    held: Vec<Slot>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let map = MemoryMap::builder()
        .site("request", 4 << 10, 48)
        .site("reply", 12 << 10, 40)
        .stage("parse", &[], &[("request", 1)])
        .stage("respond", &["request"], &[("reply", 1)])
        .stage("finish", &["request", "reply"], &[])
        .dominates("request", "reply")
        .build()?;
    let slab = Slab::new(&map, Options::default())?;

    let mut waiting: [VecDeque<Task>; 3] = Default::default();
    waiting[0].extend((0..TASKS).map(|number| Task { number, held: Vec::new() }));
    let (mut done, mut batches) = (Vec::new(), 0);
    while done.len() < TASKS {
        // Later stages first: they give memory back.
        for stage in (0..3).rev() {
            let permit = slab.admit(StageId(stage as u16), waiting[stage].len());
            batches += usize::from(permit.granted() > 0);
            for mut task in waiting[stage].drain(..permit.granted()).collect::<Vec<_>>() {
                if stage == 2 {
                    assert!(task.held.iter().all(|slot| slot[0] == task.number as u8));
                    done.push(task.number);
                    continue;
                }
                let mut slot = permit.alloc(SiteId(stage as u16))?;
                slot[0] = task.number as u8;
                task.held.push(slot);
                waiting[stage + 1].push_back(task);
            }
        }
    }

    let stats = slab.stats();
    println!("{}\n{stats}{TASKS} tasks in {batches} batches", slab.report());
    assert!(done.is_sorted() && slab.live() == 0);
    assert!(stats.sites.iter().all(|site| site.peak <= site.cap));
    Ok(())
}
