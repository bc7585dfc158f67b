//! How is an object touched, a word a line or every byte?
//!
//! The loops are functions of their own, over plain slices and never inlined, so that every allocator's
//! objects are touched by the same few instructions. Bytes are touched eight at a time, and sizes are
//! multiples of a line.

use std::mem::MaybeUninit;

use stingy_alloc::Slot;

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// A line of which one word is used. The others stay as the allocator left them: malloc does not write
/// them either.
#[repr(C)]
pub(super) struct Line {
    word: u64,
    rest: MaybeUninit<[u8; LINE - 8]>,
}

impl Line {
    #[inline]
    pub(super) fn new(word: u64) -> Line {
        Line { word, rest: MaybeUninit::uninit() }
    }
}

impl Clone for Line {
    #[inline]
    fn clone(&self) -> Line {
        Line::new(self.word)
    }
}

/// What is done to an object after it was made.
pub(super) trait Touch {
    /// Reads and writes all of it.
    fn update(&mut self, by: u64);
    /// Reads all of it.
    fn sum(&self) -> u64;
}

/// A slot of which a word a line is touched.
pub(super) struct LineSlot(Slot);

/// A slot of which every byte is touched.
pub(super) struct ByteSlot(Slot);

/// Makes an object of a slot, and writes it for the first time.
pub(super) trait FromSlot: Touch {
    fn from_slot(slot: Slot, word: u64) -> Self;
}

impl FromSlot for LineSlot {
    #[inline]
    fn from_slot(mut slot: Slot, word: u64) -> LineSlot {
        fill_words(lines_mut(&mut slot), word);
        LineSlot(slot)
    }
}

impl FromSlot for ByteSlot {
    #[inline]
    fn from_slot(mut slot: Slot, word: u64) -> ByteSlot {
        slot.fill(word as u8);
        ByteSlot(slot)
    }
}

impl Touch for LineSlot {
    #[inline]
    fn update(&mut self, by: u64) {
        update_words(lines_mut(&mut self.0), by);
    }

    #[inline]
    fn sum(&self) -> u64 {
        sum_words(self.0.as_chunks::<LINE>().0)
    }
}

impl Touch for ByteSlot {
    #[inline]
    fn update(&mut self, by: u64) {
        update_bytes(&mut self.0, by);
    }

    #[inline]
    fn sum(&self) -> u64 {
        sum_bytes(&self.0)
    }
}

/// Boxes of whatever allocator.
macro_rules! touch {
    ([$($of:tt)*] $lines:ty, $bytes:ty) => {
        impl<$($of)*> Touch for $lines {
            #[inline]
            fn update(&mut self, by: u64) {
                update_lines(self, by);
            }

            #[inline]
            fn sum(&self) -> u64 {
                sum_lines(self)
            }
        }

        impl<$($of)*> Touch for $bytes {
            #[inline]
            fn update(&mut self, by: u64) {
                update_bytes(self, by);
            }

            #[inline]
            fn sum(&self) -> u64 {
                sum_bytes(self)
            }
        }
    };
}

touch!([] Box<[Line]>, Box<[u8]>);
#[cfg(feature = "peers")]
touch!([A: allocator_api2::alloc::Allocator]
    allocator_api2::boxed::Box<[Line], A>, allocator_api2::boxed::Box<[u8], A>);

#[inline]
fn lines_mut(slot: &mut Slot) -> &mut [[u8; LINE]] {
    slot.as_chunks_mut::<LINE>().0
}

#[inline]
fn word_of(line: &[u8; LINE]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *line;
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

#[inline]
fn set_word_of(line: &mut [u8; LINE], word: u64) {
    line[..8].copy_from_slice(&word.to_ne_bytes());
}

#[inline(never)]
fn fill_words(lines: &mut [[u8; LINE]], word: u64) {
    for line in lines {
        set_word_of(line, word);
    }
}

#[inline(never)]
fn update_words(lines: &mut [[u8; LINE]], by: u64) {
    for line in lines {
        set_word_of(line, word_of(line).wrapping_add(by));
    }
}

#[inline(never)]
fn update_lines(lines: &mut [Line], by: u64) {
    for line in lines {
        line.word = line.word.wrapping_add(by);
    }
}

#[inline(never)]
fn sum_words(lines: &[[u8; LINE]]) -> u64 {
    lines.iter().fold(0, |sum, line| sum.wrapping_add(word_of(line)))
}

#[inline(never)]
fn sum_lines(lines: &[Line]) -> u64 {
    lines.iter().fold(0, |sum, line| sum.wrapping_add(line.word))
}

#[inline(never)]
fn update_bytes(bytes: &mut [u8], by: u64) {
    for word in bytes.as_chunks_mut().0 {
        *word = u64::from_ne_bytes(*word).wrapping_add(by).to_ne_bytes();
    }
}

#[inline(never)]
fn sum_bytes(bytes: &[u8]) -> u64 {
    let words = bytes.as_chunks().0.iter();
    words.fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}
