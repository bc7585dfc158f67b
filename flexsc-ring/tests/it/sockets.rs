//! Sockets: accept, receive, send, poll, shut down.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

use flexsc_ring::{Call, Ring, Value};

use crate::on_every_engine;
use crate::support::{accepted, connect, errno, listener, moved, received};

on_every_engine! {
    fn an_echo_over_tcp_comes_back_whole(bench) {
        let listener = listener();
        bench.post(Call::accept(listener.as_raw_fd()), 1);
        let mut client = connect(&listener);
        let server = accepted(bench.next_of(1));
        bench.post(Call::recv_multishot(server.as_raw_fd()), 2);
        for round in 0..50 {
            let text = format!("message {round}");
            client.write_all(text.as_bytes()).expect("written");
            let got = received(bench.next_of(2));
            assert_eq!(got, text.as_bytes());
            let n = got.len();
            assert_eq!(moved(bench.call(Call::send(server.as_raw_fd(), got, 0..n))).0, n);
            let mut back = vec![0; n];
            client.read_exact(&mut back).expect("echoed");
            assert_eq!(back, text.as_bytes());
        }
        drop(client);
        let end = bench.next_of(2);
        assert!(!end.more);
        assert!(received(end).is_empty());
        assert_eq!(bench.ring.in_flight(), 0);
    }

    fn one_multishot_accept_takes_many_connections(bench) {
        let listener = listener();
        bench.post(Call::accept_multishot(listener.as_raw_fd()), 7);
        let clients: Vec<_> = (0..20).map(|_| connect(&listener)).collect();
        let servers: Vec<_> = clients
            .iter()
            .map(|_| {
                let done = bench.next_of(7);
                assert!(done.more);
                accepted(done)
            })
            .collect();
        assert_eq!(servers.len(), 20);
        bench.expect_silence();
        let late = connect(&listener);
        accepted(bench.next_of(7));
        drop(late);
    }

    fn a_receive_waits_for_bytes(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        bench.post(Call::recv(ours.as_raw_fd()), 1);
        bench.expect_silence();
        theirs.write_all(b"now").expect("written");
        let done = bench.next();
        assert!(!done.more);
        assert_eq!(received(done), b"now");
    }

    fn bytes_that_came_before_the_receive_are_not_missed(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(b"early").expect("written");
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        assert_eq!(received(bench.next()), b"early");
        theirs.write_all(b"then").expect("written");
        assert_eq!(received(bench.next()), b"then");
        drop(theirs);
        assert!(received(bench.next()).is_empty());
    }

    fn each_datagram_is_a_piece_of_its_own(bench) {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        for text in ["one", "two", "three"] {
            theirs.send(text.as_bytes()).expect("sent");
        }
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        for text in ["one", "two", "three"] {
            assert_eq!(received(bench.next()), text.as_bytes());
        }
    }

    fn a_long_stream_arrives_in_order_and_whole(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let bytes: Vec<u8> = (0..1_000_000u32).map(|i| (i % 253) as u8).collect();
        let sent = bytes.clone();
        let writer = std::thread::spawn(move || theirs.write_all(&sent));
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        let mut got = Vec::new();
        loop {
            let done = bench.next();
            let more = done.more;
            got.extend(received(done));
            if !more {
                break;
            }
        }
        writer.join().expect("writes").expect("written");
        assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
    }

    fn a_send_into_a_full_socket_waits_and_keeps_the_order(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let piece = 100_000;
        for i in 0..10u8 {
            bench.post(Call::send(ours.as_raw_fd(), vec![i; piece], 0..piece), u64::from(i));
            // One send at a time: the next follows when this one has ended or is surely waiting.
            if i == 0 {
                let (n, _) = moved(bench.next_of(0));
                assert!(n > 0);
                break;
            }
        }
        let mut sent = 0;
        let fill = loop {
            let mut call = Call::send(ours.as_raw_fd(), vec![9; piece], 0..piece);
            if let Call::Send { nowait, .. } = &mut call {
                *nowait = true;
            }
            let done = bench.call(call);
            match &done.result {
                Ok(Value::Moved { n, .. }) => sent += n,
                _ => break done,
            }
        };
        assert!(sent > 0);
        assert_eq!(errno(&fill), libc::EAGAIN);
        let back = fill.result.expect_err("full").buf;
        assert_eq!(back.map(|buf| buf.len()), Some(piece));

        bench.post(Call::send(ours.as_raw_fd(), vec![1; 5], 0..5), 50);
        bench.expect_silence();
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).expect("read");
            got
        });
        assert_eq!(moved(bench.next_of(50)).0, 5);
        drop(ours);
        let got = reader.join().expect("reads");
        assert!(got.ends_with(&[9, 1, 1, 1, 1, 1]));
    }

    fn a_peer_that_went_makes_a_send_fail_and_harms_nobody(bench) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        drop(theirs);
        let done = bench.call(Call::send(ours.as_raw_fd(), b"anyone?".to_vec(), 0..7));
        assert_eq!(errno(&done), libc::EPIPE);
    }

    fn a_reset_connection_ends_its_receive(bench) {
        let listener = listener();
        bench.post(Call::accept(listener.as_raw_fd()), 1);
        let client = connect(&listener);
        let server = accepted(bench.next_of(1));
        bench.post(Call::recv_multishot(server.as_raw_fd()), 2);
        moved(bench.call(Call::send(server.as_raw_fd(), vec![0; 10], 0..10)));
        // Unread bytes make the close a reset.
        drop(client);
        let done = bench.next_of(2);
        assert!(!done.more);
        assert_eq!(errno(&done), libc::ECONNRESET);
    }

    fn a_poll_tells_when_something_can_be_read_or_written(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        match bench.value(Call::poll_writable(ours.as_raw_fd())) {
            Value::Ready(ready) => assert!(ready.writable && !ready.closed),
            other => panic!("not ready: {other:?}"),
        }
        bench.post(Call::poll_readable(ours.as_raw_fd()), 3);
        bench.expect_silence();
        theirs.write_all(b"!").expect("written");
        match bench.next().result {
            Ok(Value::Ready(ready)) => assert!(ready.readable && !ready.closed),
            other => panic!("not ready: {other:?}"),
        }
        drop(theirs);
        match bench.value(Call::poll_readable(ours.as_raw_fd())) {
            Value::Ready(ready) => assert!(ready.closed),
            other => panic!("not ready: {other:?}"),
        }
    }

    fn a_regular_file_is_always_ready(bench) {
        let file = tempfile::tempfile().expect("a file");
        match bench.value(Call::poll_readable(file.as_raw_fd())) {
            Value::Ready(ready) => assert!(ready.readable),
            other => panic!("not ready: {other:?}"),
        }
    }

    fn a_shutdown_is_seen_by_the_peer(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let call = Call::shutdown(ours.as_raw_fd(), Shutdown::Write);
        assert!(matches!(bench.value(call), Value::Done));
        assert_eq!(theirs.read(&mut [0; 8]).expect("the end"), 0);
    }

    fn sockets_in_non_blocking_mode_behave_like_any_other(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("set");
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        bench.expect_silence();
        for _ in 0..3 {
            theirs.write_all(b"x").expect("written");
            let done = bench.next();
            assert!(done.more);
            assert_eq!(received(done), b"x");
        }
        let listener = listener();
        listener.set_nonblocking(true).expect("set");
        bench.post(Call::accept_multishot(listener.as_raw_fd()), 2);
        bench.expect_silence();
        for _ in 0..3 {
            let _client = connect(&listener);
            assert!(bench.next_of(2).more);
        }
    }

    fn what_is_no_socket_cannot_be_received_from(bench) {
        let file = tempfile::tempfile().expect("a file");
        for call in [Call::recv(file.as_raw_fd()), Call::recv_multishot(file.as_raw_fd())] {
            assert_eq!(errno(&bench.call(call)), libc::ENOTSOCK);
        }
        assert_eq!(errno(&bench.call(Call::accept(file.as_raw_fd()))), libc::ENOTSOCK);
        assert_eq!(errno(&bench.call(Call::recv(-1))), libc::EBADF);
    }
}

/// Sends bytes together with a descriptor.
fn send_with_descriptor(socket: &UnixStream, bytes: &[u8]) {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut room = [0u64; 8];
    // SAFETY: all zero is a message of nothing; then it points to `part` and `room`, which outlive
    // the call, and `room` is aligned and large enough for one descriptor.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let head = libc::CMSG_FIRSTHDR(&message);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(head).cast::<i32>().write_unaligned(socket.as_raw_fd());
        libc::sendmsg(socket.as_raw_fd(), &message, 0)
    };
    assert_eq!(sent, bytes.len() as isize);
}

on_every_engine! {
    fn bytes_behind_a_descriptor_are_received_too(bench) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        send_with_descriptor(&theirs, b"first, ");
        (&theirs).write_all(b"second").expect("written");
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        let mut got = Vec::new();
        while got.len() < 13 {
            got.extend(received(bench.next_of(1)));
        }
        assert_eq!(got, b"first, second");
    }
}
