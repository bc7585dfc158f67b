//! A scheduler of one's own: the color with the highest number first.
//!
//! Four required methods. The rest of the machine (colors, timers, stealing, parking) does not change.

use std::collections::BTreeMap;

use color_sched::{
    Admission, Color, Config, Context, Driver, Handler, Machine, NoSteal, Ready, Scheduler, Slot,
    StageId, StageInfo,
};

/// Colors by number.
#[derive(Default)]
struct HighestFirst(BTreeMap<Color, Ready>);

impl Scheduler for HighestFirst {
    fn push(&mut self, ready: Ready) {
        self.0.insert(ready.color, ready);
    }

    fn elect(
        &mut self,
        _admission: &mut dyn Admission, // to be asked for stages that allocate; none of ours does
        _limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        let (_, ready) = self.0.pop_last()?;
        batch.push(ready);
        Some(ready.stage)
    }

    fn take_color(&mut self, color: Color, _slot: Slot) -> Option<Ready> {
        self.0.remove(&color)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Notes which color ran when.
#[derive(Default)]
struct Log(Vec<u64>);

impl Admission for Log {}

impl Handler for Log {
    type Event = ();
    type State = ();

    fn run(&mut self, cx: &mut Context<'_, (), ()>, _state: &mut (), _event: ()) {
        self.0.push(cx.color().0);
        cx.close();
    }
}

impl Driver for Log {
    type Event = ();
    type State = ();
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (control, mut cores) = Machine::new(Config::new(1, vec![StageInfo::new("log")]))?;
    for color in [3, 1, 4, 1 + 4, 9, 2, 6].map(Color) {
        assert!(control.open(color, ()).is_ok() && control.post(color, StageId(0), ()).is_ok());
    }
    control.stop(); // what was posted before is run before the machine ends
    let mut log = Log::default();
    cores.remove(0).run(&mut log, HighestFirst::default(), &mut NoSteal)?;
    println!("{:?}", log.0);
    assert_eq!(log.0, [9, 6, 5, 4, 3, 2, 1]);
    Ok(())
}
