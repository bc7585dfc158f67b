//! Several calls as one, each of which may use the descriptor that one before it has made: the looped
//! multi-call of §8.3.

use crate::op::CANCELED;
use crate::sys;
use crate::trap::Step;

/// What a step says whose `feed` is no step before it that makes a descriptor.
const NO_DESCRIPTOR: i64 = -(libc::EBADF as i64);

/// Makes the calls in order by `call`, and stops behind the first that fails. How many were made; the
/// results of these are filled in, that of the failed one included.
pub(crate) fn run(steps: &mut [Step], mut call: impl FnMut(u16, &[u64; 6]) -> i64) -> i64 {
    run_while(steps, |number, args| Some(call(number, args)))
}

/// As [`run`], on the poster's own thread, and stops before the first that would wait for a disk;
/// `None`: that is the first of all.
pub(crate) fn run_here(steps: &mut [Step]) -> Option<i64> {
    // SAFETY: made by `Op::trap` of slots that stay as they are until the program has ended.
    let made = run_while(steps, |number, args| unsafe { sys::without_waiting(number, args) });
    (made > 0).then_some(made)
}

fn run_while(steps: &mut [Step], mut call: impl FnMut(u16, &[u64; 6]) -> Option<i64>) -> i64 {
    for at in 0..steps.len() {
        let (before, rest) = steps.split_at_mut(at);
        let step = &mut rest[0];
        let ret = match feed(step, before) {
            true => call(step.trap.number, &step.trap.args),
            false => Some(NO_DESCRIPTOR),
        };
        let Some(ret) = ret else { return at as i64 };
        step.ret = ret;
        if ret < 0 {
            return at as i64 + 1;
        }
    }
    steps.len() as i64
}

fn feed(step: &mut Step, before: &[Step]) -> bool {
    let Some(from) = step.feed else { return true };
    let opener = before.get(usize::from(from)).filter(|opener| opener.trap.makes_fd);
    opener.inspect(|opener| step.trap.args[0] = opener.ret as u64).is_some()
}

/// How many of the first `made` steps were really made: a close that was cancelled was not, while of
/// another call nobody knows how far it came.
pub(crate) fn really_made(steps: &[Step], made: usize) -> usize {
    let last = made.checked_sub(1).and_then(|last| steps.get(last));
    made - usize::from(last.is_some_and(|step| step.closes() && step.ret == CANCELED))
}

/// The descriptors that the first `made` steps have opened, and those that the others were to close,
/// without what was closed: nobody's, if nobody takes the program's result.
pub(crate) fn left_open(steps: &[Step], made: i64) -> Vec<i64> {
    let made = really_made(steps, usize::try_from(made).unwrap_or(0));
    let mut open = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if at < made && step.trap.makes_fd && step.ret >= 0 {
            open.push(step.ret);
        } else if at < made && step.closes() {
            open.retain(|fd| *fd as u64 != step.trap.args[0]);
        } else if at >= made && step.closes() && step.feed.is_none() {
            open.push(step.trap.args[0] as i64);
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trap::Trap;

    fn step(number: u16, makes_fd: bool, feed: Option<u8>) -> Step {
        Step { trap: Trap { number, makes_fd, makes_mapping: false, args: [0; 6] }, feed, ret: 77 }
    }

    #[test]
    fn a_step_gets_the_descriptor_of_the_step_that_it_names() {
        let mut steps = [
            step(1, true, None),
            step(2, false, Some(0)),
            step(3, true, None),
            step(4, false, Some(2)),
            step(5, false, Some(0)),
        ];
        let mut seen = Vec::new();
        let made = run(&mut steps, |number, args| {
            seen.push((number, args[0]));
            i64::from(number) * 10
        });
        assert_eq!((made, seen), (5, vec![(1, 0), (2, 10), (3, 0), (4, 30), (5, 10)]));
        assert_eq!(steps.map(|step| step.ret), [10, 20, 30, 40, 50]);
    }

    #[test]
    fn the_first_failure_ends_a_program_and_is_counted() {
        for failed in 0..3i64 {
            let mut steps = [step(0, true, None), step(1, false, Some(0)), step(2, false, None)];
            let again = -i64::from(libc::EAGAIN);
            let made = run(&mut steps, |n, _| if i64::from(n) == failed { again } else { 5 });
            assert_eq!(made, failed + 1);
            for (at, step) in (0..).zip(steps) {
                let expected = if at < failed {
                    5
                } else if at == failed {
                    again
                } else {
                    77
                };
                assert_eq!(step.ret, expected);
            }
        }
    }

    #[test]
    fn what_cannot_be_fed_is_not_made() {
        for feed in [0, 1, 2, 200] {
            let mut steps = [step(1, false, None), step(1, false, Some(feed))];
            let mut calls = 0;
            let count = |_, _: &[u64; 6]| {
                calls += 1;
                0
            };
            assert_eq!((run(&mut steps, count), calls), (2, 1));
            assert_eq!(steps[1].ret, -i64::from(libc::EBADF));
        }
    }

    #[test]
    fn only_what_a_program_did_not_close_is_left_open() {
        let close = libc::SYS_close as u16;
        let mut steps = [
            step(11, true, None),
            step(close, false, Some(0)),
            step(12, true, None),
            step(13, true, None),
            step(close, false, Some(3)),
            step(close, false, None),
        ];
        steps[5].trap.args[0] = 14;
        let made = run(&mut steps, |number, _| if number == close { 0 } else { number.into() });
        assert_eq!(left_open(&steps, made), [12]);
        assert_eq!(left_open(&steps, 5), [12, 14]);
        assert_eq!(left_open(&steps, 4), [12, 13, 14]);
        assert_eq!(left_open(&steps, 1), [11, 14]);
        assert_eq!(left_open(&steps, 0), [14]);
        assert_eq!(left_open(&steps, CANCELED), [14]);
        steps[4].ret = CANCELED;
        assert_eq!(left_open(&steps, 5), [12, 13, 14], "a close that was cancelled");
    }
}
