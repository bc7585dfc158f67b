//! Do the histograms and the trace tell the truth?

use std::time::{Duration, Instant};

use color_sched::{
    Color, Config, CoreId, Doing, Fifo, Histogram, Machine, NoSteal, StageId, StageInfo, Trace,
};
use proptest::prelude::*;

use crate::program::Program;

proptest! {
    #[test]
    fn quantiles_are_at_most_an_eighth_above_those_of_the_sorted_times(
        mut times in prop::collection::vec(prop_oneof![0u64..100, 0u64..1 << 39], 1..300),
        share in 0.0f64..=1.0,
    ) {
        let mut histogram = Histogram::default();
        times.iter().for_each(|time| histogram.record(*time, 1));
        times.sort_unstable();
        let rank = ((share * times.len() as f64).ceil() as usize).max(1);
        let exact = times[rank - 1];
        let told = histogram.quantile(share);
        prop_assert!(told >= exact && told <= exact + exact / 8, "{told} for {exact}");
        prop_assert_eq!(histogram.max(), times[times.len() - 1]);
        prop_assert_eq!(histogram.len(), times.len() as u64);
    }
}

#[test]
fn times_beyond_the_last_bucket_are_counted_in_it() {
    let mut histogram = Histogram::default();
    assert_eq!((histogram.quantile(0.5), histogram.is_empty()), (0, true));
    for time in [u64::MAX, 1 << 50, 0] {
        histogram.record(time, 1);
    }
    assert_eq!(histogram.quantile(0.1), 0);
    assert!(histogram.quantile(0.9) >= 1 << 39);
    let mut other = Histogram::default();
    other.record(7, 5);
    other.merge(&histogram);
    assert_eq!((other.len(), other.max(), other.quantile(0.5)), (8, u64::MAX, 7));
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Runs ten events of 200 µs, five of each stage, and tells what was seen of it.
fn traced(spans: usize) -> (color_sched::CoreStats, Trace) {
    let stages = vec![StageInfo::new("odd \"name\"\n"), StageInfo::new("other")];
    let config = Config { trace: spans, ..Config::new(1, stages.clone()) };
    let (control, mut cores) = Machine::new(config).unwrap();
    for color in 0..10 {
        control.open(Color(color), ()).unwrap();
        control.post(Color(color), StageId((color % 2) as u16), ()).unwrap();
    }
    let mut program = Program::new(|_, _: &mut (), ()| spin(Duration::from_micros(200)));
    let mut fifo = Fifo::new(&stages);
    while cores[0].stats().events < 10 {
        cores[0].turn(&mut program, &mut fifo, &mut NoSteal).unwrap();
    }
    (cores[0].stats().clone(), control.trace())
}

#[test]
fn trace_tells_every_batch_in_order_and_how_long_it_took() {
    let (stats, trace) = traced(100);
    let spans = trace.spans(CoreId(0));
    assert_eq!(spans.len(), 10);
    assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
    for (n, span) in spans.iter().enumerate() {
        assert_eq!(span.doing, Doing::Batch(StageId((n % 2) as u16), 1));
        assert!(span.end - span.start >= 200_000, "{span:?}");
    }
    assert_eq!((stats.running.len(), stats.queueing.len()), (10, 10));
    assert!(stats.running.quantile(0.0) >= 200_000);
    // The last event waited for nine others.
    assert!(stats.queueing.max() >= 9 * 200_000, "{:?}", stats.queueing);
    assert_eq!(trace.spans(CoreId(1)), []);
}

#[test]
fn trace_keeps_the_last_spans_and_none_unless_told() {
    let (_, trace) = traced(3);
    assert_eq!(trace.spans(CoreId(0)).len(), 3);
    let (stats, trace) = traced(0);
    assert_eq!(trace.spans(CoreId(0)), []);
    assert!(stats.running.len() >= 2, "a batch of each stage is timed all the same");
}

#[test]
fn trace_is_json_that_names_the_stages() {
    let mut json = Vec::new();
    traced(100).1.write_chrome(&mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let events = json["traceEvents"].as_array().unwrap();
    assert_eq!(events.len(), 11);
    assert_eq!(events[0]["args"]["name"], "core 0");
    assert_eq!(events[1]["name"], "odd \"name\"\n");
    assert_eq!(events[1]["ph"], "X");
    assert!(events[1]["dur"].as_f64().unwrap() >= 200.0);
    assert_eq!(events[2]["args"]["events"], 1);
}
