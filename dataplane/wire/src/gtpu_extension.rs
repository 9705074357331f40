//! GTP-U extension headers (TS 29.281 §5.2) and the PDU Session Container
//! (TS 38.415 §5.5).
//!
//! A header is: length in 4-byte units, content, type of the next header.
//! Length 0 is an error, and the chain is bounded.

use crate::{Layer, WireError};

/// Type of the PDU Session Container.
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

/// The PDU Session Container's first two octets; the optional fields behind
/// them follow in a later step.
#[derive(Clone, Copy, Debug)]
pub struct PduSession<'a> {
    fixed: &'a [u8; 2],
    rest: &'a [u8],
}

impl<'a> PduSession<'a> {
    /// Reads the content of an extension header of type [`PDU_SESSION_CONTAINER`].
    #[inline]
    pub fn parse(content: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = content.split_first_chunk().ok_or(WireError::truncated(Layer::Gtpu))?;
        Ok(Self { fixed, rest })
    }

    /// The PDU type: 0 downlink (UPF to RAN), 1 uplink, others reserved.
    #[inline]
    pub const fn pdu_type(&self) -> u8 {
        self.fixed[0] >> 4
    }

    /// QMP: QoS monitoring information follows.
    pub const fn qmp(&self) -> bool {
        self.fixed[0] & 0x08 != 0
    }

    /// SNP: a QFI sequence number follows (downlink: bit 3; uplink: bit 1).
    pub const fn snp(&self) -> bool {
        match self.pdu_type() {
            0 => self.fixed[0] & 0x04 != 0,
            1 => self.fixed[0] & 0x01 != 0,
            _ => false,
        }
    }

    /// PPP of a downlink PDU: a paging policy indicator follows.
    pub const fn ppp(&self) -> bool {
        self.pdu_type() == 0 && self.fixed[1] & 0x80 != 0
    }

    /// RQI of a downlink PDU: reflective QoS.
    pub const fn rqi(&self) -> bool {
        self.pdu_type() == 0 && self.fixed[1] & 0x40 != 0
    }

    /// The QoS flow identifier, 6 bits.
    #[inline]
    pub const fn qfi(&self) -> u8 {
        self.fixed[1] & 0x3f
    }

    /// The paging policy indicator, 3 bits, if [`PduSession::ppp`] and it is there.
    pub const fn ppi(&self) -> Option<u8> {
        match self.rest {
            [first, ..] if self.ppp() => Some(*first >> 5),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
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
        assert_eq!(zero.next(), Some(Err(WireError::length(Layer::Gtpu))));
        assert!(zero.next().is_none());
        let mut cut = Extensions::new(0x85, &[2, 0, 0, 0]);
        assert_eq!(cut.next(), Some(Err(WireError::truncated(Layer::Gtpu))));
        let endless: Vec<u8> = std::iter::repeat_n([1, 0, 0, 0x20], 99).flatten().collect();
        let walked: Vec<_> = Extensions::new(0x20, &endless).collect();
        assert_eq!(walked.len(), MAX_EXTENSIONS + 1);
        assert_eq!(walked.last(), Some(&Err(WireError::depth(Layer::Gtpu))));
    }

    #[test]
    fn the_container_tells_direction_and_flow() {
        let down = PduSession::parse(&[0x00, 0xc9, 0x60]).unwrap();
        assert_eq!((down.pdu_type(), down.qfi(), down.rqi(), down.ppi()), (0, 9, true, Some(3)));
        let up = PduSession::parse(&[0x10, 0xc9]).unwrap();
        assert_eq!((up.pdu_type(), up.qfi(), up.rqi(), up.ppi()), (1, 9, false, None));
        assert!(PduSession::parse(&[0x10]).is_err());
    }
}
