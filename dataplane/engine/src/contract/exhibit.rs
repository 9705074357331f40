//! Frames for evidence, as records of the evidence ring: a head and the frame's bytes, over as many
//! records as they take.

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::contract::verdict::MAX_BYTES;
use crate::exhibits::LONGEST;

/// The kind of records that begin a frame.
pub const BEGINS: u16 = 1;
/// The kind of records that go on with one.
pub const GOES_ON: u16 = 2;

/// What is known of a frame besides its bytes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    /// Its time.
    pub time: Nanos,
    /// The tap that saw it.
    pub tap: u16,
    /// How its bytes begin: LINKTYPE_.
    pub link_type: u16,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Bytes that are kept.
    pub len: u16,
    /// Why it was kept: an index into [`crate::exhibits::Cause::ALL`].
    pub cause: u8,
}

/// A frame with what is known of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// What is known of it.
    pub head: Head,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The most bytes of a head.
const HEAD_BYTES: usize = 32;

/// Cuts a frame into the payloads of records, each with its kind.
pub fn records<'a>(
    head: &Head,
    bytes: &'a [u8],
    first: &'a mut [u8; MAX_BYTES],
) -> impl Iterator<Item = (u16, &'a [u8])> {
    let written = postcard::to_slice(head, &mut first[..HEAD_BYTES]).map_or(0, |it| it.len());
    let (beside, rest) = bytes.split_at(bytes.len().min(MAX_BYTES - written));
    first[written..written + beside.len()].copy_from_slice(beside);
    let begin = (BEGINS, &first[..written + beside.len()]);
    std::iter::once(begin).chain(rest.chunks(MAX_BYTES).map(|chunk| (GOES_ON, chunk)))
}

/// How many records a frame of so many bytes takes at most.
pub const fn records_of(len: usize) -> u64 {
    (len + HEAD_BYTES).div_ceil(MAX_BYTES) as u64
}

/// Puts frames together from records.
#[derive(Debug, Default)]
pub struct Joiner {
    open: Option<Kept>,
}

impl Joiner {
    /// Takes the next record; gives a frame that it completes. What does not fit together is left
    /// out, and so is what claims to be longer than any frame that a worker keeps.
    pub fn take(&mut self, kind: u16, payload: &[u8]) -> Option<Kept> {
        match kind {
            BEGINS => {
                self.open = None;
                let (head, bytes) = postcard::take_from_bytes::<Head>(payload).ok()?;
                if usize::from(head.len) > LONGEST {
                    return None;
                }
                self.open = Some(Kept { head, bytes: bytes.to_vec() });
            }
            GOES_ON => self.open.as_mut()?.bytes.extend_from_slice(payload),
            _ => self.open = None,
        }
        let open = self.open.take()?;
        let wanted = usize::from(open.head.len);
        if open.bytes.len() < wanted {
            self.open = Some(open);
            return None;
        }
        (open.bytes.len() == wanted).then_some(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: Head = Head {
        time: Nanos::MAX,
        tap: u16::MAX,
        link_type: u16::MAX,
        wire_len: u32::MAX,
        len: 0,
        cause: u8::MAX,
    };

    #[test]
    fn frames_of_every_length_survive_the_records() {
        for len in [0, 1, 60, 900, 959, 960, 965, 966, 992, 1_514, LONGEST] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let head = Head { len: len as u16, ..LARGEST };
            let mut first = [0; MAX_BYTES];
            let records: Vec<_> = records(&head, &bytes, &mut first).collect();
            assert!(records.len() as u64 <= records_of(len), "{len}");
            let mut joiner = Joiner::default();
            let mut joined = Vec::new();
            for (kind, payload) in &records {
                assert!(payload.len() <= MAX_BYTES);
                joined.extend(joiner.take(*kind, payload));
            }
            assert_eq!(joined, [Kept { head, bytes }], "{len}");
        }
    }

    #[test]
    fn a_frame_longer_than_any_that_is_kept_is_refused_and_the_next_is_taken() {
        let mut joiner = Joiner::default();
        for (len, is_taken) in [(LONGEST, true), (LONGEST + 1, false), (65_535, false), (60, true)]
        {
            let (head, bytes) = (Head { len: len as u16, ..LARGEST }, vec![7; len]);
            let mut first = [0; MAX_BYTES];
            let records: Vec<_> = records(&head, &bytes, &mut first).collect();
            let taken = records.iter().filter_map(|(kind, payload)| joiner.take(*kind, payload));
            assert_eq!(taken.count(), usize::from(is_taken), "{len}");
        }
    }

    #[test]
    fn parts_that_do_not_fit_together_make_no_frame() {
        let head = Head { len: 1_500, ..LARGEST };
        let bytes = [7; 1_500];
        let mut first = [0; MAX_BYTES];
        let parts: Vec<_> = records(&head, &bytes, &mut first).collect();
        let mut joiner = Joiner::default();
        // An end without its beginning, two beginnings, an end that is too long.
        assert_eq!(joiner.take(GOES_ON, parts[1].1), None);
        assert_eq!(joiner.take(BEGINS, parts[0].1), None);
        assert_eq!(joiner.take(BEGINS, parts[0].1), None);
        assert_eq!(joiner.take(GOES_ON, &[0; MAX_BYTES]), None);
        assert_eq!(joiner.take(GOES_ON, parts[1].1), None);
        assert_eq!(joiner.take(9, b"noise"), None);
        assert_eq!(joiner.take(BEGINS, b""), None);
        assert_eq!(joiner.take(BEGINS, parts[0].1), None);
        assert!(joiner.take(GOES_ON, parts[1].1).is_some());
    }
}
