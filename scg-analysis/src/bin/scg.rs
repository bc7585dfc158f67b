//! `scg`: what a server allocates, where it is live, and the memory map that follows from it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use scg_analysis::{Analysis, Geometry, MapText, Params, PlanError, Source, analyse};

/// Finds the stages, objects and lifetimes of an event-driven server, and writes its memory map.
///
/// Exit status: 0 done, 1 the source has errors or a checked map is stale, 2 wrong usage.
#[derive(Parser)]
#[command(version, name = "scg")]
struct Cli {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Print stages, sites, edges and what is live where
    Memwalk {
        /// Rust files, or directories of them
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Print the graph of stages in DOT
        #[arg(long)]
        dot: bool,
    },
    /// Write the memory map, or check that it is up to date
    Stingygen {
        /// Rust files, or directories of them
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// Write the map to FILE; - is the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Compare the map with FILE; exit with 1 if it is stale
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

#[derive(Args)]
struct Options {
    /// Cache that the counts are for: bytes/ways/bytes of a line/ways that the slab takes
    #[arg(long, value_name = "SIZE/WAYS/LINE/K", default_value = "1048576/16/64/12", value_parser = geometry)]
    geometry: Geometry,
    /// Bytes of the slab kept for the stack
    #[arg(long, value_name = "BYTES", default_value_t = Params::default().stack_bytes)]
    stack: u64,
    /// Tasks that one batch of a stage takes at most
    #[arg(long, value_name = "TASKS", default_value_t = Params::default().batch_max)]
    batch: u32,
}

impl Options {
    fn params(&self) -> Params {
        Params { geometry: self.geometry, stack_bytes: self.stack, batch_max: self.batch }
    }

    /// Those that are not the default, as they are written.
    fn written(&self) -> String {
        let (is, usual) = (self.params(), Params::default());
        let mut out = String::new();
        if is.geometry != usual.geometry {
            let g = is.geometry;
            out += &format!(" --geometry {}/{}/{}/{}", g.size, g.ways, g.line, g.k);
        }
        if is.stack_bytes != usual.stack_bytes {
            out += &format!(" --stack {}", is.stack_bytes);
        }
        if is.batch_max != usual.batch_max {
            out += &format!(" --batch {}", is.batch_max);
        }
        out
    }
}

fn geometry(text: &str) -> Result<Geometry, String> {
    let numbers: Result<Vec<u64>, _> = text.split('/').map(str::parse).collect();
    let Ok([size, ways, line, k]) = numbers.as_deref() else {
        return Err("write four numbers, as in 1048576/16/64/12".to_owned());
    };
    let geometry = Geometry { size: *size, ways: *ways, line: *line, k: *k };
    match geometry.slab_bytes() {
        Some(_) => Ok(geometry),
        None => Err(PlanError::Geometry(geometry).to_string()),
    }
}

fn main() -> ExitCode {
    let tool = Cli::parse().tool;
    match run(&tool) {
        Ok(code) => code,
        Err(error) => {
            let closed = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if closed == Some(io::ErrorKind::BrokenPipe) {
                return ExitCode::SUCCESS;
            }
            eprintln!("scg: {error:#}");
            let usage = error.downcast_ref::<PlanError>();
            let is_usage = usage.is_some_and(|e| !matches!(e, PlanError::TooSmall(_)));
            ExitCode::from(if is_usage { 2 } else { 1 })
        }
    }
}

fn run(tool: &Tool) -> anyhow::Result<ExitCode> {
    match tool {
        Tool::Memwalk { paths, dot } => {
            let analysis = read(paths)?;
            let text = if *dot { analysis.dot() } else { analysis.to_string() };
            io::stdout().write_all(text.as_bytes())?;
        }
        Tool::Stingygen { paths, target, options } => {
            let map = read(paths)?.map(&options.params())?;
            if !map.solution.optimal {
                eprintln!("scg: the search was cut short; the counts fit, but may not be the best");
            }
            if let Some(file) = &target.check {
                return check(file, &map, paths, options);
            }
            match &target.out {
                Some(file) if file.as_os_str() != "-" => std::fs::write(file, map.as_str())
                    .with_context(|| format!("cannot write {}", file.display()))?,
                _ => io::stdout().write_all(map.as_str().as_bytes())?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(paths: &[PathBuf]) -> anyhow::Result<Analysis> {
    let sources = Source::read(paths)?;
    if sources.is_empty() {
        let shown: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
        bail!("no .rs file in {}", shown.join(", "));
    }
    let analysis = analyse(&sources).map_err(|error| {
        let count = error.diagnostics.len();
        anyhow::anyhow!("{count} finding(s)\n{error}")
    })?;
    for warning in &analysis.warnings {
        eprintln!("{warning}");
    }
    Ok(analysis)
}

fn check(
    file: &Path,
    map: &MapText,
    paths: &[PathBuf],
    options: &Options,
) -> anyhow::Result<ExitCode> {
    let have =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    if have == map.as_str() {
        return Ok(ExitCode::SUCCESS);
    }
    let (have, want): (Vec<&str>, Vec<&str>) =
        (have.lines().collect(), map.as_str().lines().collect());
    eprintln!("{} is stale:", file.display());
    for line in have.iter().filter(|line| !want.contains(line)) {
        eprintln!("- {line}");
    }
    for line in want.iter().filter(|line| !have.contains(line)) {
        eprintln!("+ {line}");
    }
    let paths: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    let (paths, options) = (paths.join(" "), options.written());
    eprintln!("refresh it with: scg stingygen {paths} --out {}{options}", file.display());
    Ok(ExitCode::from(1))
}
