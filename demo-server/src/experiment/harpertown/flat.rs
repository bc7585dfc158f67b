//! Libasync-smp's queues: what do its operations touch? (§2.1, §2.2)
//!
//! One linked list of events a core, and a counter of waiting events for each color. Batches come by themselves: events
//! run in the order of the list, those of a color one after the other where they stand so.

use std::collections::VecDeque;

use super::memory::{CORES, Memory};
use super::queues::{COLORS, Event, Map, Queues, Seen, Shape, line_per_core};

/// Following a link and looking at the next event (§2.3).
const SCAN_CYCLES: u64 = 190;

#[derive(Debug, Default)]
struct List {
    events: VecDeque<Event>,
    colors: usize,
    time: u64,
    running: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Flat {
    heads: [u32; CORES],
    map: Map,
    /// Counters of two bytes, 32 to a line.
    counter_line: u32,
    counters: Vec<u32>,
    lists: [List; CORES],
}

impl Flat {
    pub(super) fn new(memory: &mut Memory) -> Self {
        Self {
            heads: line_per_core(memory),
            map: Map::new(memory),
            counter_line: memory.allot(COLORS / 32),
            counters: vec![0; COLORS],
            lists: Default::default(),
        }
    }

    const fn counter(&self, color: u32) -> u32 {
        self.counter_line + color / 32
    }

    fn count_in(&mut self, core: usize, event: &Event) {
        let waiting = &mut self.counters[event.post.color as usize];
        self.lists[core].colors += usize::from(*waiting == 0);
        *waiting += 1;
        self.lists[core].time += event.post.time;
    }

    fn count_out(&mut self, core: usize, event: &Event) {
        let waiting = &mut self.counters[event.post.color as usize];
        *waiting -= 1;
        self.lists[core].colors -= usize::from(*waiting == 0);
        self.lists[core].time -= event.post.time;
    }
}

impl Queues for Flat {
    fn shape(&self, core: usize) -> Shape {
        let list = &self.lists[core];
        let events = list.events.len();
        Shape { time: list.time, events, colors: list.colors, slots: events }
    }

    fn seen(&self, core: usize, slot: usize) -> Option<Seen> {
        let post = &self.lists[core].events.get(slot)?.post;
        let events = self.counters[post.color as usize];
        let seen = Seen { color: post.color, time: post.time, events, penalty: post.penalty };
        (!self.map.is_taken(post.color)).then_some(seen)
    }

    fn is_busy(&self, core: usize) -> bool {
        !self.lists[core].events.is_empty() || self.lists[core].running.is_some()
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
        memory.read(thief, self.heads[victim]) + slots.len() as u64 * SCAN_CYCLES
    }

    fn push(&mut self, by: usize, core: usize, event: Event, memory: &mut Memory) -> u64 {
        let color = event.post.color;
        let mut cycles = memory.write(by, self.heads[core]) + memory.write(by, self.counter(color));
        if let Some(last) = self.lists[core].events.back() {
            cycles += memory.write(by, last.line);
        }
        if self.map.holder(color).is_none() {
            cycles += self.map.set(by, color, Some(core), memory);
        }
        self.count_in(core, &event);
        self.lists[core].events.push_back(event);
        cycles
    }

    fn pop(&mut self, core: usize, memory: &mut Memory) -> (u64, Option<Event>) {
        let mut cycles = memory.write(core, self.heads[core]);
        if let Some(color) = self.lists[core].running.take() {
            self.map.take(color, false);
            if self.counters[color as usize] == 0 {
                cycles += self.map.set(core, color, None, memory);
            }
        }
        let Some(event) = self.lists[core].events.pop_front() else { return (cycles, None) };
        let color = event.post.color;
        cycles += memory.read(core, event.line) + memory.write(core, self.counter(color));
        self.count_out(core, &event);
        self.map.take(color, true);
        self.lists[core].running = Some(color);
        (cycles, Some(event))
    }

    fn detach(
        &mut self,
        thief: usize,
        victim: usize,
        color: u32,
        memory: &mut Memory,
    ) -> (u64, Vec<Event>) {
        let length = self.lists[victim].events.len() as u64;
        let mut cycles = length * SCAN_CYCLES + memory.write(thief, self.heads[victim]);
        cycles += memory.write(thief, self.counter(color));
        let mut stolen = Vec::new();
        let mut place = 0;
        while self.counters[color as usize] > 0 {
            if self.lists[victim].events[place].post.color == color
                && let Some(event) = self.lists[victim].events.remove(place)
            {
                self.count_out(victim, &event);
                if let Some(before) = place.checked_sub(1) {
                    cycles += memory.write(thief, self.lists[victim].events[before].line);
                }
                stolen.push(event);
            } else {
                place += 1;
            }
        }
        cycles += self.map.set(thief, color, Some(thief), memory);
        self.map.take(color, true);
        (cycles, stolen)
    }

    fn attach(&mut self, thief: usize, events: Vec<Event>, memory: &mut Memory) -> u64 {
        let mut cycles = memory.write(thief, self.heads[thief]);
        for event in events.into_iter().rev() {
            let color = event.post.color;
            cycles += memory.write(thief, event.line) + memory.write(thief, self.counter(color));
            self.count_in(thief, &event);
            self.map.take(color, false);
            self.lists[thief].events.push_front(event);
        }
        cycles
    }
}
