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
        // A timer that had fired already when another one was armed in its place.
        Event::Expired if connection.timer.is_none_or(|(_, at)| at > cx.now()) => {}
        Event::Expired => {
            connection.timer = None;
            judge(cx, connection);
        }
        _ => {}
    }
    cx.settle(connection);
}

fn judge(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) {
    let (now, limits) = (cx.now(), cx.timeouts());
    let (since, limit) = match (connection.ending, connection.arriving_since) {
        (Ending::Closing, _) => return,
        (Ending::Lingering, _) => return cx.abort(connection),
        _ if connection.ends_at.is_some_and(|end| now >= end) => return cx.cut_off(connection),
        (_, Some(since)) => (since, limits.request),
        _ if !connection.is_idle() => (connection.moved_at, limits.send),
        _ if !connection.has_answered => (connection.moved_at, limits.request),
        _ => (connection.moved_at, limits.idle),
    };
    let left = limit.saturating_sub(Duration::from_nanos(now.saturating_sub(since)));
    if !left.is_zero() {
        return cx.arm(connection, left);
    }
    cx.count_timeout();
    let is_late_request = connection.arriving_since.take().is_some();
    if is_late_request && !matches!(connection.receiving, Receiving::Ended) {
        connection.input.clear();
        connection.task = Some(Task::answer(Status::RequestTimeout));
        connection.moved_at = now;
        cx.next(Stage::Respond);
        cx.arm(connection, limits.send);
    } else {
        cx.cut_off(connection);
    }
}

/// The server ends: an idle connection goes at once, another one after its answer.
fn stop(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) {
    match connection.ending {
        Ending::Lingering | Ending::Closing => return cx.settle(connection),
        Ending::No if connection.is_idle() => return cx.linger(connection),
        Ending::No | Ending::AfterAnswer => {}
    }
    if let Some(task) = connection.task.as_mut() {
        task.keep_alive = false;
    }
    if let Some(transfer) = connection.transfer.as_mut() {
        transfer.keep_alive = false;
    }
    if connection.task.is_none() && connection.transfer.is_none() {
        connection.ending = Ending::AfterAnswer;
    }
    let grace = cx.timeouts().grace;
    connection.ends_at = Some(cx.now() + grace.as_nanos() as u64);
    cx.arm(connection, grace);
}
