//! One request over a connection of its own: does a server answer, and with the right bytes?

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::load::{Reply, ReplyReader};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// More than this is no answer we ask for.
const MOST: u64 = 16 << 20;

/// Asks for `path` and returns the status and everything after the head.
pub(super) fn get(addr: SocketAddr, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer)?;
    let mut reader = ReplyReader::default();
    let mut reply: Option<Reply> = None;
    reader.feed(&answer, &mut |finished| reply = Some(finished)).map_err(io::Error::other)?;
    let reply = reply.or_else(|| reader.end()).ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = memchr::memmem::find(&answer, b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    Ok((reply.status, answer.split_off(head + 4)))
}
