//! What does an open + statx + read + close chain cost when 1 to 32 are posted at once, against traps?

use std::hint::black_box;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flexsc_ring::{AnyRing, CWD, Call, Completion, Engine, Options, Ring, Value};

type Buf = Box<[u8]>;

const BYTES: usize = 1024;

/// The files, and a buffer for each chain.
struct Files {
    _dir: tempfile::TempDir,
    names: Vec<std::ffi::CString>,
    buffers: Vec<Option<Buf>>,
}

fn files(n: usize) -> Files {
    let dir = tempfile::tempdir().expect("a directory");
    let names = (0..n).map(|i| dir.path().join(format!("file-{i}")));
    let names: Vec<_> = names
        .map(|path| {
            std::fs::write(&path, [7; BYTES]).expect("written");
            std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).expect("no NUL")
        })
        .collect();
    let buffers = (0..n).map(|_| Some(vec![0; BYTES].into())).collect();
    Files { _dir: dir, names, buffers }
}

/// The chains, one trap after the other, as a program without a ring makes them.
fn by_hand(files: &mut Files) -> u64 {
    let mut sum = 0;
    for (name, buf) in files.names.iter().zip(&mut files.buffers) {
        let path = std::path::Path::new(name.to_str().expect("UTF-8"));
        let file = std::fs::File::open(path).expect("opens");
        let stat = file.metadata().expect("is there");
        let buf = buf.as_mut().expect("at home");
        let n = file.read_at(buf, 0).expect("reads");
        sum += stat.len() + n as u64;
    }
    sum
}

/// A file in work, and how many of its two middle calls are still out.
#[derive(Default)]
struct Chain {
    file: Option<OwnedFd>,
    out: u8,
}

/// The chains, all posted at once: each step of all of them is one batch.
fn by_ring(ring: &mut AnyRing<Buf>, files: &mut Files, chains: &mut [Chain]) -> u64 {
    let n = files.names.len();
    for (user, name) in files.names.iter().enumerate() {
        ring.submit(Call::open(CWD, name.clone()), user as u64).expect("room");
    }
    let (mut sum, mut left) = (0, 4 * n);
    let mut done: Vec<Completion<Buf>> = Vec::with_capacity(2 * n);
    while left > 0 {
        ring.wait(None).expect("waits");
        left -= ring.reap(&mut |completion| done.push(completion));
        for completion in done.drain(..) {
            let user = completion.user;
            let chain = &mut chains[user as usize];
            match completion.result.expect("succeeds") {
                Value::Opened(file) => {
                    let buf = files.buffers[user as usize].take().expect("at home");
                    ring.submit(Call::stat_fd(file.as_raw_fd()), user).expect("room");
                    ring.submit(Call::read(file.as_raw_fd(), buf, 0..BYTES, 0), user)
                        .expect("room");
                    *chain = Chain { file: Some(file), out: 3 };
                }
                Value::Stat(stat) => sum += stat.size,
                Value::Moved { n, buf } => {
                    sum += n as u64;
                    files.buffers[user as usize] = Some(buf);
                }
                _ => continue,
            }
            chain.out -= 1;
            if let Some(file) = chain.file.take_if(|_| chain.out == 0) {
                ring.submit(Call::close(file), user).expect("room");
            }
        }
    }
    sum
}

fn chains(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chain");
    for batch in [1, 2, 4, 8, 16, 32] {
        group.throughput(Throughput::Elements(batch as u64));
        let mut files = files(batch);
        group.bench_function(BenchmarkId::new("by_hand", batch), |b| {
            b.iter(|| black_box(by_hand(&mut files)));
        });
        for engine in [Engine::Direct, Engine::Threads, Engine::Uring] {
            let Ok(mut ring) = AnyRing::new(&Options::with_engine(engine)) else {
                println!("{engine} cannot be measured here");
                continue;
            };
            let mut chains: Vec<Chain> = (0..batch).map(|_| Chain::default()).collect();
            group.bench_function(BenchmarkId::new(engine.name(), batch), |b| {
                b.iter(|| black_box(by_ring(&mut ring, &mut files, &mut chains)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, chains);
criterion_main!(benches);
