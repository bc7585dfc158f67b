//! Where a request's body ends. GET and HEAD have no use for a body, but the next request starts
//! behind it, so it is read exactly and thrown away.

use super::head::BodyLen;
use super::status::{Refusal, Status};

/// Body bytes drained at most, unless told otherwise: 1 MiB.
pub const DEFAULT_LIMIT: u64 = 1 << 20;

/// Digits of a chunk size: 16 hold any 64-bit number.
const SIZE_DIGITS: u8 = 16;
/// Bytes of all trailer fields together; more are 431.
const TRAILER_LIMIT: u16 = 8 << 10;

/// What one call of [`Drain::feed`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// Bytes that belonged to the body.
    pub used: usize,
    /// The body is over; bytes from `used` on are the next request.
    pub done: bool,
}

/// Consumes a body as its bytes arrive, in pieces of any size.
#[derive(Clone, Debug)]
pub struct Drain {
    state: State,
    /// Bytes of chunk data and chunk extensions that may still come.
    allowance: u64,
    trailer: u16,
}

/// Where in the body the next byte stands (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This many bytes of a `Content-Length` body to go.
    Length(u64),
    /// In a chunk size that has this value and this many digits so far.
    Size(u64, u8),
    /// In the extensions of a chunk of this size.
    Extension(u64),
    /// Behind the CR that ends the line of a chunk of this size.
    SizeLf(u64),
    /// This many bytes of chunk data to go.
    Data(u64),
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the last, empty line.
    Line,
    Name,
    Value,
    ValueLf,
    LastLf,
    Done,
}

impl Drain {
    /// Prepares to consume a body of at most `limit` bytes; a longer one is 413, at once if it says so.
    pub fn new(body: BodyLen, limit: u64) -> Result<Self, Refusal> {
        let state = match body {
            BodyLen::None | BodyLen::Length(0) => State::Done,
            BodyLen::Length(length) if length > limit => return Err(TOO_LARGE),
            BodyLen::Length(length) => State::Length(length),
            BodyLen::Chunked => State::Size(0, 0),
        };
        Ok(Drain { state, allowance: limit, trailer: TRAILER_LIMIT })
    }

    /// Whether the body is over.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Consumes the start of `input` that belongs to the body. After a refusal the drain is of no use.
    pub fn feed(&mut self, input: &[u8]) -> Result<Fed, Refusal> {
        let mut used = 0;
        while used < input.len() && self.state != State::Done {
            used += match self.state {
                State::Length(left) => self.skip(input.len() - used, left, State::Length),
                State::Data(left) => self.skip(input.len() - used, left, State::Data),
                state => {
                    self.state = self.step(state, input[used])?;
                    1
                }
            };
        }
        Ok(Fed { used, done: self.is_done() })
    }

    fn skip(&mut self, available: usize, left: u64, rest: fn(u64) -> State) -> usize {
        let step = usize::try_from(left).map_or(available, |left| left.min(available));
        let left = left - step as u64;
        self.state = match (left, self.state) {
            (0, State::Data(_)) => State::DataCr,
            (0, _) => State::Done,
            _ => rest(left),
        };
        step
    }

    fn step(&mut self, state: State, byte: u8) -> Result<State, Refusal> {
        match (state, byte) {
            (State::Size(size, digits), _) => self.size(size, digits, byte),
            (State::Extension(size), b'\r') => Ok(State::SizeLf(size)),
            (State::Extension(size), _) if is_text(byte) => {
                self.take(1)?;
                Ok(State::Extension(size))
            }
            (State::SizeLf(0), b'\n') => Ok(State::Line),
            (State::SizeLf(size), b'\n') => {
                self.take(size)?;
                Ok(State::Data(size))
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size(0, 0)),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::Line | State::Name | State::Value | State::ValueLf, _) => {
                self.trailer(state, byte)
            }
            _ => Err(Refusal::bad("an invalid chunk")),
        }
    }

    /// Hexadecimal digits, then CR or `;`: no sign, no prefix, no space.
    fn size(&mut self, size: u64, digits: u8, byte: u8) -> Result<State, Refusal> {
        match byte {
            b'\r' if digits > 0 => Ok(State::SizeLf(size)),
            b';' if digits > 0 => Ok(State::Extension(size)),
            _ if digits < SIZE_DIGITS => match char::from(byte).to_digit(16) {
                Some(digit) => Ok(State::Size(size << 4 | u64::from(digit), digits + 1)),
                None => Err(Refusal::bad("an invalid chunk size")),
            },
            _ => Err(Refusal::bad("an invalid chunk size")),
        }
    }

    /// Trailer fields have the form of header fields and are dropped.
    fn trailer(&mut self, state: State, byte: u8) -> Result<State, Refusal> {
        self.trailer = self
            .trailer
            .checked_sub(1)
            .ok_or(Refusal::new(Status::HeaderFieldsTooLarge, "trailer fields exceed the limit"))?;
        match (state, byte) {
            (State::Line, b'\r') => Ok(State::LastLf),
            (State::Line | State::Name, _) if is_token(byte) => Ok(State::Name),
            (State::Name, b':') => Ok(State::Value),
            (State::Value, b'\r') => Ok(State::ValueLf),
            (State::Value, _) if is_text(byte) => Ok(State::Value),
            (State::ValueLf, b'\n') => Ok(State::Line),
            _ => Err(Refusal::bad("an invalid trailer field")),
        }
    }

    fn take(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.allowance = self.allowance.checked_sub(bytes).ok_or(TOO_LARGE)?;
        Ok(())
    }
}

const TOO_LARGE: Refusal = Refusal::new(Status::ContentTooLarge, "the body exceeds the limit");

/// Bytes of a field value: visible, space, tab, and the high half.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Bytes of a field name (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
