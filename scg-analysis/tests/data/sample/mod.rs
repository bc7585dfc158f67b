//! A small file server in the conventions of the analysis. It is read, never compiled.

mod body;
mod parse;
mod reply;

/// What a request goes through.
#[derive(Clone, Copy, PartialEq)]
pub enum Stage {
    Read,
    Parse,
    Lookup,
    Respond,
    Stream,
    Sent,
    Finish,
    TimedOut,
}

const KIB: usize = 1 << 10;

pub const REQUEST: Site = Site::new("request", KIB);
pub const RESPONSE: Site = Site::new("response", 2 * KIB);
pub const CHUNK: Site = Site::new("chunk", (4 * 1024) * 4);
pub const HEADER: Site = Site::new("header", 100);
pub const HEADER_COUNT: u32 = 8;

pub const PARSE_WEIGHT: u32 = 40;

impl Server {
    fn run(&mut self, cx: &mut Context, stage: Stage, conn: &mut Conn, event: Event) {
        match stage {
            Stage::Read => self.read(cx, conn),
            Stage::Parse => parse::parse(self, cx, conn, event),
            Stage::Lookup => self.lookup(cx, conn),
            Stage::Respond => reply::respond(self, cx, conn),
            Stage::Stream => body::stream(self, cx, conn),
            Stage::Sent => body::sent(self, cx, conn),
            Stage::Finish => self.finish(cx, conn),
            Stage::TimedOut => timed_out(cx),
        }
    }

    fn read(&mut self, cx: &mut Context, conn: &mut Conn) {
        let buffer = self.permit.alloc(REQUEST);
        cx.arm(cx.now() + self.patience, Stage::TimedOut);
        self.ring.recv(conn.fd, buffer, Stage::Parse.id());
    }

    fn lookup(&mut self, cx: &mut Context, conn: &mut Conn) {
        let size = conn.file.size;
        let next = if size > 2048 - 512 { Stage::Stream } else { Stage::Respond };
        if next == Stage::Stream {
            self.large += 1;
        }
        cx.next(next);
    }

    fn finish(&mut self, cx: &mut Context, conn: &mut Conn) {
        self.permit.free(RESPONSE, conn.response.take());
        if !conn.keep_alive {
            return cx.close();
        }
        cx.next(Stage::Read);
    }
}

fn timed_out(cx: &mut Context) {
    cx.close();
}
