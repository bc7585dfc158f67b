//! What did each core do when? Spans that Perfetto and Chrome's `about:tracing` show, core under core.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Write};

use crate::event::{CoreId, Nanos, StageId};

/// What a core was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It ran a batch of so many events.
    Batch(StageId, usize),
    /// It waited in its driver until something happened.
    Wait,
    /// It stole a color from this core.
    Theft(CoreId),
}

/// A time that a core spent on one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub start: Nanos,
    /// When it ended.
    pub end: Nanos,
    /// What it was.
    pub doing: Doing,
}

/// The last spans of one core.
#[derive(Debug)]
pub(crate) struct Tape {
    spans: VecDeque<Span>,
    limit: usize,
}

impl Tape {
    pub(crate) fn new(limit: usize) -> Self {
        Self { spans: VecDeque::new(), limit }
    }

    pub(crate) fn record(&mut self, span: Span) {
        if self.spans.len() >= self.limit {
            self.spans.pop_front();
        }
        self.spans.push_back(span);
    }
}

/// The last spans of every core: see [`Control::trace`](crate::Control::trace).
#[derive(Clone, Debug, Default)]
pub struct Trace {
    cores: Vec<Vec<Span>>,
    stages: Vec<Cow<'static, str>>,
}

impl Trace {
    pub(crate) fn new(stages: Vec<Cow<'static, str>>) -> Self {
        Self { cores: Vec::new(), stages }
    }

    pub(crate) fn push(&mut self, tape: &Tape) {
        self.cores.push(tape.spans.iter().copied().collect());
    }

    /// The spans of a core, in order of their ends; none of a core that does not exist.
    #[must_use]
    pub fn spans(&self, core: CoreId) -> &[Span] {
        self.cores.get(core.index()).map_or(&[], |spans| spans)
    }

    /// Writes all spans in the trace event format (JSON), times in microseconds since the machine was made.
    ///
    /// # Errors
    /// Those of `to`, which is written to in small pieces: let it be buffered.
    pub fn write_chrome(&self, to: &mut impl Write) -> io::Result<()> {
        write!(to, "{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
        let mut separator = "\n";
        for (core, spans) in self.cores.iter().enumerate() {
            write!(
                to,
                "{separator}{{\"ph\":\"M\",\"pid\":0,\"tid\":{core},\"name\":\"thread_name\","
            )?;
            write!(to, "\"args\":{{\"name\":\"core {core}\"}}}}")?;
            separator = ",\n";
            for span in spans {
                write!(to, "{separator}{{\"ph\":\"X\",\"pid\":0,\"tid\":{core},")?;
                write!(
                    to,
                    "\"ts\":{},\"dur\":{},",
                    Micros(span.start),
                    Micros(span.end - span.start)
                )?;
                self.write_doing(to, span.doing)?;
            }
        }
        writeln!(to, "\n]}}")
    }

    fn write_doing(&self, to: &mut impl Write, doing: Doing) -> io::Result<()> {
        match doing {
            Doing::Batch(stage, events) => {
                let name = self.stages.get(stage.index()).map_or("?", |name| name);
                let name = Escaped(name);
                write!(
                    to,
                    "\"cat\":\"batch\",\"name\":\"{name}\",\"args\":{{\"events\":{events}}}}}"
                )
            }
            Doing::Wait => write!(to, "\"cat\":\"wait\",\"name\":\"wait\"}}"),
            Doing::Theft(CoreId(victim)) => {
                write!(
                    to,
                    "\"cat\":\"theft\",\"name\":\"theft\",\"args\":{{\"victim\":{victim}}}}}"
                )
            }
        }
    }
}

struct Micros(Nanos);

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// A name as the inside of a JSON string.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => write!(f, "\\{letter}")?,
                letter if letter.is_control() => write!(f, "\\u{:04x}", u32::from(letter))?,
                letter => write!(f, "{letter}")?,
            }
        }
        Ok(())
    }
}
