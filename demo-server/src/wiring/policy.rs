//! Switches of the command line to schedulers, stealers and engines.

use anyhow::Context as _;
use color_sched::{ColorQueues, Core, Fifo, Flat, NoSteal, Scheduler, StageBatch, StageInfo};
use flexsc_ring::{AnyRing, Engine, Placement};
use mely_steal::Libasync;
use stingy_alloc::{Seal, Slot};

use crate::config::{
    Config, Heuristic, PlacementPolicy, RingPolicy, SchedulerPolicy, SealPolicy, StealPolicy,
};
use crate::connection::Connection;
use crate::stages::{PARSE_WEIGHT, RESPOND_WEIGHT, Stage};
use crate::wiring::any_stealer::AnyStealer;
use crate::wiring::event::Event;
use crate::wiring::neighborhood::{Neighborhood, Neighborly};
use crate::wiring::worker::{Shared, Worker};

/// What a trace keeps of each core: some seconds of a busy one, in 8 MB.
pub const TRACE_SPANS: usize = 200_000;

/// A request's stages as the scheduler knows them.
#[must_use]
pub fn stage_infos() -> Vec<StageInfo> {
    let info = |stage: Stage| {
        let info = StageInfo::new(stage.name());
        match stage {
            Stage::Parse => info.allocates().weight(PARSE_WEIGHT),
            Stage::Respond => info.allocates().weight(RESPOND_WEIGHT),
            Stage::Stream => info.allocates(),
            _ => info,
        }
    };
    Stage::ALL.map(info).into()
}

/// The machine that the configuration asks for.
#[must_use]
pub fn machine(config: &Config) -> color_sched::Config {
    let mut machine = color_sched::Config::new(config.cores.len(), stage_infos());
    let by = |heuristic| config.steal == StealPolicy::Mely && config.steal_by.contains(&heuristic);
    if !by(Heuristic::Penalty) {
        machine.stages = machine.stages.into_iter().map(|stage| stage.penalty(1)).collect();
    }
    if !by(Heuristic::TimeLeft) {
        // Without that heuristic whatever waits may be stolen, worth it or not.
        machine.steal_cost = color_sched::Cost::fixed(0);
    }
    if config.trace.is_some() {
        machine.trace = TRACE_SPANS;
    }
    machine
}

/// What the slab does when it is sealed so.
#[must_use]
pub fn seal(policy: SealPolicy) -> Seal {
    match policy {
        SealPolicy::Open => Seal::Open,
        SealPolicy::Count => Seal::Count,
        SealPolicy::Abort => Seal::Abort,
    }
}

/// The ring that the configuration asks for, and what it turned out to be.
pub fn ring(config: &Config) -> anyhow::Result<(AnyRing<Slot>, String)> {
    let engine = match config.ring {
        RingPolicy::Auto => Engine::Auto,
        RingPolicy::Direct => Engine::Direct,
        RingPolicy::Threads => Engine::Threads,
        RingPolicy::Uring => Engine::Uring,
        RingPolicy::Sqpoll => Engine::Sqpoll,
    };
    let placement = match config.placement {
        PlacementPolicy::Anywhere => Placement::Anywhere,
        PlacementPolicy::Poster => Placement::Poster,
        PlacementPolicy::Measured => Placement::Measured,
    };
    let options = flexsc_ring::Options { placement, ..flexsc_ring::Options::with_engine(engine) };
    let ring = AnyRing::new(&options).with_context(|| format!("--ring {}", config.ring))?;
    let report = ring.report().to_string();
    Ok((ring, report))
}

fn stealer<'a>(config: &Config, neighborhood: &'a Neighborhood) -> AnyStealer<Neighborly<'a>> {
    match config.steal {
        _ if config.cores.len() == 1 => AnyStealer::None(NoSteal),
        StealPolicy::None => AnyStealer::None(NoSteal),
        StealPolicy::Libasync => AnyStealer::Libasync(Libasync::new()),
        StealPolicy::Mely => {
            let by = |heuristic| config.steal_by.contains(&heuristic);
            AnyStealer::Mely(Neighborly::new(neighborhood, |all| {
                all.locality(by(Heuristic::Locality))
                    .time_left(by(Heuristic::TimeLeft))
                    .penalty(by(Heuristic::Penalty))
            }))
        }
    }
}

/// Runs a worker under the policies of the configuration until it has stopped.
pub fn run(
    shared: &Shared,
    core: Core<Event, Box<Connection>>,
    worker: &mut Worker<'_>,
) -> anyhow::Result<()> {
    let (infos, config) = (stage_infos(), &shared.config);
    let scheduler: Box<dyn Scheduler> = match config.scheduler {
        SchedulerPolicy::Fifo => Box::new(Fifo::new(&infos)),
        SchedulerPolicy::Flat => Box::new(Flat::new(&infos)),
        SchedulerPolicy::Color => Box::new(ColorQueues::new(&infos)),
        SchedulerPolicy::Stage => Box::new(StageBatch::new(&infos)),
    };
    core.run(worker, scheduler, &mut stealer(config, &shared.neighborhood))
        .context("the worker's ring failed")?;
    Ok(())
}
