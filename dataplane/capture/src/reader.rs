//! A capture whose bytes are all there.

use crate::format::{Format, Step};
use crate::{Damage, OpenError, Packet};

/// Reads the packets of a pcap or pcapng file in order, in place.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    file: &'a [u8],
    at: usize,
    format: Format,
}

impl<'a> Reader<'a> {
    /// Recognises the format by its first bytes.
    ///
    /// # Errors
    /// If it is neither format, or ends within its header.
    pub fn open(file: &'a [u8]) -> Result<Self, OpenError> {
        let (format, at) = Format::recognise(file)?;
        Ok(Self { file, at, format })
    }

    #[cold]
    fn give_up(&mut self, what: &'static str) -> Damage {
        let offset = std::mem::replace(&mut self.at, self.file.len());
        Damage { offset, what: what.into(), packing: None }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Packet<'a>, Damage>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let window = self.file.get(self.at..).filter(|window| !window.is_empty())?;
            match self.format.step(window) {
                Step::Packet(found) => {
                    let packet = Packet {
                        bytes: window.get(found.start..found.start + found.len).unwrap_or_default(),
                        offset: self.at + found.start,
                        wire_len: found.wire_len,
                        time: found.time,
                        link_type: found.link_type,
                    };
                    self.at += found.consumed;
                    return Some(Ok(packet));
                }
                Step::Skip(count) => self.at += count,
                Step::More { within: what, .. } | Step::Damage(what) => {
                    return Some(Err(self.give_up(what)));
                }
            }
        }
    }
}
