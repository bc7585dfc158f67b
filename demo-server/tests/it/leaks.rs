//! A client that disappears at any byte leaves nothing behind: no descriptor, no object, no pending call.

use std::time::Duration;

use crate::support::{Server, eventually, pattern, tree};

/// The connection that asks for the figures, and one before it that may not be gone yet.
const ASKING: u64 = 2;
/// Rounds of each storm: what is left behind once a round is more than what asking accounts for.
const ROUNDS: usize = 3;

/// What must not grow.
#[derive(Debug)]
struct Left {
    descriptors: u64,
    connections: u64,
    objects: u64,
    calls: u64,
    pairs: u64,
    panics: u64,
}

impl Left {
    fn is_no_more_than(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors + ASKING
            && self.connections <= before.connections + ASKING
            && self.calls <= before.calls + ASKING
            && (self.objects, self.pairs, self.panics) == (0, 0, 0)
    }
}

fn left(server: &Server) -> Left {
    let calls =
        server.metric("calls_posted_total").saturating_sub(server.metric("calls_completed_total"));
    Left {
        descriptors: server.descriptors() as u64,
        connections: server.metric("connections"),
        objects: server.metric("slab_objects"),
        calls,
        pairs: server.metric("pairs"),
        panics: server.metric("panics_total"),
    }
}

#[test]
fn a_client_that_disappears_at_any_byte_leaks_nothing() {
    let root = tree(&[("small.txt", b"small"), ("big.bin", &pattern(400_000))]);
    let requests = [
        "GET /small.txt HTTP/1.1\r\nHost: h\r\n\r\nGET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /big.bin HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
        "GET /missing HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ];
    for options in [
        &["--fresh-ms", "0"][..],
        &["--ring", "direct"],
        &["--ring", "threads", "--fresh-ms", "0"],
        &["--delivery", "eager"],
        &["--body", "sendfile"],
        &["--cores", "0,1"],
        &["--cores", "0,1", "--steal", "libasync", "--scheduler", "fifo"],
    ] {
        let server = Server::start(root.path(), options);
        for _ in 0..3 {
            server.get("/big.bin");
            server.get("/small.txt");
        }
        std::thread::sleep(Duration::from_millis(400));
        let before = left(&server);
        for _ in 0..ROUNDS {
            requests.iter().for_each(|request| vanish_at_every_byte(&server, request));
        }
        eventually(&format!("{options:?}: nothing is left ({before:?})"), || {
            std::thread::sleep(Duration::from_millis(100));
            left(&server).is_no_more_than(&before)
        });
    }
}

/// Sends every beginning of `request`, each on a connection of its own that then ends in one way or another.
fn vanish_at_every_byte(server: &Server, request: &str) {
    for end in 0..=request.len() {
        let mut client = server.connect();
        client.send(&request.as_bytes()[..end]);
        match end % 3 {
            0 => drop(client),
            1 => {
                let socket = socket2::SockRef::from(&client.stream);
                let _ = socket.set_linger(Some(Duration::ZERO));
                drop(client);
            }
            _ => {
                let _ = client.stream.shutdown(std::net::Shutdown::Write);
                if end % 2 == 0 {
                    let _ = client.answer();
                }
            }
        }
    }
}
