//! Many objects at once: those of another thread's slab go home together, by one exchange.

use std::ptr::NonNull;

use crate::arena;
use crate::home::{self, Home};
use crate::object::Object;
use crate::slot::Slot;

/// What [`free_all`] frees: [`Slot`]s and [`Object`]s.
pub trait Release: sealed::Release {}

impl Release for Slot {}
impl<T> Release for Object<T> {}

mod sealed {
    use std::ptr::NonNull;

    pub trait Release {
        /// Ends the value. Its memory is then the caller's to give back if it lies in a slab, and gone if not.
        fn release(self) -> Option<NonNull<u8>>;
    }
}

impl sealed::Release for Slot {
    fn release(self) -> Option<NonNull<u8>> {
        self.is_slab().then(|| self.into_memory())
    }
}

impl<T> sealed::Release for Object<T> {
    fn release(self) -> Option<NonNull<u8>> {
        Object::is_slab(&self).then(|| Object::into_memory(self))
    }
}

/// Drops all of `objects`. What lies in a slab of another thread is chained and sent home at once: that
/// costs one compare-and-swap for as many as follow each other in `objects` from the same slab.
///
/// ```
/// # use stingy_alloc::{MemoryMap, Options, Slab, StageId};
/// # let map = MemoryMap::builder().site("reply", 2048, 8).stage("respond", &[], &[("reply", 1)]).build()?;
/// # let slab = Slab::new(&map, Options::default())?;
/// let permit = slab.admit(StageId(0), 4);
/// let reply = map.site_named("reply").unwrap();
/// let replies: Vec<_> = (0..permit.granted()).map(|_| permit.alloc(reply)).collect::<Result<_, _>>()?;
/// std::thread::spawn(move || stingy_alloc::free_all(replies)).join().unwrap();
/// assert_eq!(slab.live(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn free_all<O: Release>(objects: impl IntoIterator<Item = O>) {
    let mut chain = Chain::default();
    for object in objects {
        if let Some(memory) = object.release() {
            // SAFETY: the object is gone, and left its memory to be given back.
            unsafe { chain.add(memory) };
        }
    }
}

/// Objects of one home by their numbers, each linked to the one before; sent home on drop.
#[derive(Default)]
struct Chain {
    home: Option<NonNull<Home>>,
    first: u32,
    last: u32,
    count: u32,
}

impl Chain {
    /// # Safety
    /// An object of a slab that is out starts there, and the caller gives it up.
    unsafe fn add(&mut self, memory: NonNull<u8>) {
        let home = arena::home_of(memory.addr().get());
        // SAFETY: alive, as the object is out.
        let Some(home) = home.filter(|home| unsafe { home.as_ref() }.is_elsewhere()) else {
            // SAFETY: as promised.
            unsafe { home::free(memory) };
            return;
        };
        // SAFETY: alive, as the object is out.
        let this = unsafe { home.as_ref() };
        let number = this.links.number(this.unit.place(memory.addr().get()));
        if self.home == Some(home) {
            this.links.set_below(number, self.first);
        } else {
            self.send();
            (self.home, self.last) = (Some(home), number);
        }
        self.first = number;
        self.count += 1;
    }

    fn send(&mut self) {
        if let Some(home) = self.home.take() {
            let count = std::mem::take(&mut self.count);
            // SAFETY: all of them are out, of this home, chained, and were given up.
            unsafe { home::send_home(home, self.first, self.last, count) };
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.send();
    }
}
