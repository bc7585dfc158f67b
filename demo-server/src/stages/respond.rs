//! A small answer is written, head and body, into one object, and sent by one call.

use flexsc_ring::Call;

use crate::connection::{Connection, Ending, Outcome, Sending, Task};
use crate::http::path::directory_location;
use crate::http::reply::{self, Reply, Subject, write_head};
use crate::http::status::Status;
use crate::stages::{REQUEST, RESPONSE, Stage};
use crate::wiring::Cx;

/// Room for a `Location` in an answer; a directory whose escaped path is longer is 414.
const LOCATION_MAX: usize = 1024;

/// Writes the answer and posts it: as much as the socket takes now, the rest is `finish`'s part.
pub(super) fn respond(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) {
    let Some(mut task) = connection.task.take() else { return cx.settle(connection) };
    let mut slot = cx.alloc(RESPONSE, RESPONSE.size);
    let (status, len) = write(cx, &task, &mut slot);
    cx.free(REQUEST, task.request.take().map(|request| request.into_slot()));
    cx.count_answer(status);
    cx.uncorrelate(connection);
    if len == 0 {
        return cx.abort(connection);
    }
    connection.sending = Some(Sending { len });
    if !task.keep_alive {
        connection.ending = Ending::AfterAnswer;
        connection.input.clear();
    }
    cx.hold();
    cx.watch_answer(connection);
    let fd = connection.fd();
    let call = Call::Send { fd, buf: slot, start: 0, end: len, more: false, nowait: true };
    cx.post(connection, call, Stage::Finish);
}

/// The head of the answer to `task`, with the status that it says.
pub(super) fn with_head<R>(
    cx: &mut Cx<'_, '_, '_>,
    task: &Task,
    write: impl FnOnce(&Reply<'_>) -> R,
) -> R {
    let mut location = [0; LOCATION_MAX];
    let request = task.request.as_ref();
    let subject = match &task.outcome {
        Some(Outcome::File(file)) => match &file.content {
            crate::files::Content::Text(kind, text) => Subject::Text(*kind, text.len() as u64),
            _ => Subject::File(&file.prepared),
        },
        Some(Outcome::Part(file, part)) => Subject::Part(&file.prepared, *part),
        Some(Outcome::NotModified(file)) => Subject::NotModified(&file.prepared),
        Some(Outcome::Unsatisfiable(size)) => Subject::Unsatisfiable(*size),
        Some(Outcome::Status(status)) => Subject::Error(*status),
        Some(Outcome::Moved) => request
            .and_then(|r| directory_location(r.path(), r.head().query, &mut location))
            .map_or(Subject::Error(Status::UriTooLong), |len| Subject::Moved(&location[..len])),
        None => Subject::Error(Status::InternalServerError),
    };
    let http10 = request.is_some_and(|request| request.is_http10());
    let connection = reply::Connection::of(task.keep_alive, http10);
    write(&Reply { subject, date: cx.date(), connection })
}

/// Writes head and body, and returns the status with the number of bytes: none if they do not fit.
fn write(cx: &mut Cx<'_, '_, '_>, task: &Task, out: &mut [u8]) -> (Status, usize) {
    let no_body = task.request.as_ref().is_some_and(|request| request.is_head());
    with_head(cx, task, |reply| {
        let Some(head) = write_head(out, reply) else {
            return (Status::InternalServerError, 0);
        };
        let body = match &task.outcome {
            _ if no_body => &[],
            Some(Outcome::File(file)) => file.bytes().unwrap_or_default(),
            Some(Outcome::Part(file, part)) => {
                let bytes = file.bytes().unwrap_or_default();
                bytes.get(part.start as usize..part.end as usize).unwrap_or_default()
            }
            _ => reply.page().as_bytes(),
        };
        let end = head + body.len();
        match out.get_mut(head..end) {
            Some(rest) => rest.copy_from_slice(body),
            None => return (Status::InternalServerError, 0),
        }
        (reply.status(), end)
    })
}
