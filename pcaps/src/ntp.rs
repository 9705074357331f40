//! NTP packets (RFC 5905 §7.3) and NTP's control messages (RFC 9327 §2).

use crate::stage::{Micros, SECOND};

/// The port of NTP.
pub(crate) const PORT: u16 = 123;

/// NTP's era of this century begins 2 208 988 800 s before Unix's.
const OFFSET_SECONDS: u64 = 2_208_988_800;
/// Octets of a packet without extensions and authentication.
pub(crate) const OCTETS: usize = 48;

/// A moment of a scenario that began then, as NTP writes it.
fn stamp(start: jiff::Timestamp, at: Micros) -> [u8; 8] {
    let start = u64::try_from(start.as_second()).unwrap_or(0) + OFFSET_SECONDS;
    let seconds = (start + at / SECOND) << 32;
    (seconds | (((at % SECOND) << 32) / SECOND)).to_be_bytes()
}

/// What a client asks.
pub(crate) fn question(start: jiff::Timestamp, now: Micros) -> [u8; OCTETS] {
    let mut request = [0; OCTETS];
    request[..4].copy_from_slice(&[0x23, 0, 6, 0xec]);
    request[40..].copy_from_slice(&stamp(start, now));
    request
}

/// What a server answers.
pub(crate) fn answer(start: jiff::Timestamp, now: Micros) -> [u8; OCTETS] {
    let mut response = [0; OCTETS];
    response[..4].copy_from_slice(&[0x24, 2, 6, 0xe9]);
    response[12..16].copy_from_slice(&[10, 0, 0, 123]);
    response[16..24].copy_from_slice(&stamp(start, now.saturating_sub(17 * SECOND)));
    response[24..32].copy_from_slice(&stamp(start, now));
    response[32..40].copy_from_slice(&stamp(start, now + 400));
    response[40..].copy_from_slice(&stamp(start, now + 420));
    response
}

/// A control message of mode 6: "read variables" and its answer, with data padded to whole words.
pub(crate) fn control(is_answer: bool, sequence: u16, data: &[u8]) -> Vec<u8> {
    let operation = if is_answer { 0x82 } else { 0x02 };
    let mut message = vec![0x26, operation];
    for word in [sequence, 0, 0, 0, data.len() as u16] {
        message.extend(word.to_be_bytes());
    }
    message.extend_from_slice(data);
    message.resize(message.len().next_multiple_of(4), 0);
    message
}
