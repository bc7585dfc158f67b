//! Syscall threads run where they were told to, and what they do is the same everywhere.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use flexsc_ring::{
    AnyRing, CURRENT, CWD, Call, Chain, Engine, OPENED, Options, Placement, Ring, RingError, Value,
};

use crate::support::{AT_ONCE, Bench, Buf, SOON, alone, errno, on};

/// The processors that this thread may use.
pub(crate) fn allowed() -> Vec<usize> {
    // SAFETY: a zeroed set is valid, and its size is told.
    unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&set), &mut set), 0);
        (0..libc::CPU_SETSIZE as usize).filter(|cpu| libc::CPU_ISSET(*cpu, &set)).collect()
    }
}

pub(crate) fn stay_on(cpu: usize) {
    // SAFETY: as above.
    unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(cpu, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &set), 0);
    }
}

/// The processor on which a posted call is made.
fn cpu_of_a_call(bench: &mut Bench) -> usize {
    let cpu: &'static mut u32 = Box::leak(Box::new(u32::MAX));
    let args = [std::ptr::from_mut(cpu).expose_provenance() as u64, 0, 0, 0, 0, 0];
    // SAFETY: the number's place is never freed.
    let call = unsafe { Call::raw(libc::SYS_getcpu as u16, args) };
    assert!(matches!(bench.value(call), Value::Raw(0)));
    *cpu as usize
}

fn placed(placement: Placement, engine: Engine) -> Options {
    Options { placement, ..Options::with_engine(engine) }
}

#[test]
fn threads_stay_on_their_processors() {
    for engine in [Engine::Threads, Engine::Uring] {
        for cpu in allowed() {
            on(&placed(Placement::Cpus(vec![cpu]), engine), |bench| {
                (0..50).for_each(|_| assert_eq!(cpu_of_a_call(bench), cpu));
            });
        }
    }
}

#[test]
fn threads_follow_the_poster_to_its_processor() {
    // The thread of this test ends with it, and its affinity too.
    on(&placed(Placement::Poster, Engine::Threads), |bench| {
        for cpu in allowed().into_iter().cycle().take(10) {
            stay_on(cpu);
            (0..10).for_each(|_| assert_eq!(cpu_of_a_call(bench), cpu));
        }
    });
}

#[test]
fn measured_threads_leave_the_processor_to_the_poster() {
    let all = allowed();
    if all.len() < 2 {
        return eprintln!("skipped: one processor");
    }
    on(&placed(Placement::Measured, Engine::Threads), |bench| {
        let mut beside = 0;
        for _ in 0..50 {
            let mut me = 0u32;
            let cpu = cpu_of_a_call(bench);
            // SAFETY: `me` outlives the call.
            unsafe { libc::syscall(libc::SYS_getcpu, &raw mut me, 0, 0) };
            beside += u32::from(cpu != me as usize);
        }
        // The poster may move in between.
        assert!(beside > 25, "{beside} of 50");
    });
}

#[test]
fn processors_that_are_not_there_are_refused_by_number() {
    for cpus in [vec![], vec![9_999], vec![allowed()[0], usize::MAX]] {
        match AnyRing::<Buf>::new(&placed(Placement::Cpus(cpus.clone()), Engine::Auto)) {
            Err(error @ RingError::Option { .. }) => {
                let text = error.to_string();
                let what = match cpus[..] {
                    [] => "option placement (count of processors) is 0;".to_owned(),
                    [.., last] => format!("option placement is {last};"),
                };
                assert!(text.starts_with(&what), "{text}");
                assert!(text.contains(&format!("processors {}", allowed()[0])), "{text}");
            }
            other => panic!("{cpus:?}: {:?}", other.err()),
        }
    }
}

#[test]
fn nobody_measures_where_the_kernel_makes_the_calls() {
    on(&placed(Placement::Measured, Engine::Uring), |bench| {
        // Made by a syscall thread.
        cpu_of_a_call(bench);
        assert_eq!(bench.ring.stats().place, None, "{}", bench.ring.stats());
    });
}

#[test]
fn a_placement_without_effect_is_noted_in_the_report() {
    let here = Placement::Cpus(vec![allowed()[0]]);
    let cases = [
        (Engine::Threads, Placement::Measured, 0),
        (Engine::Threads, here.clone(), 0),
        (Engine::Direct, Placement::Anywhere, 0),
        (Engine::Direct, Placement::Measured, 1),
        (Engine::Direct, here.clone(), 1),
        (Engine::Uring, Placement::Measured, 1),
        (Engine::Uring, here, 0),
    ];
    for (engine, placement, noted) in cases {
        on(&placed(placement.clone(), engine), |bench| {
            let notes = &bench.ring.report().notes;
            let of_placement = notes.iter().filter(|note| note.contains("`placement`")).count();
            assert_eq!(of_placement, noted, "{engine} {placement:?}: {notes:?}");
            let report = bench.ring.report().to_string();
            let named = report.contains(&format!(", placement {placement}"));
            assert_eq!(named, placement != Placement::Anywhere, "{report}");
        });
    }
}

