//! What do the attributes of a level say: which numbers, what distances, which CPUs are offline?

use super::Kind;
use super::words::{Word, shown};
use crate::topology::draft::{Core, Node};
use crate::topology::list::{parse_list, parse_number, parse_sequence};
use crate::topology::show::usual_row;
use crate::topology::{Problem, TextError};

/// As many as Linux has at most.
const NODES: usize = 1 << 10;
/// Attributes of hwloc that say nothing of distances.
const UNUSED: [&str; 3] = ["size", "memory", "memorysidecachesize"];

impl<'t> Word<'t> {
    /// Every attribute is one that this level has.
    pub(super) fn check_attributes(&self) -> Result<(), TextError> {
        for (index, &(name, _)) in self.attributes.iter().enumerate() {
            let is_known = match name {
                "indexes" => true,
                "distances" => self.kind == Kind::Node,
                "offline" => self.kind == Kind::Pu,
                _ => UNUSED.contains(&name),
            };
            if !is_known {
                return Err(self.error(Problem::Attribute(shown(name))));
            }
            if self.attributes[..index].iter().any(|&(other, _)| other == name) {
                return Err(self.error(Problem::AttributeTwice(shown(name))));
            }
        }
        Ok(())
    }

    /// The nodes of this level, of which there are `count`.
    pub(super) fn nodes(&self, count: usize) -> Result<Vec<Node>, TextError> {
        if count > NODES {
            return Err(self.error(Problem::TooManyNodes));
        }
        let numbers = self.indexes(count)?;
        let rows = self.distances(count)?;
        let mut nodes = Vec::with_capacity(count);
        for (index, &number) in numbers.iter().enumerate() {
            if numbers[..index].contains(&number) {
                return Err(self.error(Problem::NodeTwice(number)));
            }
            let row = match &rows {
                Some(all) => all[index * count..][..count].to_vec(),
                None => usual_row(index, count),
            };
            nodes.push(Node { number, row });
        }
        Ok(nodes)
    }

    /// The numbers of `count` CPUs or nodes.
    pub(super) fn indexes(&self, count: usize) -> Result<Vec<usize>, TextError> {
        let Some(text) = self.attribute("indexes") else { return Ok((0..count).collect()) };
        let no_list = || self.error(Problem::List(shown(text)));
        if text.contains('*') {
            return interleaved(text, count).ok_or_else(no_list);
        }
        let numbers = parse_sequence(text).ok_or_else(no_list)?;
        self.check_length("indexes", numbers.len(), count)?;
        Ok(numbers)
    }

    /// Marks the cores whose CPU is offline.
    pub(super) fn mark_offline(&self, cores: &mut [Core]) -> Result<(), TextError> {
        let Some(text) = self.attribute("offline") else { return Ok(()) };
        let offline = parse_list(text).ok_or_else(|| self.error(Problem::List(shown(text))))?;
        let mut found = vec![false; offline.len()];
        for core in cores {
            if let Ok(index) = offline.binary_search(&core.cpu) {
                core.is_gone = true;
                found[index] = true;
            }
        }
        match found.iter().position(|is_found| !is_found) {
            Some(index) => Err(self.error(Problem::NotACpu(offline[index]))),
            None => Ok(()),
        }
    }

    fn distances(&self, count: usize) -> Result<Option<Vec<Option<u16>>>, TextError> {
        let Some(text) = self.attribute("distances") else { return Ok(None) };
        let distance = |text: &str| match text {
            "-" => Some(None),
            _ => parse_number(text).map(|distance| Some(distance as u16)),
        };
        let distances: Option<Vec<_>> = text.split(',').map(distance).collect();
        let distances = distances.ok_or_else(|| self.error(Problem::Distances(shown(text))))?;
        self.check_length("distances", distances.len(), count * count)?;
        Ok(Some(distances))
    }

    fn attribute(&self, name: &str) -> Option<&'t str> {
        self.attributes.iter().find(|&&(other, _)| other == name).map(|&(_, value)| value)
    }

    fn check_length(
        &self,
        name: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), TextError> {
        if found == expected {
            return Ok(());
        }
        Err(self.error(Problem::Length { name, found, expected }))
    }
}

/// hwloc's interleaving: of loops `step*number`, the first counts fastest. A missing innermost loop is added.
fn interleaved(text: &str, count: usize) -> Option<Vec<usize>> {
    let mut loops = Vec::new();
    let mut product = 1usize;
    for part in text.split(':') {
        let (step, number) = part.split_once('*')?;
        let (step, number) = (parse_number(step)?, parse_number(number)?);
        product = product.checked_mul(number)?;
        if step == 0 || product == 0 || product > count {
            return None;
        }
        // A loop of one changes no index; of others there are 16 at most, however long the text is.
        if number > 1 {
            loops.push((step, number));
        }
    }
    if product != count && count.is_multiple_of(product) {
        loops.push((1, count / product));
    }
    let mut indexes = vec![0; count];
    let mut unit = 1;
    for (step, number) in loops {
        for (at, index) in indexes.iter_mut().enumerate() {
            *index += at / step % number * unit;
        }
        unit *= number;
    }
    let mut is_used = vec![false; count];
    let mut is_new = |&index: &usize| {
        is_used.get_mut(index).is_some_and(|is_used| !std::mem::replace(is_used, true))
    };
    indexes.iter().all(&mut is_new).then_some(indexes)
}
