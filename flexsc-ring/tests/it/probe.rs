//! What the probe says, also where io_uring is forbidden and where the system's bounds are low.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use flexsc_ring::{
    AnyRing, Call, Cause, Engine, Options, Probe, Reason, Ring, RingError, Uring, Value,
};

use crate::support::{Buf, alone, threads};

#[test]
fn the_probe_agrees_with_the_engine() {
    let probe = Probe::run();
    let made = AnyRing::<Buf>::new(&Options::with_engine(Engine::Uring));
    assert_eq!(probe.usable, made.is_ok(), "{probe}");
    assert_eq!((probe.usable, probe.usable), (probe.why_not.is_none(), probe.cause.is_none()));
    let auto = AnyRing::<Buf>::new(&Options::default()).expect("one of them works");
    assert_eq!(probe.auto, Some(auto.engine()));
    assert_eq!(probe.notes, auto.report().notes);
    let text = probe.to_string();
    assert!(text.contains(&probe.kernel) && text.contains("usable"), "{text}");
    if probe.usable {
        assert!(probe.opcodes > 30 && probe.provided_buffers && probe.cancel);
        assert!(probe.missing.is_empty(), "{:?}", probe.missing);
    }
}

#[test]
fn the_probe_reads_what_the_system_says() {
    let probe = Probe::run();
    let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
    assert_eq!(probe.uring_disabled.map(|n| n.to_string()), setting.map(|s| s.trim().to_owned()));
    let limits = std::fs::read_to_string("/proc/self/limits").expect("it is there");
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
        let mut words = line.split_whitespace().map(|word| word.parse::<u64>().ok());
        (words.next().expect("soft"), words.next().expect("hard"))
    };
    let ours = |limit: flexsc_ring::Limit| (limit.soft, limit.hard);
    assert_eq!(ours(probe.locked_memory), limit("Max locked memory"));
    assert_eq!(ours(probe.open_files), limit("Max open files"));
    assert_eq!(ours(probe.tasks), limit("Max processes"));
    assert!(probe.syscall_threads && probe.why_no_thread.is_none());
    assert!(!probe.cpus.is_empty() && probe.processors > 0);
}

#[test]
fn the_probe_leaves_nothing_behind() {
    alone("probe::the_probe_leaves_nothing_behind", || {
        Probe::run();
        let before = (crate::support::open_files(), threads());
        (0..10).for_each(|_| drop(Probe::run()));
        let settled = || (crate::support::open_files(), threads()) == before;
        let deadline = std::time::Instant::now() + crate::support::SOON;
        while !settled() && std::time::Instant::now() < deadline {
            std::thread::sleep(crate::support::A_MOMENT);
        }
        assert!(settled(), "{before:?}");
    });
}

/// Makes every io_uring call of this thread fail, as container runtimes do.
fn forbid_io_uring(errno: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let unless = |number: libc::c_long, skip: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: skip,
        k: number as u32,
    };
    let deny = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32);
    let mut filter = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for number in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register]
    {
        filter.extend([unless(number, 1), deny]);
    }
    filter.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    let program =
        libc::sock_fprog { len: filter.len() as libc::c_ushort, filter: filter.as_mut_ptr() };
    // SAFETY: `program` and its filter outlive the call that copies them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &program), 0);
    }
}

