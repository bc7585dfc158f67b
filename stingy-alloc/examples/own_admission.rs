//! An admission policy of one's own around `Slab::admit`: downloads may not take the last buffers, so
//! that short requests are served while long ones hold memory, and a task that waited too long escapes.

use std::error::Error;

use stingy_alloc::{MemoryMap, Options, Permit, Slab, Slot, StageId};

/// Keeps back some of what the slab would grant to one greedy stage.
struct KeepBack<'s> {
    slab: &'s Slab,
    greedy: StageId,
    keep: usize,
    refusals: u32,
}

impl<'s> KeepBack<'s> {
    /// As `Slab::admit`, but the greedy stage gets only what leaves `keep` tasks' worth to the others.
    fn admit(&mut self, stage: StageId, wanted: usize) -> Permit<'s> {
        if stage != self.greedy {
            return self.slab.admit(stage, wanted);
        }
        // Reserve what is kept back, take what is left, and return the reserve.
        let reserve = self.slab.admit(stage, self.keep);
        let permit = match reserve.granted() == self.keep {
            true => self.slab.admit(stage, wanted),
            false => self.slab.admit(stage, 0),
        };
        drop(reserve);
        self.refusals += u32::from(permit.granted() == 0);
        permit
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let map = MemoryMap::builder()
        .site("chunk", 4 << 10, 32)
        .stage("reply", &[], &[("chunk", 1)])
        .stage("download", &[], &[("chunk", 1)])
        .build()?;
    let slab = Slab::new(&map, Options::default())?;
    let chunk = slab.map().site_named("chunk").ok_or("no chunk")?;
    let cap = slab.map().sites()[0].cap as usize;
    let (reply, greedy) = (StageId(0), StageId(1));
    let mut policy = KeepBack { slab: &slab, greedy, keep: 4, refusals: 0 };

    // A hundred downloads want chunks and hold them.
    let mut downloads: Vec<Slot> = Vec::new();
    let permit = policy.admit(greedy, 100);
    for _ in 0..permit.granted() {
        downloads.push(permit.alloc(chunk)?);
    }
    drop(permit);
    assert_eq!(downloads.len(), cap - 4);
    assert_eq!(policy.admit(greedy, 1).granted(), 0);

    // Short requests still find theirs.
    let permit = policy.admit(reply, 100);
    assert_eq!(permit.granted(), 4);
    let mut answer = permit.alloc(chunk)?;
    answer[..2].copy_from_slice(b"OK");

    // A download that was refused for too long goes on with memory of the system: slower, counted.
    let escaped = slab.escape(chunk);
    assert_eq!(escaped.len(), answer.len());
    println!("{} downloads, {} refusals\n{}", downloads.len(), policy.refusals, slab.stats());
    assert_eq!(policy.refusals, 1);
    Ok(())
}
