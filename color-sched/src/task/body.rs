//! What is polled? A future, erased, with what it shares with its wakers; dropped anywhere, it says that it was cancelled.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use crate::event::{Color, StageId};
use crate::task::join::{JoinError, JoinHandle};
use crate::task::packet::{Header, Packet, Target};
use crate::task::port::Port;
use crate::task::state::Next;

pin_project! {
    /// A future that hands its result over.
    struct Body<F: Future> {
        #[pin]
        future: Option<F>,
        packet: Arc<Packet<F::Output>>,
    }
}

impl<F> Future for Body<F>
where
    F: Future,
    F::Output: Send + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut body = self.project();
        let Some(future) = body.future.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        let Poll::Ready(value) = future.poll(cx) else { return Poll::Pending };
        // Who gets the result finds what the future owned released.
        body.future.set(None);
        body.packet.settle(Ok(value));
        Poll::Ready(())
    }
}

/// A task: in an event on its way to its color, then in the color's table.
pub(crate) struct Task {
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    target: Arc<dyn Target>,
    waker: Waker,
}

impl Task {
    pub(crate) fn new<F>(
        color: Color,
        stage: StageId,
        port: Port,
        future: F,
    ) -> (Self, JoinHandle<F::Output>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let packet = Arc::new(Packet::new(color, stage, port));
        let body = Body { future: Some(future), packet: Arc::clone(&packet) };
        let task = Self {
            future: Some(Box::pin(body)),
            waker: Waker::from(Arc::clone(&packet)),
            target: Arc::clone(&packet) as Arc<dyn Target>,
        };
        (task, JoinHandle::new(packet))
    }

    pub(crate) fn header(&self) -> &Header {
        self.target.header()
    }

    pub(crate) fn target(&self) -> &Arc<dyn Target> {
        &self.target
    }

    /// Acts on the task's event. After [`Next::Drop`] there is nothing left to be done with it.
    pub(crate) fn turn(&mut self) -> Next {
        if self.header().word.begin() == Next::Drop {
            return Next::Drop;
        }
        match self.poll() {
            Poll::Pending => self.header().word.end(),
            Poll::Ready(()) => Next::Drop,
        }
    }

    fn poll(&mut self) -> Poll<()> {
        let Some(future) = &mut self.future else { return Poll::Ready(()) };
        let mut cx = Context::from_waker(&self.waker);
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx))) {
            Ok(polled) => polled,
            Err(payload) => {
                self.end(JoinError::panicked(self.header().color, &*payload));
                Poll::Ready(())
            }
        }
    }

    /// Drops the future; its result, if it gave none, is `error`. Neither lets a panic out.
    fn end(&mut self, error: JoinError) {
        let future = self.future.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        self.header().word.finish();
        let error = match dropped {
            Ok(()) => error,
            Err(payload) => JoinError::panicked(self.header().color, &*payload),
        };
        // A panic here is a waker's, of whoever awaits the handle: not this task's, and the result is there already.
        let _ = catch_unwind(AssertUnwindSafe(|| self.target.fail(error)));
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let color = self.header().color;
        self.end(JoinError::Cancelled { color });
    }
}
