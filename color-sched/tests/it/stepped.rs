//! Several cores stepped in one thread, in an order that a seed decides, while colors are posted to, stolen, pinned,
//! timed, closed and opened again. After every run:
//!
//! 1. every event that was accepted has been run once, or given back once;
//! 2. events of one producer for one color ran in the order in which they were posted;
//! 3. a completion for a pinned color ran on the core where its call was made;
//! 4. every state that was opened has been closed once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use color_sched::{
    Admission, Clock, Color, ColorQueues, Config, Context, Control, Core, CoreId, Cost, Driver,
    EventSink, Fifo, Flat, Handler, LoadView, Local, Machine, Priority, Scheduler, StageBatch,
    StageId, StageInfo, Stealer, Target, Theft, Turn, Wait, Waker,
};

const STAGES: u16 = 3;
const COLORS: u64 = 12;

/// A generator of numbers, seeded (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Producer {
    Color(u64),
    Driver(CoreId),
    Ring(CoreId, u64),
    Timer,
}

#[derive(Debug)]
enum Kind {
    Work,
    /// Ends a call made on this core for the color that was opened with this state.
    Completion(CoreId, u64),
    Close,
}

#[derive(Debug)]
struct Event {
    id: u64,
    producer: Producer,
    seq: u64,
    kind: Kind,
}

/// What everybody may look at, as there is only one thread.
struct World {
    dice: Dice,
    ids: u64,
    /// Events that may still be made.
    left: u64,
    accepted: HashSet<u64>,
    run: HashSet<u64>,
    given_back: HashSet<u64>,
    sent: HashMap<(Producer, u64), u64>,
    seen: HashMap<(Producer, u64), u64>,
    opened: u64,
    closed: u64,
    away: u64,
    thefts: u64,
    returned: u64,
}

impl World {
    fn event(&mut self, producer: Producer, target: u64, kind: Kind) -> Event {
        self.ids += 1;
        self.left = self.left.saturating_sub(1);
        let seq = self.sent.entry((producer, target)).or_default();
        *seq += 1;
        self.accepted.insert(self.ids);
        Event { id: self.ids, producer, seq: *seq, kind }
    }

    fn refused(&mut self, posted: Result<(), Event>) {
        if let Err(event) = posted {
            assert!(self.accepted.remove(&event.id));
        }
    }

    fn stage(&mut self) -> Target {
        let stage = StageId(self.dice.below(u64::from(STAGES)) as u16);
        match self.dice.below(6) {
            rank @ 0..3 => stage.at(Priority::ALL[rank as usize]),
            _ => stage.into(),
        }
    }

    fn open(&mut self, color: u64) -> u64 {
        self.opened += 1;
        self.opened * COLORS + color
    }
}

type Shared = Arc<Mutex<World>>;

/// Every core with its program, but those that are in the middle of a turn.
type Others = Arc<Mutex<Vec<Option<Stand>>>>;

/// Gives one core a turn, chosen by the dice, unless it is in the middle of one. Called between turns, and out of handlers
/// and polls too, so that other cores act at any point of a turn.
fn step(world: &Shared, others: &Others) {
    let mut dice = Dice(world.lock().unwrap().dice.roll());
    let taken = {
        let mut others = others.lock().unwrap();
        let next = dice.below(others.len() as u64) as usize;
        others[next].take().map(|stand| (next, stand))
    };
    let Some((next, mut stand)) = taken else { return };
    stand.clock.fetch_add(dice.below(1 << 18), Ordering::Relaxed);
    let Stand { core, program, scheduler, thief, is_over, .. } = &mut stand;
    *is_over = core.turn(program, scheduler, thief).unwrap() == Turn::Over;
    others.lock().unwrap()[next] = Some(stand);
}

struct Program {
    core: CoreId,
    cores: usize,
    others: Others,
    world: Shared,
    calls: VecDeque<(Color, Event)>,
}

impl Program {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Makes something happen on behalf of the running color.
    fn act(&mut self, cx: &mut Context<'_, Event, u64>, state: u64) {
        let color = cx.color();
        let world = Arc::clone(&self.world);
        let mut world = world.lock().unwrap();
        for _ in 0..world.dice.below(3) {
            if world.left == 0 {
                return;
            }
            let stage = world.stage();
            match world.dice.below(10) {
                0..=4 => {
                    let target = world.dice.below(COLORS);
                    let event = world.event(Producer::Color(color.0), target, Kind::Work);
                    let posted = cx.post(Color(target), stage, event);
                    world.refused(posted);
                }
                5..=6 => {
                    let event = world.event(Producer::Color(color.0), color.0, Kind::Work);
                    let posted = cx.next(stage, event);
                    world.refused(posted);
                }
                7 => {
                    let event = world.event(Producer::Timer, color.0, Kind::Work);
                    let at = cx.now() + world.dice.below(1 << 24);
                    let timer = cx.arm(at, stage, event);
                    if world.dice.one_in(4)
                        && let Some(event) = cx.cancel(timer)
                    {
                        world.refused(Err(event));
                    }
                }
                8 => {
                    cx.pin();
                    let ring = Producer::Ring(cx.core(), color.0);
                    let event = world.event(ring, color.0, Kind::Completion(cx.core(), state));
                    self.calls.push_back((color, event));
                }
                _ if world.dice.one_in(8) => cx.close(),
                _ => {}
            }
        }
    }
}

