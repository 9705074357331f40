//! Captures as they are written for evidence: pcapng (draft-ietf-opsawg-pcapng), little-endian, with
//! the alert's text in the section and a comment per frame.

use weir_engine::contract::exhibit::Kept;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Options (§3.5, §4.1, §4.2).
const COMMENT: u16 = 1;
const APPLICATION: u16 = 4;
const NAME: u16 = 2;
const RESOLUTION: u16 = 9;

/// The bytes of a block without a body: its type, and its length before and behind.
const SHORTEST: usize = 12;

/// The longest text of an option.
const LONGEST: usize = 8_000;

/// Begins a file.
pub(super) fn section(text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(BYTE_ORDER.to_le_bytes());
    body.extend([1, 0, 0, 0]);
    // How long the section is stays open: frames may be added.
    body.extend(u64::MAX.to_le_bytes());
    option(&mut body, COMMENT, text.as_bytes());
    option(&mut body, APPLICATION, concat!("weir ", env!("CARGO_PKG_VERSION")).as_bytes());
    block(SECTION, &mut body)
}

/// Adds an interface: a tap, and how its frames begin.
pub(super) fn interface(tap: &str, link_type: u16) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(link_type.to_le_bytes());
    body.extend([0; 2]);
    // No limit: what is cut is cut for a reason of its own, frame by frame.
    body.extend(0_u32.to_le_bytes());
    option(&mut body, NAME, tap.as_bytes());
    // Nanoseconds.
    option(&mut body, RESOLUTION, &[9]);
    block(INTERFACE, &mut body)
}

/// Adds a frame of the interface of that number.
pub(super) fn packet(interface: u32, frame: &Kept, comment: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let time = frame.head.time.0;
    let words = [
        interface,
        (time >> 32) as u32,
        time as u32,
        frame.bytes.len() as u32,
        frame.head.wire_len,
    ];
    words.iter().for_each(|word| body.extend(word.to_le_bytes()));
    body.extend(&frame.bytes);
    pad(&mut body);
    option(&mut body, COMMENT, comment.as_bytes());
    block(PACKET, &mut body)
}

/// Where the whole blocks of a file end.
pub(super) fn ends(file: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let length = file.get(at..)?.get(4..8)?.first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        at += length;
        (length >= SHORTEST && at <= file.len()).then_some(at)
    })
}

/// An option; a text that is too long is cut where a character ends.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let cut = (0..=value.len().min(LONGEST))
        .rev()
        .find(|end| value.get(*end).is_none_or(|next| next & 0xc0 != 0x80));
    let value = value.get(..cut.unwrap_or(0)).unwrap_or_default();
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// A block of that type around a body that ends in options.
fn block(kind: u32, body: &mut Vec<u8>) -> Vec<u8> {
    // The end of the options.
    body.extend([0; 4]);
    let length = (body.len() as u32 + 12).to_le_bytes();
    let mut block = kind.to_le_bytes().to_vec();
    block.extend(length);
    block.append(body);
    block.extend(length);
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::Nanos;
    use weir_engine::contract::exhibit::Head;

    #[test]
    fn what_is_written_is_read_again_by_the_reader_of_captures() {
        let frame = |time, len: usize| Kept {
            head: Head {
                time: Nanos(time),
                tap: 0,
                link_type: 1,
                wire_len: 1_400,
                len: len as u16,
                cause: 0,
            },
            bytes: vec![len as u8; len],
        };
        let frames = [frame(1_700_000_000_123_456_789, 61), frame(1_700_000_001_000_000_000, 64)];
        let mut file = section("GTP-ORPHAN: ü");
        file.extend(interface("n3", 1));
        for one in &frames {
            file.extend(packet(0, one, "the first"));
        }
        let read: Vec<_> = weir_capture::Reader::open(&file)
            .unwrap()
            .map(|packet| packet.unwrap())
            .map(|packet| (packet.time.0, packet.bytes.to_vec(), packet.wire_len))
            .collect();
        let expected: Vec<_> =
            frames.iter().map(|one| (one.head.time.0, one.bytes.clone(), 1_400)).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_long_comment_is_cut_between_characters() {
        let mut body = Vec::new();
        option(&mut body, COMMENT, "ä".repeat(5_000).as_bytes());
        let length = usize::from(u16::from_le_bytes([body[2], body[3]]));
        assert_eq!(length, LONGEST);
        assert!(std::str::from_utf8(&body[4..4 + length]).is_ok());
        let mut body = Vec::new();
        option(&mut body, COMMENT, ["x", &"ä".repeat(5_000)].concat().as_bytes());
        assert_eq!(u16::from_le_bytes([body[2], body[3]]), LONGEST as u16 - 1);
    }
}
