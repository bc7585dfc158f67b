//! The instructions around an interruptible system call, the handler that knows them, and the
//! signal's own calls.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};

use crate::bell::Bell;

/// What [`call`] gives for a call that was not made. No system call returns it.
pub(crate) const NOT_MADE: i64 = i64::MIN;

/// A signal is never lost on this architecture, wherever it meets its thread. Elsewhere it has to be
/// sent again until the call ends.
pub(crate) fn is_exact() -> bool {
    #[cfg(test)]
    if without_stub::is_chosen() {
        return false;
    }
    cfg!(all(
        target_os = "linux",
        target_endian = "little",
        target_pointer_width = "64",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))
}

thread_local! {
    /// The bell of this syscall thread; null on any other.
    static BELL: Cell<*const Bell> = const { Cell::new(std::ptr::null()) };
}

/// Claims a real-time signal for this process.
pub(super) fn claim_signal() -> Option<i32> {
    stub::prepare();
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().find(|signal| install(*signal))
}

/// Installs the handler if nobody uses the signal.
fn install(signal: c_int) -> bool {
    let mut found = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: `found` is zeroed, all of whose bit patterns are valid, and has room for the answer.
    let found = unsafe {
        let asked = libc::sigaction(signal, std::ptr::null(), found.as_mut_ptr());
        (asked == 0).then(|| found.assume_init())
    };
    if found.is_none_or(|found| found.sa_sigaction != libc::SIG_DFL) {
        return false;
    }
    let mut ours = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroed, then filled; without SA_RESTART, so that it interrupts. The handler touches
    // nothing but its thread's bell and program counter.
    unsafe {
        let action = &mut *ours.as_mut_ptr();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigfillset(&mut action.sa_mask);
        libc::sigaction(signal, action, std::ptr::null_mut()) == 0
    }
}

/// A thread that hears its signals, until this is dropped.
pub(crate) struct Attended(Arc<Bell>);

impl Attended {
    /// Keeps all signals but `signal` away from this thread, and has `bell` count that one.
    pub(crate) fn new(bell: Arc<Bell>, signal: Option<i32>) -> Self {
        // SAFETY: no pointers.
        bell.hang(unsafe { libc::gettid() } as u32);
        BELL.set(Arc::as_ptr(&bell));
        let mut blocked = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `sigfillset` initialises the set that the others change and read.
        unsafe {
            libc::sigfillset(blocked.as_mut_ptr());
            if let Some(signal) = signal {
                libc::sigdelset(blocked.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), std::ptr::null_mut());
        }
        Attended(bell)
    }

    /// The bell.
    pub(crate) fn bell(&self) -> &Bell {
        &self.0
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        BELL.set(std::ptr::null());
        // The handler runs on this thread: it must find the null before the bell may go.
        compiler_fence(Ordering::SeqCst);
    }
}

/// Signals a thread of this process.
pub(super) fn signal_thread(thread: u32, signal: i32) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) == 0 }
}

/// The signal handler: counts, and leads a thread that is about to enter the kernel past it.
extern "C" fn on_signal(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let bell = BELL.get();
    if bell.is_null() {
        return;
    }
    // SAFETY: set by `Attended`, which keeps the bell; the kernel gave `info` and `context`.
    unsafe {
        (*bell).ring((*info).si_code == libc::SI_TKILL);
        stub::lead_on(context.cast());
    }
}

/// Makes a system call if the low byte of `*status` is `RUNNING`, else gives [`NOT_MADE`]; a failure
/// is its negated `errno`.
///
/// # Safety
///
/// `status` and `args` can be read, and the call itself is sound.
#[inline]
pub(super) unsafe fn call(status: *const u32, number: usize, args: &[u64; 6]) -> i64 {
    #[cfg(test)]
    if without_stub::is_chosen() {
        // SAFETY: passed on to the caller.
        return unsafe { resent::call(status, number, args) };
    }
    // SAFETY: passed on to the caller.
    unsafe { stub::call(status, number, args) }
}