impl Admission for Program {
    fn admit(&mut self, _stage: StageId, wanted: usize) -> usize {
        self.world().dice.below(wanted as u64 + 1) as usize
    }
}

impl Handler for Program {
    type Event = Event;
    type State = u64;

    fn run(&mut self, cx: &mut Context<'_, Event, u64>, state: &mut u64, event: Event) {
        assert_eq!(*state % COLORS, cx.color().0, "the state is the color's own");
        assert_eq!(cx.core(), self.core);
        {
            let mut world = self.world();
            assert!(world.run.insert(event.id), "event {} ran twice", event.id);
            if event.producer != Producer::Timer {
                let seen = world.seen.entry((event.producer, cx.color().0)).or_default();
                assert!(*seen < event.seq, "{event:?} after {seen}");
                *seen = event.seq;
            }
            world.away += u64::from(cx.color().home(cx.cores()) != cx.core());
        }
        if self.world().dice.one_in(3) {
            step(&self.world, &self.others);
        }
        match event.kind {
            Kind::Work => {}
            Kind::Completion(core, pinned) if pinned == *state => {
                assert_eq!(core, cx.core(), "a pinned color has moved");
                cx.unpin();
            }
            Kind::Completion(..) => {}
            Kind::Close => return cx.close(),
        }
        self.act(cx, *state);
    }

    fn new_state(&mut self, color: Color) -> Option<u64> {
        let mut world = self.world();
        (!world.dice.one_in(20)).then(|| world.open(color.0))
    }

    fn stopping(&mut self, local: &mut Local<'_, Event, u64>) {
        let mut world = self.world();
        for color in local.colors() {
            let event = world.event(Producer::Driver(self.core), color.0, Kind::Close);
            let posted = local.post(color, StageId(0), event);
            assert!(posted.is_ok(), "a color that is listed is open");
        }
    }

    fn abandoned(&mut self, _color: Color, _stage: StageId, event: Event) {
        assert!(self.world().given_back.insert(event.id));
    }

    fn closed(&mut self, color: Color, state: u64) {
        assert_eq!(color.0, state % COLORS);
        self.world().closed += 1;
    }
}

impl Driver for Program {
    type Event = Event;
    type State = u64;

    fn poll(&mut self, sink: &mut impl EventSink<Event, u64>, _wait: Wait) -> io::Result<usize> {
        if self.world().dice.one_in(3) {
            step(&self.world, &self.others);
        }
        let world = Arc::clone(&self.world);
        let mut world = world.lock().unwrap();
        let mut events = 0;
        while !self.calls.is_empty() && !world.dice.one_in(3) {
            let Some((color, event)) = self.calls.pop_front() else { break };
            let stage = world.stage();
            let posted = sink.post(color, stage, event);
            world.refused(posted);
            events += 1;
        }
        if world.left > 0 && world.dice.one_in(4) {
            let color = world.dice.below(COLORS);
            let state = world.open(color);
            if sink.open(Color(color), state).is_err() {
                world.opened -= 1;
            }
            // A driver's posts to a color that is pinned on its core may overtake those that it made before that, unless
            // the core is its home.
            let color = world.dice.below(COLORS);
            if Color(color).home(self.cores) == self.core {
                let event = world.event(Producer::Driver(self.core), color, Kind::Work);
                let stage = world.stage();
                let posted = sink.post(Color(color), stage, event);
                world.refused(posted);
            }
        }
        Ok(events)
    }

    fn waker(&self) -> Waker {
        Waker::new(|| {})
    }
}

/// Takes any color that is offered, and makes nonsensical plans now and then.
struct Thief(Shared);

impl Stealer for Thief {
    fn plan(&mut self, _thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let mut world = self.0.lock().unwrap();
        let victim = CoreId(world.dice.below(view.cores() as u64) as u16);
        if world.dice.one_in(10) {
            let slot = world.dice.below(100) as usize;
            return Some(Theft { victim: CoreId(victim.0 * 7), slot, color: Color(3) });
        }
        let slots = view.load(victim).slots;
        let offer = (0..slots).find_map(|slot| Some((slot, view.offered(victim, slot)?)));
        let (slot, offer) = offer?;
        Some(Theft { victim, slot, color: offer.color })
    }
}

