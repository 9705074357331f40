//! GTP-U extension headers (TS 29.281 §5.2).
//!
//! A header is: length in 4-byte units, content, type of the next header.
//! Length 0 is an error, and the chain is bounded.

use crate::{Layer, WireError};

/// Type of the PDU Session Container ([`PduSession`](crate::pdu_session::PduSession)).
pub const PDU_SESSION_CONTAINER: u8 = 0x85;

/// The longest chain of extension headers that is walked.
pub const MAX_EXTENSIONS: usize = 16;

/// One extension header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extension<'a> {
    /// The type, as the header before it announced it.
    pub kind: u8,
    /// The content between length and next type.
    pub content: &'a [u8],
}

impl Extension<'_> {
    /// Bytes of the whole header.
    pub const fn len(&self) -> usize {
        self.content.len() + 2
    }

    /// Never: the length octet and the next type are always there.
    pub const fn is_empty(&self) -> bool {
        false
    }
}

/// Walks a chain of extension headers. After an error the walk is over.
#[derive(Clone, Copy, Debug)]
pub struct Extensions<'a> {
    next: u8,
    walked: usize,
    rest: &'a [u8],
}

impl<'a> Extensions<'a> {
    pub(crate) const fn new(first: u8, rest: &'a [u8]) -> Self {
        Self { next: first, walked: 0, rest }
    }

    /// What follows the headers walked so far; the message's payload once the
    /// walk has ended.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Type and length in bytes of the next header as announced, whether or not that many
    /// are there: what can be told of a header that ends the walk with an error.
    pub fn claimed(&self) -> Option<(u8, usize)> {
        if self.next == 0 {
            return None;
        }
        let units = *self.rest.first()?;
        Some((self.next, usize::from(units) * 4))
    }

    fn step(&mut self) -> Result<Extension<'a>, WireError> {
        if self.walked == MAX_EXTENSIONS {
            return Err(WireError::depth(Layer::Gtpu));
        }
        let units = *self.rest.first().ok_or(WireError::truncated(Layer::Gtpu))?;
        if units == 0 {
            return Err(WireError::length(Layer::Gtpu));
        }
        let (header, rest) = self
            .rest
            .split_at_checked(usize::from(units) * 4)
            .ok_or(WireError::truncated(Layer::Gtpu))?;
        let [_, content @ .., next] = header else {
            return Err(WireError::length(Layer::Gtpu));
        };
        let extension = Extension { kind: self.next, content };
        self.next = *next;
        self.rest = rest;
        self.walked += 1;
        Ok(extension)
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<Extension<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == 0 {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.next = 0;
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::vec::Vec;

    #[test]
    fn a_chain_is_walked_to_the_payload() {
        let bytes = [1, 0x10, 9, 0xc0, 2, 1, 2, 3, 4, 5, 6, 0, 0x45];
        let mut walk = Extensions::new(PDU_SESSION_CONTAINER, &bytes);
        let first = walk.next().unwrap().unwrap();
        assert_eq!((first.kind, first.content, first.len()), (0x85, &[0x10, 9][..], 4));
        let second = walk.next().unwrap().unwrap();
        assert_eq!((second.kind, second.len()), (0xc0, 8));
        assert!(walk.next().is_none());
        assert_eq!(walk.rest(), [0x45]);
    }

    #[test]
    fn length_zero_truncation_and_endless_chains_end_the_walk() {
        let mut zero = Extensions::new(0x85, &[0, 0, 0, 0x85]);
        assert_eq!(zero.claimed(), Some((0x85, 0)));
        assert_eq!(zero.next(), Some(Err(WireError::length(Layer::Gtpu))));
        assert!(zero.next().is_none());
        assert_eq!(zero.claimed(), None);
        let mut cut = Extensions::new(0x85, &[2, 0, 0, 0]);
        assert_eq!(cut.claimed(), Some((0x85, 8)));
        assert_eq!(cut.next(), Some(Err(WireError::truncated(Layer::Gtpu))));
        let endless: Vec<u8> = std::iter::repeat_n([1, 0, 0, 0x20], 99).flatten().collect();
        let walked: Vec<_> = Extensions::new(0x20, &endless).collect();
        assert_eq!(walked.len(), MAX_EXTENSIONS + 1);
        assert_eq!(walked.last(), Some(&Err(WireError::depth(Layer::Gtpu))));
    }

    #[test]
    fn a_container_behind_other_headers_is_found() {
        // scapy reads the PDU Session Container only where it is the first header.
        let bytes = [1, 0x08, 0x68, 0xc0, 1, 0, 7, 0x85, 1, 0x10, 9, 0, 0x45];
        let mut walk = Extensions::new(0x40, &bytes);
        let container = walk.find_map(|step| step.ok().filter(|it| it.kind == 0x85)).unwrap();
        assert_eq!(container.content, [0x10, 9]);
        assert!(walk.next().is_none());
        assert_eq!(walk.rest(), [0x45]);
    }

    #[test]
    fn what_is_written_is_read_and_every_truncation_is_told() {
        let mut seeded = Seeded::new(19);
        for _ in 0..300 {
            let kinds: Vec<u8> = (0..seeded.next() % 6).map(|_| seeded.next() as u8 | 1).collect();
            let (mut bytes, mut written) = (Vec::new(), Vec::new());
            for (index, kind) in kinds.iter().enumerate() {
                let units = 1 + seeded.next() as usize % 5;
                let content: Vec<u8> = (0..units * 4 - 2).map(|_| seeded.next() as u8).collect();
                bytes.push(units as u8);
                bytes.extend(&content);
                bytes.push(kinds.get(index + 1).copied().unwrap_or(0));
                written.push((*kind, content));
            }
            let end = bytes.len();
            bytes.push(0x45);
            let mut walk = Extensions::new(kinds.first().copied().unwrap_or(0), &bytes);
            for (kind, content) in &written {
                let extension = walk.next().unwrap().unwrap();
                assert_eq!((extension.kind, extension.content), (*kind, &content[..]));
                assert_eq!(extension.len(), content.len() + 2);
            }
            assert!(walk.next().is_none());
            assert_eq!(walk.rest(), [0x45]);
            for cut in 0..end {
                let last = Extensions::new(kinds[0], &bytes[..cut]).last();
                assert_eq!(last, Some(Err(WireError::truncated(Layer::Gtpu))), "{cut}");
            }
        }
    }
}
