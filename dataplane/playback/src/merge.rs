//! Several captures as one: the earliest packet first.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use weir_capture::{Damage, OpenError, Packet, Reader, Stream};
use weir_engine::Nanos;

use crate::Stop;

/// Where a capture's bytes are.
#[derive(Debug)]
pub enum Input<'a> {
    /// All there.
    Bytes(&'a [u8]),
    /// To be read in order, once.
    Stream(File),
}

/// What is read in order. A stop ends the wait for more of it.
pub(crate) struct Awaited {
    input: File,
    stop: Stop,
}

impl Awaited {
    pub(crate) fn new(input: File, stop: &Stop) -> Self {
        Self { input, stop: stop.clone() }
    }
}

/// How long an input is waited for before a stop is looked for, in milliseconds.
const WAIT: u16 = 50;

impl Read for Awaited {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.stop.is_asked() {
            let mut inputs = [PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
            match poll(&mut inputs, PollTimeout::from(WAIT)) {
                Ok(0) | Err(nix::Error::EINTR) => {}
                Ok(_) => return self.input.read(into),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }
}

/// One capture on its way through the merge.
struct Head<'a> {
    feed: Feed<'a>,
    /// The time of its next packet; none at its end.
    due: Option<Nanos>,
}

enum Feed<'a> {
    Mapped(Reader<'a>, Option<Packet<'a>>),
    Stream(Box<Stream>),
}

impl<'a> Feed<'a> {
    fn open(input: Input<'a>, stop: &Stop) -> Result<Self, OpenError> {
        match input {
            Input::Bytes(bytes) => Ok(Feed::Mapped(Reader::open(bytes)?, None)),
            Input::Stream(input) => {
                let stream = Stream::open(Awaited::new(input, stop))?;
                Ok(Feed::Stream(Box::new(stream)))
            }
        }
    }

    /// Goes to the next packet, and gives its time.
    #[inline]
    fn advance(&mut self, before_waiting: impl FnOnce()) -> Option<Result<Nanos, Damage>> {
        match self {
            Feed::Mapped(reader, next) => {
                let read = reader.next();
                *next = read.as_ref().and_then(|read| read.as_ref().ok()).copied();
                read.map(|read| read.map(|packet| packet.time))
            }
            Feed::Stream(stream) => {
                let time = |read: Result<Packet<'_>, Damage>| read.map(|packet| packet.time);
                if let Some(arrived) = stream.arrived().map(time) {
                    return Some(arrived);
                }
                before_waiting();
                stream.next().map(time)
            }
        }
    }

    /// The packet that it stands at.
    #[inline]
    fn packet(&self) -> Option<Packet<'_>> {
        match self {
            Feed::Mapped(_, next) => *next,
            Feed::Stream(stream) => stream.current(),
        }
    }
}

/// Captures that are read to their ends, or to where they are damaged.
pub struct Merge<'a>(Vec<Option<Head<'a>>>);

impl<'a> Merge<'a> {
    /// Opens all of them, and goes to their first packets. `ended` is told which could not be, by
    /// their numbers, and why.
    pub fn open(
        inputs: impl IntoIterator<Item = Input<'a>>,
        stop: &Stop,
        mut ended: impl FnMut(usize, OpenError),
    ) -> Self {
        let mut heads = Vec::new();
        for (number, input) in inputs.into_iter().enumerate() {
            let feed = Feed::open(input, stop).map_err(|error| ended(number, error)).ok();
            heads.push(feed.map(|feed| Head { feed, due: None }));
        }
        let mut merge = Self(heads);
        for number in 0..merge.0.len() {
            merge.pull(number, || {}, |damage| ended(number, damage.into()));
        }
        merge
    }

    /// The number of the capture with the earliest packet; of equals the one that was named first.
    #[inline]
    pub fn earliest(&self) -> Option<usize> {
        let due = |(number, head): (usize, &Option<Head<'_>>)| Some((head.as_ref()?.due?, number));
        self.0.iter().enumerate().filter_map(due).min().map(|(_, number)| number)
    }

    /// The packet that a capture stands at.
    #[inline]
    pub fn packet(&self, number: usize) -> Option<Packet<'_>> {
        self.0.get(number)?.as_ref()?.feed.packet()
    }

    /// Goes on to a capture's next packet. `before_waiting` is called when its input has to be
    /// waited for, `damaged` when it can't be read on.
    #[inline]
    pub fn pull(
        &mut self,
        number: usize,
        before_waiting: impl FnOnce(),
        damaged: impl FnOnce(Damage),
    ) {
        let Some(Some(head)) = self.0.get_mut(number) else { return };
        head.due = head.feed.advance(before_waiting).transpose().unwrap_or_else(|damage| {
            damaged(damage);
            None
        });
    }
}
