//! Mely's queues: what do its operations touch? (§4.1, §4.2)
//!
//! Color-queues in a doubly linked core-queue. A core works on one color-queue for up to ten events, then on the one
//! behind it. A color-queue that has run empty is taken out when its core comes back for the next event. The
//! stealing-queue, if a heuristic uses it, has three intervals, unordered within: thieves see the first of each. With
//! time left they begin at 1, 4 and 16 times the cost of a theft; with penalties alone, which admit every color, at 0,
//! 1 and 4.

use std::collections::VecDeque;

use super::memory::{CORES, Memory};
use super::queues::{COLORS, Event, Map, Queues, Seen, Shape, line_per_core};
use super::view::{Heuristics, time_left};

/// Events of one color that run in a row (§4.1).
const THRESHOLD: usize = 10;
const INTERVALS: usize = 3;
/// What a theft is taken to cost when colors are sorted into intervals: ten lines from memory.
const STEAL_CYCLES: u64 = 10 * super::memory::MEMORY_CYCLES;

#[derive(Debug, Default)]
struct ColorQueue {
    events: VecDeque<Event>,
    time: u64,
    interval: Option<usize>,
}

#[derive(Debug, Default)]
struct CoreQueue {
    colors: VecDeque<u32>,
    /// Where in it the core works.
    place: usize,
    /// Events it ran there in a row.
    batch: usize,
    running: Option<u32>,
    events: usize,
    /// Colors that have events.
    waiting: usize,
    time: u64,
    intervals: [Vec<u32>; INTERVALS],
}

#[derive(Debug)]
pub(super) struct Colors {
    heuristics: Heuristics,
    heads: [u32; CORES],
    stealing: [u32; CORES],
    map: Map,
    queue_line: u32,
    queues: Vec<ColorQueue>,
    cores: [CoreQueue; CORES],
}

impl Colors {
    pub(super) fn new(heuristics: Heuristics, memory: &mut Memory) -> Self {
        Self {
            heuristics,
            heads: line_per_core(memory),
            stealing: line_per_core(memory),
            map: Map::new(memory),
            queue_line: memory.allot(COLORS),
            queues: (0..COLORS).map(|_| ColorQueue::default()).collect(),
            cores: Default::default(),
        }
    }

    const fn has_stealing_queue(&self) -> bool {
        self.heuristics.time_left || self.heuristics.penalty
    }

    const fn line(&self, color: u32) -> u32 {
        self.queue_line + color
    }

    fn see(&self, color: u32) -> Option<Seen> {
        let queue = &self.queues[color as usize];
        let penalty = queue.events.front()?.post.penalty;
        let events = queue.events.len() as u32;
        (!self.map.is_taken(color)).then_some(Seen { color, time: queue.time, events, penalty })
    }

    /// Moves a color to the interval it belongs to now.
    fn sort(&mut self, by: usize, core: usize, color: u32, memory: &mut Memory) -> u64 {
        if !self.has_stealing_queue() {
            return 0;
        }
        let wanted = self.see(color).and_then(|seen| {
            let left = time_left(seen, self.heuristics.penalty);
            let is_in = !self.heuristics.time_left || left > STEAL_CYCLES;
            let bounds = if self.heuristics.time_left { [4, 16] } else { [1, 4] };
            let passed = bounds.iter().filter(|&&bound| left >= bound * STEAL_CYCLES).count();
            is_in.then_some(passed)
        });
        let old = std::mem::replace(&mut self.queues[color as usize].interval, wanted);
        if old == wanted {
            return 0;
        }
        let mut cycles = memory.write(by, self.stealing[core]);
        if let Some(old) = old {
            let list = &mut self.cores[core].intervals[old];
            if let Some(place) = list.iter().rposition(|&other| other == color) {
                list.remove(place);
                let neighbors = [place.checked_sub(1), Some(place)];
                for neighbor in neighbors.into_iter().flatten() {
                    if let Some(&neighbor) = list.get(neighbor) {
                        cycles += memory.write(by, self.queue_line + neighbor);
                    }
                }
            }
        }
        if let Some(wanted) = wanted {
            let list = &mut self.cores[core].intervals[wanted];
            if let Some(&first) = list.last() {
                cycles += memory.write(by, self.queue_line + first);
            }
            list.push(color);
        }
        cycles
    }

    fn link(&mut self, by: usize, core: usize, color: u32, memory: &mut Memory) -> u64 {
        let last = self.cores[core].colors.back().copied();
        self.cores[core].colors.push_back(color);
        last.map_or(0, |last| memory.write(by, self.line(last)))
    }

    fn unlink(&mut self, by: usize, core: usize, place: usize, memory: &mut Memory) -> u64 {
        let queue = &mut self.cores[core];
        queue.colors.remove(place);
        if place < queue.place {
            queue.place -= 1;
        }
        let neighbors = [place.checked_sub(1), Some(place)].into_iter().flatten();
        let lines: Vec<u32> = neighbors.filter_map(|at| queue.colors.get(at).copied()).collect();
        lines.into_iter().map(|color| memory.write(by, self.line(color))).sum()
    }

    fn count_in(&mut self, core: usize, event: &Event) {
        let queue = &mut self.queues[event.post.color as usize];
        queue.time += event.post.time;
        let at = &mut self.cores[core];
        at.waiting += usize::from(queue.events.is_empty());
        at.events += 1;
        at.time += event.post.time;
    }

