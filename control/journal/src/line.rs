//! One line, and what the journal itself has to say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The end of a chain: the last line's sequence and hash. Before the first line both are 0.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct Head {
    /// Counts from 1.
    pub sequence: u64,
    /// SHA-256, over all that came before.
    pub hash: [u8; 32],
}

impl Head {
    /// The head behind one more line.
    pub(crate) fn after(&self, sequence: u64, payload: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.hash);
        hash.update(sequence.to_be_bytes());
        hash.update(payload);
        Self { sequence, hash: hash.finalize().into() }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.sequence)?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Head> for String {
    fn from(head: Head) -> Self {
        head.to_string()
    }
}

impl TryFrom<String> for Head {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Head {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "a head is SEQUENCE:HASH, the hash in 64 hexadecimal digits";
        let (sequence, hash) = text.split_once(':').ok_or(SHAPE)?;
        Ok(Self {
            sequence: sequence.parse().map_err(|_| SHAPE)?,
            hash: hash_from(hash.as_bytes()).ok_or(SHAPE)?,
        })
    }
}

fn hash_from(digits: &[u8]) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(hash)
}

/// What the journal says in lines of its own.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// A segment begins; the chain before it.
    Segment {
        /// The last line of the segment before.
        after: Head,
    },
    /// Old segments are removed, for their age or for room.
    Removed {
        /// The first line that is removed.
        from: u64,
        /// The last one.
        to: Head,
    },
    /// Lines that were committed are lost: the disk did not keep them.
    Lost {
        /// The last line that is still there.
        after: u64,
        /// How many are lost.
        lines: u64,
    },
}

/// A payload that is the journal's own.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Own {
    journal: Note,
}

impl Note {
    pub(crate) fn payload(self) -> Vec<u8> {
        // Plain numbers and text have nothing to fail on.
        serde_json::to_vec(&Own { journal: self }).unwrap_or_default()
    }

    pub(crate) fn of(payload: &[u8]) -> Option<Self> {
        // Nearly every line is somebody's event, which begins otherwise.
        if !payload.starts_with(b"{\"journal\":") {
            return None;
        }
        serde_json::from_slice::<Own>(payload).ok().map(|own| own.journal)
    }
}

/// A line as it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) head: Head,
    pub(crate) payload: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads a line, without its end; none if it is damaged.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut parts = bytes.splitn(4, |byte| *byte == b' ');
        let mut next = || parts.next();
        let (sequence, crc, hash, payload) = (next()?, next()?, next()?, next()?);
        let sequence: u64 = std::str::from_utf8(sequence).ok()?.parse().ok()?;
        let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
        let head = Head { sequence, hash: hash_from(hash)? };
        (crc == checksum(&head, payload)).then_some(Self { head, payload })
    }

    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        use std::io::Write;
        let Self { head, payload } = self;
        // A vector has nothing to fail on.
        let _ = write!(bytes, "{} {:08x} ", head.sequence, checksum(head, payload));
        head.hash.iter().for_each(|byte| {
            let _ = write!(bytes, "{byte:02x}");
        });
        bytes.push(b' ');
        bytes.extend_from_slice(payload);
        bytes.push(b'\n');
    }
}

fn checksum(head: &Head, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head.sequence.to_be_bytes());
    crc.update(&head.hash);
    crc.update(payload);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_every_changed_octet_shows() {
        let payload = br#"{"event_type":"alert","text":"a b  c"}"#;
        let head = Head::default().after(1, payload);
        let mut bytes = Vec::new();
        Line { head, payload }.write(&mut bytes);
        assert_eq!(bytes.pop(), Some(b'\n'));
        let read = Line::read(&bytes).unwrap();
        assert_eq!((read.head, read.payload), (head, &payload[..]));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let same = Line::read(&changed).is_some_and(|line| line.head == head);
            assert!(!same, "octet {at}");
        }
        (0..bytes.len()).for_each(|end| assert!(Line::read(&bytes[..end]).is_none(), "{end}"));
    }

    #[test]
    fn a_head_is_text_and_back() {
        let head = Head::default().after(7, b"x");
        assert_eq!(head.to_string().parse(), Ok(head));
        for wrong in ["", "7", "7:", "7:ab", "x:00", &format!("7:{}", "g".repeat(64))] {
            assert!(wrong.parse::<Head>().is_err(), "{wrong}");
        }
        assert_ne!(Head::default().after(8, b"x").hash, head.hash);
    }

    #[test]
    fn the_journals_own_lines_are_told_apart_from_events() {
        let note = Note::Lost { after: 3, lines: 4 };
        assert_eq!(Note::of(&note.clone().payload()), Some(note));
        assert_eq!(Note::of(br#"{"event_type":"audit"}"#), None);
        assert_eq!(Note::of(br#"{"journal":{"lost":{"after":1,"lines":2}},"more":1}"#), None);
    }
}
