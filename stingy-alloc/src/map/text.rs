//! Reads the text of a map, line by line; every refusal names its line and column.

use super::check::{self, Place};
use super::error::{MapError, MapProblem};
use super::write::checksum;
use super::{
    GlobalKind, GlobalSpec, MemoryMap, RegionId, RegionSpec, Section, SiteId, SiteSpec, StackSpec,
    StageId, StageSpec,
};
use crate::Geometry;

/// One line, split into its words and its `key=value` fields.
struct Record<'t> {
    line: usize,
    name: &'t str,
    text: &'t str,
    words: Vec<Word<'t>>,
    fields: Vec<(&'t str, Word<'t>)>,
}

#[derive(Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    line: usize,
    column: usize,
}

impl Word<'_> {
    fn error(&self, problem: MapProblem) -> MapError {
        MapError::at(self.line, self.column, problem)
    }

    fn not(&self, expected: &'static str) -> MapError {
        self.error(MapProblem::Value { value: self.text.to_owned(), expected })
    }

    fn number<N: std::str::FromStr>(&self) -> Result<N, MapError> {
        // `parse` would also take a leading plus sign.
        match self.text.bytes().all(|b| b.is_ascii_digit()) {
            true => self.text.parse().map_err(|_| self.not("a number of this field's range")),
            false => Err(self.not("a number")),
        }
    }

    /// Items separated by commas; `-` is none.
    fn items(self) -> impl Iterator<Item = Self> {
        let text = if self.text == "-" { None } else { Some(self.text) };
        let start = self.text.as_ptr() as usize;
        text.into_iter().flat_map(|text| text.split(',')).map(move |item| Word {
            text: item,
            line: self.line,
            column: self.column + (item.as_ptr() as usize - start),
        })
    }
}

impl<'t> Record<'t> {
    fn read(line: usize, text: &'t str) -> Option<Self> {
        let start = text.as_ptr() as usize;
        let mut words = text.split_whitespace().map(|word| Word {
            text: word,
            line,
            column: word.as_ptr() as usize - start + 1,
        });
        let name = words.next()?.text;
        let mut record = Self { line, name, text, words: Vec::new(), fields: Vec::new() };
        for word in words {
            match word.text.split_once('=') {
                Some((key, value)) => {
                    let column = word.column + key.len() + 1;
                    record.fields.push((key, Word { text: value, line, column }));
                }
                None => record.words.push(word),
            }
        }
        Some(record)
    }

    fn error(&self, problem: MapProblem) -> MapError {
        MapError::at(self.line, 1, problem)
    }

    fn missing(&self, key: &str) -> MapError {
        self.error(MapProblem::MissingKey { record: self.name.to_owned(), key: key.to_owned() })
    }

    /// The record has exactly these words and keys.
    fn expect(&self, words: &[&str], keys: &[&str]) -> Result<(), MapError> {
        if let Some(missing) = words.get(self.words.len()) {
            return Err(self.missing(missing));
        }
        if let Some(word) = self.words.get(words.len()) {
            return Err(word.not("a key=value pair"));
        }
        for (i, (key, value)) in self.fields.iter().enumerate() {
            let at = MapError::at(self.line, value.column - key.len() - 1, MapProblem::MissingEnd);
            if !keys.contains(key) {
                let (record, key) = (self.name.to_owned(), (*key).to_owned());
                return Err(MapError { problem: MapProblem::UnknownKey { record, key }, ..at });
            }
            if self.fields[..i].iter().any(|(earlier, _)| earlier == key) {
                return Err(MapError { problem: MapProblem::Twice(format!("{key}=")), ..at });
            }
        }
        match keys.iter().find(|key| !self.fields.iter().any(|(have, _)| have == *key)) {
            Some(key) => Err(self.missing(key)),
            None => Ok(()),
        }
    }

    fn word(&self, i: usize) -> Result<Word<'t>, MapError> {
        self.words.get(i).copied().ok_or_else(|| self.missing("id"))
    }

    fn field(&self, key: &str) -> Result<Word<'t>, MapError> {
        let found = self.fields.iter().find(|(have, _)| *have == key);
        found.map(|(_, value)| *value).ok_or_else(|| self.missing(key))
    }
}

/// A section being read, with the line of each record for what only shows at its end.
struct Reading<'t> {
    section: Section,
    lines: Vec<(&'static str, usize, &'t str)>,
    has_stack: bool,
}

