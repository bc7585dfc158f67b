//! What is on its way to other cores? Messages are gathered for each of them, and published together.

use crate::desk::Desk;
use crate::event::CoreId;
use crate::hub::{Message, Parcel};

/// Messages for each core that have not been sent yet.
#[derive(Debug)]
pub(crate) struct Outbox<E, S> {
    trays: Box<[Vec<Message<E, S>>]>,
    /// The cores that there are messages for.
    touched: Vec<CoreId>,
}

impl<E, S> Outbox<E, S> {
    pub(crate) fn new(cores: usize) -> Self {
        Self { trays: (0..cores).map(|_| Vec::new()).collect(), touched: Vec::new() }
    }

    /// Is nothing on its way?
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }
}

impl<E: Send, S: Send> Desk<E, S> {
    /// Puts a message with those that go to `core` at the next [`Self::publish`]. It comes back once this core has said
    /// that it sends no more, and if there is no such core.
    pub(crate) fn send(
        &mut self,
        core: CoreId,
        message: Message<E, S>,
    ) -> Result<(), Message<E, S>> {
        if self.is_sealed {
            return Err(message);
        }
        let Some(tray) = self.outbox.trays.get_mut(core.index()) else { return Err(message) };
        if tray.is_empty() {
            self.outbox.touched.push(core);
        }
        tray.push(message);
        Ok(())
    }

    /// Sends what has been gathered, and wakes those that it is for.
    #[inline]
    pub(crate) fn publish(&mut self) {
        if !self.outbox.touched.is_empty() {
            self.publish_all();
        }
    }

    #[cold]
    fn publish_all(&mut self) {
        while let Some(core) = self.outbox.touched.pop() {
            self.publish_to(core);
        }
    }

    fn publish_to(&mut self, core: CoreId) {
        let tray = &mut self.outbox.trays[core.index()];
        let parcel = match tray.len() {
            1 => tray.pop().map(Parcel::One),
            _ => Some(Parcel::Many(std::mem::take(tray))),
        };
        let Some(parcel) = parcel else { return };
        match self.hub.send(core, parcel) {
            Ok(()) => self.stats.wakes += u64::from(self.hub.wake(core)),
            Err(parcel) => parcel.into_iter().for_each(|message| self.give_back(message)),
        }
    }

    /// A message for a core that has ended before its time: what it carries goes to the program.
    fn give_back(&mut self, message: Message<E, S>) {
        match message {
            Message::Open { color, state } => self.ended.push((color, state)),
            Message::Post { color, target, event }
            | Message::Forward { color, target, event, .. }
            | Message::Back { color, target, event, .. } => {
                self.lost.push((color, target.stage, event));
            }
            Message::Return { record } => self.dissolve(*record),
            Message::Closed { .. } | Message::Cancel { .. } => {}
        }
    }
}
