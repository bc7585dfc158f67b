//! The next chunk of a large body is read.
//!
//! A chunk that is in memory is copied and sent at once; one on disk is read by a posted call, and `ship` sends it.
//! With `--body sendfile` the kernel moves the bytes and no chunk is allocated for them.

use std::os::fd::AsRawFd;

use flexsc_ring::Call;

use crate::config::BodyPolicy;
use crate::connection::{Connection, Outcome, Task, Transfer};
use crate::files::Content;
use crate::http::reply::write_head;
use crate::stages::{CHUNK, REQUEST, Stage, respond};
use crate::wiring::Cx;

/// Bytes that one `sendfile` may move: it holds a syscall thread for as long.
const SENDFILE_MAX: u64 = 256 << 10;
/// Room for the head of a transfer.
const HEAD_MAX: usize = 2048;

/// Writes the head of a large answer and notes what is to follow it.
pub(super) fn begin(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, task: &mut Task) {
    let mut head = vec![0; HEAD_MAX];
    let (len, status) = respond::with_head(cx, task, |reply| {
        (write_head(&mut head, reply).unwrap_or(0), reply.status())
    });
    head.truncate(len);
    cx.count_answer(status);
    let (file, offset, end) = match task.outcome.take() {
        Some(Outcome::File(file)) => {
            let size = file.prepared.size();
            (file, 0, size)
        }
        Some(Outcome::Part(file, part)) => (file, part.start, part.end),
        outcome => {
            task.outcome = outcome;
            return;
        }
    };
    let keep_alive = task.keep_alive;
    connection.transfer = Some(Box::new(Transfer { file, offset, end, head, keep_alive }));
}

/// Gets the next part of the body on its way.
pub(super) fn stream(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) {
    let task = connection.task.take();
    cx.watch_answer(connection);
    cx.free(REQUEST, task.and_then(|task| task.request).map(|request| request.into_slot()));
    let socket = connection.fd();
    let Some(transfer) = connection.transfer.as_mut() else { return cx.settle(connection) };
    let left = transfer.end - transfer.offset;
    let by_kernel = cx.body() == BodyPolicy::Sendfile && transfer.head.is_empty();
    if let (true, Content::Open(file)) = (by_kernel, &transfer.file.content) {
        let len = left.min(SENDFILE_MAX);
        let call = Call::sendfile(socket, file.as_raw_fd(), transfer.offset, len as usize);
        return cx.post(connection, call, Stage::Advance);
    }
    let mut chunk = cx.alloc(CHUNK, CHUNK.size);
    let head = transfer.head.len();
    chunk[..head].copy_from_slice(&transfer.head);
    let room = (chunk.len() - head) as u64;
    let end = head + left.min(room) as usize;
    match &transfer.file.content {
        Content::Open(file) => {
            let call = Call::read(file.as_raw_fd(), chunk, head..end, transfer.offset);
            cx.post(connection, call, Stage::Ship);
        }
        _ => {
            let bytes = transfer.file.bytes().unwrap_or_default();
            let from = transfer.offset as usize;
            chunk[head..end].copy_from_slice(&bytes[from..from + (end - head)]);
            cx.send_chunk(connection, chunk, end, Stage::Advance);
        }
    }
}
