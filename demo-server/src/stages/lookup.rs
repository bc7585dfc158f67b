//! A request becomes an answer: which file, which part of it, or why not.
//!
//! A file in memory is answered at once. Another one is opened, looked at and, if it is small, read, each by a
//! call posted to the ring whose completion comes back to this stage.

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use flexsc_ring::{Call, FileStat, Value};
use stingy_alloc::Slot;

use crate::connection::{Connection, Outcome, Task};
use crate::files::{Content, FileEntry, Found, Identity, SMALL};
use crate::http::conditional::{self, Verdict};
use crate::http::range::{self, Ranged};
use crate::http::status::Status;
use crate::stages::{RESPONSE, Stage};
use crate::wiring::{Cx, Event};

/// What a directory's path stands for.
const INDEX: &[u8] = b"index.html";
/// Where the live page is.
const LIVE: &[u8] = b"-";
/// Times that an open is tried again when the tree changes under it.
const OPEN_RETRIES: u8 = 3;
/// Room that a head needs beside a body in one object.
const HEAD_ROOM: usize = 512;

/// What is known after an event.
enum Step {
    /// A call was posted; its completion goes on.
    Posted,
    /// The answer.
    Known(Outcome),
}

/// Finds the file, or takes the next step towards it.
pub(super) fn lookup(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, event: Event) {
    let Some(mut task) = connection.task.take() else { return cx.settle(connection) };
    let step = match event {
        Event::Done(result) => go_on(cx, connection, &mut task, result.map_err(|f| f.error)),
        _ => begin(cx, connection, &mut task),
    };
    if let Step::Known(outcome) = step {
        let next = answer(cx, connection, &mut task, outcome);
        connection.task = Some(task);
        cx.deliver(connection, next);
    } else {
        connection.task = Some(task);
    }
}

fn begin(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, task: &mut Task) -> Step {
    let Some(request) = &task.request else {
        return Step::Known(Outcome::Status(Status::BadRequest));
    };
    let path = request.path();
    let missing = Outcome::Status(Status::NotFound);
    if path.split(|byte| *byte == b'/').next() == Some(LIVE) {
        let page = cx.live_page(connection, path, request.head().host);
        return Step::Known(page.map_or(missing, |page| Outcome::File(Arc::new(page))));
    }
    let path = with_index(path, request.wants_directory());
    if cx.serves_sample() {
        return Step::Known(cx.sample_page(&path).map_or(missing, Outcome::File));
    }
    match cx.find_file(&path) {
        Found::Fresh(entry) => Step::Known(Outcome::File(entry)),
        Found::Check => open(cx, connection, &path),
    }
}

/// The path of the file that is meant: a directory's index, or the path itself.
fn with_index(path: &[u8], directory: bool) -> std::borrow::Cow<'_, [u8]> {
    match (directory, path.is_empty()) {
        (false, _) => path.into(),
        (true, true) => INDEX.into(),
        (true, false) => [path, b"/", INDEX].concat().into(),
    }
}

fn open(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, path: &[u8]) -> Step {
    let Ok(path) = CString::new(path) else {
        return Step::Known(Outcome::Status(Status::BadRequest));
    };
    let call = cx.open_beneath_root(path);
    cx.post(connection, call, Stage::Lookup);
    Step::Posted
}

/// Goes on after a completion: opened, looked at, read.
fn go_on(
    cx: &mut Cx<'_, '_, '_>,
    connection: &mut Connection,
    task: &mut Task,
    result: io::Result<Value<Slot>>,
) -> Step {
    let Some(request) = &task.request else {
        return Step::Known(Outcome::Status(Status::BadRequest));
    };
    let path = with_index(request.path(), request.wants_directory());
    match result {
        Ok(Value::Opened(file)) => {
            let call = Call::stat_fd(file.as_raw_fd());
            task.opening.file = Some(file);
            cx.post(connection, call, Stage::Lookup);
            Step::Posted
        }
        Ok(Value::Stat(stat)) => {
            task.opening.stat = Some(stat);
            look(cx, connection, task, stat)
        }
        Ok(Value::Moved { n, buf }) => fill(cx, connection, task, n, buf),
        Ok(_) => Step::Known(Outcome::Status(Status::InternalServerError)),
        Err(error)
            if error.kind() == io::ErrorKind::WouldBlock && task.opening.retries < OPEN_RETRIES =>
        {
            task.opening.retries += 1;
            open(cx, connection, &path)
        }
        Err(error) => {
            let status = status_of(&error);
            if matches!(status, Status::NotFound | Status::Forbidden) {
                cx.forget_file(&path);
            }
            Step::Known(Outcome::Status(status))
        }
    }
}

