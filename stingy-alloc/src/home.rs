//! What a slab and its slots share: memory, pools, the way home. It lives until the last of them goes.

use std::ptr::NonNull;
use std::sync::Arc;

use crate::atomics::{AtomicU64, Ordering};
use crate::backing::Mapping;
use crate::fallback::Fallbacks;
use crate::pool::{Need, Pools};
use crate::registry;
use crate::remote::{Pushed, Remote};
use crate::slot::{Label, Slot};
use crate::thread;

/// Called from the thread that freed a slot, when the owner had refused a permit for want of one.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The shared part of one slab.
///
/// # Invariants
/// 1. Allocated by `Box`; freed once: by the owner if no slot is out when it goes, else by the last slot.
/// 2. A slot that is out names this, so this is alive and in the registry as long as that slot has not been given back.
/// 3. `pools` and `fallbacks` are touched by the owner's thread only, while `owner` is its number; after
///    that only by whoever frees this.
/// 4. An index is out at most once: `pools` hands it out, and gets it back before it does so again.
///    Hence the bytes of two slots that are out are disjoint.
pub(crate) struct Home {
    /// The number of the owner's thread, or `NOBODY` once the slab is gone. Stored by the owner only,
    /// so every thread reads either "mine" and is the owner, or "not mine": Relaxed is enough.
    owner: AtomicU64,
    pub(crate) pools: Pools,
    pub(crate) fallbacks: Fallbacks,
    remote: Remote,
    wake: Option<Wake>,
    /// Keeps `base` mapped.
    _mapping: Mapping,
    base: NonNull<u8>,
    /// Its number in the registry, as its slots carry it.
    label: Label,
}

impl Home {
    /// A home owned by this thread; `None` if the process has too many.
    pub(crate) fn new(
        mut mapping: Mapping,
        pools: Pools,
        wake: Option<Wake>,
    ) -> Option<NonNull<Self>> {
        let remote = Remote::new(pools.slots());
        let owner = AtomicU64::new(thread::own());
        let fallbacks = Fallbacks::default();
        let base = mapping.base();
        let (_mapping, label) = (mapping, Label::of_home(0));
        let home = Self { owner, pools, fallbacks, remote, wake, _mapping, base, label };
        let this = NonNull::from(Box::leak(Box::new(home)));
        let number = registry::insert(this);
        // SAFETY: just allocated, and nobody looks it up before it has handed out a slot.
        unsafe {
            match number {
                Some(number) => (*this.as_ptr()).label = Label::of_home(number),
                None => drop(Box::from_raw(this.as_ptr())),
            }
        }
        number.map(|_| this)
    }

    /// Hands out one slot that a permit has reserved.
    #[inline]
    pub(crate) fn take(&self, need: &Need) -> Slot {
        let taken = self.pools.take(need);
        // SAFETY: by (4) the slot is nobody else's, and its bytes lie within the mapping, which is
        // initialised and by (2) lives as long as the slot.
        unsafe { Slot::in_slab(self.label, self.base, taken) }
    }

    /// Frees it.
    ///
    /// # Safety
    /// By (1) the caller's to free.
    unsafe fn take_down(home: NonNull<Self>) {
        // SAFETY: as promised; made by `Box`.
        let home = unsafe { Box::from_raw(home.as_ptr()) };
        registry::remove(home.label.home());
    }

    /// Frees slots that came home; returns how many.
    pub(crate) fn drain(&self) -> u32 {
        if self.remote.len() == 0 {
            return 0;
        }
        self.remote.drain(|index| self.pools.give(index))
    }

    /// After a refusal: has the next free from another thread wake the owner. True if something came
    /// home meanwhile, so that the refusal must be decided again.
    pub(crate) fn wait_for_frees(&self) -> bool {
        self.wake.is_some() && !self.remote.hunger()
    }

    /// Takes a slot back, from any thread.
    ///
    /// # Safety
    /// Slot `index` of the home of that number is out, and the caller gives it up.
    #[inline]
    pub(crate) unsafe fn give_back(number: u16, index: u32) {
        // SAFETY: alive by (2), as the slot is still out; so its number is in the registry.
        let (home, this) = unsafe {
            let home = NonNull::new_unchecked(registry::get(number));
            (home, home.as_ref())
        };
        if thread::is(this.owner.load(Ordering::Relaxed)) {
            this.pools.give(index);
        } else {
            // SAFETY: as promised by the caller.
            unsafe { Self::send_back(home, index) };
        }
    }

    /// # Safety
    /// As for [`give_back`](Self::give_back).
    #[cold]
    unsafe fn send_back(home: NonNull<Self>, index: u32) {
        let mut wake = None;
        // SAFETY: alive by (2), as this runs before the push.
        let fetch = || wake = unsafe { &(*home.as_ptr()).wake }.clone();
        // SAFETY: alive by (2) until the push has happened, and nothing is borrowed here that would
        // have to last beyond it; the slot is the caller's, as promised.
        let pushed = unsafe { Remote::push(&raw const (*home.as_ptr()).remote, index, fetch) };
        match pushed {
            Pushed::HomeHungry => {
                if let Some(wake) = wake {
                    wake();
                }
            }
            Pushed::Home | Pushed::Orphan => {}
            // SAFETY: the last slot, by the count that the owner left: by (1) ours to free.
            Pushed::Last => unsafe { Self::take_down(home) },
        }
    }

    /// The owner goes. Slots that are out stay valid; the last of them frees the memory.
    ///
    /// # Safety
    /// `home` points to a living home; called once, by the owner's thread, which does not use it again.
    pub(crate) unsafe fn close(home: NonNull<Self>) {
        // SAFETY: alive until closed, as promised.
        let this = unsafe { home.as_ref() };
        // From here on this thread's frees take the same way as everybody's.
        this.owner.store(thread::NOBODY, Ordering::Relaxed);
        this.drain();
        let live = this.pools.live();
        // SAFETY: alive until closed; `this` is not used after it, nor `home` unless nobody else can.
        if unsafe { Remote::close(&raw const (*home.as_ptr()).remote, live) } {
            // SAFETY: no slot is out, so by (1) it is ours to free.
            unsafe { Self::take_down(home) };
        }
    }
}
