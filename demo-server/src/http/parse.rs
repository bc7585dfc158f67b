//! A request head from bytes: `httparse`, held strict where it is lenient.
//!
//! | `httparse` takes | here | by |
//! |---|---|---|
//! | any number of empty lines before the request, LF among them | one CRLF (RFC 9112 §2.2) | `leading_line` |
//! | lines that end in a bare LF | refused | `ends_in_crlf` |
//! | UTF-8 and `#` in the target | visible ASCII without `#` | [`target`](super::target) |
//! | any method token | GET and HEAD; 405 for the known others, 501 for the rest | `method` |
//! | HTTP/1.0 and 1.1, one error for all else | 505 where the version is well formed, else 400 | `wrong_version` |
//! | any fields, in any number of copies | framing and routing fields once and valid | [`head`](super::head) |
//! | a head of any length | [`Limits`] | `within_limits` |
//!
//! It refuses by itself, and the tests hold it to that: bare CR, NUL and other control bytes, space
//! before the colon or before a name, folded lines, empty names, lines without colon, two spaces or a
//! tab in the request line, HTTP/0.9.

use std::mem::MaybeUninit;

use httparse::{Error, Header, ParserConfig, Request};
use memchr::{memchr, memchr_iter};

use super::head::{Head, Method};
use super::status::{Refusal, Status};

/// Most header fields a head can hold, whatever [`Limits::fields`] says; bounds the parser's stack.
pub const MAX_FIELDS: usize = 100;

/// How large a request head may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request line without its CRLF; a longer one is 414.
    pub request_line: usize,
    /// Bytes of the whole head with its closing empty line; a longer one is 431.
    pub head: usize,
    /// Header fields; more are 431. At most [`MAX_FIELDS`].
    pub fields: usize,
}

impl Default for Limits {
    /// 8 KiB of request line, 32 KiB of head, 100 fields.
    fn default() -> Self {
        Limits { request_line: 8 << 10, head: 32 << 10, fields: MAX_FIELDS }
    }
}

impl Limits {
    /// Whether [`parse`] may answer otherwise than `Partial` now that `input` has grown from `seen`
    /// bytes, at which it was `Partial`: a line has ended, or a limit has been passed.
    ///
    /// Asking first keeps a client that sends a head byte by byte from having it parsed at each byte.
    pub fn worth_parsing(&self, input: &[u8], seen: usize) -> bool {
        // The empty line that may stand before a request does not count for the limits.
        let passed = |limit: usize| seen <= limit + 2 && input.len() > limit;
        memchr(b'\n', input.get(seen..).unwrap_or(input)).is_some()
            || passed(self.request_line + 1)
            || passed(self.head)
    }
}

/// What bytes from a connection amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// The beginning of a head that may still become valid: read on.
    Partial,
    /// A whole, valid head; what follows it starts at `head_len`.
    Complete(Head<'a>),
    /// No request, or none that is served: answer and close.
    Refused(Refusal),
}

/// Reads the head at the start of `input`; bytes behind it (a body, the next request) are not looked at.
pub fn parse<'a>(input: &'a [u8], limits: &Limits) -> Parsed<'a> {
    match try_parse(input, limits) {
        Ok(Some(head)) => Parsed::Complete(head),
        Ok(None) => Parsed::Partial,
        Err(refusal) => Parsed::Refused(refusal),
    }
}

