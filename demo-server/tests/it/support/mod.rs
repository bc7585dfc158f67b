//! A server as a child process on a free port, and a client that says exactly what it is told.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What takes longer will never end, also on a machine that has other things to do.
const HANGS_AFTER: Duration = Duration::from_secs(30);

/// A running server; killed when it goes out of scope.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
    /// What it said until it listened.
    pub(crate) log: String,
    stderr: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Serves `root` with these options besides the address.
    pub(crate) fn start(root: &Path, options: &[&str]) -> Self {
        let root = root.to_str().expect("a temporary directory has a plain name");
        Self::run(&[&["serve", "--root", root, "--http", "127.0.0.1:0"], options].concat())
    }

    /// Runs the server with these arguments, which must give it a free port.
    pub(crate) fn run(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_demo-server"))
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (mut log, mut addr) = (String::new(), None);
        while addr.is_none() {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                let _ = child.kill();
                panic!("the server ended before it listened: {log}");
            }
            addr = line
                .strip_prefix("listening on http://")
                .map(|addr| addr.trim().parse().expect("the server says its address"));
            log.push_str(&line);
        }
        let stderr = thread::spawn(move || {
            let mut rest = String::new();
            let _ = lines.read_to_string(&mut rest);
            assert!(!rest.contains("panicked"), "{rest}");
        });
        Self {
            child,
            addr: addr.expect("the loop ends with an address"),
            log,
            stderr: Some(stderr),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.addr)
    }

    /// One request on a connection of its own; the whole answer.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut client = self.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        client.answer().expect("an answer")
    }

    /// A figure of the metrics page, summed over the cores.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let body = String::from_utf8(self.get("/-/metrics").body).expect("metrics are text");
        let prefix = format!("demo_server_{name}{{");
        let sample =
            |line: &str| line.rsplit(' ').next().and_then(|figure| figure.parse::<u64>().ok());
        body.lines().filter(|line| line.starts_with(&prefix)).filter_map(sample).sum()
    }

    /// Descriptors that the server has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the server runs").count()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits for the server to end by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let status = self.child.wait().expect("the server is a child");
        if let Some(stderr) = self.stderr.take() {
            stderr.join().expect("the server said nothing of a panic");
        }
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(stderr) = self.stderr.take().filter(|_| !thread::panicking()) {
            stderr.join().expect("the server said nothing of a panic");
        }
    }
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("the server listens");
        stream.set_read_timeout(Some(HANGS_AFTER)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("a socket option can be set");
        Self { stream, received: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes what is sent");
    }

    /// The next answer, with a body as long as it says; none if the connection ends first.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        self.answer_to("GET")
    }

    pub(crate) fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |n| n.parse().expect("a length"));
        if method != "HEAD" && status != 304 {
            while self.received.len() < length {
                self.fill()?;
            }
            answer.body = self.received.drain(..length).collect();
        }
        Some(answer)
    }

    /// Receives more; none if the connection has ended. A server that does neither for [`HANGS_AFTER`] hangs.
    fn fill(&mut self) -> Option<()> {
        let mut buffer = [0; 65536];
        let n = loop {
            match self.stream.read(&mut buffer) {
                Ok(n) => break n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break 0,
                Err(error) => panic!("neither an answer nor an end: {error}"),
            }
        };
        self.received.extend_from_slice(&buffer[..n]);
        (n > 0).then_some(())
    }

    /// Does the server close the connection, with no more bytes?
    pub(crate) fn is_closed(&mut self) -> bool {
        self.received.is_empty() && self.fill().is_none()
    }
}

/// A directory with these files.
pub(crate) fn tree(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, bytes) in files {
        let path: PathBuf = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folders are made");
        fs::write(path, bytes).expect("files are written");
    }
    dir
}

/// Waits until `holds`, for at most [`HANGS_AFTER`].
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < HANGS_AFTER, "never came true: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Bytes of which each place can be told from the next.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}
