//! A chunk has been sent, whole or in part: the rest of the body follows when the socket can take it.

use std::io;

use crate::connection::{Connection, Ending, Transfer};
use crate::stages::{CHUNK, Stage};
use crate::wiring::{Cx, Event};

/// Takes the chunk back, notes how far the socket got, and asks for the next one.
pub(super) fn advance(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, event: Event) {
    let writable = event.is_readiness();
    let (chunk, sent) = event.into_moved();
    let posted = connection.sending.take().map(|sending| sending.len);
    cx.free(CHUNK, chunk);
    let Some(transfer) = connection.transfer.as_mut() else { return cx.settle(connection) };
    if writable {
        if !cx.socket_ready(connection) {
            cx.deliver(connection, Stage::Stream);
        }
        return;
    }
    let is_full = match sent {
        Ok(0) if posted.is_none() => return cx.abort(connection),
        Ok(n) => {
            transfer.take(n);
            cx.count_sent(connection, n);
            posted.is_some_and(|len| n < len)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
        Err(_) => return cx.abort(connection),
    };
    if connection.transfer.as_ref().is_some_and(|t| t.head.is_empty() && t.offset == t.end) {
        return end(cx, connection);
    }
    if is_full {
        cx.socket_busy(connection);
        cx.post_writable(connection, Stage::Advance);
        if !cx.defers() {
            return;
        }
    }
    cx.deliver(connection, Stage::Stream);
}

/// The last byte is with the socket.
fn end(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) {
    let keep_alive = connection.transfer.take().is_some_and(|transfer| transfer.keep_alive);
    cx.uncorrelate(connection);
    if !keep_alive {
        connection.ending = Ending::AfterAnswer;
        return cx.linger(connection);
    }
    cx.begin_next(connection);
    cx.settle(connection);
}

impl Transfer {
    /// Notes that the socket took `n` bytes: of the head first, then of the body.
    fn take(&mut self, n: usize) {
        let of_head = n.min(self.head.len());
        self.head.drain(..of_head);
        self.offset += (n - of_head) as u64;
    }
}
