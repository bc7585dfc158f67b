//! Rows on who and where the process is, and on calls that do not exist.

use std::os::fd::AsRawFd;

use super::{BAD, CLOSED, Row, args, blank};

/// A call that no kernel has.
pub(super) const UNKNOWN: i64 = 9_999;

/// The process's mask of permissions; asking the kernel for it would change it.
fn mask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).expect("it is there");
    u32::from_str_radix(line.trim(), 8).expect("octal")
}

pub(super) const ROWS: &[Row] = &[
    ("the process is who it is", |w| {
        for number in [
            libc::SYS_getpid,
            libc::SYS_getppid,
            libc::SYS_getuid,
            libc::SYS_geteuid,
            libc::SYS_getgid,
            libc::SYS_getegid,
        ] {
            w.exact(number, args![]);
        }
        for number in [libc::SYS_getpgid, libc::SYS_getsid] {
            w.exact(number, args![0]);
            w.exact(number, args![std::process::id()]);
            w.exact(number, args![-5]);
        }
    }),
    ("all its ids are told", |w| {
        let mut ids = [u32::MAX; 3];
        let [a, b, c] = &mut ids;
        let (a, b, c) = (&raw mut *a, &raw mut *b, &raw mut *c);
        for number in [libc::SYS_getresuid, libc::SYS_getresgid] {
            w.exact(number, args![a, b, c]);
            w.note(ids);
            w.exact(number, args![BAD, b, c]);
        }
        let mut groups = [0u32; 256];
        let n = w.exact(libc::SYS_getgroups, args![256, groups.as_mut_ptr()]);
        w.note(&groups[..usize::try_from(n).unwrap_or(0)]);
        w.exact(libc::SYS_getgroups, args![-1, groups.as_mut_ptr()]);
    }),
    ("the system says what it is", |w| {
        let mut name: libc::utsname = blank();
        w.exact(libc::SYS_uname, args![&raw mut name]);
        w.note((name.sysname, name.nodename, name.release, name.machine));
        w.exact(libc::SYS_uname, args![BAD]);
        let mut info: libc::sysinfo = blank();
        w.exact(libc::SYS_sysinfo, args![&raw mut info]);
        w.note((info.totalram, info.totalswap, info.mem_unit));
        w.exact(libc::SYS_sysinfo, args![BAD]);
        w.exact(libc::SYS_syslog, args![99, 0, 0]);
    }),
    ("what was used is told", |w| {
        let mut usage: libc::rusage = blank();
        w.exact(libc::SYS_getrusage, args![libc::RUSAGE_SELF, &raw mut usage]);
        w.note(usage.ru_maxrss > 0);
        w.exact(libc::SYS_getrusage, args![77, &raw mut usage]);
        w.exact(libc::SYS_getrusage, args![libc::RUSAGE_SELF, BAD]);
        let mut ticks = [-1i64; 4];
        w.works(libc::SYS_times, args![ticks.as_mut_ptr()]);
        w.note(ticks.map(|ticks| ticks >= 0));
        w.exact(libc::SYS_times, args![BAD]);
    }),
    ("limits are told", |w| {
        let mut limit = [0u64; 2];
        w.exact(libc::SYS_getrlimit, args![libc::RLIMIT_NOFILE, limit.as_mut_ptr()]);
        w.note(limit);
        w.exact(libc::SYS_getrlimit, args![99, limit.as_mut_ptr()]);
        w.exact(libc::SYS_prlimit64, args![0, libc::RLIMIT_STACK, 0, limit.as_mut_ptr()]);
        w.note(limit);
        w.exact(libc::SYS_prlimit64, args![0, libc::RLIMIT_STACK, BAD, 0]);
        w.exact(libc::SYS_prlimit64, args![0, 99, 0, limit.as_mut_ptr()]);
    }),
    ("the mask of permissions is told by setting it", |w| {
        let mask = mask();
        w.exact(libc::SYS_umask, args![mask]);
        w.note(self::mask() == mask);
    }),
    ("what a signal does is told", |w| {
        let mut action = [u64::MAX; 4];
        let number = libc::SYS_rt_sigaction;
        w.exact(number, args![libc::SIGUSR2, 0, action.as_mut_ptr(), 8]);
        w.note(action);
        w.exact(number, args![libc::SIGUSR2, 0, action.as_mut_ptr(), 3]);
        w.exact(number, args![999, 0, action.as_mut_ptr(), 8]);
    }),
    ("a process is held by a descriptor", |w| {
        let me = w.fd(libc::SYS_pidfd_open, args![std::process::id(), 0]);
        w.exact(libc::SYS_pidfd_open, args![-1, 0]);
        w.exact(libc::SYS_pidfd_open, args![std::process::id(), 77]);
        let file = w.file("f", b"held");
        let copy = w.fd(libc::SYS_pidfd_getfd, args![me, file.as_raw_fd(), 0]);
        w.note_fd(&copy);
        w.exact(libc::SYS_pidfd_getfd, args![me, CLOSED, 0]);
        w.exact(libc::SYS_pidfd_send_signal, args![me, 0, 0, 0]);
        w.exact(libc::SYS_pidfd_send_signal, args![CLOSED, 0, 0, 0]);
    }),
    ("nobody is there to be signalled", |w| {
        w.exact(libc::SYS_kill, args![std::process::id(), 0]);
        w.exact(libc::SYS_kill, args![i32::MAX, 0]);
        w.exact(libc::SYS_tgkill, args![std::process::id(), i32::MAX, 0]);
        w.exact(libc::SYS_tgkill, args![-1, -1, 0]);
    }),
    ("keys of nothing are not found", |w| {
        w.exact(libc::SYS_request_key, args![BAD, BAD, 0, 0]);
        w.exact(libc::SYS_shmget, args![0x7fff_1234, 4_096, 0]);
        w.exact(libc::SYS_semget, args![0x7fff_1234, 1, 0]);
        w.exact(libc::SYS_msgget, args![0x7fff_1234, 0]);
        w.exact(libc::SYS_mq_open, args![c"absent-queue".as_ptr(), libc::O_RDONLY, 0, 0]);
    }),
    ("a call that does not exist says so", |w| {
        w.exact(UNKNOWN, args![]);
        w.exact(UNKNOWN, args![BAD, BAD, BAD, BAD, BAD, BAD]);
    }),
];