fn try_parse<'a>(input: &'a [u8], limits: &Limits) -> Result<Option<Head<'a>>, Refusal> {
    let Some(skipped) = leading_line(input)? else {
        return Ok(None);
    };
    let text = &input[skipped..];
    let mut fields = [const { MaybeUninit::<Header<'a>>::uninit() }; MAX_FIELDS];
    let mut request = Request::new(&mut []);
    let room = &mut fields[..limits.fields.min(MAX_FIELDS)];
    let parsed =
        ParserConfig::default().parse_request_with_uninit_headers(&mut request, text, room);
    match parsed {
        Ok(httparse::Status::Complete(len)) => {
            whole(&request, &text[..len], skipped + len, limits).map(Some)
        }
        Ok(httparse::Status::Partial) => within_limits(text, limits).map(|()| None),
        Err(Error::TooManyHeaders) => {
            Err(Refusal::new(Status::HeaderFieldsTooLarge, "too many header fields"))
        }
        Err(Error::Version) => Err(wrong_version(text)),
        Err(error) => Err(Refusal::bad(fault(error))),
    }
}

/// Bytes of the one empty line that a client may send before a request, or `None` if there is nothing
/// but (the start of) that line.
fn leading_line(input: &[u8]) -> Result<Option<usize>, Refusal> {
    const FAULT: Refusal = Refusal::bad("a line break before the request line");
    match input {
        [] | b"\r" | b"\r\n" => Ok(None),
        [b'\r', b'\n', b'\r' | b'\n', ..] => Err(FAULT),
        [b'\r', b'\n', ..] => Ok(Some(2)),
        [b'\r' | b'\n', ..] => Err(FAULT),
        _ => Ok(Some(0)),
    }
}

/// Judges a head that `httparse` found whole; `text` is all of it.
fn whole<'a>(
    request: &Request<'_, 'a>,
    text: &'a [u8],
    head_len: usize,
    limits: &Limits,
) -> Result<Head<'a>, Refusal> {
    let (Some(name), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Refusal::bad("no request line"));
    };
    // One space between the parts: `httparse` has seen to that.
    if name.len() + target.len() + " ".len() * 2 + "HTTP/1.1".len() > limits.request_line {
        return Err(LINE_TOO_LONG);
    }
    if text.len() > limits.head {
        return Err(HEAD_TOO_LONG);
    }
    ends_in_crlf(text, request.headers.len() + 2)?;
    Head::assemble(|| method(name), target.as_bytes(), minor == 0, request.headers, head_len)
}

const LINE_TOO_LONG: Refusal =
    Refusal::new(Status::UriTooLong, "the request line exceeds the limit");
const HEAD_TOO_LONG: Refusal =
    Refusal::new(Status::HeaderFieldsTooLarge, "the head exceeds the limit");
const BARE_LF: Refusal = Refusal::bad("a line that ends in LF alone");

/// As `httparse` lets no CR stand alone, a head of n lines has n CRs if each line ends in CRLF.
fn ends_in_crlf(text: &[u8], lines: usize) -> Result<(), Refusal> {
    if memchr_iter(b'\r', text).count() == lines { Ok(()) } else { Err(BARE_LF) }
}

/// Refuses the beginning of a head as soon as no continuation can make it acceptable.
fn within_limits(text: &[u8], limits: &Limits) -> Result<(), Refusal> {
    if memchr_iter(b'\n', text).any(|lf| lf == 0 || text[lf - 1] != b'\r') {
        return Err(BARE_LF);
    }
    // Without its LF, the line may end in the CR already.
    let line = memchr(b'\n', text).unwrap_or(text.len());
    if line > limits.request_line + 1 {
        return Err(LINE_TOO_LONG);
    }
    if text.len() > limits.head {
        return Err(HEAD_TOO_LONG);
    }
    Ok(())
}

fn method(name: &str) -> Result<Method, Refusal> {
    match name {
        "GET" => Ok(Method::Get),
        "HEAD" => Ok(Method::Head),
        "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "TRACE" | "CONNECT" => {
            Err(Refusal::new(Status::MethodNotAllowed, "a method that files do not have"))
        }
        _ => Err(Refusal::new(Status::NotImplemented, "an unknown method")),
    }
}

/// 505 for a version that is well formed and not ours, 400 for all else that stands in its place.
fn wrong_version(text: &[u8]) -> Refusal {
    let version = text.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or(&[]);
    match version {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, rest @ ..]
            if major.is_ascii_digit()
                && minor.is_ascii_digit()
                && matches!(rest, [] | b"\r" | [b'\r', b'\n', ..]) =>
        {
            Refusal::new(Status::VersionNotSupported, "not HTTP/1.0 or HTTP/1.1")
        }
        _ => Refusal::bad("no HTTP version where one belongs"),
    }
}

fn fault(error: Error) -> &'static str {
    match error {
        Error::HeaderName => "an invalid header name",
        Error::HeaderValue => "an invalid byte in a header value",
        Error::NewLine => "an invalid line break",
        Error::Token => "an invalid byte in the request line",
        _ => "not an HTTP request",
    }
}
