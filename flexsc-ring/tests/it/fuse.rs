//! A file system of one file whose `close` fails as a test says, served by a thread of the test.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

const IN_HEADER: usize = 40;
const ROOT: u64 = 1;

/// What a close meets: it fails with `errno`, and while it runs somebody else opens a file that gets
/// the number which was closed.
pub(crate) struct Closing {
    errno: i32,
    number: AtomicI32,
    opened: Mutex<Vec<File>>,
    /// Closes wait.
    held: AtomicBool,
}

impl Closing {
    pub(crate) fn new(errno: i32) -> Arc<Self> {
        let (number, held) = (AtomicI32::new(-1), AtomicBool::new(false));
        Arc::new(Closing { errno, number, opened: Mutex::default(), held })
    }

    /// Closes wait from now on, or no longer.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Release);
    }

    /// The next close is of this descriptor.
    pub(crate) fn expect(&self, fd: RawFd) {
        self.number.store(fd, Ordering::Release);
    }

    /// The file that has taken the number of what was closed is open, and one close was made of it.
    pub(crate) fn number_is_taken(&self) -> bool {
        let number = self.number.load(Ordering::Acquire);
        let opened = self.opened.lock().expect("no panic");
        // SAFETY: no pointers.
        opened.iter().any(|file| file.as_raw_fd() == number)
            && unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0
    }

    /// Gives back what took the number.
    pub(crate) fn clear(&self) {
        self.opened.lock().expect("no panic").clear();
    }

    fn closed(&self) {
        while self.held.load(Ordering::Acquire) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let number = self.number.load(Ordering::Acquire);
        if number < 0 {
            return;
        }
        let mut opened = self.opened.lock().expect("no panic");
        for _ in 0..64 {
            let file = File::open("/dev/null").expect("it is there");
            let took = file.as_raw_fd() == number;
            opened.push(file);
            if took {
                return;
            }
        }
    }
}

/// Mounts the file system for this thread, and those it starts. False: that takes more privilege.
pub(crate) fn mount(at: &Path, closing: &Arc<Closing>) -> bool {
    let Ok(device) = File::options().read(true).write(true).open("/dev/fuse") else { return false };
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let options = std::ffi::CString::new(options).expect("no NUL");
    let at = std::ffi::CString::new(at.as_os_str().as_encoded_bytes()).expect("no NUL");
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let none = std::ptr::null();
    // SAFETY: all strings outlive the calls.
    let mounted = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, c"/".as_ptr(), none, private, none.cast()) == 0
            && libc::mount(
                c"test".as_ptr(),
                at.as_ptr(),
                c"fuse".as_ptr(),
                0,
                options.as_ptr().cast(),
            ) == 0
    };
    if mounted {
        let closing = Arc::clone(closing);
        std::thread::spawn(move || serve(device, &closing));
    }
    mounted
}

fn serve(mut device: File, closing: &Closing) {
    let mut request = vec![0; 1 << 17];
    while let Ok(n) = device.read(&mut request) {
        let number = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().expect("four"));
        let wide = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().expect("eight"));
        assert!(n >= IN_HEADER);
        let (opcode, unique, node) = (number(4), wide(8), wide(16));
        let answer = match opcode {
            FORGET | BATCH_FORGET | INTERRUPT => continue,
            INIT => Ok(welcome()),
            LOOKUP => Ok([&words(&[2, 0])[..], &[0; 24], &attributes(2)].concat()),
            GETATTR => Ok([&[0; 16][..], &attributes(node)].concat()),
            OPEN => Ok(vec![0; 16]),
            FLUSH => {
                closing.closed();
                Err(closing.errno)
            }
            RELEASE => Ok(Vec::new()),
            _ => Err(libc::ENOSYS),
        };
        let (errno, body) = answer.map_or_else(|errno| (-errno, Vec::new()), |body| (0, body));
        let mut reply = (16 + body.len() as u32).to_ne_bytes().to_vec();
        reply.extend(errno.to_ne_bytes());
        reply.extend(unique.to_ne_bytes());
        reply.extend(body);
        // The kernel refuses the answer to a request that was interrupted.
        let _ = device.write(&reply);
    }
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// `fuse_init_out`: version 7.31, writes of a page.
fn welcome() -> Vec<u8> {
    let mut reply = vec![0; 64];
    for (at, value) in [(0, 7u32), (4, 31), (20, 4096)] {
        reply[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    reply
}

/// `fuse_attr` of the root, or of the file.
fn attributes(node: u64) -> Vec<u8> {
    let mode: u32 = if node == ROOT { libc::S_IFDIR | 0o755 } else { libc::S_IFREG | 0o644 };
    let mut reply = words(&[node, 0, 0, 0, 0, 0]);
    for half in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        reply.extend(half.to_ne_bytes());
    }
    reply
}