    /// Is done with the color that ran: it leaves if it is empty, and its turn ends at the threshold.
    fn settle(&mut self, core: usize, memory: &mut Memory) -> u64 {
        let Some(color) = self.cores[core].running.take() else { return 0 };
        let place = self.cores[core].place;
        self.map.take(color, false);
        if self.queues[color as usize].events.is_empty() {
            self.cores[core].batch = 0;
            return self.unlink(core, core, place, memory)
                + self.map.set(core, color, None, memory);
        }
        if self.cores[core].batch == THRESHOLD {
            self.cores[core].batch = 0;
            self.cores[core].place += 1;
            return self.sort(core, core, color, memory);
        }
        0
    }
}

impl Queues for Colors {
    fn shape(&self, core: usize) -> Shape {
        let at = &self.cores[core];
        let slots = if self.has_stealing_queue() { INTERVALS } else { at.colors.len() };
        Shape { time: at.time, events: at.events, colors: at.waiting, slots }
    }

    fn seen(&self, core: usize, slot: usize) -> Option<Seen> {
        let at = &self.cores[core];
        let color = if self.has_stealing_queue() {
            at.intervals.get(INTERVALS - 1 - slot)?.last()
        } else {
            at.colors.get(slot)
        };
        self.see(*color?)
    }

    fn is_busy(&self, core: usize) -> bool {
        self.cores[core].events > 0 || self.cores[core].running.is_some()
    }

    fn holder(&self, color: u32) -> Option<usize> {
        self.map.holder(color)
    }

    fn head(&self, core: usize) -> u32 {
        self.heads[core]
    }

    fn map(&self, color: u32) -> u32 {
        self.map.line(color)
    }

    fn look(&self, thief: usize, victim: usize, slots: &[usize], memory: &mut Memory) -> u64 {
        let mut cycles = memory.read(thief, self.heads[victim]);
        let at = &self.cores[victim];
        if self.has_stealing_queue() && !slots.is_empty() {
            cycles += memory.read(thief, self.stealing[victim]);
        }
        for &slot in slots {
            let color = if self.has_stealing_queue() {
                at.intervals[INTERVALS - 1 - slot].last()
            } else {
                at.colors.get(slot)
            };
            if let Some(&color) = color {
                cycles += memory.read(thief, self.line(color));
            }
        }
        cycles
    }

    fn push(&mut self, by: usize, core: usize, event: Event, memory: &mut Memory) -> u64 {
        let color = event.post.color;
        let mut cycles = memory.write(by, self.heads[core]) + memory.write(by, self.line(color));
        if let Some(last) = self.queues[color as usize].events.back() {
            cycles += memory.write(by, last.line);
        }
        if self.map.holder(color).is_none() {
            cycles += self.map.set(by, color, Some(core), memory);
            cycles += self.link(by, core, color, memory);
        }
        self.count_in(core, &event);
        self.queues[color as usize].events.push_back(event);
        cycles + self.sort(by, core, color, memory)
    }

    fn pop(&mut self, core: usize, memory: &mut Memory) -> (u64, Option<Event>) {
        let mut cycles = memory.write(core, self.heads[core]) + self.settle(core, memory);
        let at = &mut self.cores[core];
        if at.events == 0 {
            return (cycles, None);
        }
        if at.place >= at.colors.len() {
            at.place = 0;
        }
        let color = at.colors[at.place];
        let queue = &mut self.queues[color as usize];
        let Some(event) = queue.events.pop_front() else { return (cycles, None) };
        queue.time -= event.post.time;
        at.time -= event.post.time;
        at.events -= 1;
        at.waiting -= usize::from(queue.events.is_empty());
        at.batch += 1;
        at.running = Some(color);
        self.map.take(color, true);
        cycles += memory.write(core, self.line(color)) + memory.read(core, event.line);
        (cycles + self.sort(core, core, color, memory), Some(event))
    }

    fn detach(
        &mut self,
        thief: usize,
        victim: usize,
        color: u32,
        memory: &mut Memory,
    ) -> (u64, Vec<Event>) {
        self.map.take(color, true);
        let mut cycles = self.sort(thief, victim, color, memory);
        if let Some(place) = self.cores[victim].colors.iter().position(|&other| other == color) {
            // A turn ends with the color it was for.
            if place == self.cores[victim].place {
                self.cores[victim].batch = 0;
            }
            cycles += self.unlink(thief, victim, place, memory);
        }
        cycles += memory.write(thief, self.heads[victim]) + memory.write(thief, self.line(color));
        let queue = &mut self.queues[color as usize];
        let events: Vec<Event> = std::mem::take(&mut queue.events).into();
        let at = &mut self.cores[victim];
        at.time -= std::mem::take(&mut queue.time);
        at.events -= events.len();
        at.waiting -= 1;
        (cycles + self.map.set(thief, color, Some(thief), memory), events)
    }

    fn attach(&mut self, thief: usize, events: Vec<Event>, memory: &mut Memory) -> u64 {
        let mut cycles = memory.write(thief, self.heads[thief]);
        let Some(color) = events.first().map(|event| event.post.color) else { return cycles };
        self.map.take(color, false);
        cycles += memory.write(thief, self.line(color));
        cycles += self.link(thief, thief, color, memory);
        for event in events.into_iter().rev() {
            self.count_in(thief, &event);
            self.queues[color as usize].events.push_front(event);
        }
        cycles + self.sort(thief, thief, color, memory)
    }
}
