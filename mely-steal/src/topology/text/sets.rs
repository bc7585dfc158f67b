//! A machine CPU by CPU: `node=0-3/4-7 l3=0-3/4-7 pu=0-7`.

use std::collections::HashMap;

use super::Kind;
use super::words::{Value, Word, shown};
use crate::topology::draft::{Core, Draft};
use crate::topology::list::{parse_list, parse_sequence};
use crate::topology::{Problem, TextError, Topology};

pub(super) fn read(words: &[Word<'_>]) -> Result<Topology, TextError> {
    let cpus = words.iter().find(|word| word.kind == Kind::Pu).or(words.last());
    let mut draft = Draft::default();
    if let Some(word) = cpus {
        let (Kind::Pu, Value::Sets(text)) = (word.kind, &word.value) else {
            return Err(word.error(Problem::NoPu));
        };
        let list = parse_sequence(text);
        let list = list.ok_or_else(|| word.error(Problem::List(shown(text))))?;
        draft.cores = list.into_iter().map(Core::new).collect();
        word.mark_offline(&mut draft.cores)?;
    }
    // The group of each CPU in the level at hand.
    let mut groups: HashMap<usize, Option<u16>> =
        draft.cores.iter().map(|core| (core.cpu, None)).collect();
    for word in words {
        word.check_attributes()?;
        let Value::Sets(text) = word.value else { continue };
        if word.kind == Kind::Pu {
            continue;
        }
        groups.values_mut().for_each(|group| *group = None);
        let count = group(word, text, &mut groups)?;
        if word.kind == Kind::Node {
            draft.nodes = word.nodes(count)?;
        }
        for core in &mut draft.cores {
            let Some(group) = groups.get(&core.cpu).copied().flatten() else { continue };
            match word.kind {
                Kind::Node => core.node = Some(group),
                Kind::Cache(level) => core.caches.push((level, group)),
                Kind::Core => core.physical = Some(group),
                Kind::Pu | Kind::Other => {}
            }
        }
    }
    Ok(draft.settle())
}

/// Tells every CPU of the sets its group. Returns how many sets there are: at most one a CPU, for none is empty.
fn group(
    word: &Word<'_>,
    text: &str,
    groups: &mut HashMap<usize, Option<u16>>,
) -> Result<usize, TextError> {
    let mut count = 0;
    for set in text.split('/') {
        let cpus = parse_list(set).ok_or_else(|| word.error(Problem::List(shown(set))))?;
        if cpus.is_empty() {
            return Err(word.error(Problem::EmptySet));
        }
        for cpu in cpus {
            let group = groups.get_mut(&cpu).ok_or_else(|| word.error(Problem::NotACpu(cpu)))?;
            if group.replace(count as u16).is_some() {
                return Err(word.error(Problem::CpuTwice(cpu)));
            }
        }
        count += 1;
    }
    Ok(count)
}