#[cfg(all(
    target_os = "linux",
    target_endian = "little",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod stub {
    //! The stub. With a null `status` it says where its parts are:
    //!
    //! | `number` | place |
    //! |---|---|
    //! | 0 | `2:` the last look at the status |
    //! | 1 | `4:` the instruction behind the one that enters the kernel |
    //! | 2 | `5:` the exit of a call that is not made |
    //!
    //! A thread whose next instruction lies in `2..4` has not entered the kernel, or was brought
    //! back there by the kernel to begin anew.

    use std::arch::naked_asm;
    use std::sync::OnceLock;

    use crate::entry::RUNNING;

    #[cfg(target_arch = "x86_64")]
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn call(
        status: *const u32,
        number: usize,
        args: *const [u64; 6],
    ) -> i64 {
        naked_asm!(
            "test rdi, rdi",
            "jz 6f",
            "mov r11, rdi",
            "mov rax, rsi",
            "mov rcx, rdx",
            "mov rdi, [rcx]",
            "mov rsi, [rcx + 8]",
            "mov rdx, [rcx + 16]",
            "mov r10, [rcx + 24]",
            "mov r8, [rcx + 32]",
            "mov r9, [rcx + 40]",
            "2: cmp byte ptr [r11], {running}",
            "jne 5f",
            "syscall",
            "4: ret",
            "5: mov eax, 1",
            "shl rax, 63",
            "ret",
            "6: lea rax, [rip + 2b]",
            "test rsi, rsi",
            "jz 7f",
            "lea rax, [rip + 4b]",
            "cmp rsi, 1",
            "je 7f",
            "lea rax, [rip + 5b]",
            "7: ret",
            running = const RUNNING,
        )
    }

    #[cfg(target_arch = "aarch64")]
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn call(
        status: *const u32,
        number: usize,
        args: *const [u64; 6],
    ) -> i64 {
        naked_asm!(
            "cbz x0, 6f",
            "mov x9, x0",
            "mov x8, x1",
            "mov x10, x2",
            "ldp x0, x1, [x10]",
            "ldp x2, x3, [x10, #16]",
            "ldp x4, x5, [x10, #32]",
            "2: ldrb w11, [x9]",
            "cmp w11, #{running}",
            "b.ne 5f",
            "svc #0",
            "4: ret",
            "5: mov x0, #1",
            "lsl x0, x0, #63",
            "ret",
            "6: adr x0, 2b",
            "cbz x1, 7f",
            "adr x0, 4b",
            "cmp x1, #1",
            "b.eq 7f",
            "adr x0, 5b",
            "7: ret",
            running = const RUNNING,
        )
    }

    static PARTS: OnceLock<[usize; 3]> = OnceLock::new();

    /// Finds the stub's parts, before a signal can come.
    pub(super) fn prepare() {
        PARTS.get_or_init(|| {
            // SAFETY: with a null `status` it reads neither memory nor makes a call.
            [0, 1, 2].map(|part| unsafe { call(std::ptr::null(), part, std::ptr::null()) as usize })
        });
    }

    /// The instruction behind the one that enters the kernel.
    #[cfg(test)]
    pub(super) fn behind() -> usize {
        PARTS.get().map_or(0, |parts| parts[1])
    }

    /// Leads an interrupted thread that stands before its call to the exit.
    ///
    /// # Safety
    ///
    /// `context` is what the kernel gave to the handler.
    pub(super) unsafe fn lead_on(context: *mut libc::ucontext_t) {
        let Some([look, behind, exit]) = PARTS.get() else { return };
        // SAFETY: passed on to the caller.
        let next = unsafe { program_counter(context) };
        if (*look..*behind).contains(next) {
            *next = *exit;
        }
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn program_counter<'a>(context: *mut libc::ucontext_t) -> &'a mut usize {
        // SAFETY: the kernel's own context, which lives as long as the handler runs.
        unsafe { &mut *(&raw mut (*context).uc_mcontext.gregs[libc::REG_RIP as usize]).cast() }
    }

    #[cfg(target_arch = "aarch64")]
    unsafe fn program_counter<'a>(context: *mut libc::ucontext_t) -> &'a mut usize {
        // SAFETY: the kernel's own context, which lives as long as the handler runs.
        unsafe { &mut *(&raw mut (*context).uc_mcontext.pc).cast() }
    }
}

#[cfg(not(all(
    target_os = "linux",
    target_endian = "little",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
use resent as stub;

#[cfg(any(
    test,
    not(all(
        target_os = "linux",
        target_endian = "little",
        target_pointer_width = "64",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))
))]
mod resent {
    //! Without a stub a signal between look and call does nothing: it has to be sent again.

    use std::sync::atomic::{AtomicU32, Ordering};

    use super::NOT_MADE;
    use crate::entry::RUNNING;

    #[cfg_attr(test, allow(dead_code, reason = "where there is a stub, its own is called"))]
    pub(super) fn prepare() {}

    #[cfg_attr(test, allow(dead_code, reason = "where there is a stub, its own is called"))]
    pub(super) unsafe fn lead_on(_: *mut libc::ucontext_t) {}