impl<'t> Reading<'t> {
    fn note(&mut self, kind: &'static str, record: &Record<'t>) {
        self.lines.push((kind, record.line, record.text));
    }

    /// Turns the place of a problem into line and column: that of the value, or of the record.
    fn locate(&self, (kind, nth, key): Place, problem: MapProblem) -> MapError {
        let line = self.lines.iter().filter(|(have, ..)| *have == kind).nth(nth);
        let Some(&(_, line, text)) = line else { return MapError::at(1, 1, problem) };
        let value = format!("{key}=");
        let starts = |at: &usize| text[..*at].ends_with(char::is_whitespace);
        let at = text.match_indices(&value).map(|(at, _)| at).find(starts);
        let column = at.filter(|_| !key.is_empty()).map_or(1, |at| at + value.len() + 1);
        MapError::at(line, column, problem)
    }

    fn finish(self) -> Result<Section, MapError> {
        check::check(&self.section).map_err(|(place, problem)| self.locate(place, problem))?;
        Ok(self.section)
    }
}

pub(super) fn parse(text: &str) -> Result<MemoryMap, MapError> {
    let first = text.lines().next().unwrap_or("").trim_end();
    if first != "scg-map 1" {
        let shown = first.chars().take(40).collect();
        return Err(MapError::at(1, 1, MapProblem::Version(shown)));
    }
    let mut sections: Vec<Section> = Vec::new();
    let mut reading: Option<Reading<'_>> = None;
    let mut offset = 0;
    for (i, raw) in text.split_inclusive('\n').enumerate() {
        let start = offset;
        offset += raw.len();
        let Some(record) = Record::read(i + 1, raw).filter(|_| i > 0) else { continue };
        match (record.name, &mut reading) {
            ("end", _) => {
                read_end(&record, &text[..start])?;
                check_after_end(i + 1, &text[offset..])?;
                finish_section(reading, &mut sections)?;
                return match sections.is_empty() {
                    true => Err(record.error(MapProblem::NoGeometry)),
                    false => Ok(MemoryMap { sections }),
                };
            }
            ("geometry", _) => {
                let next = read_geometry(&record)?;
                finish_section(reading.replace(next), &mut sections)?;
            }
            (_, Some(reading)) => read_record(&record, reading)?,
            (_, None) => return Err(record.error(MapProblem::NoGeometry)),
        }
    }
    Err(MapError::at(text.lines().count() + 1, 1, MapProblem::MissingEnd))
}

fn finish_section(
    reading: Option<Reading<'_>>,
    sections: &mut Vec<Section>,
) -> Result<(), MapError> {
    let Some(reading) = reading else { return Ok(()) };
    let line = reading.lines.first().map_or(1, |(_, line, _)| *line);
    let section = reading.finish()?;
    if sections.first().is_some_and(|first| !check::same_program(first, &section)) {
        return Err(MapError::at(line, 1, MapProblem::Sections));
    }
    let g = section.geometry;
    if sections.iter().any(|earlier| earlier.geometry == g) {
        let twice = format!("geometry size={} ways={} line={} k={}", g.size, g.ways, g.line, g.k);
        return Err(MapError::at(line, 1, MapProblem::Twice(twice)));
    }
    sections.push(section);
    Ok(())
}

fn read_end(record: &Record<'_>, before: &str) -> Result<(), MapError> {
    record.expect(&[], &["crc32"])?;
    let found = record.field("crc32")?;
    let expected = checksum(before.as_bytes());
    match found.text == expected {
        true => Ok(()),
        false => {
            let found_text = found.text.chars().take(40).collect();
            Err(found.error(MapProblem::Checksum { expected, found: found_text }))
        }
    }
}

fn check_after_end(end_line: usize, rest: &str) -> Result<(), MapError> {
    for (i, line) in rest.lines().enumerate() {
        if let Some(word) = line.split_whitespace().next() {
            let problem = MapProblem::AfterEnd(word.chars().take(40).collect());
            return Err(MapError::at(end_line + i + 1, 1, problem));
        }
    }
    Ok(())
}

