//! Several calls as one, each of which may use the descriptor that one before it has made: the looped
//! multi-call of §8.3.

use crate::trap::Step;

/// What a step says that names a descriptor before any was opened.
const NO_DESCRIPTOR: i64 = -(libc::EBADF as i64);
/// What a step says whose `feed` is no argument.
const NO_ARGUMENT: i64 = -(libc::EINVAL as i64);

/// Makes the calls in order by `call`, and stops behind the first that fails. How many were made; the
/// results of these are filled in, that of the failed one included.
pub(crate) fn run(steps: &mut [Step], mut call: impl FnMut(u16, &[u64; 6]) -> i64) -> i64 {
    let mut opened = None;
    let mut made = 0;
    for step in steps {
        made += 1;
        step.ret = match feed(step, opened) {
            Ok(()) => call(step.trap.number, &step.trap.args),
            Err(ret) => ret,
        };
        if step.ret < 0 {
            break;
        }
        if step.trap.makes_fd {
            opened = Some(step.ret);
        }
    }
    made
}

fn feed(step: &mut Step, opened: Option<i64>) -> Result<(), i64> {
    let Some(at) = step.feed else { return Ok(()) };
    let argument = step.trap.args.get_mut(usize::from(at)).ok_or(NO_ARGUMENT)?;
    *argument = opened.ok_or(NO_DESCRIPTOR)? as u64;
    Ok(())
}

/// The descriptors that the first `made` steps have opened and not closed themselves: nobody's, if
/// nobody takes the program's result.
pub(crate) fn left_open(steps: &[Step], made: i64) -> Vec<i64> {
    let mut open = Vec::new();
    for step in steps.iter().take(made as usize).filter(|step| step.ret >= 0) {
        if step.trap.makes_fd {
            open.push(step.ret);
        } else if libc::c_long::from(step.trap.number) == libc::SYS_close {
            open.retain(|fd| *fd as u64 != step.trap.args[0]);
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
    fn a_step_gets_the_descriptor_that_was_opened_last() {
        let mut steps = [
            step(1, true, None),
            step(2, false, Some(0)),
            step(3, true, None),
            step(4, false, Some(4)),
        ];
        let mut seen = Vec::new();
        let made = run(&mut steps, |number, args| {
            seen.push((number, args[0], args[4]));
            i64::from(number) * 10
        });
        assert_eq!((made, seen), (4, vec![(1, 0, 0), (2, 10, 0), (3, 0, 0), (4, 0, 30)]));
        assert_eq!(steps.map(|step| step.ret), [10, 20, 30, 40]);
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
        for (feed, errno) in [(0, libc::EBADF), (5, libc::EBADF), (6, libc::EINVAL)] {
            let mut steps = [step(1, false, Some(feed))];
            assert_eq!(run(&mut steps, |_, _| panic!("not made")), 1);
            assert_eq!(steps[0].ret, -i64::from(errno));
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
            step(close, false, Some(0)),
        ];
        let made = run(&mut steps, |number, _| if number == close { 0 } else { number.into() });
        assert_eq!(left_open(&steps, made), [12]);
        assert_eq!(left_open(&steps, 4), [12, 13]);
        assert_eq!(left_open(&steps, 1), [11]);
        assert!(left_open(&steps, 0).is_empty());
    }
}