    pub(super) unsafe fn call(status: *const u32, number: usize, args: &[u64; 6]) -> i64 {
        // SAFETY: a readable status word, which is atomic where it lives.
        let status = unsafe { AtomicU32::from_ptr(status.cast_mut()) };
        if status.load(Ordering::Acquire) & 0xff != RUNNING {
            return NOT_MADE;
        }
        // Signals are to come here.
        #[cfg(test)]
        super::without_stub::dawdle();
        // SAFETY: passed on to the caller.
        unsafe { crate::sys::trap(number as u16, args) }
    }
}

#[cfg(test)]
pub(crate) mod without_stub {
    //! Threads that go without the stub, though this architecture has one.

    use std::cell::Cell;
    use std::time::{Duration, Instant};

    thread_local! {
        static CHOSEN: Cell<bool> = const { Cell::new(false) };
    }

    /// This thread, and the syscall threads that it starts, go without the stub or with it.
    pub(crate) fn choose(without: bool) {
        CHOSEN.set(without);
    }

    pub(crate) fn is_chosen() -> bool {
        CHOSEN.get()
    }

    pub(super) fn dawdle() {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(300) {
            std::hint::spin_loop();
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    //! A thread that single-steps through the stub is signalled at every instruction of it.

    use std::cell::Cell;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use super::*;
    use crate::entry::RUNNING;

    thread_local! {
        /// Instructions of the stub to go before the signal, and the status to mark then.
        static STEPS: Cell<i32> = const { Cell::new(-1) };
        static STATUS: AtomicU32 = const { AtomicU32::new(0) };
    }

    const TRAP_FLAG: i64 = 0x100;
    /// Of the stub, up to the one that enters the kernel.
    const INSTRUCTIONS: i32 = 14;

    /// Runs after each instruction of a thread that single-steps.
    extern "C" fn on_step(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
        let context: *mut libc::ucontext_t = context.cast();
        // SAFETY: given by the kernel.
        let registers = unsafe { &mut (*context).uc_mcontext.gregs };
        let next = registers[libc::REG_RIP as usize] as usize;
        if !(stub::call as *const () as usize..=stub::behind()).contains(&next) {
            return;
        }
        STEPS.set(STEPS.get() - 1);
        if STEPS.get() < 0 {
            // As a poster does; the signal comes when this handler returns.
            STATUS.with(|status| status.store(RUNNING | 0x10, Ordering::Relaxed));
            registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
            // SAFETY: no pointers.
            let me = unsafe { libc::gettid() } as u32;
            assert!(signal_thread(me, crate::interrupt::signal().expect("one is free")));
        }
    }

    fn step_through_traps() {
        // SAFETY: zeroed, then filled; all signals wait while the handler runs.
        unsafe {
            let mut action = std::mem::zeroed::<libc::sigaction>();
            action.sa_sigaction = on_step as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigfillset(&mut action.sa_mask);
            assert_eq!(libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut()), 0);
            let mut traps = std::mem::zeroed::<libc::sigset_t>();
            libc::sigaddset(&mut traps, libc::SIGTRAP);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &traps, std::ptr::null_mut());
        }
    }

    /// Reads a silent pipe, with a signal before instruction `steps` of the stub.
    fn read_signalled_at(steps: i32, pipe: &std::io::PipeReader) -> i64 {
        let mut byte = [0u8; 1];
        let at = (&raw mut byte).expose_provenance() as u64;
        let args = [pipe.as_raw_fd() as u64, at, 1, 0, 0, 0];
        STEPS.set(steps);
        STATUS.with(|status| {
            status.store(RUNNING, Ordering::Relaxed);
            // SAFETY: sets the trap flag; everything that `call` needs lives as long as it.
            unsafe {
                std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq");
                call(status.as_ptr(), libc::SYS_read as usize, &args)
            }
        })
    }

    #[test]
    fn a_signal_at_any_instruction_before_the_call_keeps_it_from_being_made() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let attended = Attended::new(Arc::new(Bell::new()), crate::interrupt::signal());
            step_through_traps();
            for steps in 0..INSTRUCTIONS {
                let ret = read_signalled_at(steps, &reader);
                tell.send((steps, ret)).expect("heard");
                assert!(attended.bell().is_settled(steps as u32 + 1), "it was counted");
            }
        });
        for steps in 0..INSTRUCTIONS {
            let answer = told.recv_timeout(Duration::from_secs(5));
            if answer.is_err() {
                // The call was made, and waits.
                writer.write_all(&[0; INSTRUCTIONS as usize]).expect("written");
            }
            assert_eq!(answer, Ok((steps, NOT_MADE)), "instruction {steps}");
        }
        thread.join().expect("all signals were counted");
    }
}
