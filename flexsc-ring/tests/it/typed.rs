//! Does each typed call have the result, errno and effect of the system call that it is named after,
//! on every engine?
//!
//! A row names a typed call and the system call that is its oracle, on equal worlds (see
//! `conformance`): where the door is the trap the oracle is made, where it is a ring the typed call.

mod files;
mod sockets;
mod waiting;

use std::collections::BTreeSet;

use flexsc_ring::{Call, Engine, Value};

use crate::conformance::{Door, Row, World, every_row_is_as_if_made_directly, run};
use crate::support::{Buf, on, options};

/// What came back: of the typed call, or of its oracle.
enum Got {
    Value(Value<Buf>),
    Number(i64),
}

impl World<'_> {
    /// Makes the typed call, or its oracle, and notes the number that either gives: bytes, events,
    /// 0 for done, 1 for a new thing, or the negated errno.
    fn same(&mut self, call: Call<Buf>, number: i64, args: &[u64]) -> Got {
        let Door::Ring(bench) = &mut self.door else {
            let ret = self.call(number, args);
            let makes = [libc::SYS_openat2, libc::SYS_accept4, libc::SYS_mmap].contains(&number);
            self.note(if makes && ret >= 0 { 1 } else { ret });
            return Got::Number(ret);
        };
        let name = call.name();
        NAMES.with_borrow_mut(|names| names.insert(name));
        let result = bench.call(call).result;
        match result {
            Ok(value) => {
                self.note(number_of(&value));
                Got::Value(value)
            }
            Err(failure) => {
                let ret = -i64::from(failure.error.raw_os_error().expect("from the kernel"));
                self.note(ret);
                Got::Number(ret)
            }
        }
    }

    /// As `same`, of a call that fills a buffer of `len` bytes; notes what it holds then.
    fn fills(
        &mut self,
        len: usize,
        call: impl FnOnce(Buf) -> Call<Buf>,
        number: i64,
        args: impl FnOnce(u64) -> Vec<u64>,
    ) {
        let mut ours = vec![b'.'; len];
        let args = args(ours.as_mut_ptr().expose_provenance() as u64);
        let got = self.same(call(vec![b'.'; len]), number, &args);
        let bytes = match got {
            Got::Value(Value::Moved { buf, .. }) => buf,
            Got::Value(Value::MovedAll { bufs, .. }) => bufs.concat(),
            Got::Value(Value::Received(buf)) => {
                ours[..buf.len()].copy_from_slice(&buf);
                ours
            }
            Got::Value(other) => panic!("no bytes: {other:?}"),
            Got::Number(_) => ours,
        };
        self.note(bytes);
    }
}

fn number_of(value: &Value<Buf>) -> i64 {
    match value {
        Value::Done => 0,
        Value::Moved { n, .. } | Value::MovedAll { n, .. } | Value::Sent(n) => *n as i64,
        Value::Received(buf) => buf.len() as i64,
        Value::Events(events) => events.len() as i64,
        Value::Stat(_) => 0,
        Value::Accepted(_) | Value::Opened(_) | Value::Mapped(_) | Value::Ready(_) => 1,
        other => panic!("what is this? {other:?}"),
    }
}

thread_local! {
    /// The names of the typed calls that were made.
    static NAMES: std::cell::RefCell<BTreeSet<&'static str>> = const {
        std::cell::RefCell::new(BTreeSet::new())
    };
}

fn rows() -> Vec<Row> {
    [files::ROWS, sockets::ROWS, waiting::ROWS].concat()
}

#[test]
fn typed_calls_on_direct_are_as_their_system_calls() {
    every_row_is_as_if_made_directly(Engine::Direct, &rows());
}

#[test]
fn typed_calls_on_threads_are_as_their_system_calls() {
    every_row_is_as_if_made_directly(Engine::Threads, &rows());
}

#[test]
fn typed_calls_on_uring_are_as_their_system_calls() {
    every_row_is_as_if_made_directly(Engine::Uring, &rows());
}

#[test]
fn typed_calls_on_sqpoll_are_as_their_system_calls() {
    every_row_is_as_if_made_directly(Engine::Sqpoll, &rows());
}

#[test]
fn every_typed_call_has_a_row() {
    on(&options(Engine::Direct), |bench| {
        rows().into_iter().for_each(|row| drop(run(Door::Ring(bench), row)));
    });
    let all = [
        "nop",
        "accept4",
        "recv",
        "send",
        "read",
        "write",
        "openat2",
        "statx",
        "close",
        "poll",
        "sendfile",
        "shutdown",
        "getdents64",
        "sendmsg",
        "preadv2",
        "pwritev2",
        "connect",
        "splice",
        "epoll_wait",
        "epoll_ctl",
        "timeout",
        "fsync",
        "fdatasync",
        "renameat2",
        "unlinkat",
        "mkdirat",
        "ftruncate",
        "fallocate",
        "flock",
        "copy_file_range",
        "mmap",
        "madvise",
        "setsockopt",
    ];
    NAMES.with_borrow(|names| assert_eq!(*names, BTreeSet::from(all)));
}
