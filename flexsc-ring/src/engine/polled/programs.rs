//! Which calls of a chain run as one program of a syscall thread, and what does its end mean to them?
//!
//! Each call of a program has a slot as any call has; the entry is posted in the name of the first.
//! Calls that were not made, because one before them failed or would have had to wait, are held in
//! their slots until that one has ended.

use std::os::fd::{AsRawFd, RawFd};

use super::Polled;
use super::exec::Exec;
use crate::call::{Buffer, CURRENT, Call};
use crate::chain::OPENED;
use crate::engine::course::Course;
use crate::op::Op;
use crate::program::really_made;
use crate::slots::Stage;
use crate::trap::{Step, Trap};
use crate::work::Work;

/// A call that can be made without the poster's help, and whose first argument is the only one that
/// may be the descriptor opened last.
fn fits<B>(call: &Call<B>) -> bool {
    match call {
        // A write where the descriptor stands keeps its place behind others that wait.
        Call::Write { offset, .. }
        | Call::WriteVectored { offset, .. }
        | Call::ReadVectored { offset, .. } => *offset != CURRENT,
        Call::Rename { to_dir, .. } => *to_dir != OPENED,
        Call::Nop
        | Call::OpenAt2 { .. }
        | Call::Statx { .. }
        | Call::StatxFd { .. }
        | Call::Read { .. }
        | Call::RecvInto { .. }
        | Call::Getdents64 { .. }
        | Call::Fsync { .. }
        | Call::Ftruncate { .. }
        | Call::Fallocate { .. }
        | Call::Flock { .. }
        | Call::Unlink { .. }
        | Call::Mkdir { .. }
        | Call::CloseOpened => true,
        _ => false,
    }
}

/// Puts the descriptor into a call that `fits`, where it has [`OPENED`].
fn tell(op: &mut Op, opened: RawFd) {
    match op {
        Op::Open { dir: fd, .. }
        | Op::Stat { dir: fd, .. }
        | Op::Read { fd, .. }
        | Op::Write { fd, .. }
        | Op::ReadAll { fd, .. }
        | Op::WriteAll { fd, .. }
        | Op::RecvInto { fd }
        | Op::Getdents64 { fd }
        | Op::Work(
            Work::Fsync { fd, .. }
            | Work::Ftruncate { fd, .. }
            | Work::Fallocate { fd, .. }
            | Work::Flock { fd, .. }
            | Work::Rename { from_dir: fd, .. }
            | Work::Unlink { dir: fd, .. }
            | Work::Mkdir { dir: fd, .. },
        ) => *fd = opened,
        _ => {}
    }
}

impl<B: Buffer, X: Exec> Polled<B, X> {
    /// Begins as many of the next calls of a chain as can run as one. False: nothing of it is held,
    /// and its next call goes alone.
    pub(super) fn begin_program(&mut self, chain: u32) -> bool {
        if self.chains.is_running(chain) || self.chains.is_stopped(chain) {
            return false;
        }
        let held = self.chains.held(chain);
        if held.is_empty() && !matches!(self.chains.ahead(chain), [a, b, ..] if fits(a) && fits(b))
        {
            return false;
        }
        let first = held.start;
        held.for_each(|place| self.tell(chain, place));
        while self.chains.ahead(chain).first().is_some_and(fits) {
            let Some(place) = self.chains.also(chain) else { break };
            self.put(chain, place);
        }
        let end = self.chains.held(chain).end;
        self.chains.began(chain);
        match end - first {
            0 => return false,
            1 => self.begin(self.chains.slot(chain, first)),
            _ => self.post_program(chain, first, end),
        }
        true
    }

