//! An admission of one's own: a pool of 16 buffers that tasks hold from `read` until `write`.
//!
//! `read` allocates, so a batch of it is as large as the pool permits, and waits when the pool is empty. `write` gives
//! back. A hundred tasks go through and never hold more than 16 buffers.

use color_sched::{
    Admission, Color, Config, Context, Driver, Handler, Machine, NoSteal, StageBatch, StageId,
    StageInfo,
};

const READ: StageId = StageId(0);
const WRITE: StageId = StageId(1);
const BUFFERS: usize = 16;
const TASKS: u64 = 100;

struct Pool {
    free: Vec<Box<[u8; 4096]>>,
    /// Granted to the batch that runs, and not taken yet.
    permitted: usize,
    largest_batch: usize,
    refusals: u64,
    written: u64,
}

impl Admission for Pool {
    fn admit(&mut self, _stage: StageId, wanted: usize) -> usize {
        self.permitted = wanted.min(self.free.len());
        self.largest_batch = self.largest_batch.max(self.permitted);
        self.refusals += u64::from(self.permitted == 0);
        self.permitted
    }
}

enum Event {
    Read,
    Write(Box<[u8; 4096]>),
}

impl Handler for Pool {
    type Event = Event;
    type State = ();

    fn run(&mut self, cx: &mut Context<'_, Event, ()>, _state: &mut (), event: Event) {
        match event {
            Event::Read => {
                self.permitted -= 1;
                let Some(buffer) = self.free.pop() else { unreachable!("a permit was granted") };
                assert!(cx.next(WRITE, Event::Write(buffer)).is_ok());
            }
            Event::Write(buffer) => {
                self.free.push(buffer);
                self.written += 1;
                cx.close();
                if self.written == TASKS {
                    cx.stop();
                }
            }
        }
    }

    fn batch_end(&mut self, _stage: StageId) {
        self.permitted = 0;
    }
}

impl Driver for Pool {
    type Event = Event;
    type State = ();
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stages = vec![StageInfo::new("read").allocates().flow(BUFFERS), StageInfo::new("write")];
    let (control, mut cores) = Machine::new(Config::new(1, stages.clone()))?;
    for task in (0..TASKS).map(Color) {
        assert!(control.open(task, ()).is_ok() && control.post(task, READ, Event::Read).is_ok());
    }
    let mut pool = Pool {
        free: (0..BUFFERS).map(|_| Box::new([0; 4096])).collect(),
        permitted: 0,
        largest_batch: 0,
        refusals: 0,
        written: 0,
    };
    let stats = cores.remove(0).run(&mut pool, StageBatch::new(&stages), &mut NoSteal)?;
    println!(
        "{} events in {} batches, the largest of {}; {} refusals",
        stats.events, stats.batches, pool.largest_batch, pool.refusals
    );
    assert_eq!((pool.written, pool.largest_batch, pool.free.len()), (TASKS, BUFFERS, BUFFERS));
    Ok(())
}
