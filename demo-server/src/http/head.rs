//! What a valid request head asks for, gathered in one pass over its fields.

use httparse::Header;

use super::status::{Refusal, Status};
use super::target::{self, Target};

/// The methods that files have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The file.
    Get,
    /// The same head, no body.
    Head,
}

/// How the end of the request's body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLen {
    /// There is none.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A request head; slices point into the bytes it was parsed from, nothing is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// GET or HEAD.
    pub method: Method,
    /// Path as sent, from its slash on, without the query: input of [`path::resolve`](super::path::resolve).
    pub path: &'a [u8],
    /// Behind the question mark.
    pub query: Option<&'a [u8]>,
    /// The client speaks HTTP/1.0.
    pub http10: bool,
    /// The connection outlives this request. An HTTP/1.0 client then wants to read so in the answer.
    pub keep_alive: bool,
    /// The host asked for, with its port; empty if an HTTP/1.0 client named none.
    pub host: &'a [u8],
    /// What follows the head.
    pub body: BodyLen,
    /// The client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// `If-Match`.
    pub if_match: Option<&'a [u8]>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a [u8]>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a [u8]>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<&'a [u8]>,
    /// `If-Range`.
    pub if_range: Option<&'a [u8]>,
    /// `Range`.
    pub range: Option<&'a [u8]>,
    /// Bytes of the head, with an empty line before it and its closing empty line.
    pub head_len: usize,
}

impl<'a> Head<'a> {
    /// Judges the parts of a well-formed head. Faults of framing and routing come first, because an
    /// intermediary may have read such a request differently; then the method, the target, `Expect`.
    pub(super) fn assemble(
        method: impl FnOnce() -> Result<Method, Refusal>,
        target: &'a [u8],
        http10: bool,
        headers: &[Header<'a>],
        head_len: usize,
    ) -> Result<Self, Refusal> {
        let fields = Fields::gather(headers)?;
        let body = fields.body(http10)?;
        let host = fields.host(http10)?;
        let method = method()?;
        let Target { path, query, authority } = target::split(target)?;
        let expects_continue = fields.expects_continue(http10)?;
        Ok(Head {
            method,
            path,
            query,
            http10,
            keep_alive: fields.keep_alive(http10),
            host: authority.unwrap_or(host),
            body,
            expect_continue: expects_continue && body != BodyLen::None,
            if_match: fields.if_match,
            if_none_match: fields.if_none_match,
            if_modified_since: fields.if_modified_since,
            if_unmodified_since: fields.if_unmodified_since,
            if_range: fields.if_range,
            range: fields.range,
            head_len,
        })
    }
}

/// The fields that decide something; the others are only checked for their form.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    expect: Option<&'a [u8]>,
    if_match: Option<&'a [u8]>,
    if_none_match: Option<&'a [u8]>,
    if_modified_since: Option<&'a [u8]>,
    if_unmodified_since: Option<&'a [u8]>,
    if_range: Option<&'a [u8]>,
    range: Option<&'a [u8]>,
    says_close: bool,
    says_keep_alive: bool,
}

impl<'a> Fields<'a> {
    /// Sorts the fields. A second copy of one that decides something is refused: which of the two
    /// counts is what request smuggling lives on, and no client sends them.
    fn gather(headers: &[Header<'a>]) -> Result<Self, Refusal> {
        let mut fields = Fields::default();
        for header in headers {
            let Some(slot) = fields.slot(header.name, header.value) else {
                continue;
            };
            if slot.replace(header.value).is_some() {
                return Err(Refusal::bad("a header field that may stand only once"));
            }
        }
        Ok(fields)
    }

    /// Where a field belongs; by length first, so that most names cost one comparison at most.
    fn slot(&mut self, name: &str, value: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        let (expected, slot) = match name.len() {
            4 => ("host", &mut self.host),
            5 => ("range", &mut self.range),
            6 => ("expect", &mut self.expect),
            8 if matches!(name.as_bytes()[3], b'm' | b'M') => ("if-match", &mut self.if_match),
            8 => ("if-range", &mut self.if_range),
            10 => {
                if name.eq_ignore_ascii_case("connection") {
                    self.connection(value);
                }
                return None;
            }
            13 => ("if-none-match", &mut self.if_none_match),
            14 => ("content-length", &mut self.content_length),
            17 if matches!(name.as_bytes()[0], b'i' | b'I') => {
                ("if-modified-since", &mut self.if_modified_since)
            }
            17 => ("transfer-encoding", &mut self.transfer_encoding),
            19 => ("if-unmodified-since", &mut self.if_unmodified_since),
            _ => return None,
        };
        name.eq_ignore_ascii_case(expected).then_some(slot)
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            self.says_close |= option.eq_ignore_ascii_case(b"close");
            self.says_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn keep_alive(&self, http10: bool) -> bool {
        !self.says_close && (!http10 || self.says_keep_alive)
    }

    fn host(&self, http10: bool) -> Result<&'a [u8], Refusal> {
        match self.host {
            Some(host) if target::is_authority(host) => Ok(host),
            Some(_) => Err(Refusal::bad("an invalid Host")),
            None if http10 => Ok(b""),
            None => Err(Refusal::bad("no Host")),
        }
    }

    fn body(&self, http10: bool) -> Result<BodyLen, Refusal> {
        match (self.content_length, self.transfer_encoding) {
            (None, None) => Ok(BodyLen::None),
            (Some(length), None) => decimal(length).map(BodyLen::Length),
            (None, Some(_)) if http10 => Err(Refusal::bad("Transfer-Encoding in HTTP/1.0")),
            (None, Some(coding)) => chunked(coding),
            (Some(_), Some(_)) => Err(Refusal::bad("Content-Length and Transfer-Encoding")),
        }
    }

    fn expects_continue(&self, http10: bool) -> Result<bool, Refusal> {
        match self.expect {
            None => Ok(false),
            // RFC 9110 §10.1.1: an HTTP/1.0 client's expectation is ignored.
            Some(_) if http10 => Ok(false),
            Some(expected) if expected.eq_ignore_ascii_case(b"100-continue") => Ok(true),
            Some(_) => Err(Refusal::new(
                Status::ExpectationFailed,
                "an expectation other than 100-continue",
            )),
        }
    }
}

/// Digits and nothing else, within 64 bits.
fn decimal(text: &[u8]) -> Result<u64, Refusal> {
    const FAULT: Refusal = Refusal::bad("an invalid Content-Length");
    if text.is_empty() {
        return Err(FAULT);
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit <= 9)
            .then(|| value.checked_mul(10)?.checked_add(u64::from(digit)))
            .flatten()
            .ok_or(FAULT)
    })
}

/// `chunked` alone is understood. Another coding beneath a final `chunked` is 501; a body whose end
/// `chunked` does not mark, or a list that is none, is 400.
fn chunked(coding: &[u8]) -> Result<BodyLen, Refusal> {
    if coding.eq_ignore_ascii_case(b"chunked") {
        return Ok(BodyLen::Chunked);
    }
    let mut last: &[u8] = b"";
    for item in coding.split(|byte| *byte == b',') {
        if last.eq_ignore_ascii_case(b"chunked") || item.trim_ascii().is_empty() {
            return Err(Refusal::bad("an invalid Transfer-Encoding"));
        }
        last = item.trim_ascii();
    }
    if last.eq_ignore_ascii_case(b"chunked") {
        Err(Refusal::new(Status::NotImplemented, "a transfer coding other than chunked"))
    } else {
        Err(Refusal::bad("a transfer coding that does not end the body"))
    }
}
