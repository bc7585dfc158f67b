//! Global objects: final ones in the slab for good, temporary ones copied into its window on demand.
//!
//! ISMM 2006 §4.2.2 keeps large globals outside and copies them in when they are used, and leaves out how.
//! Here they share one window, as large as the largest. Who borrows one finds it there, copied in if
//! another was there before, which is first copied back to where it lives.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;

use crate::home::Home;
use crate::layout::Layout;
use crate::map::{GlobalKind, GlobalSpec};
use crate::unit::TOP;

/// A borrowed global object, as bytes: zero at first. Not borrowed any more when it is dropped.
///
/// It ends before its slab does:
///
/// ```compile_fail
/// # use stingy_alloc::{GlobalKind, MemoryMap, Options, Slab, StageId};
/// # let builder = MemoryMap::builder().global(64, GlobalKind::Final).site("request", 64, 8);
/// # let map = builder.stage("parse", &[], &[("request", 1)]).build().unwrap();
/// let slab = Slab::new(&map, Options::default()).unwrap();
/// let table = slab.global(0).unwrap();
/// drop(slab);
/// let first = table[0];
/// ```
pub struct GlobalRef<'s> {
    global: &'s Global,
}

/// Why a global object cannot be borrowed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GlobalError {
    /// The map has no such global.
    #[error("the map has no global {0}; add it as `global {0} size=… kind=final`")]
    Unknown(u16),
    /// It is borrowed already.
    #[error("global {0} is borrowed already; drop the other GlobalRef first")]
    Borrowed(u16),
    /// The window is in use by another temporary global.
    #[error(
        "global {wanted} needs the window, which global {resident} is borrowed in; drop that first, or make one of them final"
    )]
    Window {
        /// The global asked for.
        wanted: u16,
        /// The one in the window.
        resident: u16,
    },
    /// This is a child made by `fork`, which has no copy of the slab.
    #[error(
        "the slab is that of the parent process; make it with Options::fork_copies, or another one here"
    )]
    Lost,
}

/// One global.
///
/// # Invariants
/// 1. `start..start + len` lies in the slab, mapped and initialised as long as the slab lives, and is used
///    by nothing but this global while it is borrowed, and while it is resident if it is temporary.
#[derive(Debug)]
struct Global {
    id: u16,
    start: NonNull<u8>,
    len: usize,
    /// Where a temporary one lives.
    outside: Option<RefCell<Box<[u8]>>>,
    borrowed: Cell<bool>,
}

/// All globals of one slab.
#[derive(Debug)]
pub(crate) struct Globals {
    globals: Box<[Global]>,
    /// The one that is in the window.
    resident: Cell<Option<usize>>,
}

impl Globals {
    pub(crate) fn new(home: &Home) -> Self {
        let layout = Layout::new(home.map.section());
        let base = TOP - home.map.geometry().slab_bytes();
        let global = |(spec, range): (&GlobalSpec, &Range<usize>)| {
            let temporary = spec.kind == GlobalKind::Temporary;
            let offset = if temporary { layout.window.start } else { range.start };
            // SAFETY: within the cache slab, by the check of the map.
            let start = unsafe { home.unit.start().add(base + offset) };
            let outside = temporary.then(|| RefCell::new(vec![0; spec.size].into()));
            Global { id: spec.id, start, len: spec.size, outside, borrowed: Cell::new(false) }
        };
        let globals = home.map.globals().iter().zip(&layout.globals).map(global).collect();
        Self { globals, resident: Cell::new(None) }
    }

    pub(crate) fn borrow(&self, id: u16) -> Result<GlobalRef<'_>, GlobalError> {
        let found = self.globals.iter().position(|global| global.id == id);
        let Some((index, global)) = found.map(|index| (index, &self.globals[index])) else {
            return Err(GlobalError::Unknown(id));
        };
        if global.borrowed.get() {
            return Err(GlobalError::Borrowed(id));
        }
        if let Some(outside) = &global.outside
            && self.resident.get() != Some(index)
        {
            self.vacate(id)?;
            // Borrowed for the copy only, on one thread.
            let bytes = outside.borrow();
            // SAFETY: by (1) `len` bytes of the window, which nobody uses now.
            unsafe {
                global.start.copy_from_nonoverlapping(NonNull::from(&bytes[..]).cast(), global.len)
            };
            self.resident.set(Some(index));
        }
        global.borrowed.set(true);
        Ok(GlobalRef { global })
    }

    /// Sends the global in the window back to where it lives.
    fn vacate(&self, wanted: u16) -> Result<(), GlobalError> {
        let Some(resident) = self.resident.get().map(|index| &self.globals[index]) else {
            return Ok(());
        };
        if resident.borrowed.get() {
            return Err(GlobalError::Window { wanted, resident: resident.id });
        }
        if let Some(outside) = &resident.outside {
            let mut bytes = outside.borrow_mut();
            let to = NonNull::from(&mut bytes[..]).cast();
            // SAFETY: by (1) the resident's `len` bytes, which is not borrowed.
            unsafe { resident.start.copy_to_nonoverlapping(to, resident.len) };
        }
        self.resident.set(None);
        Ok(())
    }
}

impl Deref for GlobalRef<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: by (1), and the global is borrowed by this value only.
        unsafe { std::slice::from_raw_parts(self.global.start.as_ptr(), self.global.len) }
    }
}

impl DerefMut for GlobalRef<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: by (1), and the global is borrowed by this value only, which is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.global.start.as_ptr(), self.global.len) }
    }
}

impl Drop for GlobalRef<'_> {
    fn drop(&mut self) {
        self.global.borrowed.set(false);
    }
}

impl fmt::Debug for GlobalRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GlobalRef({}, {} bytes)", self.global.id, self.global.len)
    }
}
