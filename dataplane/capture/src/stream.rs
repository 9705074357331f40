//! A capture whose bytes come in order: through a pipe, or a decoder.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind, Read};

use crate::format::{Format, Found, HEAD, Step};
use crate::packing::{Packing, unpack};
use crate::{Damage, OpenError, Packet};

/// Bytes that are read at a time, where so many are ready.
const READ: usize = 256 << 10;

/// Reads the packets of a pcap or pcapng capture as they come. Its memory is a
/// window: as large as the largest block so far, which the formats bound.
pub struct Stream {
    input: Box<dyn Read + Send>,
    packing: Option<Packing>,
    format: Format,
    window: Vec<u8>,
    /// The part of the window that was read and not consumed.
    start: usize,
    end: usize,
    /// Bytes of the capture before `start`.
    at: usize,
    /// The packet last given; its bytes stand before `start`.
    current: Option<Found>,
    /// What the format waits for, and within what the capture ends without it.
    wanted: (usize, &'static str),
    over: bool,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("at", &self.at).field("format", &self.format).finish()
    }
}

impl Stream {
    /// Waits for the first bytes and recognises compression and format by them.
    ///
    /// # Errors
    /// If it is neither format, or can't be read or unpacked up to its header's end.
    pub fn open(input: impl Read + Send + 'static) -> Result<Self, OpenError> {
        let damaged = |error: &io::Error, packing| {
            OpenError::Damaged(Damage { offset: 0, what: describe(error, packing), packing })
        };
        let (packing, mut input) = unpack(input).map_err(|error| damaged(&error, None))?;
        let mut head = Vec::with_capacity(HEAD);
        // A capture that breaks off early may still have told what it is.
        let gathered = input.by_ref().take(HEAD as u64).read_to_end(&mut head);
        if let Err(error) = gathered {
            return Err(damaged(&error, packing));
        }
        let (format, at) = Format::recognise(&head).map_err(|error| match error {
            OpenError::Damaged(damage) => Damage { packing, ..damage }.into(),
            foreign => foreign,
        })?;
        let end = head.len();
        head.resize(READ, 0);
        Ok(Self {
            input,
            packing,
            format,
            window: head,
            start: at,
            end,
            at,
            current: None,
            wanted: (HEAD, ""),
            over: false,
        })
    }

    /// The next packet. Waits for the input if it must.
    #[expect(clippy::should_implement_trait, reason = "packets are lent, which no Iterator can do")]
    pub fn next(&mut self) -> Option<Result<Packet<'_>, Damage>> {
        loop {
            match self.advance() {
                Ok(true) => return self.current().map(Ok),
                Ok(false) => match self.fill() {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(damage) => return Some(Err(damage)),
                },
                Err(damage) => return Some(Err(damage)),
            }
        }
    }

    /// The next packet if it has arrived already; none also means that
    /// [`Stream::next`] would have to read, or that the capture is over.
    pub fn arrived(&mut self) -> Option<Result<Packet<'_>, Damage>> {
        match self.advance() {
            Ok(true) => self.current().map(Ok),
            Ok(false) => None,
            Err(damage) => Some(Err(damage)),
        }
    }

    /// The packet that was given last, once more.
    pub fn current(&self) -> Option<Packet<'_>> {
        let found = self.current?;
        let record = self.start - found.consumed;
        let start = record + found.start;
        Some(Packet {
            bytes: self.window.get(start..start + found.len).unwrap_or_default(),
            offset: self.at - found.consumed + found.start,
            wire_len: found.wire_len,
            time: found.time,
            link_type: found.link_type,
        })
    }

    /// How many bytes of the decompressed capture are done with.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes to the next packet in the window; false if there is none.
    fn advance(&mut self) -> Result<bool, Damage> {
        self.current = None;
        while !self.over {
            let consumed = match self.format.step(&self.window[self.start..self.end]) {
                Step::Packet(found) => {
                    self.current = Some(found);
                    found.consumed
                }
                Step::Skip(count) => count,
                Step::More { need, within } => {
                    self.wanted = (need, within);
                    return Ok(false);
                }
                Step::Damage(what) => return Err(self.give_up(what.into())),
            };
            self.start += consumed;
            self.at += consumed;
            if self.current.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads once into the window; false at a clean end.
    fn fill(&mut self) -> Result<bool, Damage> {
        if self.over {
            return Ok(false);
        }
        let (need, within) = self.wanted;
        if self.end == self.window.len() || self.window.len() - self.start < need {
            self.window.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.window.len() < need {
            self.window.resize(need, 0);
        }
        loop {
            match self.input.read(&mut self.window[self.end..]) {
                Ok(0) if self.start == self.end => {
                    self.over = true;
                    return Ok(false);
                }
                Ok(0) => return Err(self.give_up(within.into())),
                Ok(count) => {
                    self.end += count;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.give_up(describe(&error, self.packing))),
            }
        }
    }

    #[cold]
    fn give_up(&mut self, what: Cow<'static, str>) -> Damage {
        self.over = true;
        Damage { offset: self.at, what, packing: self.packing }
    }
}

/// What an input's error means for its capture.
pub fn describe(error: &io::Error, packing: Option<Packing>) -> Cow<'static, str> {
    match packing {
        Some(packing) if error.kind() == ErrorKind::UnexpectedEof => {
            format!("the {packing} data ends too early").into()
        }
        Some(packing) => format!("the {packing} data can't be unpacked ({error})").into(),
        None => format!("it can't be read ({error})").into(),
    }
}
