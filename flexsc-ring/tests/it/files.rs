//! Files: open, ask, read, write, list, send, close.

use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use flexsc_ring::{CURRENT, CWD, Call, PostError, Ring, Value};

use crate::on_every_engine;
use crate::support::{Bench, errno, moved};

fn path(dir: &std::path::Path, name: &str) -> CString {
    CString::new(dir.join(name).into_os_string().into_encoded_bytes()).expect("no NUL")
}

fn opened(value: Value<Vec<u8>>) -> OwnedFd {
    match value {
        Value::Opened(fd) => fd,
        other => panic!("not opened: {other:?}"),
    }
}

fn open(bench: &mut Bench, path: CString) -> OwnedFd {
    opened(bench.value(Call::open(CWD, path)))
}

on_every_engine! {
    fn a_file_is_opened_asked_about_read_and_closed(bench) {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("page"), b"hello, syscall page").expect("written");
        let file = open(bench, path(dir.path(), "page"));
        let by_fd = bench.value(Call::stat_fd(file.as_raw_fd()));
        let by_path = bench.value(Call::stat(CWD, path(dir.path(), "page")));
        let by_no_path = bench.value(Call::stat(file.as_raw_fd(), c"".into()));
        let truth = fs::metadata(dir.path().join("page")).expect("it is there");
        for value in [by_fd, by_path, by_no_path] {
            let Value::Stat(stat) = value else { panic!("not a stat: {value:?}") };
            assert_eq!(stat.size, 19);
            assert!(stat.is_file() && !stat.is_dir());
            assert_eq!((stat.ino, stat.mode, stat.nlink), (truth.ino(), truth.mode(), 1));
            assert_eq!((stat.mtime_secs, i64::from(stat.mtime_nanos)), (truth.mtime(), truth.mtime_nsec()));
        }
        let (n, buf) = moved(bench.call(Call::read(file.as_raw_fd(), vec![b'.'; 32], 4..32, 7)));
        assert_eq!((n, &buf[..20]), (12, &b"....syscall page...."[..]));
        assert!(matches!(bench.value(Call::close(file)), Value::Done));
    }

    fn what_is_written_at_an_offset_is_in_the_file(bench) {
        let mut file = tempfile::tempfile().expect("a file");
        let call = Call::write(file.as_raw_fd(), b"0123456789".to_vec(), 2..6, 3);
        assert_eq!(moved(bench.call(call)).0, 4);
        let mut text = Vec::new();
        file.read_to_end(&mut text).expect("read");
        assert_eq!(text, b"\0\0\x002345");
    }

    fn reads_at_the_current_position_go_on_where_the_last_one_ended(bench) {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("f"), b"abcdef").expect("written");
        let file = open(bench, path(dir.path(), "f"));
        for expected in [&b"abcd"[..], b"ef", b""] {
            let (n, buf) = moved(bench.call(Call::read(file.as_raw_fd(), vec![0; 4], 0..4, CURRENT)));
            assert_eq!(&buf[..n], expected);
        }
    }

    fn a_close_is_seen_by_the_peer(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        bench.value(Call::close(ours.into()));
        assert_eq!(theirs.read(&mut [0; 8]).expect("the end"), 0);
    }

    fn a_file_that_cannot_be_read_without_waiting_is_waited_for(bench) {
        // SAFETY: no pointers.
        let raw = unsafe { libc::inotify_init1(libc::IN_CLOEXEC) };
        // SAFETY: new, and nobody else's.
        let watcher = unsafe { OwnedFd::from_raw_fd(raw) };
        let dir = tempfile::tempdir().expect("a directory");
        let name = path(dir.path(), "");
        // SAFETY: `name` ends with NUL and outlives the call.
        unsafe { libc::inotify_add_watch(raw, name.as_ptr(), libc::IN_CREATE) };
        bench.post(Call::read(watcher.as_raw_fd(), vec![0; 512], 0..512, CURRENT), 1);
        bench.expect_silence();
        fs::write(dir.path().join("new"), b"").expect("written");
        assert!(moved(bench.next()).0 > 0);
    }

    fn a_read_of_an_empty_pipe_waits_for_the_writer(bench) {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        bench.post(Call::read(reader.as_raw_fd(), vec![0; 8], 0..8, CURRENT), 1);
        bench.expect_silence();
        writer.write_all(b"late").expect("written");
        let (n, buf) = moved(bench.next());
        assert_eq!(&buf[..n], b"late");
    }

    fn the_kernel_refuses_what_lies_outside_of_the_root(bench) {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("root")).expect("made");
        fs::write(dir.path().join("secret"), b"s").expect("written");
        fs::write(dir.path().join("root/public"), b"p").expect("written");
        let root = open(bench, path(dir.path(), "root"));
        let open = |name: &str| Call::open_beneath(root.as_raw_fd(), CString::new(name).expect("ok"));
        assert_eq!(errno(&bench.call(open("../secret"))), libc::EXDEV);
        assert_eq!(errno(&bench.call(open("/etc/passwd"))), libc::EXDEV);
        assert_eq!(errno(&bench.call(open("absent"))), libc::ENOENT);
        opened(bench.value(open("public")));
    }

    fn a_directory_is_listed(bench) {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("only-file"), b"").expect("written");
        let fd = open(bench, path(dir.path(), ""));
        let (n, buf) = moved(bench.call(Call::getdents64(fd.as_raw_fd(), vec![0; 4096])));
        assert!(buf[..n].windows(9).any(|w| w == b"only-file"));
    }

    fn sendfile_moves_a_part_of_a_file_to_a_socket(bench) {
        let dir = tempfile::tempdir().expect("a directory");
        let bytes: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        fs::write(dir.path().join("f"), &bytes).expect("written");
        let file = open(bench, path(dir.path(), "f"));
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).expect("read");
            got
        });
        let (mut at, end) = (1_000, 200_000);
        while at < end {
            let call = Call::sendfile(ours.as_raw_fd(), file.as_raw_fd(), at as u64, end - at);
            match bench.value(call) {
                Value::Sent(n) => at += n,
                other => panic!("not sent: {other:?}"),
            }
        }
        drop(ours);
        assert!(reader.join().expect("reads") == bytes[1_000..]);
    }

    fn any_other_call_goes_through_the_raw_door(bench) {
        // SAFETY: no pointers, no effect.
        let getpid = unsafe { Call::raw(libc::SYS_getpid as u16, [0; 6]) };
        match bench.value(getpid) {
            Value::Raw(pid) => assert_eq!(pid, i64::from(std::process::id())),
            other => panic!("not raw: {other:?}"),
        }
        // SAFETY: the kernel checks the address and answers EFAULT.
        let bad_pointer = unsafe { Call::raw(libc::SYS_uname as u16, [1, 0, 0, 0, 0, 0]) };
        assert_eq!(errno(&bench.call(bad_pointer)), libc::EFAULT);
        // SAFETY: there is no such call.
        let unknown = unsafe { Call::raw(9_999, [0; 6]) };
        assert_eq!(errno(&bench.call(unknown)), libc::ENOSYS);
    }

    fn a_failure_gives_the_buffer_back(bench) {
        let done = bench.call(Call::read(-1, b"mine".to_vec(), 0..4, 0));
        let failure = done.result.expect_err("there is no such descriptor");
        assert_eq!(failure.error.raw_os_error(), Some(libc::EBADF));
        assert_eq!(failure.buf.as_deref(), Some(&b"mine"[..]));
    }

    fn a_range_outside_of_the_buffer_is_refused_with_the_call(bench) {
        for range in [(0, 9), (5, 4), (9, 9), (0, usize::MAX)] {
            let call = Call::read(0, vec![0; 8], range.0..range.1, 0);
            let refused = bench.ring.submit(call, 1).expect_err("outside");
            assert!(matches!(refused, PostError::Range { len: 8, .. }));
            assert_eq!(refused.into_call().into_buf().map(|buf| buf.len()), Some(8));
        }
        assert_eq!(bench.ring.in_flight(), 0);
    }

    fn nothing_takes_its_turn_too(bench) {
        for user in 0..100 {
            bench.post(Call::nop(), user);
        }
        let mut users: Vec<u64> = (0..100).map(|_| bench.next().user).collect();
        users.sort_unstable();
        assert!(users.into_iter().eq(0..100));
        assert_eq!((bench.ring.in_flight(), bench.ring.stats().completed), (0, 100));
    }
}

/// Takes a write lease on a file: who opens it meanwhile without waiting is told to try again.
fn lease(file: &fs::File) -> bool {
    const F_SETSIG: i32 = 10;
    // SAFETY: no pointers. The lease's end is told by a signal that is ignored.
    unsafe {
        libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) == 0
            && libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) == 0
    }
}

on_every_engine! {
    fn opening_a_leased_file_fails_instead_of_trying_for_ever(bench) {
        let dir = tempfile::tempdir().expect("a directory");
        let held = fs::File::create(dir.path().join("leased")).expect("a file");
        if !lease(&held) {
            return eprintln!("skipped: no leases here");
        }
        let beneath = fs::File::open(dir.path()).expect("opened");
        let calls = [
            Call::open_beneath(beneath.as_raw_fd(), c"leased".into()),
            Call::OpenAt2 {
                dir: beneath.as_raw_fd(),
                path: c"leased".into(),
                flags: libc::O_NONBLOCK as u64,
                mode: 0,
                resolve: 0,
            },
        ];
        for call in calls {
            assert_eq!(errno(&bench.call(call)), libc::EAGAIN);
        }
    }
}