#[test]
fn calls_have_the_same_results_wherever_they_are_made() {
    let first = allowed()[0];
    for placement in [Placement::Cpus(vec![first]), Placement::Poster, Placement::Measured] {
        on(&placed(placement.clone(), Engine::Threads), |bench| {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
            let (start, mut calls) = (Instant::now(), 0);
            while start.elapsed() < Duration::from_millis(150) {
                bench.post(Call::stat(CWD, c"/dev/null".into()), 0);
                bench.post(Call::stat(CWD, c"/no/such/file".into()), 1);
                bench.post(Call::recv(ours.as_raw_fd()), 2);
                bench.post(Call::send(theirs.as_raw_fd(), vec![5; 3], 0..3), 3);
                assert!(matches!(bench.next_of(0).result, Ok(Value::Stat(_))));
                assert_eq!(errno(&bench.next_of(1)), libc::ENOENT);
                assert_eq!(crate::support::received(bench.next_of(2)), [5; 3]);
                assert_eq!(crate::support::moved(bench.next_of(3)).0, 3);
                calls += 2;
            }
            let stats = bench.ring.stats();
            if placement == Placement::Measured {
                assert!(stats.made_here + stats.posted_elsewhere >= calls, "{stats}");
                assert!(stats.place.is_some() && stats.to_string().contains(" place "), "{stats}");
                assert!(stats.taken_back <= stats.posted_elsewhere, "{stats}");
            } else {
                assert_eq!((stats.made_here, stats.posted_elsewhere), (0, 0));
                assert_eq!((stats.place, stats.moves), (None, 0));
            }
        });
    }
}

#[test]
fn chains_whose_calls_never_wait_are_measured_as_one_call_and_others_are_posted() {
    on(&placed(Placement::Measured, Engine::Threads), |bench| {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(&mut file, b"four").expect("written");
        let fd = file.as_file().as_raw_fd();
        let name = file.path().to_path_buf().into_os_string().into_encoded_bytes();
        let name = std::ffi::CString::new(name).expect("no NUL");
        let read = |fd| Call::read(fd, vec![0; 8], 0..8, 0);
        let (start, mut chains) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_millis(100) {
            let waits = Chain::new().then(Call::open(CWD, name.clone())).then(read(OPENED));
            let waits = waits.then(Call::close_opened());
            let short = Chain::new().then(Call::stat_fd(fd)).then(read(fd));
            for (user, chain) in [(0, waits), (1, short)] {
                let length = chain.len();
                bench.post(Call::chain(chain), user);
                let Ok(Value::Chain(results)) = bench.next_of(user).result else {
                    panic!("a chain's results");
                };
                assert_eq!(results.len(), length);
                let read = results.into_iter().nth(1).expect("a read").expect("it is read");
                assert!(matches!(read, Value::Moved { n: 4, buf } if &buf[..4] == b"four"));
            }
            chains += 1;
        }
        let stats = bench.ring.stats();
        assert_eq!(stats.made_here + stats.posted_elsewhere, chains, "{stats}");
        assert!(stats.made_here > 0, "{stats}");
    });
}

#[test]
fn a_ring_dropped_by_a_forked_child_leaves_the_parent_s_alone() {
    alone("placement::a_ring_dropped_by_a_forked_child_leaves_the_parent_s_alone", || {
        let options = Options::with_engine(Engine::Threads);
        let mut ring: AnyRing<Buf> = AnyRing::new(&options).expect("threads");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let byte: &'static mut [u8; 1] = Box::leak(Box::new([0]));
        let at = byte.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: the byte is never freed.
        let read = unsafe {
            Call::raw(libc::SYS_read as u16, [reader.as_raw_fd() as u64, at, 1, 0, 0, 0])
        };
        ring.submit(read, 1).expect("room");
        ring.wait(Some(Duration::from_millis(20))).expect("waits");
        // SAFETY: the child only drops the ring and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let start = Instant::now();
            drop(ring);
            let late = start.elapsed() > AT_ONCE;
            // SAFETY: ends this process.
            unsafe { libc::_exit(i32::from(late)) };
        }
        let mut status = -1;
        // SAFETY: `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the child ended well, and soon");
        std::io::Write::write_all(&mut &writer, b"x").expect("written");
        let mut done = Vec::new();
        while done.is_empty() {
            ring.wait(None).expect("waits");
            ring.reap(&mut |completion| done.push(completion.result));
        }
        assert!(matches!(done[..], [Ok(Value::Raw(1))]), "{done:?}");
    });
}

#[test]
fn threads_on_another_processor_work_while_the_poster_goes_on() {
    let last = allowed().pop().expect("one at least");
    let options =
        Options { placement: Placement::Cpus(vec![last]), ..Options::with_engine(Engine::Threads) };
    on(&options, |bench| {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        for user in 0..8 {
            bench.post(Call::write(writer.as_raw_fd(), vec![7], 0..1, CURRENT), user);
        }
        // Nobody waits on the ring meanwhile.
        let (done, bytes) = std::sync::mpsc::channel();
        let read = std::thread::spawn(move || {
            let mut bytes = [0; 8];
            let _ = done.send(reader.read_exact(&mut bytes).map(|()| bytes));
        });
        let bytes = bytes.recv_timeout(SOON).expect("written without a wait").expect("read");
        assert_eq!(bytes, [7; 8]);
        read.join().expect("has read");
        (0..8).for_each(|_| drop(bench.next()));
    });
}