fn read_geometry<'t>(record: &Record<'t>) -> Result<Reading<'t>, MapError> {
    record.expect(&[], &["size", "ways", "line", "k"])?;
    let number = |key| record.field(key)?.number();
    let geometry = Geometry {
        size: number("size")?,
        ways: number("ways")?,
        line: number("line")?,
        k: number("k")?,
    };
    let mut reading =
        Reading { section: Section::new(geometry), lines: Vec::new(), has_stack: false };
    reading.note("geometry", record);
    Ok(reading)
}

fn read_record<'t>(record: &Record<'t>, reading: &mut Reading<'t>) -> Result<(), MapError> {
    let kind = match record.name {
        "stack" => {
            if std::mem::replace(&mut reading.has_stack, true) {
                return Err(record.error(MapProblem::Twice("stack".to_owned())));
            }
            reading.section.stack = read_stack(record)?;
            "stack"
        }
        "global" => {
            reading.section.globals.push(read_global(record)?);
            "global"
        }
        "region" => {
            reading.section.regions.push(read_region(record)?);
            "region"
        }
        "site" => {
            reading.section.sites.push(read_site(record)?);
            "site"
        }
        "stage" => {
            reading.section.stages.push(read_stage(record)?);
            "stage"
        }
        "dominates" => {
            record.expect(&["the dominating site", "the dominated site"], &[])?;
            let pair = (SiteId(record.word(0)?.number()?), SiteId(record.word(1)?.number()?));
            reading.section.dominates.push(pair);
            "dominates"
        }
        unknown => {
            let shown = unknown.chars().take(40).collect();
            return Err(record.error(MapProblem::UnknownRecord(shown)));
        }
    };
    reading.note(kind, record);
    Ok(())
}

fn read_stack(record: &Record<'_>) -> Result<StackSpec, MapError> {
    record.expect(&[], &["bytes", "clusters"])?;
    let clusters =
        record.field("clusters")?.items().map(|item| item.number()).collect::<Result<_, _>>()?;
    Ok(StackSpec { bytes: record.field("bytes")?.number()?, clusters })
}

fn read_global(record: &Record<'_>) -> Result<GlobalSpec, MapError> {
    record.expect(&["id"], &["size", "kind"])?;
    let kind = record.field("kind")?;
    let kind = match kind.text {
        "final" => GlobalKind::Final,
        "temporary" => GlobalKind::Temporary,
        _ => return Err(kind.not("final or temporary")),
    };
    Ok(GlobalSpec { id: record.word(0)?.number()?, size: record.field("size")?.number()?, kind })
}

fn read_region(record: &Record<'_>) -> Result<RegionSpec, MapError> {
    record.expect(&["id"], &["slot", "slots"])?;
    Ok(RegionSpec {
        id: RegionId(record.word(0)?.number()?),
        slot: record.field("slot")?.number()?,
        slots: record.field("slots")?.number()?,
    })
}

fn read_site(record: &Record<'_>) -> Result<SiteSpec, MapError> {
    record.expect(&["id"], &["name", "size", "align", "cap", "region", "guard"])?;
    let guard = record.field("guard")?;
    Ok(SiteSpec {
        id: SiteId(record.word(0)?.number()?),
        name: record.field("name")?.text.to_owned(),
        size: record.field("size")?.number()?,
        align: record.field("align")?.number()?,
        cap: record.field("cap")?.number()?,
        region: RegionId(record.field("region")?.number()?),
        guard: match guard.text {
            "on" => true,
            "off" => false,
            _ => return Err(guard.not("on or off")),
        },
    })
}

fn read_stage(record: &Record<'_>) -> Result<StageSpec, MapError> {
    record.expect(&["id"], &["name", "live", "alloc", "weight"])?;
    let live = record.field("live")?.items().map(|item| item.number().map(SiteId));
    let alloc = record.field("alloc")?.items().map(|item| {
        let (site, count) = item.text.split_once('*').ok_or_else(|| item.not("site*count"))?;
        let count_at = item.column + site.len() + 1;
        let site = Word { text: site, ..item }.number().map(SiteId)?;
        Ok((site, Word { text: count, column: count_at, ..item }.number()?))
    });
    Ok(StageSpec {
        id: StageId(record.word(0)?.number()?),
        name: record.field("name")?.text.to_owned(),
        live: live.collect::<Result<_, MapError>>()?,
        alloc: alloc.collect::<Result<_, MapError>>()?,
        weight: record.field("weight")?.number()?,
    })
}
