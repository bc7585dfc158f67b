//! Which callback waits for which descriptor, and is it armed?
//!
//! | a watch is | the kernel | becomes |
//! |---|---|---|
//! | armed | tells of it once, with the token of the last arming | posted, when the home's core hears that token |
//! | posted | says nothing of it | armed again when its callback has returned; nothing, if it was removed before it ran |
//! | removed | may tell of it once more, with a token that nothing has | - |
//!
//! A descriptor's table entry and its place in the epolls change together, under the lock of its shard. Each arming has a
//! new token, for both operations on that epoll: so what the kernel told of an earlier arming, or of an earlier
//! descriptor of the same number, is known to be old; whatever is still true will be told again.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::callback::{Each, FdCallback, Place};
use crate::event::CoreId;
use crate::sys::{Epoll, Readiness};

/// What a descriptor is to be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelOp {
    /// Something can be read, or the end has come, or an error.
    Read,
    /// Something can be written, or an error has come.
    Write,
}

/// Locks of the table, so that cores seldom meet at one.
const SHARDS: usize = 16;

/// A callback that is called each time its descriptor is ready.
pub(super) struct Watch {
    fd: RawFd,
    op: SelOp,
    home: CoreId,
    pub(super) place: Place,
    /// Taken out while it runs.
    callback: Mutex<Option<Each>>,
}

struct Watched {
    watch: Arc<Watch>,
    /// As of the last arming; `None` while it is posted.
    token: Option<u64>,
}

/// A descriptor's watches, by operation.
#[derive(Default)]
struct Descriptor([Option<Watched>; 2]);

