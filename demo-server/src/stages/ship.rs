//! A chunk that has been read is sent.

use crate::connection::Connection;
use crate::stages::Stage;
use crate::wiring::{Cx, Event};

/// Sends the chunk, or ends the connection if the file turned out shorter than its head promised.
pub(super) fn ship(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, event: Event) {
    let (chunk, read) = event.into_moved();
    let head = connection.transfer.as_ref().map_or(0, |transfer| transfer.head.len());
    match (chunk, read) {
        (Some(chunk), Ok(n)) if n > 0 && connection.transfer.is_some() => {
            cx.send_chunk(connection, chunk, head + n, Stage::Advance);
        }
        _ => cx.abort(connection),
    }
}
