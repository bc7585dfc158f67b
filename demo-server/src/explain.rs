//! What the start-up checks found, and whether a configuration makes sense.

use std::process::ExitCode;

use anyhow::Context as _;
use stingy_alloc::{Geometry, Slab};

use crate::config::Config;
use crate::serve;
use crate::wiring::objects::SlabObjects;

/// Prints the cache geometry, the memory map as scaled to it, and what the checks verified on each core.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    config.check_cpus()?;
    let map = serve::read_map(config)?;
    serve::open_root(config)?;
    let geometry = Geometry::detect().context("the cache geometry cannot be read")?;
    println!(
        "L2 cache: {} KiB, {} ways, lines of {} bytes; one way is W = {} KiB, the slab is k = {} ways, {} KiB",
        geometry.size >> 10,
        geometry.ways,
        geometry.line,
        geometry.way_bytes() >> 10,
        geometry.k,
        geometry.slab_bytes() >> 10,
    );
    for cpu in &config.cores {
        color_sched::pin_thread(*cpu).with_context(|| format!("--cores: CPU {cpu}"))?;
        let slab = Slab::new(&map, stingy_alloc::Options::default())?;
        SlabObjects::new(&slab)?;
        println!("slab on CPU {cpu}: {}", slab.report());
        if Some(cpu) == config.cores.last() {
            println!("\nmemory map, scaled to this cache:\n{}", slab.map());
        }
    }
    println!("{}", flexsc_ring::Probe::run());
    Ok(ExitCode::SUCCESS)
}

/// Says that the configuration makes sense, or fails with what does not.
pub fn check(config: &Config) -> anyhow::Result<ExitCode> {
    config.check_cpus()?;
    serve::read_map(config)?;
    serve::open_root(config)?;
    println!("the configuration is good: it serves http://{}", config.http);
    Ok(ExitCode::SUCCESS)
}
