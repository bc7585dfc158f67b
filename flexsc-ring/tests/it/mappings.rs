//! Mappings: they unmap themselves, memory can be lent, a file's pages cannot be seen by safe code.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use flexsc_ring::{Advice, AnyRing, Call, Engine, Mapping, PostError, Ring, Value};

use crate::support::options;

const ENGINES: [Engine; 4] = [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll];

/// A ring whose buffers are mappings.
fn ring(engine: Engine) -> Option<AnyRing<Mapping>> {
    match AnyRing::new(&options(engine)) {
        Ok(ring) => Some(ring),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn value(ring: &mut AnyRing<Mapping>, call: Call<Mapping>) -> Value<Mapping> {
    ring.submit(call, 1).expect("room");
    let mut value = None;
    while ring.in_flight() > 0 {
        ring.wait(None).expect("waits");
        ring.reap(&mut |done| value = Some(done.result));
    }
    value.expect("a completion").expect("it succeeds")
}

fn mapping(ring: &mut AnyRing<Mapping>, call: Call<Mapping>) -> Mapping {
    match value(ring, call) {
        Value::Mapped(mapping) => mapping,
        other => panic!("not mapped: {other:?}"),
    }
}

/// The mapping that holds an address, as the kernel tells of it.
fn is_mapped(at: *const u8) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it is there");
    maps.lines().any(|line| {
        let range = line.split_whitespace().next().and_then(|range| range.split_once('-'));
        let number = |text| usize::from_str_radix(text, 16).ok();
        range.is_some_and(|(from, to)| {
            number(from).is_some_and(|from| from <= at.addr())
                && number(to).is_some_and(|to| at.addr() < to)
        })
    })
}

#[test]
fn mapped_memory_is_lent_to_calls_and_comes_back() {
    for engine in ENGINES {
        let Some(mut ring) = ring(engine) else { continue };
        for populate in [false, true] {
            let call = Call::Mmap { file: None, offset: 9, len: 9_000, writable: false, populate };
            let mut memory = mapping(&mut ring, call);
            assert!(memory.is_memory() && memory.len() == 9_000);
            assert!(memory.iter().all(|byte| *byte == 0));
            memory[8_999] = 1;
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(b"a file's bytes").expect("written");
            let call = Call::read(file.as_raw_fd(), memory, 4_000..9_000, 2);
            match value(&mut ring, call) {
                Value::Moved { n: 12, buf } => assert_eq!(&buf[3_999..4_012], b"\0file's bytes"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_files_pages_are_no_buffer() {
    for engine in ENGINES {
        let Some(mut ring) = ring(engine) else { continue };
        for (writable, populate) in [(false, false), (true, false), (true, true)] {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(b"can be cut off").expect("written");
            let fd = Some(file.as_raw_fd());
            let call = Call::Mmap { file: fd, offset: 0, len: 4_096, writable, populate };
            let pages = mapping(&mut ring, call);
            assert_eq!((pages.size(), pages.len(), pages.is_memory()), (4_096, 0, false));
            // SAFETY: the file is longer than that, and nobody cuts it off.
            assert_eq!(unsafe { pages.as_ptr().read() }, b'c');
            let call = Call::read(file.as_raw_fd(), pages, 0..1, 0);
            let refused = ring.submit(call, 1).expect_err("it lends no byte");
            assert!(matches!(refused, PostError::Range { len: 0, .. }), "{refused}");
            let pages = refused.into_call().into_buf().expect("given back");
            if writable {
                // SAFETY: as above, and mapped for writing.
                unsafe { pages.as_ptr().write(b'C') };
            }
            let mut first = [0; 3];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut first, 0).expect("read");
            assert_eq!(&first, if writable { b"Can" } else { b"can" });
        }
    }
}

#[test]
fn a_mapping_is_unmapped_when_it_is_dropped_on_any_thread() {
    for engine in ENGINES {
        let Some(mut ring) = ring(engine) else { continue };
        let memory = mapping(&mut ring, Call::map_memory(1 << 30));
        let at = memory.as_ptr().addr();
        let inside = std::ptr::without_provenance::<u8>(at + (1 << 29));
        assert!(is_mapped(inside));
        drop(ring);
        assert!(is_mapped(inside), "it outlives its ring");
        std::thread::spawn(move || drop(memory)).join().expect("dropped");
        // Somebody else may have mapped the place meanwhile, but hardly the middle of it.
        assert!(!is_mapped(inside));
    }
}

#[test]
fn advice_changes_no_byte_and_keeps_the_mapping_alive() {
    let all = [
        Advice::Normal,
        Advice::Random,
        Advice::Sequential,
        Advice::WillNeed,
        Advice::Cold,
        Advice::PageOut,
        Advice::HugePage,
        Advice::NoHugePage,
        Advice::PopulateRead,
        Advice::PopulateWrite,
    ];
    for engine in ENGINES {
        let Some(mut ring) = ring(engine) else { continue };
        let mut memory = mapping(&mut ring, Call::map_memory(1 << 20));
        memory.fill(7);
        let memory = Arc::new(memory);
        for advice in all {
            let range = 0..memory.size();
            ring.submit(Call::madvise(Arc::clone(&memory), range, advice), 1).expect("room");
        }
        let at = memory.as_ptr();
        let watched = Arc::downgrade(&memory);
        assert!(memory.iter().all(|byte| *byte == 7));
        drop(memory);
        assert!(watched.upgrade().is_some() || !is_mapped(at));
        while ring.in_flight() > 0 {
            ring.wait(None).expect("waits");
            ring.reap(&mut |done| match done.result {
                Ok(_) => {}
                // A kernel without huge pages.
                Err(failure) => {
                    assert_eq!(failure.error.raw_os_error(), Some(libc::EINVAL), "{failure}");
                }
            });
        }
        assert!(watched.upgrade().is_none(), "the calls have given it up");
    }
}

#[test]
fn advice_on_what_is_not_mapped_is_refused_with_the_call() {
    let Some(mut ring) = ring(Engine::Direct) else { return };
    let memory = Arc::new(mapping(&mut ring, Call::map_memory(8_192)));
    for range in [(0, 8_193), (5, 4), (8_193, 8_193), (0, usize::MAX)] {
        let call = Call::madvise(Arc::clone(&memory), range.0..range.1, Advice::Normal);
        let refused = ring.submit(call, 1).expect_err("outside");
        assert!(matches!(refused, PostError::Range { len: 8_192, .. }), "{refused}");
    }
    assert_eq!(Arc::strong_count(&memory), 1);
}

#[test]
fn a_call_is_no_larger_than_a_cache_line() {
    assert!(size_of::<Call<Box<[u8]>>>() <= 64, "{}", size_of::<Call<Box<[u8]>>>());
    assert!(size_of::<Call<Vec<u8>>>() <= 64, "{}", size_of::<Call<Vec<u8>>>());
}
