//! What is said of a handler that has panicked?

use std::any::Any;

use color_sched::{Color, StageId};

use crate::stages::Stage;

/// Where it happened, whose connection it was, and the panic's own words if it has any.
pub(super) fn line(
    core: usize,
    color: Color,
    stage: StageId,
    payload: &(dyn Any + Send),
) -> String {
    let stage = Stage::ALL.get(stage.index()).map_or("?", |stage| stage.name());
    let words = payload.downcast_ref::<&str>().copied();
    let words = words.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let words = words.unwrap_or("no message");
    format!(
        "stage {stage} panicked on core {core}, and its connection, color {}, is closed: {words}",
        color.0
    )
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, panic_any};

    use super::*;

    fn line_of(panics: fn()) -> String {
        let payload = catch_unwind(panics).expect_err("it panics");
        line(1, Color(77), Stage::Lookup.id(), &*payload)
    }

    #[test]
    fn the_report_names_stage_core_color_and_the_words_of_the_panic() {
        let constant = line_of(|| panic!("no such file"));
        for part in ["stage lookup ", "core 1,", "color 77,", ": no such file"] {
            assert!(constant.contains(part), "{part} is missing in: {constant}");
        }
        let formatted = line_of(|| panic!("{} of 4 bytes", std::hint::black_box(3)));
        assert!(formatted.ends_with(": 3 of 4 bytes"), "{formatted}");
    }

    #[test]
    fn a_payload_that_is_no_text_and_a_stage_that_does_not_exist_are_reported_too() {
        assert!(line_of(|| panic_any(7)).ends_with(": no message"));
        let strange = line(0, Color(0), StageId(99), &());
        assert!(strange.starts_with("stage ? panicked"), "{strange}");
    }
}
