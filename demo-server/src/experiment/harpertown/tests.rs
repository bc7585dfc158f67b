//! Does the model keep its books, repeat itself, and order the rows as the paper does?

use super::books::{Books, BooksError};
use super::chance::Chance;
use super::engine::{Engine, Runtime};
use super::memory::{CORES, Memory, are_mates};
use super::queues::Post;
use super::rows::{Length, PAPER, RATE, TableRow, Which, ratios, tables};
use super::workload::{Ran, Workload};

fn rows(which: Which) -> Vec<TableRow> {
    tables(which, &[1], Length::Short).expect("the model keeps its books")
}

fn assert_falling(rows: &[TableRow], configs: &[&str]) {
    let rate = |config: &&str| {
        let row = rows.iter().find(|row| row.config == *config && row.metric == RATE);
        row.map_or(f64::NAN, |row| row.values[0])
    };
    let rates: Vec<f64> = configs.iter().map(rate).collect();
    assert!(rates.windows(2).all(|pair| pair[0] > pair[1]), "{configs:?}: {rates:?}");
}

#[test]
fn rows_of_tables_3_and_4_are_in_the_papers_order() {
    let rows = rows(Which::Unbalanced);
    assert_falling(&rows, &["libasync", "mely", "mely-base", "libasync-ws"]);
    assert_falling(&rows, &["mely-time-left", "libasync", "mely-base", "libasync-ws"]);
}

#[test]
fn rows_of_table_5_are_in_the_papers_order() {
    let rows = rows(Which::Penalty);
    assert_falling(&rows, &["mely-penalty", "mely-base", "libasync", "libasync-ws"]);
}

/// The paper has libasync-ws 5 % before mely-base: see the module's page.
#[test]
fn rows_of_table_6_are_in_the_papers_order_but_for_the_two_in_the_middle() {
    let rows = rows(Which::CacheEfficient);
    assert_falling(&rows, &["mely-locality", "mely-base", "libasync"]);
    assert_falling(&rows, &["mely-locality", "libasync-ws", "libasync"]);
}

#[test]
fn ratios_are_those_of_the_rates_and_the_papers_those_of_the_papers() {
    let rows = rows(Which::CacheEfficient);
    let ratios = ratios(Which::CacheEfficient, &rows);
    let ids: Vec<_> = ratios.iter().map(|ratio| ratio.id).collect();
    let expected =
        ["libasync_ws_vs_libasync", "base_vs_libasync", "libasync_ws_vs_base", "locality_vs_base"];
    assert_eq!(ids, expected);
    let rate = |config| rows.iter().find(|row| row.config == config && row.unit == "KEvents/s");
    let [above, below] = ["mely-locality", "mely-base"].map(|config| rate(config).expect("a row"));
    assert_eq!(ratios[3].values, [above.values[0] / below.values[0]]);
    assert_eq!(ratios[3].paper, 1869.0 / 1426.0);
}

