//! A system call, ready to be made: number and arguments.

/// The number of the call that does nothing.
pub(crate) const NOTHING: u16 = u16::MAX;

/// A system call, ready to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trap {
    /// The call's number, or [`NOTHING`].
    pub(crate) number: u16,
    /// The result is a new descriptor.
    pub(crate) makes_fd: bool,
    /// The result is a new mapping, whose length is the second argument.
    pub(crate) makes_mapping: bool,
    /// The arguments.
    pub(crate) args: [u64; 6],
}
