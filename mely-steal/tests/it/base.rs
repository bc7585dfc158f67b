//! Libasync-smp's algorithm, as §2.2 tells it.

use color_sched::{Color, CoreId, Load, Stealer, Theft};
use mely_steal::{Libasync, Mely, Topology, libasync};

use crate::views::{idle, offer, victim};

fn base(cores: usize) -> Mely {
    Mely::new(Topology::uniform(cores)).locality(false).time_left(false).penalty(false)
}

#[test]
fn the_core_set_is_that_of_the_paper() {
    let mut view = idle(8, 0);
    view.victims[6].load.events = 9;
    view.victims[2].load.events = 8;
    let set: Vec<u16> = libasync::core_set(&view).map(|core| core.0).collect();
    assert_eq!(set, [6, 7, 0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_core_set_begins_with_the_first_of_equals_and_is_empty_without_cores() {
    let mut view = idle(4, 0);
    view.victims[1].load.events = 5;
    view.victims[3].load.events = 5;
    let set: Vec<u16> = libasync::core_set(&view).map(|core| core.0).collect();
    assert_eq!(set, [1, 2, 3, 0]);
    assert_eq!(libasync::core_set(&idle(0, 0)).count(), 0);
}

#[test]
fn a_core_can_be_robbed_if_two_colors_wait() {
    for (colors, expected) in [(0, false), (1, false), (2, true), (1000, true)] {
        let load = Load { colors, ..Load::default() };
        assert_eq!(libasync::can_be_stolen(&load), expected, "{colors} colors");
    }
}

#[test]
fn a_color_is_chosen_if_it_has_less_than_half_of_the_events() {
    for (events, of, expected) in [
        (0, 0, false),
        (0, 1, true),
        (1, 1, false),
        (1, 2, false),
        (1, 3, true),
        (2, 4, false),
        (2, 5, true),
        (u32::MAX, u64::MAX, true),
    ] {
        let load = Load { events: of, ..Load::default() };
        let is_under = libasync::is_under_half(&offer(1, 0, events, 1), &load);
        assert_eq!(is_under, expected, "{events} of {of}");
    }
}

#[test]
fn the_first_color_under_half_is_taken_from_the_most_loaded_core() {
    let mut view = idle(8, 0);
    view.victims[6] =
        victim(&[offer(60, 1, 8, 1), offer(61, 1, 3, 1), offer(62, 900, 2, 1), offer(63, 1, 3, 1)]);
    view.victims[2] = victim(&[offer(20, 1, 1, 1), offer(21, 1, 1, 1), offer(22, 1, 1, 1)]);
    for theft in [Libasync::new().plan(CoreId(3), &view), base(8).plan(CoreId(3), &view)] {
        assert_eq!(theft, Some(Theft { victim: CoreId(6), slot: 1, color: Color(61) }));
    }
}

#[test]
fn two_colors_with_one_event_each_are_left_alone() {
    let mut view = idle(2, 0);
    view.victims[0] = victim(&[offer(1, 90_000, 1, 1), offer(2, 90_000, 1, 1)]);
    assert_eq!(Libasync::new().plan(CoreId(1), &view), None);
}

#[test]
fn a_core_without_a_fitting_color_sends_the_thief_to_its_successor() {
    let mut view = idle(3, 0);
    view.victims[2] = victim(&[offer(1, 1, 50, 1), offer(2, 1, 50, 1)]);
    view.victims[0] = victim(&[offer(3, 1, 1, 1), offer(4, 1, 1, 1), offer(5, 1, 1, 1)]);
    let theft = Libasync::new().plan(CoreId(1), &view);
    assert_eq!(theft.map(|theft| (theft.victim.0, theft.color.0)), Some((0, 3)));
}

#[test]
fn a_thief_does_not_rob_itself() {
    let mut view = idle(2, 0);
    view.victims[1] = victim(&[offer(1, 9, 1, 1), offer(2, 9, 1, 1), offer(3, 9, 1, 1)]);
    assert_eq!(Libasync::new().plan(CoreId(1), &view), None);
    assert_eq!(base(2).plan(CoreId(1), &view), None);
    assert_eq!(Mely::new(Topology::uniform(2)).plan(CoreId(1), &view), None);
}
