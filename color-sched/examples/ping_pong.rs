//! Two cores, a driver on a channel, and a token that goes to and fro between two colors.
//!
//! Lines come in through the channel, as completions would from a ring; each becomes an event of the color it names.
//! The colors live on different cores, so every pass wakes the other core if it sleeps.

use std::io;
use std::thread;

use color_sched::{
    Admission, Color, Config, Context, CoreId, Driver, EventSink, Handler, Machine, NoSteal,
    StageBatch, StageId, StageInfo, Wait, Waker,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

const PLAY: StageId = StageId(0);
const PASSES: u64 = 1_000;

/// What comes in at a core: a token for a color, or nothing but a wake.
type Arrival = Option<(Color, u64)>;

struct Player {
    arrivals: Receiver<Arrival>,
    wake: Sender<Arrival>,
}

impl Driver for Player {
    type Event = u64;
    type State = u64;

    fn poll(&mut self, sink: &mut impl EventSink<u64, u64>, wait: Wait) -> io::Result<usize> {
        let first = match wait.timeout(sink.now()) {
            Some(time) => self.arrivals.recv_timeout(time),
            None => self.arrivals.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let mut events = 0;
        for (color, token) in first.into_iter().chain(self.arrivals.try_iter()).flatten() {
            let posted = sink.post(color, PLAY, token);
            posted.map_err(|token| io::Error::other(format!("token {token} found no player")))?;
            events += 1;
        }
        Ok(events)
    }

    fn waker(&self) -> Waker {
        let wake = self.wake.clone();
        // A channel without its receiver belongs to a core that has ended: there is nobody to wake.
        Waker::new(move || {
            let _ = wake.send(None);
        })
    }
}

impl Handler for Player {
    type Event = u64;
    type State = u64;

    fn run(&mut self, cx: &mut Context<'_, u64, u64>, passes: &mut u64, token: u64) {
        *passes += 1;
        let other = Color(1 - cx.color().0);
        assert!(token > PASSES || cx.post(other, PLAY, token + 1).is_ok());
        if token >= PASSES {
            assert_eq!(*passes, PASSES / 2 + 1);
            cx.close();
            cx.stop();
        }
    }
}

impl Admission for Player {
    fn admit(&mut self, _stage: StageId, wanted: usize) -> usize {
        wanted
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stages = vec![StageInfo::new("play")];
    let (control, cores) = Machine::new(Config::new(2, stages.clone()))?;
    let (channels, inlets): (Vec<_>, Vec<_>) = cores.iter().map(|_| unbounded()).unzip();
    for core in [CoreId(0), CoreId(1)] {
        assert!(control.open(Color::at_home(core, 0, 2), 0).is_ok());
    }
    let start = control.now();
    let ended = thread::scope(|scope| {
        let threads: Vec<_> = cores
            .into_iter()
            .zip(inlets)
            .map(|(core, arrivals)| {
                let wake = channels[core.id().index()].clone();
                let stages = &stages;
                scope.spawn(move || {
                    let mut player = Player { arrivals, wake };
                    core.run(&mut player, StageBatch::new(stages), &mut NoSteal)
                })
            })
            .collect();
        thread::sleep(std::time::Duration::from_millis(10)); // both cores sleep by now
        let served = channels[0].send(Some((Color(0), 0)));
        (served, threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>())
    });
    assert!(ended.0.is_ok(), "core 0 takes what comes in");
    let mut events = 0;
    for stats in ended.1.into_iter().flatten() {
        let stats = stats?;
        println!("{} events, {} waits, {} wakes", stats.events, stats.parks, stats.wakes);
        events += stats.events;
    }
    let micros = (control.now() - start) / 1_000;
    println!("{events} passes in {micros} us");
    assert_eq!(events, PASSES + 2);
    Ok(())
}
