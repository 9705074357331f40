//! An MPLS label stack entry (RFC 3032 §2.1).
//!
//! What follows the bottom of a stack is not named by it: the walk guesses by
//! the first nibble, as routers do (RFC 4928 §3).

use crate::{Layer, WireError};

/// EtherType of a unicast label stack.
pub const UNICAST: u16 = 0x8847;
/// EtherType of a label stack with an upstream-assigned or multicast label (RFC 5332).
pub const MULTICAST: u16 = 0x8848;

/// The deepest label stack that is walked.
pub const MAX_LABELS: usize = 16;

/// One entry of a label stack.
#[derive(Clone, Copy, Debug)]
pub struct Label<'a> {
    fixed: &'a [u8; 4],
    rest: &'a [u8],
}

impl<'a> Label<'a> {
    /// Bytes of an entry.
    pub const LEN: usize = 4;

    /// Reads one entry.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(Layer::Mpls))?;
        Ok(Self { fixed, rest })
    }

    /// The label, 20 bits.
    pub const fn label(&self) -> u32 {
        u32::from_be_bytes([0, self.fixed[0], self.fixed[1], self.fixed[2]]) >> 4
    }

    /// Whether this is the last entry of the stack.
    pub const fn is_bottom(&self) -> bool {
        self.fixed[2] & 0x01 != 0
    }

    /// What follows: the next entry, or the labelled packet after the bottom.
    pub const fn payload(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    #[test]
    fn what_is_written_is_read() {
        let mut seeded = Seeded::new(1);
        for _ in 0..500 {
            let (label, bottom) = (seeded.next() as u32 & 0x000f_ffff, seeded.next() & 1 == 1);
            let (class, ttl) = (seeded.next() as u32 & 7, seeded.next() as u8);
            let word = label << 12 | class << 9 | u32::from(bottom) << 8 | u32::from(ttl);
            let [a, b, c, d] = word.to_be_bytes();
            let bytes = [a, b, c, d, 0x45];
            let entry = Label::parse(&bytes).unwrap();
            assert_eq!((entry.label(), entry.is_bottom()), (label, bottom));
            assert_eq!(entry.payload(), [0x45]);
        }
    }

    #[test]
    fn a_stack_of_two_leads_to_the_packet() {
        // Label 16001 (an SR prefix label), then 24005 with the bottom bit.
        let bytes = [0x03, 0xe8, 0x10, 0xfe, 0x05, 0xdc, 0x51, 0xff, 0x60];
        let outer = Label::parse(&bytes).unwrap();
        assert_eq!((outer.label(), outer.is_bottom()), (16001, false));
        let inner = Label::parse(outer.payload()).unwrap();
        assert_eq!((inner.label(), inner.is_bottom()), (24005, true));
        assert_eq!(inner.payload(), [0x60]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        for end in 0..Label::LEN {
            assert_eq!(
                Label::parse(&[0; 4][..end]).unwrap_err(),
                WireError::truncated(Layer::Mpls)
            );
        }
    }
}
