//! How does a task let others go first?

use std::pin::Pin;
use std::task::{Context, Poll};

/// Pending once: the task goes to the end of its color's queue, and other colors get their turn.
pub fn yield_now() -> YieldNow {
    YieldNow { has_yielded: false }
}

/// See [`yield_now`]. Works under any executor.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    has_yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_yielded {
            return Poll::Ready(());
        }
        self.has_yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
