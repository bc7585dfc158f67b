//! A client that disappears at any byte leaves nothing behind: no descriptor, no object, no pending call.

use std::time::Duration;

use crate::support::{Server, eventually, pattern, tree};

/// Figures that must be the same before and after.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    descriptors: usize,
    connections: u64,
    objects: u64,
    calls: u64,
    pairs: u64,
    panics: u64,
}

fn left(server: &Server) -> Left {
    let calls =
        server.metric("calls_posted_total").saturating_sub(server.metric("calls_completed_total"));
    Left {
        descriptors: server.descriptors(),
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
        for request in requests {
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
        eventually(&format!("{options:?}: everything is as before ({before:?})"), || {
            std::thread::sleep(Duration::from_millis(100));
            left(&server) == before
        });
    }
}
