//! Chains that stop, wait or are left in the middle, where a syscall thread runs several calls as one.

use flexsc_ring::Lock;

use super::*;

on_every_engine! {
    fn a_step_that_would_wait_is_waited_for_and_the_rest_goes_on(bench) {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::mkfifo(c(&fifo).as_ptr(), 0o600) }, 0);
        let mut both = File::options().read(true).write(true).open(&fifo).expect("opened");
        let file = file(b"behind");
        let chain = Chain::new()
            .then(Call::open(CWD, c(&fifo)))
            .then(Call::read(OPENED, vec![0; 9], 0..9, CURRENT))
            .then(Call::open(CWD, c(file.path())))
            .then(Call::read(OPENED, vec![0; 9], 0..9, 0))
            .then(Call::close_opened())
            .then(Call::read(OPENED, vec![0; 9], 0..4, CURRENT))
            .then(Call::close_opened());
        bench.post(Call::chain(chain), 1);
        bench.expect_silence();
        both.write_all(b"first").expect("written");
        bench.expect_silence();
        both.write_all(b"last").expect("written");
        let all: Vec<_> = list(bench.next_of(1)).into_iter().map(seen).collect();
        let moved = |bytes: &[u8]| Seen::Moved(bytes.to_vec());
        let (first, last) = (moved(b"first"), moved(b"last"));
        let behind = moved(b"behind");
        assert_eq!(all, [Seen::Done, first, Seen::Done, behind, Seen::Done, last, Seen::Done]);
    }
}

/// A chain whose second call waits for a lock that `other` has.
fn locked(path: &Path, other: &File) -> Chain<Buf> {
    Chain::new()
        .then(Call::open(CWD, c(path)))
        .then(Call::flock(other.as_raw_fd(), Lock::Exclusive))
        .then(Call::read(OPENED, vec![0; 4], 0..4, 0))
        .then(Call::close_opened())
}

#[test]
fn a_chain_is_cancelled_in_the_middle_of_a_program_and_closes() {
    for engine in [Engine::Threads, Engine::Uring] {
        on(&options(engine), |bench| {
            let file = file(b"held");
            let (mine, other) = (reopened(&file), reopened(&file));
            mine.lock().expect("free");
            for moment in [Duration::ZERO, A_WHILE] {
                let ticket = bench.post(Call::chain(locked(file.path(), &other)), 1);
                bench.pause(moment);
                bench.ring.cancel(ticket);
                let all: Vec<_> = list(bench.next_of(1)).into_iter().map(seen).collect();
                let cancelled = |buf| Seen::Failed(libc::ECANCELED, buf);
                let middle = [Seen::Done, cancelled(false), cancelled(true), Seen::Done];
                let never = [cancelled(false), cancelled(false), cancelled(true), cancelled(false)];
                let never = moment.is_zero() && all == never;
                assert!(never || all == middle, "{all:?}");
            }
            mine.unlock().expect("it was ours");
            let ticket = bench.post(Call::chain(locked(file.path(), &other)), 2);
            let all: Vec<_> = list(bench.next_of(2)).into_iter().map(seen).collect();
            let read = Seen::Moved(b"held".to_vec());
            assert_eq!(all, [Seen::Done, Seen::Done, read, Seen::Done]);
            assert_eq!(bench.ring.cancel(ticket), Cancelled::TooLate);
        });
    }
}

fn reopened(file: &tempfile::NamedTempFile) -> File {
    File::open(file.path()).expect("opened")
}

#[test]
fn a_ring_dropped_in_the_middle_of_a_program_leaves_nothing_open() {
    alone(
        "chains::programs::a_ring_dropped_in_the_middle_of_a_program_leaves_nothing_open",
        || {
            let file = file(b"held");
            let (mine, other) = (reopened(&file), reopened(&file));
            mine.lock().expect("free");
            let before = open_files();
            on(&options(Engine::Threads), |bench| {
                (0..3).for_each(|user| {
                    bench.post(Call::chain(locked(file.path(), &other)), user);
                });
                bench.pause(A_MOMENT);
                assert!(bench.done.is_empty());
            });
            assert_eq!(open_files(), before);
        },
    );
}
