//! The faults, one function each: what is posted, what is done to it, what must be true then.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::time::Duration;

use flexsc_ring::{CURRENT, CWD, Call, PostError};

use super::{Fault, Id, LARGEST_FILE, World};
use crate::support::{Buf, connect, listener};

/// All of them.
pub(super) const ALL: [fn(&mut World) -> Fault; 14] = [
    reset,
    half_close,
    dribble,
    closed_through_the_ring,
    closed_elsewhere,
    no_space_left,
    file_too_large,
    full_pipe,
    empty_pool,
    full_ring,
    many_completions,
    clients_that_come_and_go,
    cancelled_receive,
    cancelled_open,
];

const NEVER: &[i32] = &[];
const CANCELED: &[i32] = &[libc::ECANCELED];
const GONE: &[i32] = &[libc::ECONNRESET, libc::EPIPE];

fn fault(
    inflict: impl FnOnce(&mut World) + 'static,
    check: impl FnOnce(&mut World) + 'static,
) -> Fault {
    Fault { inflict: Box::new(inflict), check: Box::new(check) }
}

/// The first `n` bytes of a stream.
fn stream(n: usize) -> Buf {
    (0..n).map(|i| (i * 7 % 251) as u8).collect()
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("a pair")
}

fn tcp_pair() -> (OwnedFd, TcpStream) {
    let listener = listener();
    let theirs = connect(&listener);
    (listener.accept().expect("it has come").0.into(), theirs)
}

/// Makes closing the socket reset the connection.
fn reset_at_close(socket: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    let (fd, level, name) = (socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER);
    // SAFETY: `linger` outlives the call and has that size.
    let ret = unsafe { libc::setsockopt(fd, level, name, (&raw const linger).cast(), size) };
    assert_eq!(ret, 0);
}

fn some(world: &mut World, most: u64) -> usize {
    1 + world.random.below(most) as usize
}

/// A receive of one or another kind.
fn any_receive(world: &mut World, fd: RawFd) -> Call<Buf> {
    if world.random.below(2) == 0 { Call::recv(fd) } else { Call::recv_multishot(fd) }
}

fn reset(world: &mut World) -> Fault {
    let (ours, mut theirs) = tcp_pair();
    let n = some(world, 5_000);
    let fd = ours.as_raw_fd();
    let heard = world.post("recv of a reset", GONE, Call::recv_multishot(fd));
    let sent = stream(300_000);
    world.post("send to a reset", GONE, Call::send(fd, sent, 0..300_000));
    fault(
        move |_| {
            theirs.write_all(&stream(n)).expect("there is room");
            reset_at_close(&theirs);
        },
        move |world| {
            assert!(stream(n).starts_with(&world.ledger[heard].bytes));
            drop(ours);
        },
    )
}

fn half_close(world: &mut World) -> Fault {
    let (ours, mut theirs) = tcp_pair();
    let n = some(world, 20_000);
    let fd = ours.as_raw_fd();
    let heard = world.post("recv of a half-closed", NEVER, Call::recv_multishot(fd));
    theirs.write_all(&stream(n)).expect("there is room");
    let theirs_too = theirs.try_clone().expect("a copy");
    let sent = world.post("send to a half-closed", NEVER, Call::send(fd, stream(9_000), 0..9_000));
    fault(
        move |_| theirs_too.shutdown(std::net::Shutdown::Write).expect("shut"),
        move |world| {
            assert!(world.ledger[heard].bytes == stream(n), "all, then the end");
            drop(ours);
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).expect("it arrives");
            assert!(got == stream(world.ledger[sent].moved));
        },
    )
}

fn dribble(world: &mut World) -> Fault {
    let (ours, mut theirs) = pair();
    let heard = world.post("recv of drops", NEVER, Call::recv_multishot(ours.as_raw_fd()));
    fault(
        move |world| {
            for byte in stream(40) {
                theirs.write_all(&[byte]).expect("there is room");
                world.turn(Duration::ZERO);
            }
        },
        move |world| {
            assert_eq!(world.ledger[heard].bytes, stream(40));
            drop(ours);
        },
    )
}

fn closed_through_the_ring(world: &mut World) -> Fault {
    let (ours, theirs) = pair();
    let fd = ours.as_raw_fd();
    let receive = any_receive(world, fd);
    let closed = &[libc::ECANCELED, libc::EBADF];
    let heard = world.post("recv of a closed", closed, receive);
    world.post("poll of a closed", closed, Call::poll_readable(fd));
    fault(
        move |world| {
            world.quieten();
            world.post("close", NEVER, Call::close(ours.into()));
            drop(theirs);
        },
        move |world| assert!(world.ledger[heard].bytes.is_empty()),
    )
}

fn closed_elsewhere(world: &mut World) -> Fault {
    let (ours, theirs) = pair();
    let receive = any_receive(world, ours.as_raw_fd());
    let heard = world.post("recv of what was closed", &[libc::ECANCELED, libc::EBADF], receive);
    fault(
        move |world| {
            world.quieten();
            drop(ours);
            // Before the number is given out again.
            world.cancel(heard);
            world.await_end(heard);
            drop(theirs);
        },
        move |world| assert!(world.ledger[heard].errno.is_some()),
    )
}

fn no_space_left(world: &mut World) -> Fault {
    let full = File::options().write(true).open("/dev/full").expect("it is there");
    let call = || Call::write(full.as_raw_fd(), vec![1; 512], 0..512, 0);
    let writes = [(); 3].map(|()| world.post("write to a full disk", &[libc::ENOSPC], call()));
    let check = move |world: &mut World| {
        assert!(writes.iter().all(|id| world.ledger[*id].errno.is_some()));
        drop(full);
    };
    fault(|_| {}, check)
}

