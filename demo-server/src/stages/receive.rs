//! Bytes arrive. They are taken in at once, whatever the slab has room for: a stage that holds nothing waits for nothing.

use crate::connection::{BACKLOG_HIGH, Connection, Ending, Outcome, Receiving};
use crate::stages::Stage;
use crate::wiring::{Cx, Event};

/// Takes in what was received: the body of the present request, or the next one.
pub(super) fn receive(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, event: Event) {
    match event {
        Event::Received(bytes) if connection.ending == Ending::No => {
            connection.input.push(bytes);
            take_in(cx, connection);
        }
        Event::ReceiveEnded(error) => end(cx, connection, error.is_some()),
        _ => {}
    }
    cx.settle(connection);
}

fn take_in(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) {
    if connection.task.as_ref().is_some_and(|task| task.drain.is_some()) {
        return drain(cx, connection);
    }
    if connection.is_idle() {
        return cx.parse_next(connection, Stage::Parse);
    }
    connection.input.release();
    if connection.input.len() > BACKLOG_HIGH {
        cx.stop_receiving(connection);
    }
}

/// No more comes: because the client is done, because the server asked for a pause, or because of an error.
fn end(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, failed: bool) {
    if matches!(connection.receiving, Receiving::Stopping) {
        connection.receiving = Receiving::Off;
        return match connection.ending {
            Ending::Lingering => cx.receive(connection),
            _ => cx.begin_next(connection),
        };
    }
    connection.receiving = Receiving::Ended;
    if failed {
        cx.abort(connection);
    } else if connection.is_idle() && !connection.input.is_empty() {
        // What waits may be a whole request that has not been looked at; parsing decides.
        cx.parse_next(connection, Stage::Parse);
    } else if connection.task.as_ref().is_some_and(|task| task.drain.is_some()) {
        connection.task = None;
    }
}

/// Throws away the body of a request whose head waits.
pub(super) fn drain(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) {
    let Some(task) = connection.task.as_mut() else { return };
    let Some(body) = task.drain.as_mut() else { return };
    match body.feed(connection.input.bytes()) {
        Ok(fed) => {
            connection.input.consume(fed.used);
            if fed.done {
                task.drain = None;
                connection.arriving_since = None;
                let known = task.outcome.is_some();
                cx.next(if known { Stage::Respond } else { Stage::Lookup });
            } else {
                cx.expect_rest(connection);
            }
        }
        Err(refusal) => {
            connection.input.clear();
            task.drain = None;
            task.keep_alive = false;
            task.outcome = Some(Outcome::Status(refusal.status));
            cx.next(Stage::Respond);
        }
    }
}
