//! Bytes become a request.
//!
//! A head that has not arrived whole waits in the connection and costs no object.

use crate::connection::{Connection, Ending, Outcome, Task};
use crate::files::Opening;
use crate::http::body::{DEFAULT_LIMIT, Drain};
use crate::http::head::Head;
use crate::http::parse::{Limits, Parsed};
use crate::http::path;
use crate::http::status::{Refusal, Status};
use crate::stages::request::Request;
use crate::stages::{REQUEST, Stage, receive};
use crate::wiring::Cx;

/// The longest path that can name a file; what decodes to more is not there.
const PATH_MAX: usize = 4096;

/// A request, and where it goes next: nowhere until its body has been thrown away.
type Step = (Task, Option<Stage>);

/// Starts on the next request, if it has arrived whole and the one before it is out of the way.
pub(super) fn parse(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) {
    connection.parse_is_due = false;
    if connection.ending == Ending::No && connection.is_idle() {
        match read_request(cx, connection) {
            None => cx.expect_rest(connection),
            Some((task, next)) => {
                connection.arriving_since = None;
                connection.task = Some(task);
                if let Some(next) = next {
                    cx.next(next);
                } else {
                    receive::drain(cx, connection);
                }
            }
        }
        connection.input.release();
    }
    cx.settle(connection);
}

fn read_request(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) -> Option<Step> {
    if connection.input.is_empty() {
        return None;
    }
    let limits = Limits::default();
    let (input, seen) = (connection.input.bytes(), connection.input.partial);
    if seen > 0 && !limits.worth_parsing(input, seen) {
        connection.input.partial = input.len();
        return None;
    }
    let (step, used) = match crate::http::parse::parse(input, &limits) {
        Parsed::Partial => {
            connection.input.partial = input.len();
            return None;
        }
        Parsed::Refused(refusal) => (refuse(&refusal), input.len()),
        Parsed::Complete(head) => (accept(cx, &head), head.head_len),
    };
    connection.input.consume(used);
    Some(step)
}

fn refuse(refusal: &Refusal) -> Step {
    (Task::answer(refusal.status), Some(Stage::Respond))
}

/// Packs a valid head, or says at once why there will be no file.
fn accept(cx: &mut Cx<'_, '_, '_>, head: &Head<'_>) -> Step {
    let drain = match Drain::new(head.body, DEFAULT_LIMIT) {
        Ok(drain) => Some(drain).filter(|drain| !drain.is_done()),
        Err(refusal) => return refuse(&refusal),
    };
    let mut buffer = [0; PATH_MAX];
    let resolved = match path::resolve(head.path, &mut buffer) {
        Ok(resolved) => Ok((&buffer[..resolved.len], resolved.directory)),
        Err(error) => Err(error.status()),
    };
    let (path, directory) = resolved.unwrap_or((b"", false));
    let size = Request::size(path, head);
    let slot = cx.alloc(REQUEST, size);
    let request = Request::pack(slot, path, directory, head);
    // A client that waits to be asked for its body is answered instead, and then nobody knows whether it sends it.
    let keep_alive = request.keeps_alive() && !head.expect_continue && !cx.is_stopping();
    let mut task = Task::new(request, keep_alive);
    if let Err(status) = resolved {
        task.outcome = Some(Outcome::Status(status));
    }
    task.drain = drain.filter(|_| !head.expect_continue);
    let next = match (&task.drain, &task.outcome) {
        (Some(_), _) => None,
        (None, Some(_)) => Some(Stage::Respond),
        (None, None) => Some(Stage::Lookup),
    };
    (task, next)
}

impl Task {
    /// A task for a request that has been understood.
    fn new(request: Request, keep_alive: bool) -> Self {
        Self {
            request: Some(request),
            drain: None,
            outcome: None,
            opening: Opening::default(),
            keep_alive,
        }
    }

    /// The last task of a connection: an answer to what could not be understood.
    pub(super) fn answer(status: Status) -> Self {
        Self {
            request: None,
            drain: None,
            outcome: Some(Outcome::Status(status)),
            opening: Opening::default(),
            keep_alive: false,
        }
    }
}
