//! Which calls wait for which descriptor, and the epoll that tells when it is ready.
//!
//! Registrations are edge-triggered and stay: a connection that receives by multishot costs no
//! `epoll_ctl` after its first. A call that parks alone costs one, which also catches an edge that
//! came before, and a descriptor number that was closed elsewhere and given out again.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::time::Duration;

use libc::epoll_event;

use crate::op::Direction;
use crate::sys;
use crate::waker::Waker;

const IN: u32 = libc::EPOLLIN as u32;
const OUT: u32 = libc::EPOLLOUT as u32;
const ALWAYS: u32 = (libc::EPOLLRDHUP | libc::EPOLLET) as u32;
/// Events after which a receive will say how the connection ended.
pub(super) const HANG_UP: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;

/// Most events that one wait takes.
const EVENTS: usize = 256;
/// `data` of the waker's registration.
const WAKER: u64 = u64::MAX;

#[derive(Default)]
struct Record {
    /// Registered events; 0: not registered.
    mask: u32,
    /// A read that fills less than its buffer has taken everything.
    stream: bool,
    /// A hang-up was seen: read on until it is reported.
    hung_up: bool,
    /// How often the number has been closed, or given out anew.
    closings: u32,
    waiting: [Vec<u32>; 3],
}

/// The epoll and its records.
pub(super) struct Watch {
    epoll: OwnedFd,
    records: Vec<Record>,
    events: Vec<epoll_event>,
}

/// An event: descriptor and bits.
pub(super) type Event = (RawFd, u32);

impl Watch {
    pub(super) fn new(waker: &Waker) -> io::Result<Self> {
        let epoll = sys::epoll_create()?;
        let edge = (libc::EPOLLIN | libc::EPOLLET) as u32;
        sys::epoll_ctl(&epoll, libc::EPOLL_CTL_ADD, waker.event(), edge, WAKER)?;
        Ok(Watch { epoll, records: Vec::new(), events: Vec::with_capacity(EVENTS) })
    }

    /// How often `fd` has been closed or given out anew, as far as this ring knows.
    #[inline]
    pub(super) fn closings(&self, fd: RawFd) -> u32 {
        let record = usize::try_from(fd).ok().and_then(|at| self.records.get(at));
        record.map_or(0, |record| record.closings)
    }

    /// The record of a number, made if there is none; `None` for what is no descriptor.
    fn make_record(&mut self, fd: RawFd) -> Option<&mut Record> {
        let at = usize::try_from(fd).ok()?;
        if at >= self.records.len() {
            self.records.resize_with((at + 1).next_power_of_two(), Record::default);
        }
        self.records.get_mut(at)
    }

    fn record(&mut self, fd: RawFd) -> Option<&mut Record> {
        self.records.get_mut(usize::try_from(fd).ok()?)
    }

    fn bits(direction: Direction) -> u32 {
        match direction {
            Direction::In => IN,
            Direction::Out => OUT,
            Direction::Poll => IN | OUT,
        }
    }

    /// Registers interest; an event follows if the descriptor is ready now. Calls that waited for
    /// an earlier file of this number are put into `orphans`.
    pub(super) fn arm(
        &mut self,
        fd: RawFd,
        direction: Direction,
        orphans: &mut Vec<u32>,
    ) -> io::Result<()> {
        let bad = || io::Error::from_raw_os_error(libc::EBADF);
        let at = usize::try_from(fd).map_err(|_| bad())?;
        if at >= self.records.len() {
            // Only what is a descriptor may have records made up to its number.
            let mask = Self::bits(direction) | ALWAYS;
            sys::epoll_ctl(&self.epoll, libc::EPOLL_CTL_ADD, fd, mask, at as u64)?;
        }
        self.make_record(fd).ok_or_else(bad)?;
        let record = &mut self.records[at];
        let known = record.mask != 0;
        let wanted = record.mask | Self::bits(direction) | ALWAYS;
        let ctl = |op, mask| sys::epoll_ctl(&self.epoll, op, fd, mask, at as u64);
        if known {
            match ctl(libc::EPOLL_CTL_MOD, wanted) {
                Ok(()) => {
                    record.mask = wanted;
                    return Ok(());
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                    record.waiting.iter_mut().for_each(|list| orphans.append(list));
                }
                Err(error) => return Err(error),
            }
        }
        let mask = Self::bits(direction) | ALWAYS;
        record.mask = 0;
        match ctl(libc::EPOLL_CTL_ADD, mask) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                ctl(libc::EPOLL_CTL_MOD, mask)?;
            }
            other => other?,
        }
        record.mask = mask;
        record.hung_up = false;
        record.stream = sys::is_internet_stream(fd);
        Ok(())
    }

    /// Puts a call at the end of a list of an armed descriptor.
    pub(super) fn link(&mut self, fd: RawFd, direction: Direction, call: u32) {
        if let Some(record) = self.record(fd) {
            record.waiting[direction as usize].push(call);
        }
    }

    /// Takes a call off its list.
    pub(super) fn unlink(&mut self, fd: RawFd, direction: Direction, call: u32) {
        if let Some(record) = self.record(fd) {
            record.waiting[direction as usize].retain(|other| *other != call);
        }
    }

    /// The calls that wait, in the order of their coming.
    pub(super) fn waiting(&self, fd: RawFd, direction: Direction) -> &[u32] {
        let record = usize::try_from(fd).ok().and_then(|at| self.records.get(at));
        record.map_or(&[], |record| &record.waiting[direction as usize])
    }

    /// After a receive of `n` of `room` bytes: nothing more is there until the next edge.
    pub(super) fn drained(&self, fd: RawFd, n: usize, room: usize) -> bool {
        let record = usize::try_from(fd).ok().and_then(|at| self.records.get(at));
        record.is_some_and(|record| record.stream && !record.hung_up && n < room)
    }

    /// Notes a hang-up.
    pub(super) fn note(&mut self, fd: RawFd, bits: u32) {
        if let Some(record) = self.record(fd) {
            record.hung_up |= bits & HANG_UP != 0;
        }
    }

    /// Nobody reads: no more events for bytes that come in.
    pub(super) fn ignore_input(&mut self, fd: RawFd) {
        let Ok(at) = usize::try_from(fd) else { return };
        let Some(record) = self.records.get_mut(at) else { return };
        if record.mask & IN != 0 && record.waiting.iter().all(Vec::is_empty) {
            record.mask &= !IN;
            let _ = sys::epoll_ctl(&self.epoll, libc::EPOLL_CTL_MOD, fd, record.mask, at as u64);
        }
    }

    /// The descriptor is new, or is about to be closed: what was known of its number is void.
    /// Calls that waited are put into `orphans`.
    pub(super) fn forget(&mut self, fd: RawFd, orphans: &mut Vec<u32>) {
        if let Some(record) = self.make_record(fd) {
            record.mask = 0;
            record.closings = record.closings.wrapping_add(1);
            record.waiting.iter_mut().for_each(|list| orphans.append(list));
        }
    }

    /// Waits for events and puts them into `out`; the waker's own is left out.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        out: &mut Vec<Event>,
    ) -> io::Result<()> {
        sys::epoll_wait(&self.epoll, &mut self.events, timeout)?;
        for event in &self.events {
            let (data, bits) = (event.u64, event.events);
            if data != WAKER {
                out.push((data as RawFd, bits));
            }
        }
        Ok(())
    }
}