/// The README's example.
fn does_the_work(ring: &mut AnyRing<Buf>) {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    ring.submit(Call::recv_multishot(ours.as_raw_fd()), 1).expect("room");
    ring.submit(Call::send(ours.as_raw_fd(), b"hello".to_vec(), 0..5), 2).expect("room");
    theirs.write_all(b"good day").expect("written");
    let mut got = Vec::new();
    while ring.in_flight() > 1 || got.is_empty() {
        ring.wait(None).expect("waits");
        ring.reap(&mut |done| match done.result {
            Ok(Value::Received(bytes)) => got.extend_from_slice(&bytes),
            Ok(Value::Moved { n, buf }) => assert_eq!((n, buf.len()), (5, 5)),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(got, b"good day");
}

fn threads_serve_where_io_uring_fails_with(errno: i32, says: &str) {
    forbid_io_uring(errno);
    let probe = Probe::run();
    assert_eq!((probe.usable, probe.seccomp), (false, Some(2)));
    let why = probe.why_not.clone().expect("a reason");
    assert!(why.contains("io_uring_setup") && why.contains(says), "{why}");
    let cause = match probe.uring_disabled {
        Some(value @ 1..) if errno == libc::EPERM => Cause::Sysctl(value),
        _ => Cause::Seccomp,
    };
    assert_eq!((probe.cause, probe.auto), (Some(cause), Some(Engine::Threads)));
    let text = probe.to_string();
    assert!(text.contains(&cause.to_string()) && text.contains("`auto`: threads"), "{text}");

    let refused = AnyRing::<Buf>::new(&Options::with_engine(Engine::Uring)).err();
    let refused = refused.expect("named, but forbidden");
    assert!(matches!(refused, RingError::Uring { .. }));
    assert!(refused.to_string().contains("`threads`"), "{refused}");

    let mut ring = AnyRing::<Buf>::new(&Options::default()).expect("auto finds another");
    assert_eq!((ring.engine(), ring.report().asked), (Engine::Threads, Engine::Auto));
    assert_eq!(ring.stats().fallbacks(Reason::Engine), 1);
    assert!(ring.report().to_string().contains("uring"), "{}", ring.report());
    does_the_work(&mut ring);
}

#[test]
fn where_a_filter_forbids_io_uring_threads_serve_and_say_why() {
    alone("probe::where_a_filter_forbids_io_uring_threads_serve_and_say_why", || {
        threads_serve_where_io_uring_fails_with(libc::EPERM, "not permitted");
    });
}

#[test]
fn where_a_filter_hides_io_uring_threads_serve_and_say_why() {
    alone("probe::where_a_filter_hides_io_uring_threads_serve_and_say_why", || {
        threads_serve_where_io_uring_fails_with(libc::ENOSYS, "not implemented");
    });
}

fn set_limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `limit` outlives the call.
    assert_eq!(unsafe { libc::setrlimit(resource, &limit) }, 0);
}

#[test]
fn without_lockable_memory_a_ring_works_or_memory_is_named_as_the_cause() {
    alone("probe::without_lockable_memory_a_ring_works_or_memory_is_named_as_the_cause", || {
        set_limit(libc::RLIMIT_MEMLOCK, 0);
        // Root is not bound by it.
        // SAFETY: no pointers; it fails for who is not root, which is as well.
        unsafe { libc::setuid(65_534) };
        let probe = Probe::run();
        assert_eq!(probe.locked_memory.soft, Some(0));
        assert!(probe.usable || probe.cause == Some(Cause::Memory), "{probe}");
        assert!(probe.to_string().contains("0 bytes of locked memory"), "{probe}");
        does_the_work(&mut AnyRing::new(&Options::default()).expect("one of them works"));
    });
}

#[test]
fn without_descriptors_no_ring_is_made_and_the_limit_is_named() {
    alone("probe::without_descriptors_no_ring_is_made_and_the_limit_is_named", || {
        let next = std::io::pipe().expect("a pipe").0.as_raw_fd() as u64;
        // One more descriptor fits, for a ring's event descriptor.
        set_limit(libc::RLIMIT_NOFILE, next + 1);
        for engine in [Engine::Auto, Engine::Uring, Engine::Threads, Engine::Direct] {
            let error = AnyRing::<Buf>::new(&Options::with_engine(engine)).err();
            let error = error.expect("a ring needs two descriptors");
            assert!(matches!(error, RingError::Descriptor { .. }), "{engine}: {error}");
            assert!(error.to_string().contains("ulimit -n"), "{error}");
        }
        let probe = Probe::run();
        assert_eq!(probe.auto, None);
        assert_eq!(probe.open_files.soft, Some(next + 1));
        let text = probe.to_string();
        assert!(text.contains("none can be made") && text.contains("ulimit -n"), "{text}");
        set_limit(libc::RLIMIT_NOFILE, 0);
        assert!(Uring::<Buf>::new(&Options::default()).is_err());
        assert_eq!(Probe::run().auto, None);
    });
}
