//! Do programs run on syscall threads, what becomes of their descriptors, and what does a poster do
//! that waits?

use std::ffi::CString;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::line::Spot;
use super::{Stopping, SyscallThreads};
use crate::fallback::Stats;
use crate::op::CANCELED;
use crate::options::{Options, Placement};
use crate::trap::{NOTHING, Step, Trap};
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
fn a_call_that_has_ended_is_not_cancelled_in_the_entry_that_another_has_now() {
    let mut threads = threads();
    let nop = Trap { number: NOTHING, makes_fd: false, makes_mapping: false, args: [0; 6] };
    threads.post(3, nop);
    threads.publish();
    assert_eq!(result(&mut threads), 0);
    // In the same entry, which was freed last; not published, so that it can be stopped.
    threads.post(4, nop);
    assert_eq!(threads.cancel(3), Stopping::Coming);
    assert_eq!(threads.cancel(4), Stopping::Stopped);
    assert_eq!(threads.cancel(4), Stopping::Coming);
    assert_eq!(threads.close(Instant::now() + SOON, |_, _| ()), []);
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

/// Threads by measure whose only one is kept busy, and whose place is the other core; none if there is
/// one processor.
fn busy_elsewhere(spin_us: u32) -> Option<SyscallThreads> {
    static LONG: [i64; 2] = [100, 0];
    if crate::machine::allowed_cpus().len() < 2 {
        eprintln!("skipped: one processor");
        return None;
    }
    let placement = Placement::Measured;
    let options = Options { threads: 1, placement, spin_us, ..Options::default() };
    let mut threads = SyscallThreads::new(&options, Waker::new().expect("an event")).expect("one");
    threads.meter.as_mut().expect("measured").go_elsewhere();
    let long = LONG.as_ptr().expose_provenance() as u64;
    threads.post(99, step(libc::SYS_nanosleep, [long, 0, 0, 0], None).trap);
    threads.publish();
    let deadline = Instant::now() + SOON;
    while threads.shared.pages.unclaimed() > 0 {
        assert!(Instant::now() < deadline, "it is begun");
    }
    Some(threads)
}

#[test]
fn a_poster_that_waits_makes_short_calls_that_no_thread_has_begun() {
    let Some(mut threads) = busy_elsewhere(20) else { return };
    let me = i64::from(std::process::id());
    for slot in 0..5 {
        let made = threads.start(slot, step(libc::SYS_getpid, [0; 4], None).trap);
        assert_eq!(made, None, "posted");
    }
    let mut steps = [step(libc::SYS_getpid, [0; 4], None), step(libc::SYS_getpid, [0; 4], None)];
    assert_eq!(threads.start(5, Trap::program(steps.as_mut_ptr(), 2)), None);
    threads.publish();
    threads.linger(SOON);
    let mut results = Vec::new();
    threads.collect(|slot, ret| results.push((slot, ret)));
    results.sort_unstable();
    assert_eq!(results, [(0, me), (1, me), (2, me), (3, me), (4, me), (5, 2)]);
    assert_eq!(steps.map(|step| step.ret), [me, me]);
    let mut stats = Stats::default();
    threads.tally(&mut stats);
    assert_eq!((stats.made_here, stats.posted_elsewhere, stats.taken_back), (0, 6, 6));
    assert_eq!(stats.enters, 7, "two of them for the program");
    assert!(threads.close(Instant::now() + SOON, |_, _| {}).is_empty());
}

#[test]
fn a_poster_that_looks_for_no_result_makes_short_calls_all_the_same() {
    let Some(mut threads) = busy_elsewhere(0) else { return };
    assert_eq!(threads.start(0, step(libc::SYS_getpid, [0; 4], None).trap), None, "posted");
    threads.publish();
    threads.linger(SOON);
    let mut results = Vec::new();
    threads.collect(|slot, _| results.push(slot));
    assert_eq!(results, [0]);
    assert!(threads.close(Instant::now() + SOON, |_, _| {}).is_empty());
}

#[test]
fn a_poster_that_waits_leaves_calls_to_threads_that_may_have_to_wait() {
    let Some(mut threads) = busy_elsewhere(20) else { return };
    let file = File::new();
    let mut steps = [file.open(), step(libc::SYS_getpid, [0; 4], None)];
    assert_eq!(threads.start(0, Trap::program(steps.as_mut_ptr(), 2)), None);
    assert_eq!(threads.start(1, step(libc::SYS_getpid, [0; 4], None).trap), None);
    threads.publish();
    threads.linger(SOON);
    let mut results = Vec::new();
    threads.collect(|slot, _| results.push(slot));
    assert_eq!(results, [1]);
    // Its steps must stay until it has ended.
    assert_eq!(threads.cancel(0), Stopping::Stopped);
    assert!(threads.close(Instant::now() + SOON, |_, _| {}).is_empty());
}

#[test]
fn a_poster_looks_for_the_end_of_a_call_that_it_has_signalled_before_it_sleeps() {
    static LONG: [i64; 2] = [100, 0];
    let options = Options { spin_us: 1_000_000, ..Options::default() };
    let mut threads = SyscallThreads::new(&options, Waker::new().expect("an event")).expect("one");
    if threads.shared.spin.is_zero() || threads.signal.is_none() {
        return eprintln!("skipped: one processor, or no signal");
    }
    let long = LONG.as_ptr().expose_provenance() as u64;
    threads.post(0, step(libc::SYS_nanosleep, [long, 0, 0, 0], None).trap);
    threads.publish();
    let deadline = Instant::now() + SOON;
    let Spot::Entry(entry) = threads.line.spot(0) else { panic!("it has an entry") };
    while !threads.entry(entry).is_wanted() {
        assert!(Instant::now() < deadline, "it is begun");
    }
    // As after many waits in vain.
    threads.skip = 9;
    threads.linger(SOON);
    assert_eq!(threads.skip, 8, "it does not look");
    assert_eq!(threads.cancel(0), Stopping::Coming);
    threads.linger(SOON);
    assert!(threads.skip == 8 && threads.shared.pages.any_done());
    assert!(threads.close(Instant::now() + SOON, |_, _| {}).is_empty());
}
