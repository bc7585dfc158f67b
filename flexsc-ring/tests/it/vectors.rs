//! Calls of many buffers: their bytes go in order, and all of them come back.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use flexsc_ring::{CURRENT, Call, Engine, PostError, Ring, Value};

use crate::on_every_engine;
use crate::support::{Done, SOON, errno};

fn moved_all(done: Done) -> (usize, Vec<Vec<u8>>) {
    match done.result {
        Ok(Value::MovedAll { n, bufs }) => (n, bufs),
        other => panic!("not moved: {other:?}"),
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

on_every_engine! {
    fn many_buffers_are_sent_as_one_message(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let bufs = texts(&["status\r\n", "", "header\r\n\r\n", "body"]);
        let (n, back) = moved_all(bench.call(Call::send_vectored(ours.as_raw_fd(), bufs.clone())));
        assert_eq!((n, back), (22, bufs));
        drop(ours);
        let mut got = String::new();
        theirs.read_to_string(&mut got).expect("read");
        assert_eq!(got, "status\r\nheader\r\n\r\nbody");
    }

    fn a_send_of_more_than_there_is_room_for_is_short_and_the_next_waits(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let nowait = |bufs| Call::SendVectored { fd: ours.as_raw_fd(), bufs, more: false, nowait: true };
        let mut sent = 0;
        let full = loop {
            let done = bench.call(nowait(vec![vec![1; 70_000]; 3]));
            if done.result.is_err() {
                break done;
            }
            let (n, bufs) = moved_all(done);
            assert!(n > 0 && bufs == vec![vec![1; 70_000]; 3]);
            sent += n;
        };
        assert_eq!(errno(&full), libc::EAGAIN);
        assert_eq!(full.result.expect_err("full").bufs, vec![vec![1; 70_000]; 3]);
        bench.post(Call::send_vectored(ours.as_raw_fd(), texts(&["la", "te"])), 1);
        bench.expect_silence();
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).map(|_| got)
        });
        assert_eq!(moved_all(bench.next_of(1)).0, 4);
        drop(ours);
        let got = reader.join().expect("reads").expect("read");
        assert_eq!(got.len(), sent + 4);
        assert!(got.ends_with(b"late"));
    }

    fn reads_and_writes_of_many_buffers_wait_for_a_pipe(bench) {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let bufs = vec![vec![0; 3], vec![0; 4]];
        bench.post(Call::read_vectored(reader.as_raw_fd(), bufs.clone(), CURRENT), 1);
        bench.expect_silence();
        writer.write_all(b"abcde").expect("written");
        let (n, back) = moved_all(bench.next_of(1));
        assert_eq!((n, back), (5, vec![b"abc".to_vec(), b"de\0\0".to_vec()]));
        let call = Call::write_vectored(writer.as_raw_fd(), texts(&["12", "345"]), CURRENT);
        assert_eq!(moved_all(bench.call(call)).0, 5);
        assert_eq!(moved_all(bench.call(Call::read_vectored(reader.as_raw_fd(), bufs, CURRENT))).0, 5);
        drop(writer);
        let end = Call::read_vectored(reader.as_raw_fd(), vec![vec![0; 2]], CURRENT);
        assert_eq!(moved_all(bench.call(end)).0, 0);
    }

    fn a_read_that_may_not_wait_says_would_block(bench) {
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let bufs = vec![vec![7; 3]; 2];
        let fd = reader.as_raw_fd();
        let call = Call::ReadVectored { fd, bufs: bufs.clone(), offset: CURRENT, nowait: true };
        let failure = bench.call(call).result.expect_err("nothing is there");
        assert_eq!(failure.error.kind(), std::io::ErrorKind::WouldBlock);
        assert_eq!((failure.buf, failure.bufs), (None, bufs));
    }

    fn as_many_buffers_as_the_kernel_takes_are_taken_and_one_more_is_refused(bench) {
        let file = tempfile::tempfile().expect("a file");
        let fd = file.as_raw_fd();
        let (n, _) = moved_all(bench.call(Call::write_vectored(fd, vec![vec![5; 2]; 1_024], 0)));
        assert_eq!(n, 2_048);
        for make in [
            Call::send_vectored as fn(i32, Vec<Vec<u8>>) -> Call<Vec<u8>>,
            |fd, bufs| Call::read_vectored(fd, bufs, 0),
            |fd, bufs| Call::write_vectored(fd, bufs, 0),
        ] {
            let refused = bench.ring.submit(make(fd, vec![vec![5; 2]; 1_025]), 1).expect_err("many");
            assert!(matches!(refused, PostError::Buffers { count: 1_025, most: 1_024, .. }));
            assert!(refused.to_string().contains("1024"), "{refused}");
            assert_eq!(refused.into_call().into_bufs().len(), 1_025);
        }
        assert_eq!(bench.ring.in_flight(), 0);
    }

    fn no_buffers_at_all_move_nothing(bench) {
        let file = tempfile::tempfile().expect("a file");
        let fd = file.as_raw_fd();
        assert_eq!(moved_all(bench.call(Call::read_vectored(fd, Vec::new(), 0))), (0, vec![]));
        assert_eq!(moved_all(bench.call(Call::write_vectored(fd, Vec::new(), 0))), (0, vec![]));
        let empty = Call::write_vectored(fd, vec![Vec::new(); 4], 0);
        assert_eq!(moved_all(bench.call(empty)).0, 0);
    }

    fn a_cancelled_call_gives_all_buffers_back(bench) {
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let bufs = vec![vec![1; 3], vec![2; 4]];
        let ticket = bench.post(Call::read_vectored(reader.as_raw_fd(), bufs.clone(), CURRENT), 1);
        bench.pause(Duration::from_millis(2));
        bench.ring.cancel(ticket);
        let failure = bench.next_of(1).result.expect_err("cancelled");
        assert!(failure.is_cancelled());
        assert_eq!(failure.bufs, bufs);
    }
}

/// Buffers that hold their bytes inline: they must stay where they are.
#[test]
fn inline_buffers_are_filled_in_place() {
    for engine in [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll] {
        let mut ring: flexsc_ring::AnyRing<[u8; 4]> =
            match flexsc_ring::AnyRing::new(&crate::support::options(engine)) {
                Ok(ring) => ring,
                Err(error) => {
                    eprintln!("skipped: {error}");
                    continue;
                }
            };
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let call = Call::read_vectored(reader.as_raw_fd(), vec![[0; 4]; 3], CURRENT);
        ring.submit(call, 1).expect("room");
        ring.flush().expect("flushed");
        writer.write_all(b"0123456789").expect("written");
        let mut got = Vec::new();
        let deadline = Instant::now() + SOON;
        while ring.in_flight() > 0 && Instant::now() < deadline {
            ring.wait(Some(Duration::from_millis(50))).expect("waits");
            ring.reap(&mut |done| match done.result {
                Ok(Value::MovedAll { n, bufs }) => got = vec![(n, bufs)],
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(got, [(10, vec![*b"0123", *b"4567", *b"89\0\0"])]);
    }
}