    /// Puts the descriptor into a call that waits for it, if it is there by now.
    fn tell(&mut self, chain: u32, place: usize) {
        let slot = self.slots.at(self.chains.slot(chain, place));
        if let Op::Close { fd: None } = slot.op() {
            if let Some(fd) = self.chains.tell_close(chain, place) {
                slot.with_op_mut(|op| *op = Op::Close { fd: Some(fd) });
            }
        } else if let Some(fd) = self.chains.tell(chain, place) {
            slot.with_op_mut(|op| tell(op, fd));
        }
        self.note_closings(chain, place);
    }

    fn note_closings(&self, chain: u32, place: usize) {
        let slot = self.slots.at(self.chains.slot(chain, place));
        if let Some((fd, _)) = slot.op().waits_on() {
            slot.closings.set(self.watch.closings(fd));
        }
    }

    /// Posts the calls from `first` to `end`, all of which are in slots, as one.
    fn post_program(&mut self, chain: u32, first: usize, end: usize) {
        let mut steps = self.chains.room(chain);
        for place in first..end {
            let index = self.chains.slot(chain, place);
            if let Op::Close { fd: Some(fd) } = self.slots.at(index).op() {
                self.forget(fd.as_raw_fd());
            }
            let feed = self.chains.source(chain, place).map(|opener| (opener - first) as u8);
            let slot = self.slots.at(index);
            slot.stage.set(Stage::Running);
            steps.push(Step { trap: slot.trap(), feed, ret: 0 });
        }
        (first..end).for_each(|place| self.note_closings(chain, place));
        let head = self.chains.slot(chain, first);
        let (at, len) = self.chains.run(chain, first, steps);
        if let Some(ret) = self.exec.start(head, Trap::program(at, len)) {
            self.stats.enters += ret.unsigned_abs();
            self.program_ended(chain, ret);
        }
    }

    /// A program has ended after `ret` of its calls, the last of which may have failed, or would have
    /// had to wait; it never began if `ret` is negative.
    pub(super) fn program_ended(&mut self, chain: u32, ret: i64) {
        let (first, steps) = self.chains.program_ended(chain);
        let made = really_made(&steps, usize::try_from(ret).unwrap_or(0).min(steps.len()));
        for place in first..first + steps.len() {
            self.slots.at(self.chains.slot(chain, place)).stage.set(Stage::Ready);
        }
        self.chains.hold(chain, first + made);
        if made == 0 {
            self.chains.retry(chain);
        }
        for at in 0..made {
            self.step_ended(chain, first + at, &steps[..made], at);
        }
        self.chains.keep(chain, steps);
    }

