//! The paper's example program, in the conventions of the analysis. It is read, never compiled.

enum Stage {
    Stage1,
    Stage2,
    Stage3,
    Stage4,
    Stage5,
}

const O1: Site = Site::new("O1", 4096);
const O2: Site = Site::new("O2", 4096);

fn stage1(cx: &mut Context, task: &mut Task) {
    task.o2 = Some(cx.alloc(O2));
    cx.next(Stage::Stage2);
}

fn stage2(cx: &mut Context, task: &mut Task) {
    task.o1 = Some(cx.alloc(O1));
    task.work();
    cx.next(Stage::Stage3);
}

fn stage3(cx: &mut Context, task: &mut Task) {
    task.work();
    cx.free(O1, task.o1.take());
    cx.free(O2, task.o2.take());
    cx.next(Stage::Stage4);
}

fn stage4(cx: &mut Context, task: &mut Task) {
    cx.next(Stage::Stage5);
}

fn stage5(_: &mut Context, _: &mut Task) {}
