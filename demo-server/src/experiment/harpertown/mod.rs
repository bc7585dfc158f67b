//! What would Tables 3 to 6 of the paper say, were its machine built to its own figures?
//!
//! A model of two Xeon E5410 ("Harpertown", §5.1): eight cores at 2.33 GHz, pairs share an L2. Both runtimes' queues
//! are kept line by line in simulated caches, both runtimes' thieves are asked of `mely_steal`'s own policies, and time
//! passes by the accesses alone: 4, 15 and 110 cycles (Table 2), 190 for each event of a flat list that is scanned
//! (§2.3), and what handlers are said to take (§5.2). Instructions cost nothing else. There is one set of constants for
//! all tables.
//!
//! | module | the question it answers |
//! |---|---|
//! | `told` | how is it told? |
//! | `rows` | which configurations, and what did the paper find? |
//! | `workload` | what are the handlers? |
//! | `engine` | what does each core do next, and when? |
//! | `view` | what do the policies see? |
//! | `queues` | what must a runtime do with events? |
//! | `flat` | what do Libasync-smp's operations touch? |
//! | `colors` | what do Mely's operations touch? |
//! | `lock` | who gets a spinlock next? |
//! | `memory` | what does an access cost? |
//! | `lru` | which line was used longest ago? |
//! | `pool` | whose memory is used next? |
//! | `chance` | what comes by chance? |
//! | `books` | is every event run once, and no color on two cores? |
//!
//! # Lines of each operation
//!
//! | operation | flat | colors |
//! |---|---|---|
//! | register, before the lock | event 2, map | event 2, map |
//! | … under it | head, counter, last event, map if new | head, color-queue, last event; new: map, last color-queue |
//! | next, under the lock | head, event, counter, map if empty | head, color-queue, event; empty: two neighbors, map |
//! | … after it | continuation, event (freed) | the same |
//! | core set by count | eight heads | eight heads; none with locality |
//! | look at a victim | head, 190 for each event looked at | head, each color-queue looked at, stealing-queue if any |
//! | take | 190 for each event of the list, head, counter, event before, map | head, color-queue, two neighbors, map |
//! | migrate | own head, event, counter | own head, color-queue, last color-queue |
//! | change of interval | - | stealing-queue, two neighbors |
//!
//! Each section under a lock has the lock's line besides, twice. The head holds the counts and the running color.
//!
//! # What the paper leaves open
//!
//! * `penalty`: 2000 A's, which wait when the clock starts; an array is as large as an L1 (32 KB), in 64 pieces of 8
//!   lines. The ratio of `mely-penalty` to `mely-base` depends on these sizes: between 1.04 (16 KB, where an A falls
//!   short of a theft's cost and looks no better than a B) and 2.2 (24 KB, 48 pieces).
//! * `cache-efficient`: arrays of 16 KB (with 32 KB `mely-locality` is at 1.23 of `mely-base`, with 16 KB at 1.27),
//!   numbers of 8 bytes; a sort accesses each once a level, a merge once; A's on one core of each pair; both C's of an
//!   array have A's color.
//! * `unbalanced`: of every fifty events one is long, which of them is chance.
//! * Handlers wait for what they read of an array, not for what they write. The join at the end of a round is free.
//! * After a color's turn of ten the core goes on with the next color-queue, and the color keeps its place.
//! * A core that found nothing to steal waits for as long as it has been without work.
//!
//! # Where the model differs from the paper
//!
//! * T3, `libasync-ws`: 0.4 of `libasync`, the paper 0.09. Its 28 329 cycles are a scan of 149 events. Thieves that
//!   come back at once keep the list at a handful, as seven take what one registers; 149 need thieves that come every
//!   150 000 cycles or so, and nothing among the paper's constants says why they would.
//! * T5, `libasync-ws`: 0.34 of `libasync`, the paper 0.17: it grows worse with the number of A's, which is not known.
//! * T5, Mely with stealing gains 10 times over `libasync`, the paper 1.26: eight cores with 18 MB more cache on
//!   independent chains; what held the paper's thieves back it does not say.
//! * T6, `libasync-ws` is slower than `mely-base`, the paper has it 5 % faster: at 190 cycles an event its thefts from
//!   lists of a few hundred take 33 000 cycles, as much as the sort they steal.
//! * T6, `mely-base`: 1.55 of `libasync`, the paper 1.23, for its thefts are cheap and half of the cores idle without
//!   them.
//! * Locking time counts spinning and holding, of all cores' time; idle thieves' locks are in it, hence far above the
//!   paper's with stealing. A theft's cost leaves spinning out.

mod books;
mod chance;
mod colors;
mod engine;
mod flat;
mod lock;
mod lru;
mod memory;
mod pool;
mod queues;
mod rows;
#[cfg(test)]
mod tests;
mod told;
mod view;
mod workload;

pub(super) use rows::{Length, Which};
pub(super) use told::add;
