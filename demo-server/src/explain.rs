//! What the start-up checks found, and whether a configuration makes sense.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use stingy_alloc::{Geometry, Slab};

use crate::config::{AllocPolicy, Config};
use crate::serve;
use crate::wiring::objects::SlabObjects;

/// Prints what the configuration comes to, the cache geometry, the memory map as scaled to it, and what the checks
/// verified on each core.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let text = describe(config)?;
    // Whoever reads may stop reading.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

fn describe(config: &Config) -> anyhow::Result<String> {
    config.check_cpus()?;
    let map = serve::read_map(config)?;
    serve::open_root(config)?;
    let mut text = format!("{}\n{config:#?}\n", flexsc_ring::Probe::run());
    if config.alloc == AllocPolicy::System {
        text.push_str("no slab: objects come from the system allocator\n");
        return Ok(text);
    }
    for cpu in &config.cores {
        color_sched::pin_thread(*cpu).with_context(|| format!("--cores: CPU {cpu}"))?;
        let geometry = Geometry::detect().context("the cache geometry cannot be read")?;
        let slab = Slab::new(&map, stingy_alloc::Options::default())?;
        SlabObjects::new(&slab)?;
        writeln!(
            text,
            "L2 cache of CPU {cpu}: {} KiB, {} ways, lines of {} bytes; one way is W = {} KiB, the slab is k = {} \
             ways, {} KiB\nslab on CPU {cpu}: {}",
            geometry.size >> 10,
            geometry.ways,
            geometry.line,
            geometry.way_bytes() >> 10,
            geometry.k,
            geometry.slab_bytes() >> 10,
            slab.report()
        )?;
        if Some(cpu) == config.cores.last() {
            writeln!(text, "\nmemory map, scaled to this cache:\n{}", slab.map())?;
        }
    }
    Ok(text)
}

/// Says that the configuration makes sense, or fails with what does not.
pub fn check(config: &Config) -> anyhow::Result<ExitCode> {
    config.check_cpus()?;
    serve::read_map(config)?;
    serve::open_root(config)?;
    serve::check_trace(config)?;
    println!("the configuration is good: it serves http://{}", config.http);
    Ok(ExitCode::SUCCESS)
}