#[test]
fn every_figure_of_the_paper_has_its_row() {
    for which in [Which::Unbalanced, Which::Penalty, Which::CacheEfficient] {
        let rows = rows(which);
        for &(_, config, metric, figure) in PAPER.iter().filter(|figure| figure.0 == which) {
            let row = rows.iter().find(|row| row.config == config && row.metric == metric);
            assert_eq!(row.and_then(|row| row.paper), Some(figure), "{config} {metric}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_does_not() {
    let rows = |seed| tables(Which::CacheEfficient, &[seed], Length::Short);
    assert_eq!(rows(7), rows(7));
    assert_ne!(rows(7), rows(8));
}

#[test]
fn books_notice_a_color_on_two_cores_an_event_run_twice_and_one_that_is_lost() {
    let mut books = Books::default();
    let [first, second, third] = [books.register(), books.register(), books.register()];
    assert_eq!(books.start(0, first, 5), Ok(()));
    let both = BooksError::TwoCores { color: 5, first: 0, second: 3 };
    assert_eq!(books.start(3, second, 5), Err(both));
    books.end(0);
    assert_eq!(books.start(3, first, 5), Err(BooksError::Twice { serial: first }));
    assert_eq!(books.start(3, second, 5), Ok(()));
    books.end(3);
    assert_eq!(books.close(), Err(BooksError::Lost { events: 1 }));
    assert_eq!(books.start(3, third, 5), Ok(()));
    assert_eq!(books.close(), Ok(()));
}

/// Two events of two colors on core 0.
struct Two {
    left: usize,
}

impl Workload for Two {
    fn begin(&mut self) -> Vec<Post> {
        let post =
            |color| Post { color, home: 0, handler: 1, parameter: 0, time: 1000, penalty: 1 };
        vec![post(1), post(2)]
    }

    fn run(&mut self, _core: usize, post: &Post, _memory: &mut Memory) -> Ran {
        self.left -= 1;
        Ran { cycles: post.time, posts: Vec::new() }
    }

    fn rounds(&self) -> usize {
        0
    }

    fn is_over(&self) -> bool {
        self.left == 0
    }
}

#[test]
fn two_events_take_on_one_core_what_arithmetic_by_hand_says() {
    let tally = Engine::new(Runtime::Libasync { steals: false }, Two { left: 2 }, 1).run();
    // Registering left all lines but the lock's in the L1. First pop: head seen 4, lock from memory 110, head 4, event
    // 4, counter 4, unlock 4. Handler: continuation 4, 1000, event freed 4. Second pop: head seen 4, lock 4, head 4,
    // first color out of the map 4, event 4, counter 4, unlock 4. The clock stops where the last handler starts.
    let by_hand = (4 + 110 + 4 + 4 + 4 + 4) + (4 + 1000 + 4) + (4 + 4 + 4 + 4 + 4 + 4 + 4);
    assert_eq!(tally.map(|tally| (tally.now, tally.events)), Ok((by_hand, 2)));
}

/// Caches as plain lists, what was used last at the end.
struct Naive {
    l1: [Vec<u32>; CORES],
    l2: [Vec<u32>; CORES / 2],
    sizes: [usize; 2],
}

impl Naive {
    fn access(&mut self, core: usize, line: u32, writes: bool) -> u64 {
        let pair = core / 2;
        let in_l1 = self.l1[core].contains(&line);
        let in_l2 = self.l2[pair].contains(&line);
        if !in_l1 {
            self.l2[pair].retain(|&other| other != line);
            self.l2[pair].push(line);
            if self.l2[pair].len() > self.sizes[1] {
                let evicted = self.l2[pair].remove(0);
                self.l1[pair * 2].retain(|&other| other != evicted);
                self.l1[pair * 2 + 1].retain(|&other| other != evicted);
            }
        }
        self.l1[core].retain(|&other| other != line);
        self.l1[core].push(line);
        if self.l1[core].len() > self.sizes[0] {
            self.l1[core].remove(0);
        }
        let mut cycles = [[110, 15], [4, 4]][usize::from(in_l1)][usize::from(in_l2)];
        for other in (0..CORES).filter(|&other| writes && other != core) {
            let cost = if are_mates(core, other) { 15 } else { 110 };
            let held = if are_mates(core, other) {
                self.l1[other].contains(&line)
            } else {
                self.l2[other / 2].contains(&line)
            };
            cycles = if held { cost.max(cycles) } else { cycles };
        }
        for other in (0..CORES).filter(|&other| writes && other != core) {
            self.l1[other].retain(|&held| held != line);
            if !are_mates(core, other) {
                self.l2[other / 2].retain(|&held| held != line);
            }
        }
        cycles
    }
}

#[test]
fn caches_cost_what_a_naive_model_of_them_says() {
    for seed in 0..20 {
        let mut chance = Chance::new(seed);
        let mut memory = Memory::with_lines(3, 7);
        let first = memory.allot(12);
        let sizes = [3, 7];
        let mut naive = Naive { l1: Default::default(), l2: Default::default(), sizes };
        for step in 0..2000 {
            let core = chance.below(CORES as u64) as usize;
            let line = first + chance.below(12) as u32;
            let writes = chance.below(3) == 0;
            let cycles = if writes { memory.write(core, line) } else { memory.read(core, line) };
            assert_eq!(cycles, naive.access(core, line, writes), "seed {seed}, step {step}");
        }
    }
}
