//! Bytes become a request.

use super::{HEADER, REQUEST, Stage};

pub fn parse(server: &mut Server, cx: &mut Context, conn: &mut Conn, event: Event) {
    conn.request = Some(event.buffer);
    for line in lines(conn) {
        let mut slot = server.permit.alloc(HEADER);
        slot.copy_from(line);
        conn.headers.push(slot);
    }
    match head(conn) {
        Head::Complete => cx.next(Stage::Lookup),
        Head::Bad => {
            drop_headers(server, conn);
            if let Some(request) = conn.request.take() {
                server.permit.free(REQUEST, request);
            }
            cx.close();
        }
    }
}

pub fn drop_headers(server: &mut Server, conn: &mut Conn) {
    for header in conn.headers.drain(..) {
        server.permit.free(HEADER, header);
    }
}
