//! A machine that is the same everywhere: `node:2 l3:1 core:4 pu:2`.

use std::collections::HashSet;

use super::Kind;
use super::words::{Value, Word, shown};
use crate::topology::draft::{Core, Draft, Node};
use crate::topology::list::CPUS;
use crate::topology::{LOCAL, Problem, TextError, Topology};

pub(super) fn read(words: &[Word<'_>]) -> Result<Topology, TextError> {
    let levels = levels(words)?;
    let Some((&(pu, count), above)) = levels.split_last() else {
        return Err(TextError::at_end(""));
    };
    if pu.kind != Kind::Pu {
        return Err(pu.error(Problem::NoPu));
    }
    let cpus = pu.indexes(count)?;
    let mut seen = HashSet::with_capacity(count);
    if let Some(&cpu) = cpus.iter().find(|&&cpu| !seen.insert(cpu)) {
        return Err(pu.error(Problem::CpuTwice(cpu)));
    }

    let mut cores: Vec<Core> = cpus.into_iter().map(Core::new).collect();
    let mut nodes = None;
    for &(word, groups) in above {
        if word.kind == Kind::Node {
            nodes = Some(word.nodes(groups)?);
        }
        for (index, core) in cores.iter_mut().enumerate() {
            let group = (index / (count / groups)) as u16;
            match word.kind {
                Kind::Node => core.node = Some(group),
                Kind::Cache(level) => core.caches.push((level, group)),
                Kind::Core => core.physical = Some(group),
                Kind::Pu | Kind::Other => {}
            }
        }
    }
    pu.mark_offline(&mut cores)?;
    let nodes = nodes.unwrap_or_else(|| {
        cores.iter_mut().for_each(|core| core.node = Some(0));
        vec![Node { number: 0, row: vec![Some(LOCAL)] }]
    });
    Ok(Draft { cores, nodes }.settle())
}

/// Each level and how many groups it has in the whole machine.
fn levels<'w, 't>(words: &'w [Word<'t>]) -> Result<Vec<(&'w Word<'t>, usize)>, TextError> {
    let mut groups = 1usize;
    let mut levels: Vec<(&Word<'_>, usize)> = Vec::with_capacity(words.len());
    for word in words {
        word.check_attributes()?;
        if levels.last().is_some_and(|(last, _)| last.kind == Kind::Pu) {
            return Err(word.error(Problem::InsidePu));
        }
        if let Value::Count(text) = word.value {
            let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if !is_plain || text.bytes().all(|byte| byte == b'0') {
                return Err(word.error(Problem::Count(shown(text))));
            }
            groups = text
                .parse()
                .ok()
                .and_then(|count: usize| groups.checked_mul(count))
                .filter(|&groups| groups <= CPUS)
                .ok_or_else(|| word.error(Problem::TooManyCores))?;
        }
        levels.push((word, groups));
    }
    Ok(levels)
}
