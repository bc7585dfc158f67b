//! Why is io_uring refused, and what can be done about it?

use std::fmt;

/// The likely reason why io_uring cannot be used. Its text says what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The administrator has switched it off: the value of `kernel.io_uring_disabled`, 1 for
    /// programs without privilege, 2 for all.
    Sysctl(u32),
    /// A seccomp filter, as container runtimes set one.
    Seccomp,
    /// The kernel is older than what is needed, or was built without it.
    Kernel,
    /// Its memory does not fit into `RLIMIT_MEMLOCK`, which kernels before 5.12 count it against,
    /// or into the memory of the container.
    Memory,
    /// No descriptor is left for it.
    Descriptors,
    /// None of these; a security module such as SELinux may forbid it.
    Unknown,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Sysctl(1) => f.write_str(
                "kernel.io_uring_disabled is 1: join the group kernel.io_uring_group, or have it \
                 set to 0",
            ),
            Cause::Sysctl(value) => {
                write!(f, "kernel.io_uring_disabled is {value}: have it set to 0")
            }
            Cause::Seccomp => f.write_str(
                "a seccomp filter forbids it: allow io_uring_setup, io_uring_enter and \
                 io_uring_register in the container's profile",
            ),
            Cause::Kernel => f.write_str("the kernel does not have it: use Linux 5.19 or later"),
            Cause::Memory => {
                f.write_str("it gets no memory: raise ulimit -l, or lower Options::entries")
            }
            Cause::Descriptors => f.write_str("no descriptor is left: raise ulimit -n"),
            Cause::Unknown => f.write_str("ask the security module's log, or use `threads`"),
        }
    }
}

/// What the cause is judged by, besides the `errno`.
pub(super) struct Signs<'a> {
    /// `kernel.io_uring_disabled`; kernels before 6.6, and those without io_uring, have no such
    /// setting.
    pub(super) disabled: Option<u32>,
    /// The thread's seccomp mode; 2 is a filter.
    pub(super) seccomp: Option<u32>,
    /// `uname -r`.
    pub(super) kernel: &'a str,
}

impl Cause {
    pub(super) fn of(errno: Option<i32>, signs: &Signs<'_>) -> Cause {
        let filtered = signs.seccomp == Some(2);
        // Since 5.1; a kernel that has the setting has io_uring too.
        let has_it = signs.disabled.is_some() || version(signs.kernel) >= (5, 1);
        match (errno, signs.disabled) {
            (Some(libc::EPERM), Some(value @ 1..)) => Cause::Sysctl(value),
            (Some(libc::EPERM | libc::EACCES), _) if filtered => Cause::Seccomp,
            (Some(libc::ENOSYS), _) if filtered && has_it => Cause::Seccomp,
            (Some(libc::ENOSYS | libc::EINVAL | libc::EOPNOTSUPP), _) => Cause::Kernel,
            (Some(libc::ENOMEM), _) => Cause::Memory,
            (Some(libc::EMFILE | libc::ENFILE), _) => Cause::Descriptors,
            _ => Cause::Unknown,
        }
    }
}

/// The first two numbers of a release; zeros for what is not there.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Cause, Signs};

    #[test]
    fn each_refusal_has_its_cause() {
        let cause = |errno, disabled, seccomp, kernel| {
            Cause::of(Some(errno), &Signs { disabled, seccomp: Some(seccomp), kernel })
        };
        let table = [
            (libc::EPERM, Some(2), 0, "6.6.1", Cause::Sysctl(2)),
            (libc::EPERM, Some(1), 2, "6.6.1", Cause::Sysctl(1)),
            (libc::EPERM, Some(0), 2, "6.6.1", Cause::Seccomp),
            (libc::EPERM, None, 2, "5.15.0-91-generic", Cause::Seccomp),
            (libc::EPERM, Some(0), 0, "6.6.1", Cause::Unknown),
            (libc::ENOSYS, Some(0), 2, "6.6.1", Cause::Seccomp),
            (libc::ENOSYS, None, 2, "5.10.0", Cause::Seccomp),
            (libc::ENOSYS, None, 2, "4.19.0", Cause::Kernel),
            (libc::ENOSYS, None, 0, "6.1.0", Cause::Kernel),
            (libc::EINVAL, None, 0, "5.4.0", Cause::Kernel),
            (libc::ENOMEM, Some(0), 0, "5.11.0", Cause::Memory),
            (libc::EMFILE, Some(0), 0, "6.6.1", Cause::Descriptors),
            (libc::EIO, Some(0), 2, "", Cause::Unknown),
        ];
        for (errno, disabled, seccomp, kernel, expected) in table {
            let found = cause(errno, disabled, seccomp, kernel);
            assert_eq!(found, expected, "errno {errno}, {disabled:?}, {seccomp}, {kernel}");
        }
    }
}
