//! Slabs: their buffers read and write like any other, registered or not, and all come home.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use flexsc_ring::{
    AnyRing, BufferSlab, CWD, Call, Chain, Completion, Engine, OPENED, Options, Ring, RingError,
    SlabBuffer, Value,
};

use crate::support::{SOON, alone, options, registered};

const ENGINES: [Engine; 4] = [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll];

/// A ring of each engine that works here.
fn rings() -> impl Iterator<Item = AnyRing<SlabBuffer>> {
    ENGINES.into_iter().filter_map(|engine| match AnyRing::new(&options(engine)) {
        Ok(ring) => Some(ring),
        Err(RingError::Uring { .. } | RingError::OneProcessor) => None,
        Err(error) => panic!("{error}"),
    })
}

fn next(ring: &mut AnyRing<SlabBuffer>) -> Completion<SlabBuffer> {
    let deadline = Instant::now() + SOON;
    let mut found = None;
    while found.is_none() {
        assert!(Instant::now() < deadline, "a completion comes");
        ring.wait(Some(SOON)).expect("waits");
        ring.reap(&mut |done| found = Some(done));
    }
    found.expect("it came")
}

fn moved(done: Completion<SlabBuffer>) -> (usize, SlabBuffer) {
    match done.result {
        Ok(Value::Moved { n, buf }) => (n, buf),
        other => panic!("not moved: {other:?}"),
    }
}

#[test]
fn registered_or_not_the_same_bytes_are_moved() {
    for mut ring in rings() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&[9; 10_000]).expect("written");
        let fd = file.as_file().as_raw_fd();
        let mut slab = BufferSlab::new(4, 5_000).expect("a slab");
        for registered in [false, true, true] {
            if registered {
                ring.register(&slab).expect("registered, also twice");
            }
            let mut buf = slab.take().expect("at home");
            buf.fill(1);
            ring.submit(Call::read(fd, buf, 10..4_990, 6_000), 1).expect("room");
            let (n, mut buf) = moved(next(&mut ring));
            assert_eq!(n, 4_000);
            assert!(buf[..10].iter().chain(&buf[4_010..]).all(|byte| *byte == 1));
            assert!(buf[10..4_010].iter().all(|byte| *byte == 9));
            buf[..3].copy_from_slice(b"new");
            ring.submit(Call::write(fd, buf, 0..3, 9_997), 2).expect("room");
            let (n, buf) = moved(next(&mut ring));
            assert_eq!((n, &buf[..3]), (3, &b"new"[..]));
            ring.submit(Call::read(fd, buf, 0..0, 0), 3).expect("room");
            let (n, buf) = moved(next(&mut ring));
            drop(buf);
            assert_eq!((n, slab.free()), (0, 4));
            let text = std::fs::read(file.path()).expect("read");
            assert!(text.ends_with(b"new") && text.len() == 10_000);
            file.write_all(&[]).expect("nothing");
            std::fs::write(file.path(), [9; 10_000]).expect("written");
        }
    }
}

#[test]
fn chains_read_into_registered_memory() {
    for mut ring in rings() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"of a chain").expect("written");
        let path = || std::ffi::CString::new(file.path().to_str().expect("UTF-8")).expect("no NUL");
        let mut slabs: Vec<_> = (0..3).map(|_| BufferSlab::new(1, 64).expect("a slab")).collect();
        slabs.iter().for_each(|slab| ring.register(slab).expect("registered"));
        for slab in &mut slabs {
            let chain = Chain::new()
                .then(Call::open(CWD, path()))
                .then(Call::read(OPENED, slab.take().expect("at home"), 0..64, 3))
                .then(Call::close_opened());
            ring.submit(Call::chain(chain), 1).expect("room");
            let Ok(Value::Chain(mut all)) = next(&mut ring).result else { panic!("of a chain") };
            let Ok(Value::Moved { n, buf }) = all.swap_remove(1) else { panic!("moved") };
            assert_eq!(&buf[..n], b"a chain");
        }
    }
}

