//! Rows on time: clocks, sleeps, and what waits for another thread.

use super::{BAD, Row, args};

pub(super) const ROWS: &[Row] = &[
    ("clocks are read", |w| {
        let mut time = [-1i64; 2];
        for clock in [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME] {
            w.exact(libc::SYS_clock_gettime, args![clock, time.as_mut_ptr()]);
            w.note((time[0] > 0, (0..1_000_000_000).contains(&time[1])));
            w.exact(libc::SYS_clock_getres, args![clock, time.as_mut_ptr()]);
            w.note(time);
        }
        w.exact(libc::SYS_clock_gettime, args![9_999, time.as_mut_ptr()]);
        w.exact(libc::SYS_clock_getres, args![9_999, time.as_mut_ptr()]);
        w.exact(libc::SYS_clock_gettime, args![libc::CLOCK_REALTIME, BAD]);
        w.exact(libc::SYS_clock_settime, args![libc::CLOCK_MONOTONIC, time.as_ptr()]);
    }),
    ("the time of day is told", |w| {
        let mut time = [-1i64; 2];
        w.exact(libc::SYS_gettimeofday, args![time.as_mut_ptr(), 0]);
        w.note((time[0] > 1_600_000_000, (0..1_000_000).contains(&time[1])));
        w.exact(libc::SYS_gettimeofday, args![BAD, 0]);
    }),
    ("sleeps take their time", |w| {
        let (short, wrong) = ([0i64, 2_000_000], [0i64, -1]);
        let start = std::time::Instant::now();
        w.exact(libc::SYS_nanosleep, args![short.as_ptr(), 0]);
        w.exact(libc::SYS_clock_nanosleep, args![libc::CLOCK_MONOTONIC, 0, short.as_ptr(), 0]);
        w.note(start.elapsed().as_millis() >= 4);
        w.exact(libc::SYS_nanosleep, args![wrong.as_ptr(), 0]);
        w.exact(libc::SYS_nanosleep, args![BAD, 0]);
        w.exact(libc::SYS_clock_nanosleep, args![9_999, 0, short.as_ptr(), 0]);
        w.exact(libc::SYS_clock_nanosleep, args![libc::CLOCK_REALTIME, 0, wrong.as_ptr(), 0]);
    }),
    ("a futex of another value is not waited for", |w| {
        let mut word = Box::new(7u32);
        let at = &raw mut *word;
        let flag = libc::FUTEX_PRIVATE_FLAG;
        w.exact(libc::SYS_futex, args![at, libc::FUTEX_WAKE | flag, 1]);
        w.exact(libc::SYS_futex, args![at, libc::FUTEX_WAIT | flag, 8, 0]);
        let soon = [0i64, 1_000_000];
        w.exact(libc::SYS_futex, args![at, libc::FUTEX_WAIT | flag, 7, soon.as_ptr()]);
        w.exact(libc::SYS_futex, args![at, 99, 7, 0]);
        w.exact(libc::SYS_futex, args![at.addr() + 1, libc::FUTEX_WAKE | flag, 1]);
    }),
    ("a timer of the process is not running", |w| {
        let mut timer = [-1i64; 4];
        w.exact(libc::SYS_getitimer, args![libc::ITIMER_VIRTUAL, timer.as_mut_ptr()]);
        w.note(timer);
        w.exact(libc::SYS_getitimer, args![77, timer.as_mut_ptr()]);
        w.exact(libc::SYS_getitimer, args![libc::ITIMER_VIRTUAL, BAD]);
        w.exact(libc::SYS_timer_gettime, args![9_999, timer.as_mut_ptr()]);
        w.exact(libc::SYS_timer_delete, args![9_999]);
    }),
    ("the processor is given up and named", |w| {
        w.exact(libc::SYS_sched_yield, args![]);
        let (mut cpu, mut node) = (u32::MAX, u32::MAX);
        w.exact(libc::SYS_getcpu, args![&raw mut cpu, &raw mut node, 0]);
        w.note((cpu < 4_096, node < 1_024));
        w.exact(libc::SYS_getcpu, args![BAD, 0, 0]);
        for policy in [libc::SCHED_OTHER, libc::SCHED_FIFO, 99] {
            w.exact(libc::SYS_sched_get_priority_max, args![policy]);
            w.exact(libc::SYS_sched_get_priority_min, args![policy]);
        }
    }),
];
