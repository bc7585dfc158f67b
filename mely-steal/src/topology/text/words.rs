//! Which words does a description have, and where does each stand?

use super::Kind;
use crate::topology::{Problem, TextError};

/// Characters of a word that an error shows.
const SHOWN: usize = 40;
/// Words of a description; caches have 256 levels.
const WORDS: usize = 512;

/// A word of a description.
pub(super) struct Word<'t> {
    text: &'t str,
    line: usize,
    column: usize,
    pub(super) kind: Kind,
    pub(super) value: Value<'t>,
    /// Names and values of what stands in parentheses.
    pub(super) attributes: Vec<(&'t str, &'t str)>,
}

/// What a word says of its level.
pub(super) enum Value<'t> {
    /// `l2:4`
    Count(&'t str),
    /// `[numanode]`
    Attached,
    /// `l2=0-1/2-3`
    Sets(&'t str),
}

/// The words of a text, in order.
pub(super) fn words(text: &str) -> Result<Vec<Word<'_>>, TextError> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let mut rest = line;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                break;
            }
            let column = line[..line.len() - rest.len()].chars().count() + 1;
            let (word, after) = rest.split_at(end_of_word(rest));
            let word = Word::read(word, index + 1, column)?;
            if words.len() == WORDS {
                return Err(word.error(Problem::TooManyLevels));
            }
            words.push(word);
            rest = after;
        }
    }
    Ok(words)
}

/// Where the first word of `text` ends: at a blank outside of parentheses.
fn end_of_word(text: &str) -> usize {
    let mut is_inside = false;
    for (at, character) in text.char_indices() {
        match character {
            '(' => is_inside = true,
            ')' => is_inside = false,
            _ if character.is_whitespace() && !is_inside => return at,
            _ => {}
        }
    }
    text.len()
}

impl<'t> Word<'t> {
    fn read(text: &'t str, line: usize, column: usize) -> Result<Self, TextError> {
        let error = |problem| TextError { line, column, word: shown(text), problem };
        let (inner, is_attached) = match text.strip_prefix('[') {
            Some(rest) => (rest.strip_suffix(']').ok_or_else(|| error(Problem::Unpaired))?, true),
            None => (text, false),
        };
        let (head, attributes) = match inner.split_once('(') {
            Some((head, rest)) => {
                (head, rest.strip_suffix(')').ok_or_else(|| error(Problem::Unpaired))?)
            }
            None => (inner, ""),
        };
        if [head, attributes].iter().any(|part| part.contains(['(', ')', '[', ']'])) {
            return Err(error(Problem::Unpaired));
        }
        let name = head.split([':', '=']).next().unwrap_or_default();
        let value = &head[name.len()..];
        let kind = Kind::named(name).ok_or_else(|| error(Problem::Level(shown(name))))?;
        let value = match (value.get(..1), value.get(1..)) {
            (None, _) if is_attached && kind == Kind::Node => Value::Attached,
            (Some(":"), Some(count)) if !is_attached => Value::Count(count),
            (Some("="), Some(sets)) if !is_attached => Value::Sets(sets),
            _ => return Err(error(Problem::NoValue)),
        };
        let attributes = attributes
            .split_ascii_whitespace()
            .map(|pair| pair.split_once('=').ok_or_else(|| error(Problem::Attribute(shown(pair)))))
            .collect::<Result<_, _>>()?;
        Ok(Self { text, line, column, kind, value, attributes })
    }

    pub(super) fn error(&self, problem: Problem) -> TextError {
        TextError { line: self.line, column: self.column, word: shown(self.text), problem }
    }
}

impl TextError {
    /// The machine's CPUs are missing at the end of `text`.
    pub(super) fn at_end(text: &str) -> Self {
        let last = text.rsplit('\n').next().unwrap_or_default();
        Self {
            line: text.matches('\n').count() + 1,
            column: last.chars().count() + 1,
            word: String::new(),
            problem: Problem::NoPu,
        }
    }
}

/// As much of a text as fits into a message.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
