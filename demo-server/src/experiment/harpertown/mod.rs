//! What would Tables 3 to 6 of the paper say, were its machine built to its own figures?

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
mod view;
mod workload;

#[cfg(test)]
mod scratch {
    use super::engine::*;
    use super::view::Heuristics;
    use super::workload::*;
    #[test]
    fn rows() {
        let off = Heuristics::default();
        let all: Vec<(&str, Runtime)> = vec![
            ("libasync", Runtime::Libasync { steals: false }),
            ("libasync-ws", Runtime::Libasync { steals: true }),
            ("mely", Runtime::Mely { steals: None }),
            ("mely-base", Runtime::Mely { steals: Some(off) }),
            ("mely-tl", Runtime::Mely { steals: Some(Heuristics { time_left: true, ..off }) }),
            ("mely-pen", Runtime::Mely { steals: Some(Heuristics { penalty: true, ..off }) }),
            ("mely-loc", Runtime::Mely { steals: Some(Heuristics { locality: true, ..off }) }),
            ("mely-all", Runtime::Mely { steals: Some(Heuristics { locality: true, time_left: true, penalty: true }) }),
        ];
        for table in ["unb", "pen", "cache"] {
            for (name, r) in &all {
                let t0 = std::time::Instant::now();
                let t = match table {
                    "unb" => Engine::new(*r, Unbalanced::new(50_000, 3, 1), 1).run(),
                    "pen" => Engine::new(*r, Penalty::new(512, 4), 1).run(),
                    _ => Engine::new(*r, CacheEfficient::new(100, 6), 1).run(),
                }.unwrap();
                let e = t.events as f64;
                let th = t.thefts.max(1) as f64;
                println!("{table:6} {name:12} {:8.0} KEv/s {:7.0} cyc/ev lock {:6.2}% (spin {:6.2}%) thefts/ev {:.3} ws {:8.0} stolen {:8.0} miss/ev {:.2} [{:?}]",
                    e / (t.now as f64 / 2.33e9) / 1e3, t.now as f64 / e,
                    (t.spinning + t.holding) as f64 / t.now as f64 / 8.0 * 100.0, t.spinning as f64 / t.now as f64 / 8.0 * 100.0,
                    t.thefts as f64 / e, t.theft_cycles as f64 / th, t.stolen_cycles as f64 / th, t.misses as f64 / e, t0.elapsed());
            }
        }
    }
}
