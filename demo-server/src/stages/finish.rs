//! A small answer has been sent: its object goes back, and the socket can take the next one.

use crate::connection::{Connection, Ending};
use crate::stages::{RESPONSE, Stage, respond};
use crate::wiring::{Cx, Event};

/// Takes the object back and lets what waited for the socket go on.
pub(super) fn finish(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, event: Event) {
    let (slot, sent) = event.into_moved();
    if let (Some(sending), Ok(n)) = (connection.sending, &sent)
        && (1..sending.len - sending.start).contains(n)
        && connection.ending != Ending::Closing
    {
        return cx.send_rest(connection, slot, *n, Stage::Finish);
    }
    cx.free(RESPONSE, slot);
    cx.release();
    let Some(sending) = connection.sending.take() else { return cx.settle(connection) };
    match sent {
        Ok(n) if n == sending.len - sending.start => cx.count_sent(connection, n),
        _ => return cx.abort(connection),
    }
    match connection.ending {
        Ending::No => {}
        Ending::AfterAnswer => return cx.linger(connection),
        Ending::Lingering | Ending::Closing => return cx.settle(connection),
    }
    if let Some(answer) = connection.ready.take() {
        respond::send(cx, connection, answer);
    } else {
        if !cx.socket_ready(connection) && connection.transfer.is_some() {
            cx.next(Stage::Stream);
        }
        cx.begin_next(connection);
    }
    cx.settle(connection);
}
