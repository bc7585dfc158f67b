//! The bytes of an answer's head. What a file contributes is rendered once, in [`Prepared`]; an answer is
//! then a few copies: status line, date, that block, an empty line.

use super::conditional::Validators;
use super::date::{DateText, imf_fixdate};
use super::mime::{self, ContentType};
use super::page::error_page;
use super::range::Part;
use super::status::Status;

/// The header fields of a file, rendered once and kept with it.
///
/// The block reads `Content-Length`, then `Content-Type` and `Accept-Ranges`, then `Last-Modified` and
/// `ETag`, so that a 206 (own length) and a 304 (validators only) are ends of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    block: Box<[u8]>,
    type_at: u16,
    validators_at: u16,
    size: u64,
    validators: Validators,
}

impl Prepared {
    /// Renders the fields of a file of `size` bytes.
    pub fn new(size: u64, content_type: ContentType, validators: Validators) -> Self {
        let mut block = Vec::with_capacity(256);
        let mut put = |parts: &[&[u8]]| {
            parts.iter().for_each(|part| block.extend_from_slice(part));
            block.len() as u16
        };
        let type_at =
            put(&[b"Content-Length: ", itoa::Buffer::new().format(size).as_bytes(), b"\r\n"]);
        let validators_at = put(&[
            b"Content-Type: ",
            content_type.essence().as_bytes(),
            content_type.parameters().as_bytes(),
            b"\r\nAccept-Ranges: bytes\r\n",
        ]);
        put(&[
            b"Last-Modified: ",
            &imf_fixdate(validators.modified),
            b"\r\nETag: ",
            validators.etag.as_bytes(),
            b"\r\n",
        ]);
        Prepared { block: block.into_boxed_slice(), type_at, validators_at, size, validators }
    }

    /// Bytes of the file.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What [`conditional`](super::conditional) judges by.
    pub const fn validators(&self) -> &Validators {
        &self.validators
    }

    fn from(&self, at: u16) -> &[u8] {
        self.block.get(usize::from(at)..).unwrap_or(&[])
    }
}

/// What the answer says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Nothing: it stays open, as HTTP/1.1 has it.
    Stays,
    /// `keep-alive`: it stays open, as an HTTP/1.0 client asked.
    KeepAlive,
    /// `close`: this is its last answer.
    Close,
}

impl Connection {
    /// What to say to a client: `keep_alive` is the decision, `http10` its language.
    pub const fn of(keep_alive: bool, http10: bool) -> Self {
        match (keep_alive, http10) {
            (true, false) => Connection::Stays,
            (true, true) => Connection::KeepAlive,
            (false, _) => Connection::Close,
        }
    }

    const fn field(self) -> &'static [u8] {
        match self {
            Connection::Stays => b"\r\n",
            Connection::KeepAlive => b"Connection: keep-alive\r\n\r\n",
            Connection::Close => b"Connection: close\r\n\r\n",
        }
    }
}

/// What an answer is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// 200: a file.
    File(&'a Prepared),
    /// 206: a part of a file.
    Part(&'a Prepared, Part),
    /// 304: a file the client has. No body, and no length.
    NotModified(&'a Prepared),
    /// 200: a text made for this request, not to be stored.
    Text(ContentType, u64),
    /// 301: a path, as [`directory_location`](super::path::directory_location) writes it. The body is the status's page.
    Moved(&'a [u8]),
    /// 416: the file's size. The body is the status's page.
    Unsatisfiable(u64),
    /// Any other status; the body is its page.
    Error(Status),
}

/// An answer's head. HEAD has the same head as GET; what differs is that no body follows.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// What it is about.
    pub subject: Subject<'a>,
    /// `Date`, see [`DateCache`](super::date::DateCache).
    pub date: &'a DateText,
    /// What becomes of the connection.
    pub connection: Connection,
}

impl Reply<'_> {
    /// The status of the answer.
    pub const fn status(&self) -> Status {
        match self.subject {
            Subject::File(_) | Subject::Text(..) => Status::Ok,
            Subject::Part(..) => Status::PartialContent,
            Subject::NotModified(_) => Status::NotModified,
            Subject::Moved(_) => Status::MovedPermanently,
            Subject::Unsatisfiable(_) => Status::RangeNotSatisfiable,
            Subject::Error(status) => status,
        }
    }

    /// The body that goes with the head, where it is fixed: an error's page. The bodies of files and
    /// texts are the caller's.
    pub const fn page(&self) -> &'static str {
        error_page(self.status())
    }
}

/// Writes the head of `reply` and returns its length, or `None` if `out` is too small for it.
pub fn write_head(out: &mut [u8], reply: &Reply<'_>) -> Option<usize> {
    let mut out = Out { rest: out, len: 0 };
    out.put(reply.status().opening())?;
    out.put(reply.date)?;
    out.put(b"\r\n")?;
    match reply.subject {
        Subject::File(file) => out.put(&file.block)?,
        Subject::NotModified(file) => out.put(file.from(file.validators_at))?,
        Subject::Part(file, part) => {
            out.number(b"Content-Length: ", part.len())?;
            out.number(b"\r\nContent-Range: bytes ", part.start)?;
            out.number(b"-", part.end.saturating_sub(1))?;
            out.number(b"/", file.size)?;
            out.put(b"\r\n")?;
            out.put(file.from(file.type_at))?;
        }
        Subject::Text(content_type, length) => {
            out.content(content_type, length)?;
            out.put(b"Cache-Control: no-store\r\n")?;
        }
        Subject::Moved(location) => {
            out.put(b"Location: ")?;
            out.put(location)?;
            out.put(b"\r\n")?;
            out.page(reply.page())?;
        }
        Subject::Unsatisfiable(size) => {
            out.number(b"Content-Range: bytes */", size)?;
            out.put(b"\r\n")?;
            out.page(reply.page())?;
        }
        Subject::Error(status) => {
            if status.lists_methods() {
                out.put(b"Allow: GET, HEAD\r\n")?;
            }
            out.page(reply.page())?;
        }
    }
    out.put(reply.connection.field())?;
    Some(out.len)
}

/// The unwritten rest of a buffer.
struct Out<'a> {
    rest: &'a mut [u8],
    len: usize,
}

impl Out<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let rest = std::mem::take(&mut self.rest);
        let (to, rest) = rest.split_at_mut_checked(bytes.len())?;
        to.copy_from_slice(bytes);
        self.rest = rest;
        self.len += bytes.len();
        Some(())
    }

    fn number(&mut self, before: &[u8], number: u64) -> Option<()> {
        self.put(before)?;
        self.put(itoa::Buffer::new().format(number).as_bytes())
    }

    fn content(&mut self, content_type: ContentType, length: u64) -> Option<()> {
        self.number(b"Content-Length: ", length)?;
        self.put(b"\r\nContent-Type: ")?;
        self.put(content_type.essence().as_bytes())?;
        self.put(content_type.parameters().as_bytes())?;
        self.put(b"\r\nX-Content-Type-Options: nosniff\r\n")
    }

    fn page(&mut self, page: &str) -> Option<()> {
        self.content(mime::HTML, page.len() as u64)
    }
}
