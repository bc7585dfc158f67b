//! The paper's Fig. 2: from five stages and two objects to a map for a cache of seven objects.

use scg_analysis::{Geometry, Params, Source, analyse};

const SERVER: &str = r#"
    enum Stage { Accept, Parse, Work, Log, End }
    const O1: Site = Site::new("O1", 4096);
    const O2: Site = Site::new("O2", 4096);

    fn accept(cx: &mut Context, task: &mut Task) {
        task.o2 = Some(cx.alloc(O2));
        cx.next(Stage::Parse);
    }
    fn parse(cx: &mut Context, task: &mut Task) {
        task.o1 = Some(cx.alloc(O1));
        cx.next(Stage::Work);
    }
    fn work(cx: &mut Context, task: &mut Task) {
        cx.free(O1, task.o1.take());
        cx.free(O2, task.o2.take());
        cx.next(Stage::Log);
    }
    fn log(cx: &mut Context, task: &mut Task) { cx.next(Stage::End); }
    fn end(_: &mut Context, _: &mut Task) {}
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let analysis = analyse(&[Source::new("server.rs", SERVER)])?;
    println!("{analysis}");

    // Eight ways of one object each, of which the slab takes seven, and no stack in it.
    let geometry = Geometry { size: 8 * 4096, ways: 8, line: 64, k: 7 };
    let map = analysis.map(&Params { geometry, stack_bytes: 0, batch_max: 64 })?;
    println!("{map}");

    // O2 lives around O1, so there are at least as many of it: the paper's n_O1 = 3, n_O2 = 4.
    assert_eq!(map.solution.counts, [3, 4]);
    assert!(map.as_str().contains("dominates 1 0"));
    Ok(())
}
