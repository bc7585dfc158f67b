//! What the probe says, also where io_uring is forbidden.

use flexsc_ring::{AnyRing, Call, Engine, Options, Probe, Reason, Ring, RingError};

use crate::support::{Buf, alone};

#[test]
fn the_probe_agrees_with_the_engine() {
    let probe = Probe::run();
    let made = AnyRing::<Buf>::new(&Options::with_engine(Engine::Uring));
    assert_eq!(probe.usable, made.is_ok(), "{probe}");
    assert_eq!(probe.usable, probe.why_not.is_none());
    let text = probe.to_string();
    assert!(text.contains(&probe.kernel) && text.contains("usable"), "{text}");
    if probe.usable {
        assert!(probe.opcodes > 30 && probe.provided_buffers);
    }
}

/// Makes every io_uring call of this thread fail with EPERM, as container runtimes do.
fn forbid_io_uring() {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let unless = |number: libc::c_long, skip: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: skip,
        k: number as u32,
    };
    let deny = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
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

#[test]
fn where_io_uring_is_forbidden_threads_serve_and_say_why() {
    alone("probe::where_io_uring_is_forbidden_threads_serve_and_say_why", || {
        forbid_io_uring();
        let probe = Probe::run();
        assert!(!probe.usable);
        let why = probe.why_not.clone().expect("a reason");
        assert!(why.contains("io_uring_setup") && why.contains("not permitted"), "{why}");

        let refused = AnyRing::<Buf>::new(&Options::with_engine(Engine::Uring)).err();
        let refused = refused.expect("named, but forbidden");
        assert!(matches!(refused, RingError::Uring { .. }));
        assert!(refused.to_string().contains("`threads`"), "{refused}");

        let mut ring = AnyRing::<Buf>::new(&Options::default()).expect("auto finds another");
        assert_eq!((ring.engine(), ring.report().asked), (Engine::Threads, Engine::Auto));
        assert_eq!(ring.stats().fallbacks(Reason::Engine), 1);
        assert!(ring.report().to_string().contains("uring"), "{}", ring.report());
        ring.submit(Call::nop(), 3).expect("room");
        let mut users = Vec::new();
        while users.is_empty() {
            ring.wait(None).expect("waits");
            ring.reap(&mut |done| users.push(done.user));
        }
        assert_eq!(users, [3]);
    });
}