fn file_too_large(world: &mut World) -> Fault {
    let file = tempfile::tempfile().expect("a file");
    let fd = file.as_raw_fd();
    let write = |at| Call::write(fd, vec![1; 512], 0..512, at);
    let short = world.post("write up to the limit", NEVER, write(LARGEST_FILE - 100));
    let none = world.post("write beyond the limit", &[libc::EFBIG], write(LARGEST_FILE));
    let check = move |world: &mut World| {
        assert_eq!(world.ledger[short].moved, 100);
        assert_eq!(world.ledger[none].errno, Some(libc::EFBIG));
        assert_eq!(file.metadata().expect("it is there").len(), LARGEST_FILE);
    };
    fault(|_| {}, check)
}

/// What was written comes out of the pipe, and what was cancelled does not.
fn full_pipe(world: &mut World) -> Fault {
    const ROOM: usize = 4096;
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    // SAFETY: no pointers.
    let room = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, ROOM as i32) };
    assert_eq!(room, ROOM as i32);
    writer.write_all(&[0; ROOM]).expect("there is room");
    let call = |byte| Call::write(writer.as_raw_fd(), vec![byte; 1_000], 0..1_000, CURRENT);
    let writes = [1, 2, 3].map(|byte| world.post("write to a full pipe", CANCELED, call(byte)));
    let cancelled = world.random.below(3) as usize;
    let (sender, got) = channel();
    fault(
        move |world| {
            world.cancel(writes[cancelled]);
            std::thread::spawn(move || {
                let mut got = Vec::new();
                { reader }.read_to_end(&mut got).expect("the writer goes");
                sender.send(got)
            });
        },
        move |world| {
            drop(writer);
            let got = got.recv().expect("all that was written");
            for (byte, id) in [1, 2, 3].into_iter().zip(writes) {
                let there = got.iter().filter(|other| **other == byte).count();
                assert_eq!(there, world.ledger[id].moved, "bytes of write {byte}");
            }
        },
    )
}

fn empty_pool(world: &mut World) -> Fault {
    let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
    let receive = |(ours, _): &(UnixStream, UnixStream)| Call::recv_multishot(ours.as_raw_fd());
    let receives: Vec<Call<Buf>> = pairs.iter().map(receive).collect();
    let post = |call| world.post("recv without a buffer", NEVER, call);
    let heard: Vec<Id> = receives.into_iter().map(post).collect();
    let (ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    fault(
        move |world| {
            world.hoarding = true;
            for mut theirs in theirs {
                theirs.write_all(&stream(6_000)).expect("there is room");
            }
        },
        move |world| {
            assert!(heard.iter().all(|id| world.ledger[*id].bytes == stream(6_000)));
            drop(ours);
        },
    )
}

/// Posts until the ring is full; the call that does not fit comes back whole.
fn full_ring(_: &mut World) -> Fault {
    let flood = |world: &mut World| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut posted = Vec::new();
        loop {
            let call = Call::read(reader.as_raw_fd(), vec![7; 10], 0..10, CURRENT);
            match world.try_post("read of nothing", NEVER, call) {
                Ok(id) => posted.push(id),
                Err(PostError::Full(call, 256)) => {
                    break assert!(call.into_buf() == Some(vec![7; 10]));
                }
                Err(error) => panic!("{error}"),
            }
        }
        drop(writer);
        posted.into_iter().for_each(|id| world.await_end(id));
        drop(reader);
    };
    fault(flood, |_| {})
}

/// More completions than a small queue holds, without a look in between. No more writes than 127:
/// Linux (6.18) loses the event that comes while it looks at a poll of which it has put off 128.
fn many_completions(world: &mut World) -> Fault {
    let (ours, mut theirs) = pair();
    let heard = world.post("recv of many", NEVER, Call::recv_multishot(ours.as_raw_fd()));
    for _ in 0..100 {
        world.post("nop", NEVER, Call::nop());
    }
    fault(
        move |_| stream(120).iter().for_each(|byte| theirs.write_all(&[*byte]).expect("room")),
        move |world| {
            assert_eq!(world.ledger[heard].bytes, stream(120));
            drop(ours);
        },
    )
}

fn clients_that_come_and_go(world: &mut World) -> Fault {
    let listener = listener();
    let allowed = &[libc::ECANCELED, libc::ECONNABORTED];
    let accept = Call::accept_multishot(listener.as_raw_fd());
    let accept = world.post("accept", allowed, accept);
    let many = some(world, 5);
    fault(
        move |world| {
            for n in 0..many {
                let client = connect(&listener);
                if n % 2 == 0 {
                    reset_at_close(&client);
                }
                world.dawdle();
            }
            world.cancel(accept);
            world.await_end(accept);
            drop(listener);
        },
        |_| {},
    )
}

/// A receive that was cancelled took no byte; one that took it was not cancelled.
fn cancelled_receive(world: &mut World) -> Fault {
    let (mut ours, mut theirs) = pair();
    let heard = world.post("recv to cancel", CANCELED, Call::recv(ours.as_raw_fd()));
    fault(
        move |world| {
            let first = world.random.below(2) == 0;
            if first {
                world.cancel(heard);
            }
            theirs.write_all(&[5]).expect("there is room");
            if !first {
                world.cancel(heard);
            }
        },
        move |world| {
            let mut left = Vec::new();
            ours.read_to_end(&mut left).expect("the rest");
            left.extend_from_slice(&world.ledger[heard].bytes);
            assert_eq!(left, [5]);
        },
    )
}

fn cancelled_open(world: &mut World) -> Fault {
    let open = world.post("open to cancel", CANCELED, Call::open(CWD, c"/dev/null".into()));
    fault(move |world| world.cancel(open), |_| {})
}
