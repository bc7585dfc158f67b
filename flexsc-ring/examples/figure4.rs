//! The server of the paper's Figure 4, function by function: each completed call runs the callback
//! that it was posted with, and callbacks post the next calls. Serves a file to a few clients.

use std::ffi::CString;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use flexsc_ring::{CWD, Call, Completion, EventLoop, Options, Value};

const CLIENTS: usize = 3;
const FILE_LEN: usize = 300_000;

type Done = Completion<Vec<u8>>;
type Events = EventLoop<Server, Vec<u8>>;

struct Server {
    master: TcpListener,
    accepted: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page: String = ('a'..='z').cycle().take(FILE_LEN).collect();
    let path = std::env::temp_dir().join(format!("figure4-{}", std::process::id()));
    std::fs::write(&path, &page)?;
    let master = TcpListener::bind("127.0.0.1:0")?;
    let (address, name) = (master.local_addr()?, path.display().to_string());
    let client = |name: String| std::thread::spawn(move || fetch(address, &name));
    let clients: Vec<_> = vec![name; CLIENTS].into_iter().map(client).collect();

    let mut events = Events::new(&Options::default(), Server { master, accepted: 0 })?;
    events.post(Call::accept(events.state().master.as_raw_fd()), conn_accepted)?;
    events.run()?;

    println!("{}", events.report());
    std::fs::remove_file(path)?;
    for client in clients {
        assert!(client.join().expect("a client ends")? == page);
    }
    Ok(())
}

/// Called when accept() returns.
fn conn_accepted(events: &mut Events, done: Done) {
    let Ok(Value::Accepted(conn)) = done.result else { return };
    events.state_mut().accepted += 1;
    // Another accept on the master socket, until all clients have come.
    if events.state().accepted < CLIENTS {
        let master = events.state().master.as_raw_fd();
        events.post(Call::accept(master), conn_accepted).expect("room");
    }
    let read = Call::recv(conn.as_raw_fd());
    events.post(read, |events, done| data_read(events, conn, done)).expect("room");
}

fn data_read(events: &mut Events, conn: OwnedFd, done: Done) {
    match done.result {
        Ok(Value::Received(request)) if !request.is_empty() => {
            let path = CString::new(request.trim_ascii_end()).unwrap_or_default();
            let open = Call::open(CWD, path);
            events.post(open, |events, done| file_opened(events, conn, done)).expect("room");
        }
        // A read of 0 means connection closed.
        _ => drop(events.post_silent(Call::close(conn)).expect("room")),
    }
}

fn file_opened(events: &mut Events, conn: OwnedFd, done: Done) {
    let Ok(Value::Opened(file)) = done.result else { return };
    send(events, conn, file, 0);
}

fn send(events: &mut Events, conn: OwnedFd, file: OwnedFd, from: usize) {
    let call = Call::sendfile(conn.as_raw_fd(), file.as_raw_fd(), from as u64, FILE_LEN - from);
    events.post(call, move |events, done| file_sent(events, conn, file, from, done)).expect("room");
}

fn file_sent(events: &mut Events, conn: OwnedFd, file: OwnedFd, from: usize, done: Done) {
    match done.result {
        Ok(Value::Sent(n)) if n > 0 && from + n < FILE_LEN => send(events, conn, file, from + n),
        // No callback is necessary to handle close.
        _ => drop(events.post_silent(Call::close(conn)).expect("room")),
    }
}

fn fetch(server: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server)?;
    // In one piece: a newline by itself would stay unread, and closing over it resets the connection.
    stream.write_all(format!("{path}\n").as_bytes())?;
    std::io::read_to_string(stream)
}
