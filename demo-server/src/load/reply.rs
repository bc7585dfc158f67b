//! Where one HTTP reply ends and the next begins, in whatever pieces they arrive.
//!
//! Pure: bytes in, finished replies out. Bodies are counted, not kept.

use thiserror::Error;

/// A head longer than this is refused.
const MAX_HEAD: usize = 64 * 1024;
/// Headers beyond this number are refused.
const MAX_HEADERS: usize = 100;

/// What matters of a finished reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The server will answer nothing more on this connection.
    pub close: bool,
}

/// The server's bytes are not HTTP/1.x.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ReplyError {
    /// The status line or a header is malformed.
    #[error("malformed reply head: {0}")]
    Head(httparse::Error),
    /// The head does not end within 64 KiB.
    #[error("reply head of more than {MAX_HEAD} bytes")]
    HeadTooLong,
    /// `Content-Length` is not one number.
    #[error("malformed Content-Length")]
    Length,
    /// A chunk does not begin with its size, or does not end where it should.
    #[error("malformed chunk")]
    Chunk,
}

/// Takes bytes in pieces of any size and reports each reply when its last byte has come.
#[derive(Debug, Default)]
pub struct ReplyReader {
    state: State,
    /// The beginning of a head or of a line that has not ended yet.
    partial: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// So many bytes of the body are still to come.
    Body(u64, Reply),
    ChunkSize(Reply),
    /// So many bytes of the chunk, its CRLF included, are still to come.
    Chunk(u64, Reply),
    Trailer(Reply),
    UntilClose(Reply),
}

impl ReplyReader {
    /// Takes the next bytes, and calls `finished` for every reply that ends within them.
    ///
    /// ```
    /// use demo_server::load::{Reply, ReplyReader};
    /// let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
    /// reader.feed(b"HTTP/1.1 200 OK\r\nContent-Le", &mut |reply| replies.push(reply)).unwrap();
    /// reader.feed(b"ngth: 2\r\n\r\nok", &mut |reply| replies.push(reply)).unwrap();
    /// assert_eq!(replies, [Reply { status: 200, close: false }]);
    /// ```
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        finished: &mut impl FnMut(Reply),
    ) -> Result<(), ReplyError> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Head => self.head(bytes)?,
                State::Body(left, reply) => {
                    let (rest, left) = skip(bytes, left);
                    self.state = State::Body(left, reply);
                    rest
                }
                State::ChunkSize(reply) => self.chunk_size(bytes, reply)?,
                State::Chunk(left, reply) => {
                    let (rest, left) = skip(bytes, left);
                    self.state =
                        if left == 0 { State::ChunkSize(reply) } else { State::Chunk(left, reply) };
                    rest
                }
                State::Trailer(reply) => self.trailer(bytes, reply)?,
                State::UntilClose(_) => return Ok(()),
            };
            if let State::Body(0, reply) = self.state {
                self.state = State::Head;
                finished(reply);
            }
        }
        Ok(())
    }

    /// The server has closed the connection: the reply that ends with it, if that is how it ends.
    pub fn end(&mut self) -> Option<Reply> {
        match std::mem::take(&mut self.state) {
            State::UntilClose(reply) => Some(reply),
            _ => None,
        }
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ReplyError> {
        let kept = self.partial.len();
        if kept > 0 {
            self.partial.extend_from_slice(bytes);
        }
        let head = if kept > 0 { self.partial.as_slice() } else { bytes };
        let Some((used, state)) = parse_head(head)? else {
            if head.len() > MAX_HEAD {
                return Err(ReplyError::HeadTooLong);
            }
            if kept == 0 {
                self.partial.extend_from_slice(bytes);
            }
            return Ok(&[]);
        };
        self.state = state;
        self.partial.clear();
        Ok(&bytes[used - kept..])
    }

    fn chunk_size<'a>(&mut self, bytes: &'a [u8], reply: Reply) -> Result<&'a [u8], ReplyError> {
        let (rest, ended) = self.line(bytes)?;
        if ended {
            let size = match httparse::parse_chunk_size(&self.partial) {
                Ok(httparse::Status::Complete((_, size))) => size,
                _ => return Err(ReplyError::Chunk),
            };
            let with_end = size.checked_add(2).ok_or(ReplyError::Chunk)?;
            self.state =
                if size == 0 { State::Trailer(reply) } else { State::Chunk(with_end, reply) };
            self.partial.clear();
        }
        Ok(rest)
    }

    fn trailer<'a>(&mut self, bytes: &'a [u8], reply: Reply) -> Result<&'a [u8], ReplyError> {
        let (rest, ended) = self.line(bytes)?;
        if ended {
            if self.partial == b"\r\n" {
                self.state = State::Body(0, reply);
            }
            self.partial.clear();
        }
        Ok(rest)
    }

    /// Moves bytes to `partial` up to the end of the line; says whether it has come.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Result<(&'a [u8], bool), ReplyError> {
        let end = memchr::memchr(b'\n', bytes);
        let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        self.partial.extend_from_slice(line);
        if self.partial.len() > MAX_HEAD {
            return Err(ReplyError::Chunk);
        }
        Ok((rest, end.is_some()))
    }
}

/// Drops up to `left` bytes, and says how many are then still to come.
fn skip(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (&bytes[here..], left - here as u64)
}

/// The length of a whole head and the state after it; `None` while it is not whole.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, State)>, ReplyError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let used = match response.parse(bytes).map_err(ReplyError::Head)? {
        httparse::Status::Complete(used) => used,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or(0);
    let (mut close, mut length, mut chunked) = (response.version == Some(0), None, false);
    for header in response.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let value =
                std::str::from_utf8(header.value).ok().and_then(|text| text.parse::<u64>().ok());
            if length.is_some() || value.is_none() {
                return Err(ReplyError::Length);
            }
            length = value;
        } else if is("connection") {
            close = !header.value.eq_ignore_ascii_case(b"keep-alive")
                && (close || header.value.eq_ignore_ascii_case(b"close"));
        } else if is("transfer-encoding") {
            chunked = header.value.to_ascii_lowercase().ends_with(b"chunked");
        }
    }
    let state = match (status, length) {
        (100..=199, _) => State::Head,
        (204 | 304, _) => State::Body(0, Reply { status, close }),
        _ if chunked => State::ChunkSize(Reply { status, close }),
        (_, Some(length)) => State::Body(length, Reply { status, close }),
        (_, None) => State::UntilClose(Reply { status, close: true }),
    };
    Ok(Some((used, state)))
}
