//! A small answer.

use super::{parse, REQUEST, RESPONSE, Stage};

pub fn respond(server: &mut Server, cx: &mut Context, conn: &mut Conn) {
    let response = server.permit.alloc(RESPONSE);
    parse::drop_headers(server, conn);
    server.permit.free(REQUEST, conn.request.take());
    cx.post(conn.send(response), Stage::Finish);
}
