//! A descriptor that is closed through the ring while calls use it: they end.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use flexsc_ring::{Call, Engine, Value};

use crate::support::{Bench, alone, errno, on, options};

fn receive_and_close_at_once(bench: &mut Bench) {
    for round in 0..300 {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        bench.post(Call::recv(ours.as_raw_fd()), 1);
        if round % 3 == 0 {
            bench.turn(Duration::ZERO);
        }
        bench.post(Call::close(ours.into()), 2);
        bench.turn(Duration::ZERO);
        // io_uring's receive holds on to the socket itself.
        drop(theirs);
        let end = bench.next_of(1);
        match &end.result {
            Ok(Value::Received(bytes)) => assert!(bytes.is_empty()),
            Ok(other) => panic!("{other:?}"),
            Err(failure) => {
                assert!([libc::ECANCELED, libc::EBADF].contains(&errno(&end)), "{failure}");
            }
        }
        bench.next_of(2).result.expect("closed");
    }
}

#[test]
fn a_receive_whose_descriptor_is_closed_in_the_same_batch_ends() {
    // Elsewhere, other tests would open files that get the descriptor's number.
    alone("closes::a_receive_whose_descriptor_is_closed_in_the_same_batch_ends", || {
        for engine in [Engine::Direct, Engine::Threads, Engine::Uring] {
            on(&options(engine), receive_and_close_at_once);
        }
    });
}
