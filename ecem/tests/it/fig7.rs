//! Figs. 3 and 7 of the paper: the average response time of four processes on one CPU.
//!
//! Each process reads for 4 units of time and writes for 4 (2 into its own buffer, 2 into the
//! socket's); a context switch costs α. Processes A and B find their socket full until C and D
//! are done. The response time of a process counts from its first unit of CPU, as in Fig. 3.
//!
//! | case | paper | here |
//! |---|---|---|
//! | cached, sockets free | 8 (+ 0.75 α) | 8 |
//! | Fig. 3(1): sockets free | 20 + 4 α, 7 switches | 20 + 4 α, 7 switches |
//! | Fig. 7(2): deferred | 20 + 4.5 α | 20 + 4 α, 7 switches |
//! | Fig. 7(3): conventional | 23 + 6 α, 9 switches | 22.5 + 6 α, 9 switches |
//!
//! The paper books 30 + 8 α for A and for B; by its own diagram B, which starts 4 units later and
//! ends 2 later, needs 28 + 8 α: hence 22.5. The 4.5 α of Fig. 7(2) cannot be had from seven
//! switches under the counting of Fig. 3.

use std::collections::VecDeque;

use ecem::{Correlator, Delivery, Event, PairId, Verdict};

/// One CPU without preemption, which counts units of work and context switches.
#[derive(Default)]
struct Cpu {
    units: u32,
    switches: u32,
    last: Option<usize>,
}

impl Cpu {
    /// Runs `process`; returns when it began.
    fn run(&mut self, process: usize, units: u32) -> (u32, u32) {
        if self.last.is_some_and(|last| last != process) {
            self.switches += 1;
        }
        self.last = Some(process);
        let began = (self.units, self.switches);
        self.units += units;
        began
    }

    fn since(&self, began: (u32, u32)) -> (u32, u32) {
        (self.units - began.0, self.switches - began.1)
    }
}

/// Response times as (units, α) per process, and the number of switches.
fn simulate(delivery: Delivery, full_sockets: usize) -> ([(u32, u32); 4], u32) {
    let mut cpu = Cpu::default();
    let mut pairs = Correlator::new(delivery);
    let ids: [PairId; 4] = std::array::from_fn(|p| pairs.add(p as u64, p as u64).unwrap());
    let mut full = [false; 4];
    for p in 0..full_sockets {
        full[p] = true;
        assert_eq!(pairs.on_event(Event::PostWait(ids[p]), 0), Verdict::Nothing);
    }

    let began: [_; 4] = std::array::from_fn(|p| cpu.run(p, 4));
    let mut ready = VecDeque::new();
    for (p, &id) in ids.iter().enumerate() {
        match pairs.on_event(Event::PreReady(id, p), 0) {
            Verdict::Deliver(p) => ready.push_back(p),
            verdict => assert_eq!(verdict, Verdict::Defer),
        }
    }

    let mut took = [(0, 0); 4];
    let mut blocked = Vec::new();
    while let Some(p) = ready.pop_front() {
        if full[p] {
            cpu.run(p, 2);
            blocked.push(p);
        } else {
            cpu.run(p, 4);
            took[p] = cpu.since(began[p]);
        }
    }
    for id in ids {
        if let Verdict::Deliver(p) = pairs.on_event(Event::PostReady(id), 0) {
            cpu.run(p, 4);
            took[p] = cpu.since(began[p]);
        }
    }
    for p in blocked {
        cpu.run(p, 2);
        took[p] = cpu.since(began[p]);
    }
    (took, cpu.switches)
}

fn average(took: [(u32, u32); 4]) -> (f64, f64) {
    let sum = took.iter().fold((0, 0), |sum, t| (sum.0 + t.0, sum.1 + t.1));
    (f64::from(sum.0) / 4.0, f64::from(sum.1) / 4.0)
}

#[test]
fn processes_that_never_block_take_as_long_as_their_work() {
    let mut cpu = Cpu::default();
    let took: [_; 4] = std::array::from_fn(|p| {
        let began = cpu.run(p, 8);
        cpu.since(began)
    });
    assert_eq!(average(took), (8.0, 0.0));
}

#[test]
fn with_free_sockets_both_deliveries_are_fig_3_1() {
    for delivery in [Delivery::Eager, Delivery::Deferred] {
        let (took, switches) = simulate(delivery, 0);
        assert_eq!(took, [(20, 4); 4]);
        assert_eq!((average(took), switches), ((20.0, 4.0), 7));
    }
}

#[test]
fn a_conventional_system_blocks_a_and_b_twice() {
    let (took, switches) = simulate(Delivery::Eager, 2);
    assert_eq!(took, [(30, 8), (28, 8), (16, 4), (16, 4)]);
    assert_eq!((average(took), switches), ((22.5, 6.0), 9));
}

#[test]
fn deferring_a_and_b_restores_the_average_of_free_sockets() {
    let (took, switches) = simulate(Delivery::Deferred, 2);
    assert_eq!(took, [(28, 6), (28, 6), (12, 2), (12, 2)]);
    assert_eq!((average(took), switches), ((20.0, 4.0), 7));
}
