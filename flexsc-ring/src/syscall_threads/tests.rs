//! Do programs run on syscall threads, and what becomes of their descriptors?

use std::ffi::CString;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Stopping, SyscallThreads};
use crate::op::CANCELED;
use crate::options::Options;
use crate::trap::{Step, Trap};
use crate::waker::Waker;

const SOON: Duration = Duration::from_secs(10);

fn threads() -> SyscallThreads {
    SyscallThreads::new(&Options::default(), Waker::new().expect("an event")).expect("a thread")
}

fn step(number: libc::c_long, args: [u64; 4], feed: Option<u8>) -> Step {
    let [a, b, c, d] = args;
    let makes_fd = number == libc::SYS_openat;
    let trap =
        Trap { number: number as u16, makes_fd, makes_mapping: false, args: [a, b, c, d, 0, 0] };
    Step { trap, feed, ret: 77 }
}

/// A file with four bytes, and what its steps point to. Never freed.
struct File {
    path: PathBuf,
    name: &'static CString,
    buf: &'static mut [u8; 8],
}

impl File {
    fn new() -> Self {
        let (mut file, path) =
            tempfile::NamedTempFile::new().expect("a file").keep().expect("kept");
        file.write_all(b"four").expect("written");
        let name = CString::new(path.clone().into_os_string().into_encoded_bytes());
        let name = Box::leak(Box::new(name.expect("no NUL")));
        File { path, name, buf: Box::leak(Box::new([0; 8])) }
    }

    fn open(&self) -> Step {
        let name = self.name.as_ptr().expose_provenance() as u64;
        step(libc::SYS_openat, [libc::AT_FDCWD as i64 as u64, name, 0, 0], None)
    }

    fn read(&mut self, fd: i32, feed: Option<u8>) -> Step {
        let at = self.buf.as_mut_ptr().expose_provenance() as u64;
        step(libc::SYS_read, [fd as u64, at, 8, 0], feed)
    }

    fn is_open(&self) -> bool {
        let all = std::fs::read_dir("/proc/self/fd").expect("it is there").flatten();
        all.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|to| to == self.path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn close() -> Step {
    step(libc::SYS_close, [0; 4], Some(0))
}

/// Posts a program as the call of slot 0.
fn post<const N: usize>(threads: &mut SyscallThreads, steps: [Step; N]) -> &'static mut [Step; N] {
    let steps = Box::leak(Box::new(steps));
    threads.post(0, Trap::program(steps.as_mut_ptr(), N));
    threads.publish();
    steps
}

fn result(threads: &mut SyscallThreads) -> i64 {
    let deadline = Instant::now() + SOON;
    let mut got = None;
    while got.is_none() {
        assert!(Instant::now() < deadline, "it ends");
        threads.collect(|_, ret| got = Some(ret));
    }
    got.unwrap_or_default()
}

#[test]
fn a_program_opens_reads_and_closes_in_one_entry() {
    let (mut threads, mut file) = (threads(), File::new());
    let steps = [file.open(), file.read(0, Some(0)), close()];
    let steps = post(&mut threads, steps);
    assert_eq!(result(&mut threads), 3);
    assert_eq!((steps[1].ret, steps[2].ret), (4, 0));
    assert_eq!(&file.buf[..4], b"four");
    assert!(!file.is_open());
    assert!(threads.close(Instant::now() + SOON, |_, _| {}).is_empty());
}

#[test]
fn a_failed_step_ends_a_program_and_leaves_the_descriptor_to_the_poster() {
    let (mut threads, mut file) = (threads(), File::new());
    let steps = [file.open(), file.read(-1, None), close()];
    let steps = post(&mut threads, steps);
    assert_eq!(result(&mut threads), 2);
    assert_eq!((steps[1].ret, steps[2].ret), (-i64::from(libc::EBADF), 77));
    assert!(file.is_open());
    // SAFETY: opened by the program, and left to the test.
    unsafe { crate::sys::close_raw(steps[0].ret) };
    threads.close(Instant::now() + SOON, |_, _| {});
}

#[test]
fn a_cancelled_program_stops_within_its_step() {
    let (mut threads, mut file) = (threads(), File::new());
    let (pipe, _writer) = std::io::pipe().expect("a pipe");
    let steps = [file.open(), file.read(pipe.as_raw_fd(), None), close()];
    let steps = post(&mut threads, steps);
    while !file.is_open() {
        std::thread::yield_now();
    }
    assert_eq!(threads.cancel(0), Stopping::Coming);
    assert_eq!(result(&mut threads), 2);
    assert_eq!((steps[1].ret, steps[2].ret), (CANCELED, 77));
    // SAFETY: opened by the program, and left to the test.
    unsafe { crate::sys::close_raw(steps[0].ret) };
    threads.close(Instant::now() + SOON, |_, _| {});
}

#[test]
fn an_abandoned_program_closes_what_it_opened_and_goes_no_further() {
    let (mut threads, mut file) = (threads(), File::new());
    let (pipe, mut writer) = std::io::pipe().expect("a pipe");
    let steps = [file.open(), file.read(pipe.as_raw_fd(), None), file.open(), file.open()];
    post(&mut threads, steps);
    while !file.is_open() {
        std::thread::yield_now();
    }
    threads.lose_signal();
    assert_eq!(threads.close(Instant::now(), |_, _| {}), [0]);
    assert!(file.is_open());
    writer.write_all(b"end").expect("written");
    let deadline = Instant::now() + SOON;
    while file.is_open() {
        assert!(Instant::now() < deadline, "it is closed");
        std::thread::sleep(Duration::from_millis(1));
    }
}
