//! A connection begins: it has as long for its first request as for any other.

use crate::connection::Connection;
use crate::wiring::Cx;

/// Arms the connection's timer; the receive was posted when the connection was accepted.
pub(super) fn open(cx: &mut Cx<'_, '_, '_>, connection: &mut Connection) {
    let limit = cx.timeouts().request;
    cx.arm(connection, limit);
}
