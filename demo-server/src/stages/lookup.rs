//! A request becomes an answer: which file, which part of it, or why not.
//!
//! A file in memory is answered at once. Another one is opened, looked at and, if it is new, read from its beginning, by
//! one chain of calls whose completion comes back to this stage.

use std::ffi::CString;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use flexsc_ring::{Call, Chain, Failure, FileStat, OPENED, Value};
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
/// Bytes of a new file that are read together with opening it.
const FIRST: usize = 16 << 10;
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
        Found::Check { known } => open(cx, connection, &path, known),
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

/// Opens a file and looks at it; one that was not `known` is read too, as it is likely to be small.
fn open(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, path: &[u8], known: bool) -> Step {
    let Ok(path) = CString::new(path) else {
        return Step::Known(Outcome::Status(Status::BadRequest));
    };
    let mut chain = Chain::new().then(cx.open_beneath_root(path)).then(Call::stat_fd(OPENED));
    if !known {
        chain = chain.then(Call::read(OPENED, Slot::heap(FIRST), 0..FIRST, 0));
    }
    cx.post(connection, Call::chain(chain), Stage::Lookup);
    Step::Posted
}

/// Goes on after a completion: opened and looked at, or read.
fn go_on(
    cx: &mut Cx<'_, '_, '_>,
    connection: &mut Connection,
    task: &mut Task,
    result: io::Result<Value<Slot>>,
) -> Step {
    match result {
        Ok(Value::Chain(results)) => opened(cx, connection, task, results),
        Ok(Value::Moved { n, buf }) => fill(cx, connection, task, n, buf),
        Ok(_) => Step::Known(Outcome::Status(Status::InternalServerError)),
        Err(error) => refused(cx, connection, task, &error),
    }
}

/// Goes on after a file was opened, looked at and perhaps read, or after the first of these that failed.
fn opened(
    cx: &mut Cx<'_, '_, '_>,
    connection: &mut Connection,
    task: &mut Task,
    results: Vec<Result<Value<Slot>, Failure<Slot>>>,
) -> Step {
    let mut first = None;
    for result in results {
        match result {
            Ok(Value::Opened(file)) => task.opening.file = Some(file),
            Ok(Value::Stat(stat)) => task.opening.stat = Some(stat),
            Ok(Value::Moved { n, buf }) => first = Some((n, buf)),
            Ok(_) => {}
            // What cannot be read, such as a directory, is known by its kind.
            Err(_) if task.opening.stat.is_some() => {}
            Err(failure) => return refused(cx, connection, task, &failure.error),
        }
    }
    match task.opening.stat {
        Some(stat) => look(cx, connection, task, stat, first),
        None => Step::Known(Outcome::Status(Status::InternalServerError)),
    }
}

/// Tries again if the tree has changed under an open, or answers with what the error means.
fn refused(
    cx: &mut Cx<'_, '_, '_>,
    connection: &mut Connection,
    task: &mut Task,
    error: &io::Error,
) -> Step {
    let Some(request) = &task.request else {
        return Step::Known(Outcome::Status(Status::BadRequest));
    };
    let path = with_index(request.path(), request.wants_directory());
    if error.kind() == io::ErrorKind::WouldBlock && task.opening.retries < OPEN_RETRIES {
        task.opening.retries += 1;
        return open(cx, connection, &path, false);
    }
    let status = status_of(error);
    if matches!(status, Status::NotFound | Status::Forbidden) {
        cx.forget_file(&path);
    }
    Step::Known(Outcome::Status(status))
}

/// Posts a read of a part of the open file.
fn read(
    cx: &mut Cx<'_, '_, '_>,
    connection: &mut Connection,
    task: &mut Task,
    buf: Slot,
    part: Range<usize>,
) -> Step {
    let Some(file) = &task.opening.file else {
        return Step::Known(Outcome::Status(Status::InternalServerError));
    };
    let from = part.start as u64;
    cx.post(connection, Call::read(file.as_raw_fd(), buf, part, from), Stage::Lookup);
    Step::Posted
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
    opening.read += n;
    let (Some(request), Some(stat)) = (&task.request, opening.stat) else {
        return Step::Known(Outcome::Status(Status::InternalServerError));
    };
    let (done, size) = (opening.read, stat.size as usize);
    if n > 0 && done < size {
        return read(cx, connection, task, buf, done..size);
    }
    opening.file.take().into_iter().for_each(|file| cx.close_file(file));
    let path = with_index(request.path(), request.wants_directory());
    let entry = FileEntry::of(&path, &stat, Content::Memory(buf[..done.min(size)].into()));
    if done < size {
        // It is being written: what was there is served, and not kept.
        return Step::Known(Outcome::File(Arc::new(entry)));
    }
    Step::Known(cx.keep_file(&path, entry))
}

/// Decides what to do with a file that is open, and of which `first` may have been read.
fn look(
    cx: &mut Cx<'_, '_, '_>,
    connection: &mut Connection,
    task: &mut Task,
    stat: FileStat,
    first: Option<(usize, Slot)>,
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
        task.opening.file = Some(file);
        let Some((n, first)) = first else {
            return read(cx, connection, task, Slot::heap(size), 0..size);
        };
        if size <= first.len() {
            return fill(cx, connection, task, n, first);
        }
        let mut whole = Slot::heap(size);
        whole[..n].copy_from_slice(&first[..n]);
        return fill(cx, connection, task, n, whole);
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
