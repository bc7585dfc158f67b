//! An echo server on the event loop: one multishot accept, one multishot receive a connection, and
//! the paper's timeout (§4.2): connections that stay silent are ended by cancelling their receive.
//! 64 clients exchange messages with it and go; one says nothing and is shown the door.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use flexsc_ring::{Call, Completion, EventLoop, Options, RecvBuf, Ticket, Value};

const CLIENTS: usize = 64;
const MESSAGES: usize = 100;
const GRACE: Duration = Duration::from_millis(300);

/// What was received is sent back from where it lies: the buffers lent to sends are `RecvBuf`s.
type Done = Completion<RecvBuf>;
type Events = EventLoop<Server, RecvBuf>;

#[derive(Default)]
struct Server {
    conns: HashMap<RawFd, Conn>,
    timed_out: usize,
    ended: usize,
}

struct Conn {
    socket: OwnedFd,
    receive: Option<Ticket>,
    heard: Instant,
    /// Messages to be sent back after the one that is being sent: one send at a time.
    waiting: VecDeque<RecvBuf>,
    sending: bool,
    closing: bool,
}

fn accepted(events: &mut Events, done: Done) {
    let Ok(Value::Accepted(socket)) = done.result else { return };
    let fd = socket.as_raw_fd();
    let receive =
        events.post_many(Call::recv_multishot(fd), move |events, done| heard(events, fd, done));
    let conn = Conn {
        socket,
        receive: receive.ok(),
        heard: Instant::now(),
        waiting: VecDeque::new(),
        sending: false,
        closing: false,
    };
    events.state_mut().conns.insert(fd, conn);
}

fn heard(events: &mut Events, fd: RawFd, done: Done) {
    let last = !done.more;
    let Some(conn) = events.state_mut().conns.get_mut(&fd) else { return };
    conn.heard = Instant::now();
    conn.closing |= last;
    match done.result {
        Ok(Value::Received(bytes)) if !bytes.is_empty() => conn.waiting.push_back(bytes),
        Err(failure) if failure.is_cancelled() => events.state_mut().timed_out += 1,
        _ => {}
    }
    send_next(events, fd);
}

fn send_next(events: &mut Events, fd: RawFd) {
    let Some(conn) = events.state_mut().conns.get_mut(&fd) else { return };
    if conn.sending {
        return;
    }
    if let Some(bytes) = conn.waiting.pop_front() {
        conn.sending = true;
        send(events, fd, bytes, 0);
    } else if conn.closing
        && let Some(conn) = events.state_mut().conns.remove(&fd)
    {
        events.state_mut().ended += 1;
        drop(events.post_silent(Call::close(conn.socket)));
    }
}

fn send(events: &mut Events, fd: RawFd, bytes: RecvBuf, from: usize) {
    let len = bytes.len();
    let call = Call::send(fd, bytes, from..len);
    let posted = events.post(call, move |events, done| match done.result {
        Ok(Value::Moved { n, buf }) if from + n < buf.len() => send(events, fd, buf, from + n),
        _ => {
            if let Some(conn) = events.state_mut().conns.get_mut(&fd) {
                conn.sending = false;
            }
            send_next(events, fd);
        }
    });
    posted.expect("Options::in_flight has room for each connection's two calls");
}

/// Ends the receives of connections from which nothing has been heard; the rest follows from that.
fn end_silent(events: &mut Events) {
    let now = Instant::now();
    let silent = |conn: &&mut Conn| now - conn.heard > GRACE;
    let silent = events.state_mut().conns.values_mut().filter(silent);
    let receives: Vec<Ticket> = silent.filter_map(|conn| conn.receive.take()).collect();
    for receive in receives {
        events.cancel(receive);
    }
}

fn client(server: SocketAddr, name: u8) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    let (message, mut reply) = ([name; 200], [0; 200]);
    for _ in 0..MESSAGES {
        stream.write_all(&message)?;
        stream.read_exact(&mut reply)?;
        assert_eq!(reply, message);
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = listener.local_addr()?;
    let clients: Vec<_> =
        (0..CLIENTS as u8).map(|name| std::thread::spawn(move || client(server, name))).collect();
    let mut silent = TcpStream::connect(server)?;

    let mut events = Events::new(&Options::default(), Server::default())?;
    let accept = events.post_many(Call::accept_multishot(listener.as_raw_fd()), accepted)?;
    while events.state().ended < CLIENTS + 1 {
        events.turn(Some(GRACE / 10))?;
        end_silent(&mut events);
    }
    events.cancel(accept);
    events.run()?;

    for client in clients {
        client.join().map_err(|_| "a client failed")??;
    }
    assert_eq!(silent.read(&mut [0])?, 0, "the silent client's connection was closed");
    assert_eq!(events.state().timed_out, 1);
    println!("{}\n{:?}", events.report(), events.stats());
    Ok(())
}
