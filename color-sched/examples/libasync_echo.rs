//! An echo server as one for Libasync is written: a callback on the listener, one on each connection, each of its own color.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use color_sched::Color;
use color_sched::libasync::{Libasync, aexit, cwrap, fdcb, selread};

const CLIENTS: u64 = 4;
const LINES: u32 = 500;

/// Takes a connection, whose callback then runs beside those of the others.
fn accept(listener: &TcpListener, color: Color, left: Arc<AtomicU64>) {
    let (stream, _) = listener.accept().expect("the listener is ready");
    stream.set_nonblocking(true).expect("a socket");
    let fd = stream.as_raw_fd();
    fdcb(fd, selread, cwrap(color, move || echo(&stream, &left))).expect("in a callback");
}

/// Sends back what has come. At its end the connection is closed with its callback, and the loop after the last one.
fn echo(mut stream: &TcpStream, left: &AtomicU64) {
    let mut bytes = [0; 512];
    match stream.read(&mut bytes) {
        Ok(0) => {
            fdcb(stream.as_raw_fd(), selread, None).expect("in a callback");
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                aexit().expect("in a callback");
            }
        }
        // A client waits for its echo before it sends more: there is room for so little.
        Ok(count) => stream.write_all(&bytes[..count]).expect("room"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
    }
}

fn client(address: SocketAddr) -> u32 {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    for n in 0..LINES {
        let mut answer = [0; 4];
        stream.write_all(&n.to_ne_bytes()).expect("the server reads");
        stream.read_exact(&mut answer).expect("the server answers");
        assert_eq!(u32::from_ne_bytes(answer), n);
    }
    LINES
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS).map(|_| thread::spawn(move || client(address))).collect();
    let ended = Libasync::new(2)?.run(move || {
        let left = Arc::new(AtomicU64::new(CLIENTS));
        let fd = listener.as_raw_fd();
        let mut accepted = 0;
        fdcb(fd, selread, move || {
            accepted += 1;
            accept(&listener, Color(accepted), Arc::clone(&left));
        })
        .expect("in a callback");
    })?;
    let echoed: u32 = clients.into_iter().map(|client| client.join().expect("echoes")).sum();
    assert_eq!(echoed, CLIENTS as u32 * LINES);
    let events: u64 = ended.cores.iter().map(|core| core.events).sum();
    println!("{echoed} echoes by {events} callbacks in {} us", start.elapsed().as_micros());
    Ok(())
}
