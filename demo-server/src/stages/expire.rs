//! A connection has made no progress for a while, or the server is about to end.

use std::time::Duration;

use crate::connection::{Connection, Ending, Receiving, Task};
use crate::http::status::Status;
use crate::stages::Stage;
use crate::wiring::{Cx, Event};

/// Ends the connection if its time is up, and otherwise waits for as long as it has left.
pub(super) fn expire(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, event: Event) {
    match event {
        Event::Stop => return stop(cx, connection),
        Event::Expired => connection.timer = None,
        _ => return cx.settle(connection),
    }
    let idle_for = Duration::from_nanos(cx.now().saturating_sub(connection.moved_at));
    let limits = cx.timeouts();
    let awaits_rest = !connection.input.is_empty()
        || connection.answered == 0
        || connection.task.as_ref().is_some_and(|task| task.drain.is_some());
    let limit = match connection.ending {
        Ending::Closing => return cx.settle(connection),
        Ending::Lingering => return cx.abort(connection),
        _ if cx.is_stopping() => return cx.abort(connection),
        _ if connection.sending.is_some() || connection.transfer.is_some() => limits.send,
        _ if awaits_rest => limits.request,
        _ => limits.idle,
    };
    if idle_for < limit {
        return cx.arm(connection, limit - idle_for);
    }
    cx.count_timeout();
    let is_late_request = !connection.input.is_empty() && connection.is_idle();
    if is_late_request && !matches!(connection.receiving, Receiving::Ended) {
        connection.task = Some(Task::answer(Status::RequestTimeout));
        cx.next(Stage::Respond);
        cx.arm(connection, limits.send);
    } else {
        cx.abort(connection);
    }
}

/// The server ends: an idle connection goes at once, another one after its answer.
fn stop(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) {
    if connection.is_idle() && connection.ending == Ending::No {
        return cx.linger(connection);
    }
    if let Some(task) = connection.task.as_mut() {
        task.keep_alive = false;
    }
    if let Some(transfer) = connection.transfer.as_mut() {
        transfer.keep_alive = false;
    }
    if let Some(sending) = connection.sending.as_mut() {
        sending.keep_alive = false;
    }
    if connection.task.is_none() && connection.transfer.is_none() && connection.ready.is_none() {
        connection.ending = Ending::AfterAnswer;
    }
    let grace = cx.timeouts().grace;
    cx.arm(connection, grace);
}