#[test]
fn files_without_the_page_cache_are_read_into_aligned_buffers() {
    for mut ring in rings() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory");
        let path = dir.path().join("direct");
        std::fs::write(&path, [4; 8_192]).expect("written");
        let opened =
            std::fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(&path);
        let Ok(file) = opened else { return eprintln!("skipped: no O_DIRECT here") };
        let mut slab = BufferSlab::new(2, 4_096).expect("a slab");
        ring.register(&slab).expect("registered");
        let buf = slab.take().expect("at home");
        ring.submit(Call::read(file.as_raw_fd(), buf, 0..4_096, 4_096), 1).expect("room");
        let (n, buf) = moved(next(&mut ring));
        assert!(n == 4_096 && buf.iter().all(|byte| *byte == 4));
    }
}

#[test]
fn buffers_come_home_from_other_threads_and_no_sooner() {
    let mut slab = BufferSlab::new(3, 100).expect("a slab");
    let out: Vec<_> = std::iter::from_fn(|| slab.take()).collect();
    assert_eq!((out.len(), slab.free()), (3, 0));
    assert!(slab.take().is_none());
    std::thread::spawn(move || drop(out)).join().expect("dropped");
    assert_eq!(slab.free(), 3);
    let (mut one, two) = (slab.take().expect("home"), slab.take().expect("home"));
    one.fill(1);
    assert!(two.iter().all(|byte| *byte == 0), "they do not overlap");
    assert_eq!((one.len(), two.len()), (100, 100));
}

#[test]
fn a_buffer_may_outlive_its_slab_and_its_ring() {
    for mut ring in rings() {
        let mut slab = BufferSlab::new(2, 4_096).expect("a slab");
        ring.register(&slab).expect("registered");
        let (mut kept, lent) = (slab.take().expect("home"), slab.take().expect("home"));
        drop(slab);
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"bytes").expect("written");
        let fd = reader.as_raw_fd();
        ring.submit(Call::read(fd, lent, 0..4_096, flexsc_ring::CURRENT), 1).expect("room");
        let (n, lent) = moved(next(&mut ring));
        assert_eq!(&lent[..n], b"bytes");
        drop(ring);
        kept.fill(7);
        assert!(kept.iter().all(|byte| *byte == 7) && lent.starts_with(b"bytes"));
    }
}

#[test]
fn sizes_out_of_bounds_are_refused_with_the_bounds() {
    for (count, bytes) in [(0, 64), (40_000, 64), (1, 63), (1, 1 << 25), (32_768, 1 << 24)] {
        let refused = BufferSlab::new(count, bytes);
        assert!(matches!(refused, Err(RingError::Option { .. })), "{count} of {bytes}");
    }
}

/// The slabs that are registered come to that number. A poller at work changes what the kernel says of
/// its ring from one descriptor to the next, which are then counted as two.
fn comes_to(expected: usize) -> bool {
    let deadline = Instant::now() + SOON;
    while registered("UserBufs:") != expected && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    registered("UserBufs:") == expected
}

#[test]
fn a_slab_is_registered_once_and_until_the_ring_goes() {
    alone("slab::a_slab_is_registered_once_and_until_the_ring_goes", || {
        for mut ring in rings() {
            let known = matches!(ring.engine(), Engine::Uring | Engine::Sqpoll);
            let slab = BufferSlab::new(4, 4_096).expect("a slab");
            assert!(comes_to(0));
            ring.register(&slab).expect("registered");
            ring.register(&slab).expect("registered");
            drop(slab);
            assert!(comes_to(usize::from(known)), "{}", registered("UserBufs:"));
        }
    });
}

#[test]
fn a_ring_registers_64_slabs_and_refuses_one_more() {
    let Ok(mut ring) = AnyRing::<SlabBuffer>::new(&Options::with_engine(Engine::Uring)) else {
        return eprintln!("skipped: no io_uring");
    };
    let slabs: Vec<_> = (0..65).map(|_| BufferSlab::new(1, 64).expect("a slab")).collect();
    for slab in &slabs[..64] {
        ring.register(slab).expect("registered");
    }
    let refused = ring.register(&slabs[64]).expect_err("one too many");
    assert!(refused.to_string().contains("64 slabs are registered"), "{refused}");
}