fn stages() -> Vec<StageInfo> {
    (0..STAGES)
        .map(|n| StageInfo::new(format!("stage {n}")).cost(Cost::fixed(1000)))
        .map(|stage| if stage.name.ends_with('1') { stage.allocates() } else { stage })
        .collect()
}

fn scheduler(seed: u64) -> Box<dyn Scheduler + Send> {
    match seed % 4 {
        0 => Box::new(Fifo::new(&stages())),
        3 => Box::new(Flat::new(&stages())),
        1 => Box::new(StageBatch::new(&stages()).with_batch_limit(4)),
        _ => Box::new(ColorQueues::new(&stages()).with_threshold(3)),
    }
}

struct Stand {
    core: Core<Event, u64>,
    program: Program,
    scheduler: Box<dyn Scheduler + Send>,
    thief: Thief,
    clock: Arc<AtomicU64>,
    is_over: bool,
}

fn build(seed: u64, world: &Shared) -> (Control<Event, u64>, Others) {
    let count = 1 + (seed / 4 % 4) as usize;
    let clock = Arc::new(AtomicU64::new(0));
    let config = Config {
        poll_events: 5,
        transient_colors: seed % 16 / 8 == 1,
        steal_cost: Cost::fixed(0),
        wake_cost: Cost::fixed(1),
        clock: Clock::Manual(Arc::clone(&clock)),
        ..Config::new(count, stages())
    };
    let (control, cores) = Machine::new(config).unwrap();
    let others = Others::default();
    let stand = |core: Core<Event, u64>| {
        let program = Program {
            core: core.id(),
            cores: count,
            others: Arc::clone(&others),
            world: Arc::clone(world),
            calls: VecDeque::new(),
        };
        Some(Stand {
            core,
            program,
            scheduler: scheduler(seed),
            thief: Thief(Arc::clone(world)),
            clock: Arc::clone(&clock),
            is_over: false,
        })
    };
    *others.lock().unwrap() = cores.into_iter().map(stand).collect();
    (control, others)
}

/// Runs one seed, and tells how many events ran away from home, how many colors were stolen, and how many came home.
fn run(seed: u64) -> (u64, u64, u64) {
    let world = World {
        dice: Dice(seed),
        ids: 0,
        left: 2_000,
        accepted: HashSet::new(),
        run: HashSet::new(),
        given_back: HashSet::new(),
        sent: HashMap::new(),
        seen: HashMap::new(),
        opened: 0,
        closed: 0,
        away: 0,
        thefts: 0,
        returned: 0,
    };
    let world = Arc::new(Mutex::new(world));
    let (control, others) = build(seed, &world);
    let is_over = |stand: &Option<Stand>| stand.as_ref().is_some_and(|stand| stand.is_over);
    let mut turns = 0;
    while !others.lock().unwrap().iter().all(is_over) {
        turns += 1;
        assert!(turns < 1_000_000, "seed {seed}: no end");
        if world.lock().unwrap().left == 0 {
            control.stop();
        }
        step(&world, &others);
    }
    let stands: Vec<_> = others.lock().unwrap().drain(..).flatten().collect();
    let mut world = world.lock().unwrap();
    for mut stand in stands {
        // Calls that were in flight when their color closed: their completions would be refused.
        stand.program.calls.drain(..).for_each(|(_, event)| world.refused(Err(event)));
        assert_eq!(stand.core.stats().panics, 0, "seed {seed}: a handler found something wrong");
        world.thefts += stand.core.stats().thefts;
        world.returned += stand.core.stats().returned;
    }
    assert!(world.run.is_disjoint(&world.given_back), "seed {seed}");
    let is_lost = |id: &&u64| !world.run.contains(id) && !world.given_back.contains(id);
    let lost: Vec<_> = world.accepted.iter().filter(is_lost).take(5).collect();
    assert!(lost.is_empty(), "seed {seed}: {lost:?} are lost");
    assert_eq!(world.run.len() + world.given_back.len(), world.accepted.len(), "seed {seed}");
    assert_eq!(world.opened, world.closed, "seed {seed}");
    (world.away, world.thefts, world.returned)
}

#[test]
fn nothing_is_lost_doubled_or_overtaken_whatever_the_cores_do() {
    let (mut away, mut thefts, mut returned) = (0, 0, 0);
    for seed in 0..200 {
        let (ran_away, stolen, came_home) = run(seed);
        away += ran_away;
        thefts += stolen;
        returned += came_home;
    }
    assert!(away > 5_000 && thefts > 2_000, "{away} events ran away, {thefts} thefts: too few");
    assert!(returned > 2_000, "{returned} colors came home: too few");
}
