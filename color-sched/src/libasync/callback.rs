//! What is called, and in which color?

use crate::event::{Color, Priority};

/// A callback for once, ready to be kept.
pub(super) type Once = Box<dyn FnOnce() + Send>;
/// A callback for a descriptor, ready to be kept.
pub(super) type Each = Box<dyn FnMut() + Send>;

/// Gives a callback its color: callbacks of one color never run at once.
///
/// ```
/// use color_sched::{Color, Priority, libasync::cwrap};
/// let hello = cwrap(Color(7), || println!("hello")).priority(Priority::High);
/// # let _ = hello;
/// ```
pub const fn cwrap<F>(color: Color, callback: F) -> Colored<F> {
    Colored { color, priority: Priority::Normal, callback }
}

/// A callback with its color: what [`cwrap`] makes.
#[derive(Clone, Copy, Debug)]
#[must_use = "a callback that nothing was told of is never called"]
pub struct Colored<F> {
    color: Color,
    priority: Priority,
    callback: F,
}

impl<F> Colored<F> {
    /// How urgent it is next to other callbacks on its core: loosely kept, as [`Priority`] says.
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The callback without its color.
    pub fn into_inner(self) -> F {
        self.callback
    }
}

/// In which color, and how urgently.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub(super) color: Color,
    pub(super) priority: Priority,
}

impl Place {
    const DEFAULT: Self = Self { color: Color::DEFAULT, priority: Priority::Normal };
}

mod sealed {
    use super::{Each, Once, Place};

    /// Something to be called once.
    pub trait Called {
        fn place(&self) -> Place;
        fn into_once(self) -> Once;
    }

    /// Something to be called each time that a descriptor is ready, or nothing.
    pub trait Repeated {
        /// `None`: nothing is to be called.
        fn place(&self) -> Option<Place>;
        fn into_each(self) -> Option<Each>;
    }
}

pub(super) use sealed::{Called, Repeated};

/// What can be called once: a closure, which then has color 0, or one with a color by [`cwrap`].
pub trait Callback: Called {}
impl<C: Called> Callback for C {}

/// What can be called whenever a descriptor is ready: a closure, which then has color 0, one with a color by [`cwrap`], or
/// `None`, which is no callback.
pub trait FdCallback: Repeated {}
impl<C: Repeated> FdCallback for C {}

/// Never made: the callback that `None` does not have.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

impl<F: FnOnce() + Send + 'static> Called for F {
    fn place(&self) -> Place {
        Place::DEFAULT
    }

    fn into_once(self) -> Once {
        Box::new(self)
    }
}

impl<F: FnOnce() + Send + 'static> Called for Colored<F> {
    fn place(&self) -> Place {
        Place { color: self.color, priority: self.priority }
    }

    fn into_once(self) -> Once {
        Box::new(self.callback)
    }
}

impl<F: FnMut() + Send + 'static> Repeated for F {
    fn place(&self) -> Option<Place> {
        Some(Place::DEFAULT)
    }

    fn into_each(self) -> Option<Each> {
        Some(Box::new(self))
    }
}

impl<F: FnMut() + Send + 'static> Repeated for Colored<F> {
    fn place(&self) -> Option<Place> {
        Some(Place { color: self.color, priority: self.priority })
    }

    fn into_each(self) -> Option<Each> {
        Some(Box::new(self.callback))
    }
}

impl Repeated for Option<Never> {
    fn place(&self) -> Option<Place> {
        None
    }

    fn into_each(self) -> Option<Each> {
        None
    }
}