    /// One of the `made` calls of a program has ended.
    fn step_ended(&mut self, chain: u32, place: usize, made: &[Step], at: usize) {
        let index = self.chains.slot(chain, place);
        let step = &made[at];
        if self.chains.is_cancelled(chain) {
            self.slots.at(index).cancelled.set(true);
        }
        let feeds = |other: &Step| other.closes() && other.feed == Some(at as u8);
        if step.ret >= 0 && step.trap.makes_fd && made.iter().any(feeds) {
            // Closed again: the number may be another file's by now.
            self.slots.at(index).with_op_mut(|op| *op = Op::Nop);
            return self.outcome(index, 0);
        }
        if !step.closes() {
            self.tell(chain, place);
        }
        self.outcome(index, step.ret);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::chain::Chain;
    use crate::options::{Engine, Options, Placement};
    use crate::result::Value;
    use crate::syscall_threads::SyscallThreads;

    type Ring = Polled<Vec<u8>, SyscallThreads>;

    const SOON: Duration = Duration::from_secs(10);

    fn ring() -> Ring {
        ring_of(Options::default())
    }

    fn ring_of(options: Options) -> Ring {
        Polled::new(&options, Engine::Threads, |waker| {
            SyscallThreads::new(&options, waker.clone()).map_err(crate::options::RingError::Threads)
        })
        .expect("a ring")
    }

    /// The kinds of the results of a chain, and the entries that it took.
    fn run(ring: &mut Ring, calls: Vec<Call<Vec<u8>>>, meanwhile: impl FnOnce()) -> (String, u64) {
        let before = ring.exec.entries_ended();
        ring.submit(Call::chain(calls.into_iter().collect::<Chain<_>>()), 1).expect("room");
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(30) {
            ring.wait(Some(Duration::from_millis(1))).expect("waits");
        }
        meanwhile();
        let (mut kinds, deadline) = (String::new(), Instant::now() + SOON);
        while kinds.is_empty() {
            assert!(Instant::now() < deadline, "it ends");
            ring.wait(Some(Duration::from_millis(100))).expect("waits");
            ring.reap(&mut |done| {
                let Ok(Value::Chain(all)) = done.result else { panic!("a chain") };
                kinds = all
                    .iter()
                    .map(|result| match result {
                        Ok(Value::Done) => 'd',
                        Ok(Value::Opened(_)) => 'o',
                        Ok(Value::Stat(_)) => 's',
                        Ok(Value::Moved { .. }) => 'm',
                        Ok(_) => '?',
                        Err(failure) if failure.is_cancelled() => 'c',
                        Err(_) => 'f',
                    })
                    .collect();
            });
        }
        (kinds, ring.exec.entries_ended() - before)
    }

    fn open(path: &std::path::Path) -> Call<Vec<u8>> {
        let path = path.as_os_str().as_encoded_bytes();
        Call::open(crate::call::CWD, CString::new(path).expect("no NUL"))
    }

    fn read(fd: RawFd, offset: u64) -> Call<Vec<u8>> {
        Call::read(fd, vec![0; 8], 0..8, offset)
    }

    #[test]
    fn a_chain_of_calls_that_wait_for_nobody_takes_one_entry() {
        let (mut ring, file) = (ring(), tempfile::NamedTempFile::new().expect("a file"));
        let path = file.path();
        let whole = || vec![open(path), Call::stat_fd(OPENED), read(OPENED, 0)];
        let mut closed = whole();
        closed.push(Call::close_opened());
        assert_eq!(run(&mut ring, closed, || ()), ("dsmd".into(), 1));
        assert_eq!(run(&mut ring, whole(), || ()), ("osm".into(), 1));
        let inner = [open(path), read(OPENED, 0), Call::close_opened()];
        let outer = [Call::stat_fd(OPENED), Call::close_opened(), Call::nop()];
        let nested = whole().into_iter().chain(inner).chain(outer).collect();
        assert_eq!(run(&mut ring, nested, || ()), ("dsmdmdsdd".into(), 1));
        super::super::close(&mut ring);
    }

    #[test]
    fn a_program_that_the_poster_makes_enters_the_kernel_once_a_call() {
        let mut ring = ring_of(Options { placement: Placement::Measured, ..Options::default() });
        let before = ring.stats().enters;
        let stat = || Call::stat(crate::call::CWD, c"/".into());
        ring.submit(Call::chain([stat(), stat()].into_iter().collect()), 1).expect("room");
        assert_eq!(ring.stats().enters - before, 2, "{}", ring.stats());
        super::super::close(&mut ring);
    }

    #[test]
    fn what_is_behind_a_failure_is_not_made_but_closes_are() {
        let (mut ring, file) = (ring(), tempfile::NamedTempFile::new().expect("a file"));
        let bad = Call::write(OPENED, vec![0; 2], 0..2, 0);
        let calls = vec![open(file.path()), bad, Call::stat_fd(OPENED), Call::close_opened()];
        assert_eq!(run(&mut ring, calls, || ()), ("dfcd".into(), 2));
        super::super::close(&mut ring);
    }

    #[test]
    fn a_read_that_would_wait_parks_and_the_rest_is_one_more_entry() {
        let (mut ring, file) = (ring(), tempfile::NamedTempFile::new().expect("a file"));
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let pipe = read(reader.as_raw_fd(), CURRENT);
        let rest = [Call::stat_fd(OPENED), read(OPENED, 0), Call::close_opened()];
        let calls = [open(file.path()), pipe].into_iter().chain(rest).collect();
        let late = || writer.write_all(b"late").expect("written");
        // The try that would have waited, the read when the bytes were there, and the rest.
        assert_eq!(run(&mut ring, calls, late), ("dmsmd".into(), 3));
        super::super::close(&mut ring);
    }

    fn is_open(path: &std::path::Path) -> bool {
        let fds = std::fs::read_dir("/proc/self/fd").expect("it is there").flatten();
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|to| to == path)
    }

