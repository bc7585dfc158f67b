//! The server of the paper's Figure 4: each completed call runs the callback that it was posted
//! with, and the callbacks post the next calls. Serves one file to a few clients, then stops.

use std::error::Error;
use std::ffi::CString;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use flexsc_ring::{AnyRing, CWD, Call, Completion, Options, Ring, Value};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Handler = Box<dyn FnOnce(&mut Loop, Completion<Vec<u8>>) -> Result<()>>;

const CLIENTS: usize = 3;

/// The event loop of `libflexsc`: calls in flight, each with its callback.
struct Loop {
    ring: AnyRing<Vec<u8>>,
    handlers: Vec<Option<Handler>>,
    master: TcpListener,
    served: usize,
}

impl Loop {
    /// Posts a call; `handler` runs when it has completed.
    fn post(
        &mut self,
        call: Call<Vec<u8>>,
        handler: impl FnOnce(&mut Loop, Completion<Vec<u8>>) -> Result<()> + 'static,
    ) -> Result<()> {
        self.handlers.push(Some(Box::new(handler)));
        self.ring.submit(call, self.handlers.len() as u64 - 1)?;
        Ok(())
    }

    /// Runs callbacks until all clients are served; waits only when there is none left to run.
    fn main_loop(&mut self) -> Result<()> {
        while self.served < CLIENTS || self.ring.in_flight() > 0 {
            self.ring.wait(None)?;
            let mut done = Vec::new();
            self.ring.reap(&mut |completion| done.push(completion));
            for completion in done {
                let handler = self.handlers[completion.user as usize].take();
                handler.ok_or("a call completes once")?(self, completion)?;
            }
        }
        Ok(())
    }
}

fn accept_next(l: &mut Loop) -> Result<()> {
    let master = l.master.as_raw_fd();
    l.post(Call::accept(master), conn_accepted)
}

fn conn_accepted(l: &mut Loop, done: Completion<Vec<u8>>) -> Result<()> {
    let Value::Accepted(conn) = done.result? else { return Err("not a connection".into()) };
    if l.served + 1 < CLIENTS {
        accept_next(l)?;
    }
    l.served += 1;
    let conn = Rc::new(conn);
    l.post(Call::recv(conn.as_raw_fd()), |l, done| data_read(l, conn, done))
}

fn data_read(l: &mut Loop, conn: Rc<OwnedFd>, done: Completion<Vec<u8>>) -> Result<()> {
    let Value::Received(request) = done.result? else { return Err("not bytes".into()) };
    if request.is_empty() {
        return Ok(());
    }
    let path = CString::new(request.trim_ascii_end())?;
    l.post(Call::open(CWD, path), |l, done| file_opened(l, conn, done))
}

fn file_opened(l: &mut Loop, conn: Rc<OwnedFd>, done: Completion<Vec<u8>>) -> Result<()> {
    let Value::Opened(file) = done.result? else { return Err("not a file".into()) };
    send_rest(l, conn, file, 0)
}

fn send_rest(l: &mut Loop, conn: Rc<OwnedFd>, file: OwnedFd, from: u64) -> Result<()> {
    let (out, input): (RawFd, RawFd) = (conn.as_raw_fd(), file.as_raw_fd());
    l.post(Call::sendfile(out, input, from, 1 << 16), move |l, done| match done.result? {
        Value::Sent(0) => Ok(()), // both descriptors close here
        Value::Sent(n) => send_rest(l, conn, file, from + n as u64),
        _ => Err("not sent".into()),
    })
}

fn fetch(server: std::net::SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(format!("{path}\n").as_bytes())?;
    let mut body = Vec::new();
    stream.read_to_end(&mut body)?;
    Ok(body)
}

fn main() -> Result<()> {
    let page: Vec<u8> = (0..300_000u32).map(|i| b'a' + (i % 26) as u8).collect();
    let path = std::env::temp_dir().join(format!("figure4-{}", std::process::id()));
    std::fs::write(&path, &page)?;
    let master = TcpListener::bind("127.0.0.1:0")?;
    let (address, name) = (master.local_addr()?, path.display().to_string());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| (address, name.clone()))
        .map(|(address, name)| std::thread::spawn(move || fetch(address, &name)))
        .collect();

    let ring = AnyRing::new(&Options::default())?;
    println!("{}", ring.report());
    let mut server = Loop { ring, handlers: Vec::new(), master, served: 0 };
    accept_next(&mut server)?;
    server.main_loop()?;
    println!("{}", server.ring.stats());
    std::fs::remove_file(path)?;
    for client in clients {
        assert!(client.join().map_err(|_| "a client failed")?? == page);
    }
    Ok(())
}