impl Descriptor {
    fn is_watched_at(&self, home: CoreId) -> bool {
        self.0.iter().flatten().any(|watched| watched.watch.home == home)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// All descriptors that are watched, and the epolls that watch them, one a core.
pub(super) struct Descriptors {
    epolls: Vec<Epoll>,
    shards: [Mutex<HashMap<RawFd, Descriptor>>; SHARDS],
    armings: AtomicU32,
    orphans: AtomicU64,
}

impl Descriptors {
    pub(super) fn new(cores: usize) -> io::Result<Self> {
        Ok(Self {
            epolls: (0..cores).map(|_| Epoll::new()).collect::<io::Result<_>>()?,
            shards: Default::default(),
            armings: AtomicU32::new(0),
            orphans: AtomicU64::new(0),
        })
    }

    /// Callbacks that were dropped because their descriptor had been closed before them.
    pub(super) fn orphans(&self) -> u64 {
        self.orphans.load(Ordering::Relaxed)
    }

    /// The epoll of a core.
    pub(super) fn epoll(&self, core: CoreId) -> &Epoll {
        &self.epolls[core.index()]
    }

    fn shard(&self, fd: RawFd) -> MutexGuard<'_, HashMap<RawFd, Descriptor>> {
        let shard = &self.shards[fd.unsigned_abs() as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `callback` called from now on. What it replaces is returned, to be dropped outside of all locks.
    ///
    /// # Errors
    /// The kernel's, with the callback.
    pub(super) fn watch<C: FdCallback>(
        &self,
        fd: RawFd,
        op: SelOp,
        place: Place,
        callback: C,
    ) -> Result<Option<Arc<Watch>>, (C, io::Error)> {
        let home = place.color.home(self.epolls.len());
        let watch = Arc::new(Watch { fd, op, home, place, callback: Mutex::default() });
        let mut shard = self.shard(fd);
        let descriptor = shard.entry(fd).or_default();
        let new = Watched { watch: Arc::clone(&watch), token: Some(0) };
        let old = descriptor.0[op as usize].replace(new);
        if let Err(error) = self.arm(fd, descriptor, home) {
            descriptor.0[op as usize] = old;
            if descriptor.is_empty() {
                shard.remove(&fd);
            }
            return Err((callback, error));
        }
        watch.put(callback.into_each());
        let old = old.map(|old| old.watch);
        if let Some(old) = &old
            && !descriptor.is_watched_at(old.home)
        {
            self.epoll(old.home).forget(fd);
        }
        Ok(old)
    }

    /// Has nothing called any more. What was there is returned, to be dropped outside of all locks.
    pub(super) fn unwatch(&self, fd: RawFd, op: SelOp) -> Option<Arc<Watch>> {
        let mut shard = self.shard(fd);
        let old = shard.get_mut(&fd)?.0[op as usize].take()?.watch;
        self.left(&mut shard, fd, old.home);
        Some(old)
    }

    /// A watch of `fd` at `home` has been taken out.
    fn left(&self, shard: &mut HashMap<RawFd, Descriptor>, fd: RawFd, home: CoreId) {
        let Some(descriptor) = shard.get(&fd) else { return };
        if !descriptor.is_watched_at(home) {
            self.epoll(home).forget(fd);
        }
        if descriptor.is_empty() {
            shard.remove(&fd);
        }
    }

    /// Tells the kernel of all that is to be armed at `home`.
    fn arm(&self, fd: RawFd, descriptor: &mut Descriptor, home: CoreId) -> io::Result<()> {
        let arming = self.armings.fetch_add(1, Ordering::Relaxed);
        let token = u64::from(fd.cast_unsigned()) << 32 | u64::from(arming);
        let mut wanted = Readiness::default();
        let is_armed =
            |watched: &&mut Watched| watched.watch.home == home && watched.token.is_some();
        for watched in descriptor.0.iter().flatten() {
            if watched.watch.home == home && watched.token.is_some() {
                match watched.watch.op {
                    SelOp::Read => wanted.read = true,
                    SelOp::Write => wanted.write = true,
                }
            }
        }
        if wanted == Readiness::default() {
            return Ok(());
        }
        self.epoll(home).arm(fd, wanted, token)?;
        for watched in descriptor.0.iter_mut().flatten().filter(is_armed) {
            watched.token = Some(token);
        }
        Ok(())
    }

    /// At its home: the kernel has told of `token`. Gives the watches whose callbacks are to be posted.
    pub(super) fn heard(
        &self,
        home: CoreId,
        token: u64,
        ready: Readiness,
        found: &mut Vec<Arc<Watch>>,
    ) {
        let fd = ((token >> 32) as u32).cast_signed();
        let mut shard = self.shard(fd);
        let Some(descriptor) = shard.get_mut(&fd) else { return };
        let mut is_left = false;
        for watched in descriptor.0.iter_mut().flatten() {
            if watched.watch.home != home || watched.token != Some(token) {
                continue;
            }
            let is_ready = match watched.watch.op {
                SelOp::Read => ready.read,
                SelOp::Write => ready.write,
            };
            if is_ready {
                watched.token = None;
                found.push(Arc::clone(&watched.watch));
            }
            is_left |= !is_ready;
        }
        if is_left {
            self.rearm(shard, fd, home);
        }
    }

    /// The callback of a posted watch, to be called and given [back](Self::called). `None`: it was removed.
    pub(super) fn take(&self, watch: &Arc<Watch>) -> Option<Each> {
        let is_watched = {
            let shard = self.shard(watch.fd);
            let watched =
                shard.get(&watch.fd).and_then(|known| known.0[watch.op as usize].as_ref());
            watched.is_some_and(|watched| Arc::ptr_eq(&watched.watch, watch))
        };
        if is_watched { watch.take() } else { None }
    }

    /// The callback of a posted watch has returned: it is armed again, unless it was removed.
    pub(super) fn called(&self, watch: &Arc<Watch>, callback: Each) {
        watch.put(Some(callback));
        let mut shard = self.shard(watch.fd);
        let Some(descriptor) = shard.get_mut(&watch.fd) else { return };
        let Some(watched) = &mut descriptor.0[watch.op as usize] else { return };
        if Arc::ptr_eq(&watched.watch, watch) {
            watched.token = Some(0);
            self.rearm(shard, watch.fd, watch.home);
        }
    }

    /// The callback of a posted watch has panicked: nothing is called any more, unless it was replaced.
    pub(super) fn panicked(&self, watch: &Arc<Watch>) {
        let mut shard = self.shard(watch.fd);
        let Some(descriptor) = shard.get_mut(&watch.fd) else { return };
        let place = &mut descriptor.0[watch.op as usize];
        if place.as_ref().is_some_and(|watched| Arc::ptr_eq(&watched.watch, watch)) {
            *place = None;
            self.left(&mut shard, watch.fd, watch.home);
        }
    }

    /// As [`Self::arm`]. If the kernel does not know the descriptor any more, there is nothing to wait for.
    fn rearm(
        &self,
        mut shard: MutexGuard<'_, HashMap<RawFd, Descriptor>>,
        fd: RawFd,
        home: CoreId,
    ) {
        let Some(descriptor) = shard.get_mut(&fd) else { return };
        if self.arm(fd, descriptor, home).is_ok() {
            return;
        }
        let mut orphans = Vec::new();
        for place in &mut descriptor.0 {
            if place.as_ref().is_some_and(|watched| watched.watch.home == home) {
                orphans.extend(mem::take(place));
            }
        }
        if descriptor.is_empty() {
            shard.remove(&fd);
        }
        drop(shard);
        self.orphans.fetch_add(orphans.len() as u64, Ordering::Relaxed);
    }
}

impl Watch {
    fn put(&self, callback: Option<Each>) {
        *self.callback.lock().unwrap_or_else(PoisonError::into_inner) = callback;
    }

    fn take(&self) -> Option<Each> {
        self.callback.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
