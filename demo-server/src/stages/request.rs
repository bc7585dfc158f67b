//! A request between `parse` and the stage that answers it: what is needed of its head, packed into one object.

use stingy_alloc::Slot;

use crate::http::head::{BodyLen, Head, Method};

/// A part of the object; absent fields have no bytes and are told apart by [`Fields`].
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u16,
    len: u16,
}

/// The fields of a head that an answer depends on, in the order in which they are packed.
const FIELDS: usize = 8;

/// What a client asked for.
#[derive(Debug)]
pub struct Request {
    slot: Slot,
    path: Span,
    fields: [Option<Span>; FIELDS],
    method: Method,
    http10: bool,
    keep_alive: bool,
    directory: bool,
}

fn fields<'a>(head: &Head<'a>) -> [Option<&'a [u8]>; FIELDS] {
    [
        head.query,
        Some(head.host),
        head.if_match,
        head.if_none_match,
        head.if_modified_since,
        head.if_unmodified_since,
        head.if_range,
        head.range,
    ]
}

impl Request {
    /// Bytes that an object must have for [`Request::pack`].
    #[must_use]
    pub fn size(path: &[u8], head: &Head<'_>) -> usize {
        path.len() + fields(head).iter().flatten().map(|field| field.len()).sum::<usize>()
    }

    /// Copies what matters of `head` into `slot`, which has at least [`Request::size`] bytes and at most 64 KiB.
    ///
    /// `path` is the resolved one; `directory` says that a directory was asked for.
    #[must_use]
    pub fn pack(mut slot: Slot, path: &[u8], directory: bool, head: &Head<'_>) -> Self {
        let mut end = 0;
        let mut put = |bytes: &[u8]| {
            let start = end;
            end += bytes.len();
            slot[start..end].copy_from_slice(bytes);
            Span { start: start as u16, len: bytes.len() as u16 }
        };
        let path = put(path);
        let fields = fields(head).map(|field| field.map(&mut put));
        let (method, http10, keep_alive) = (head.method, head.http10, head.keep_alive);
        Self { slot, path, fields, method, http10, keep_alive, directory }
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.slot[usize::from(span.start)..][..usize::from(span.len)]
    }

    /// The path below the root, decoded, without a slash at either end.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.bytes(self.path)
    }

    /// Was a directory asked for?
    #[must_use]
    pub fn wants_directory(&self) -> bool {
        self.directory
    }

    /// The head as far as it was kept; its path is the resolved one.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        let [query, host, if_match, if_none_match, if_modified, if_unmodified, if_range, range] =
            self.fields.map(|span| span.map(|span| self.bytes(span)));
        Head {
            method: self.method,
            path: self.path(),
            query,
            http10: self.http10,
            keep_alive: self.keep_alive,
            host: host.unwrap_or_default(),
            body: BodyLen::None,
            expect_continue: false,
            if_match,
            if_none_match,
            if_modified_since: if_modified,
            if_unmodified_since: if_unmodified,
            if_range,
            range,
            head_len: 0,
        }
    }

    /// Does the client want the head alone?
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == Method::Head
    }

    /// Does the client speak HTTP/1.0?
    #[must_use]
    pub fn is_http10(&self) -> bool {
        self.http10
    }

    /// May the connection go on after the answer?
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// Gives the object back.
    #[must_use]
    pub fn into_slot(self) -> Slot {
        self.slot
    }
}
