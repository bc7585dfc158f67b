//! A system call, ready to be made: number and arguments; or several, in a program.

/// The number of the call that does nothing.
pub(crate) const NOTHING: u16 = u16::MAX;
/// The number of a program of several calls, for syscall threads: see `program`. Its arguments are
/// the address and the number of its [`Step`]s, its result is how many of them were made.
pub(crate) const PROGRAM: u16 = u16::MAX - 1;
/// The highest number of a system call. The kernel knows none as high.
pub(crate) const MOST_NUMBER: u16 = PROGRAM - 1;

/// A system call, ready to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trap {
    /// The call's number, [`NOTHING`] or [`PROGRAM`].
    pub(crate) number: u16,
    /// The result is a new descriptor.
    pub(crate) makes_fd: bool,
    /// The result is a new mapping, whose length is the second argument.
    pub(crate) makes_mapping: bool,
    /// The arguments.
    pub(crate) args: [u64; 6],
}

/// What can be made a system call.
pub(crate) trait Callable {
    /// The call as number and arguments.
    fn trap(&self) -> Trap;

    /// As `trap`, inline, of those calls that are worth it: their arguments go to where they are wanted
    /// without a stop in memory.
    fn frequent_trap(&self) -> Option<Trap>;
}

impl Callable for Trap {
    fn trap(&self) -> Trap {
        *self
    }

    fn frequent_trap(&self) -> Option<Trap> {
        Some(*self)
    }
}

/// A call of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// The call; what `feed` names is filled in.
    pub(crate) trap: Trap,
    /// The step before this one that makes the descriptor which is the first argument.
    pub(crate) feed: Option<u8>,
    /// The call's result, a negated `errno` if it failed. As it was, if it was not reached.
    pub(crate) ret: i64,
}

impl Step {
    /// The call closes a descriptor.
    pub(crate) fn closes(&self) -> bool {
        libc::c_long::from(self.trap.number) == libc::SYS_close
    }
}

impl Trap {
    /// The call never waits for anybody, and hardly for a disk: whoever makes it is not held up. Of a
    /// read at an offset that is so by `sys::without_waiting`.
    pub(crate) fn never_waits(&self) -> bool {
        let flags = |at: usize, wanted: i32| self.args[at] & wanted as u64 != 0;
        match libc::c_long::from(self.number) {
            libc::SYS_getpid | libc::SYS_getppid | libc::SYS_getuid | libc::SYS_statx => true,
            libc::SYS_fstat | libc::SYS_lseek | libc::SYS_pread64 => true,
            libc::SYS_recvfrom | libc::SYS_sendto => flags(3, libc::MSG_DONTWAIT),
            libc::SYS_recvmsg | libc::SYS_sendmsg => flags(2, libc::MSG_DONTWAIT),
            libc::SYS_preadv2 | libc::SYS_pwritev2 => flags(5, libc::RWF_NOWAIT),
            _ => self.number == NOTHING,
        }
    }

    /// As [`never_waits`](Self::never_waits), and of a program if all of its steps are such calls.
    pub(crate) fn is_short(&self) -> bool {
        if self.number != PROGRAM {
            return self.never_waits();
        }
        // SAFETY: made by `Trap::program`; nobody writes to the steps before the program is begun.
        let steps = unsafe { &*steps(&self.args) };
        steps.iter().all(|step| step.trap.never_waits())
    }

    /// The `len` steps at `steps` as one call. They belong to the thread that runs it until it has
    /// ended: nobody else reads or writes them, and they stay where they are.
    pub(crate) fn program(steps: *mut Step, len: usize) -> Trap {
        let at = steps.expose_provenance() as u64;
        Trap {
            number: PROGRAM,
            makes_fd: false,
            makes_mapping: false,
            args: [at, len as u64, 0, 0, 0, 0],
        }
    }
}

/// The steps that the arguments of a program's trap name.
pub(crate) fn steps(args: &[u64; 6]) -> *mut [Step] {
    let at = std::ptr::with_exposed_provenance_mut(args[0] as usize);
    std::ptr::slice_from_raw_parts_mut(at, args[1] as usize)
}