    #[test]
    fn a_close_that_was_not_begun_loses_no_descriptor_where_another_call_is_left_to_its_thread() {
        let file = || tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        let (opened, lock) = (file(), file());
        let [mine, other] = [(); 2].map(|()| std::fs::File::open(&lock).expect("opened"));
        mine.lock().expect("free");
        let mut ring = ring_of(Options { threads: 1, ..Options::default() });
        ring.exec.lose_signal();
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let waits = read(reader.as_raw_fd(), CURRENT);
        let calls = [open(&opened), waits, Call::stat_fd(OPENED), Call::close_opened()];
        ring.submit(Call::chain(calls.into_iter().collect()), 1).expect("room");
        let turns = |ring: &mut Ring, enough: fn(&Ring) -> bool| {
            let deadline = Instant::now() + SOON;
            while !enough(ring) {
                assert!(Instant::now() < deadline, "{}", ring.stats());
                ring.wait(Some(Duration::from_millis(1))).expect("waits");
            }
        };
        turns(&mut ring, |ring| ring.exec.entries_ended() == 1);
        writer.write_all(b"go on").expect("written");
        // The read has ended on its thread, or is about to; its result is taken when the thread has other
        // work, behind which the rest of the chain waits.
        while ring.exec.is_published() {
            ring.look(Some(Duration::from_millis(1))).expect("looks");
        }
        ring.exec.publish();
        std::thread::sleep(Duration::from_millis(50));
        ring.submit(Call::flock(other.as_raw_fd(), crate::call::Lock::Exclusive), 2).expect("room");
        ring.exec.publish();
        std::thread::sleep(Duration::from_millis(50));
        ring.wait(Some(Duration::ZERO)).expect("waits");
        assert_eq!(ring.exec.entries_ended(), 2, "the read");
        assert!(is_open(&opened));
        super::super::close(&mut ring);
        drop(ring);
        assert!(!is_open(&opened));
        mine.unlock().expect("it was ours");
    }

    #[test]
    fn a_program_left_to_its_thread_keeps_its_memory_and_closes_what_is_open() {
        let file = || tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        let (opened, before, lock) = (file(), file(), file());
        let [mine, other] = [(); 2].map(|()| std::fs::File::open(&lock).expect("opened"));
        mine.lock().expect("free");
        let mut ring = ring();
        ring.exec.lose_signal();
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        // The read parks, so that the first file is open before the program that is left begins.
        let calls = vec![
            open(&before),
            read(reader.as_raw_fd(), CURRENT),
            open(&opened),
            Call::flock(other.as_raw_fd(), crate::call::Lock::Exclusive),
            read(OPENED, 0),
            Call::close_opened(),
            Call::close_opened(),
        ];
        ring.submit(Call::chain(calls.into_iter().collect::<Chain<_>>()), 1).expect("room");
        let deadline = Instant::now() + SOON;
        let mut turns = |path: &std::path::Path| {
            while !is_open(path) {
                assert!(Instant::now() < deadline, "it is opened");
                ring.wait(Some(Duration::from_millis(1))).expect("waits");
            }
        };
        turns(&before);
        writer.write_all(b"go on").expect("written");
        turns(&opened);
        super::super::close(&mut ring);
        drop(ring);
        assert!(is_open(&opened) && is_open(&before));
        mine.unlock().expect("it was ours");
        while is_open(&opened) || is_open(&before) {
            assert!(Instant::now() < deadline, "it is closed");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
