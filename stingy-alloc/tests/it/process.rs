//! A test in a process of its own: one that ends it, forks it, or measures it.

use std::any::type_name;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitStatus, Output};

const TEST: &str = "STINGY_ALLOC_TEST_ALONE";

/// Runs `work`, a closure of the test that calls this, in a process that runs nothing but that test, on
/// its only thread.
pub(crate) fn alone<F: FnOnce()>(work: F) -> Output {
    alone_with(|_| (), work)
}

/// The same, in a process that `prepare` has its way with.
pub(crate) fn alone_with<F: FnOnce()>(prepare: impl FnOnce(&mut Command), work: F) -> Output {
    let (_, closure) = type_name::<F>().split_once("::").expect("a path in this crate");
    let test = closure.split("::{{closure}}").next().expect("a closure of the test");
    if std::env::var(TEST).is_ok_and(|name| name == test) {
        work();
        std::process::exit(0);
    }
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args([test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"]);
    prepare(command.env(TEST, test));
    command.output().expect("a process")
}

/// Fails with what the process said, unless all went well in it.
#[track_caller]
pub(crate) fn succeeded(output: Output) {
    let (said, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{error}", output.status);
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a signal ended it, and which.
pub(crate) fn signal(output: &Output) -> Option<i32> {
    output.status.signal()
}

/// Runs `work` in a child made by `fork`; how that ended. The caller's process has no other thread.
pub(crate) fn forked(work: impl FnOnce()) -> ExitStatus {
    // SAFETY: no other thread holds a lock that the child could need.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        let code = i32::from(catch_unwind(AssertUnwindSafe(work)).is_err());
        // SAFETY: ends the child without what the parent does at its end.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for the child, and writes its status.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    ExitStatus::from_raw(status)
}