/// Goes on after a read of a small file: reads the rest, or keeps what it has if that is the whole file.
fn fill(
    cx: &mut Cx<'_, '_, '_>,
    connection: &mut Connection,
    task: &mut Task,
    n: usize,
    buf: Slot,
) -> Step {
    let opening = &mut task.opening;
    let (Some(request), Some(stat), Some(file)) =
        (&task.request, opening.stat, opening.file.take())
    else {
        return Step::Known(Outcome::Status(Status::InternalServerError));
    };
    opening.read += n;
    let (read, size) = (opening.read, stat.size as usize);
    if n > 0 && read < size {
        let call = Call::read(file.as_raw_fd(), buf, read..size, read as u64);
        opening.file = Some(file);
        cx.post(connection, call, Stage::Lookup);
        return Step::Posted;
    }
    cx.close_file(file);
    let path = with_index(request.path(), request.wants_directory());
    let entry = FileEntry::of(&path, &stat, Content::Memory(buf[..read.min(size)].into()));
    if read < size {
        // It is being written: what was there is served, and not kept.
        return Step::Known(Outcome::File(Arc::new(entry)));
    }
    Step::Known(cx.keep_file(&path, entry))
}

/// Decides what to do with a file that is open.
fn look(
    cx: &mut Cx<'_, '_, '_>,
    connection: &mut Connection,
    task: &mut Task,
    stat: FileStat,
) -> Step {
    let (Some(request), Some(file)) = (&task.request, task.opening.file.take()) else {
        return Step::Known(Outcome::Status(Status::InternalServerError));
    };
    let path = with_index(request.path(), request.wants_directory());
    if stat.is_dir() && !request.wants_directory() {
        return Step::Known(Outcome::Moved);
    }
    if !stat.is_file() {
        return Step::Known(Outcome::Status(Status::NotFound));
    }
    if let Some(entry) = cx.confirm_file(&path, &Identity::of(&stat)) {
        cx.close_file(file);
        return Step::Known(Outcome::File(entry));
    }
    if stat.size <= SMALL {
        let size = stat.size as usize;
        let call = Call::read(file.as_raw_fd(), Slot::heap(size), 0..size, 0);
        task.opening.file = Some(file);
        cx.post(connection, call, Stage::Lookup);
        return Step::Posted;
    }
    Step::Known(cx.keep_file(&path, FileEntry::of(&path, &stat, Content::Open(file))))
}

/// Applies the request's conditions and range, and says which stage answers.
fn answer(
    cx: &mut Cx<'_, '_, '_>,
    connection: &mut Connection,
    task: &mut Task,
    outcome: Outcome,
) -> Stage {
    let (outcome, body) = match (&task.request, outcome) {
        (Some(request), Outcome::File(file)) if file.identity.is_some() || is_static(&file) => {
            let head = request.head();
            let (validators, size) = (*file.prepared.validators(), file.prepared.size());
            match conditional::evaluate(&head, &validators) {
                Verdict::NotModified => (Outcome::NotModified(file), 0),
                Verdict::PreconditionFailed => (Outcome::Status(Status::PreconditionFailed), 0),
                Verdict::Proceed => {
                    let wanted = conditional::applicable_range(&head, &validators);
                    match wanted.map_or(Ranged::Whole, |value| range::select(value, size)) {
                        Ranged::Whole => (Outcome::File(file), size),
                        Ranged::Part(part) => (Outcome::Part(file, part), part.len()),
                        Ranged::Unsatisfiable => (Outcome::Unsatisfiable(size), 0),
                    }
                }
            }
        }
        (_, Outcome::File(file)) => {
            let size = file.prepared.size();
            (Outcome::File(file), size)
        }
        (_, outcome) => (outcome, 0),
    };
    let in_memory = match &outcome {
        Outcome::File(file) | Outcome::Part(file, _) => file.bytes().is_some(),
        _ => true,
    };
    task.outcome = Some(outcome);
    let is_head = task.request.as_ref().is_some_and(|request| request.is_head());
    if is_head || (in_memory && body <= (RESPONSE.size - HEAD_ROOM) as u64) {
        return Stage::Respond;
    }
    super::stream::begin(cx, connection, task);
    Stage::Stream
}

fn is_static(file: &FileEntry) -> bool {
    matches!(file.content, Content::Static(_))
}

/// What an error of the file system means to a client. Paths that lead out of the root are not there.
fn status_of(error: &io::Error) -> Status {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, QuotaExceeded, WouldBlock};
    match (error.kind(), error.raw_os_error()) {
        (PermissionDenied, _) => Status::Forbidden,
        (OutOfMemory | QuotaExceeded | WouldBlock, _) => Status::ServiceUnavailable,
        (_, Some(code)) if crate::sys::is_out_of_descriptors(code) => Status::ServiceUnavailable,
        (_, Some(code)) if crate::sys::is_io_failure(code) => Status::InternalServerError,
        _ => Status::NotFound,
    }
}
