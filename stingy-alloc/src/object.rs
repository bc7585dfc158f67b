//! A typed object: a box whose memory is a slot of a slab, or the system's.

use std::fmt;
use std::mem::{self, MaybeUninit};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::home;

/// An owned value in a slab, made by [`Permit::put`](crate::Permit::put), or on the heap, made by `from`.
///
/// One word; by its address alone it finds its way home. It can go to another thread, be dropped there,
/// and outlive its [`Slab`](crate::Slab): its memory stays mapped until the last object is gone. Dropped on
/// the slab's thread it costs a few plain stores, elsewhere one compare-and-swap.
///
/// ```
/// # use stingy_alloc::{MemoryMap, Object, Options, Slab};
/// # let map = MemoryMap::builder().site("request", 64, 8).stage("parse", &[], &[("request", 1)]).build()?;
/// # let slab = Slab::new(&map, Options::default())?;
/// let request = slab.site::<[u32; 16]>("request")?;
/// let permit = slab.admit(map.stage_named("parse").unwrap(), 1);
/// let object: Object<[u32; 16]> = permit.put(request, [7; 16])?;
/// assert_eq!(std::thread::spawn(move || object.iter().sum::<u32>()).join().unwrap(), 112);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
/// 1. It points to a `T`, which is this value's alone: in a slot that is out, or in a `Box`.
pub struct Object<T>(NonNull<T>);

// SAFETY: like a `Box`, by (1); giving the slot back works from any thread (`Home`).
unsafe impl<T: Send> Send for Object<T> {}
// SAFETY: a shared object only gives out shared values.
unsafe impl<T: Sync> Sync for Object<T> {}

/// Like those of `Box`, these are called as `Object::into_inner(object)`, so that they hide nothing of `T`.
impl<T> Object<T> {
    /// # Safety
    /// As (1) says.
    #[inline]
    pub(crate) unsafe fn from_raw(pointer: NonNull<T>) -> Self {
        Self(pointer)
    }

    /// Ends the value; its memory is the caller's to give back. It goes back at once if the value's drop
    /// panics.
    pub(crate) fn into_memory(this: Self) -> NonNull<u8> {
        let pointer = this.0;
        mem::forget(this);
        let memory = Memory(pointer);
        // SAFETY: by (1), and the object is forgotten.
        unsafe { pointer.drop_in_place() };
        mem::forget(memory);
        pointer.cast()
    }

    /// The value; its slot goes back.
    pub fn into_inner(this: Self) -> T {
        let pointer = this.0;
        mem::forget(this);
        // SAFETY: by (1), and the object is forgotten, so that this is the only value.
        let value = unsafe { pointer.read() };
        drop(Memory(pointer));
        value
    }

    /// Whether it lies in a slab.
    pub fn is_slab(this: &Self) -> bool {
        crate::arena::contains(this.0.addr().get())
    }
}

impl<T> Object<MaybeUninit<T>> {
    /// Gives it a value.
    #[inline]
    pub fn write(this: Self, value: T) -> Object<T> {
        let pointer = this.0.cast::<T>();
        mem::forget(this);
        // SAFETY: by (1) good for a `T`, and ours.
        unsafe { pointer.write(value) };
        Object(pointer)
    }

    /// Takes its word that it has a value.
    ///
    /// # Safety
    /// It has.
    #[inline]
    pub unsafe fn assume_init(this: Self) -> Object<T> {
        let pointer = this.0.cast::<T>();
        mem::forget(this);
        Object(pointer)
    }
}

impl<T> From<Box<T>> for Object<T> {
    fn from(value: Box<T>) -> Self {
        Self(NonNull::from(Box::leak(value)))
    }
}

/// The memory of an object whose value is gone, which frees it also if the value's drop panics.
struct Memory<T>(NonNull<T>);

impl<T> Drop for Memory<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: an object's, which is gone.
        if unsafe { !home::free(self.0.cast()) } {
            // SAFETY: then of a `Box`, whose value is gone, and `MaybeUninit` has no drop of its own.
            drop(unsafe { Box::from_raw(self.0.cast::<MaybeUninit<T>>().as_ptr()) });
        }
    }
}

impl<T> Drop for Object<T> {
    #[inline]
    fn drop(&mut self) {
        let _memory = Memory(self.0);
        // SAFETY: by (1), and it is not used again.
        unsafe { self.0.drop_in_place() };
    }
}

impl<T> Deref for Object<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by (1), borrowed from this value.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Object<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by (1), borrowed mutably from this value.
        unsafe { self.0.as_mut() }
    }
}

impl<T> AsRef<T> for Object<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T> AsMut<T> for Object<T> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: fmt::Debug> fmt::Debug for Object<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Object<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
