//! A small answer has been sent: its object goes back, and the next request can begin.
//!
//! An answer that its client does not take now leaves the slab too: what is left of it waits on the heap, so that
//! clients that do not read hold no objects that others wait for.

use std::io;

use crate::connection::{Connection, Ending};
use crate::stages::{RESPONSE, Stage};
use crate::wiring::{Cx, Event};

/// Takes the object back and goes on with the next request.
pub(super) fn finish(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, event: Event) {
    let (slot, sent) = event.into_moved();
    let taken = match sent {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(0),
        sent => sent.ok(),
    };
    let posted = connection.sending.map_or(0, |sending| sending.len);
    let left = slot.as_deref().zip(taken).and_then(|(bytes, taken)| bytes.get(taken..posted));
    let rest: Option<Box<[u8]>> = left.filter(|left| !left.is_empty()).map(Into::into);
    cx.free(RESPONSE, slot);
    if let Some(taken) = taken {
        cx.count_sent(connection, taken);
    }
    if let (Some(rest), true) = (rest, connection.ending != Ending::Closing) {
        return cx.send_rest(connection, rest, Stage::Finish);
    }
    cx.release();
    if connection.sending.take().is_none() {
        return cx.settle(connection);
    }
    if taken != Some(posted) {
        return cx.abort(connection);
    }
    match connection.ending {
        Ending::No => {}
        Ending::AfterAnswer => return cx.linger(connection),
        Ending::Lingering | Ending::Closing => return cx.settle(connection),
    }
    cx.begin_next(connection);
    cx.settle(connection);
}
