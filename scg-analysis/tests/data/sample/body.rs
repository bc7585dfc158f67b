//! A large answer, chunk by chunk.

use super::{parse, CHUNK, REQUEST, Stage};

pub fn stream(server: &mut Server, cx: &mut Context, conn: &mut Conn) {
    parse::drop_headers(server, conn);
    if let Some(request) = conn.request.take() {
        server.permit.free(REQUEST, request);
    }
    let chunk = server.permit.alloc(CHUNK);
    server.ring.send(conn.fd, chunk, Stage::Sent);
}

pub fn sent(server: &mut Server, cx: &mut Context, conn: &mut Conn) {
    server.permit.free(CHUNK, conn.chunk.take());
    cx.next(if conn.left == 0 { Stage::Finish } else { Stage::Stream });
}
