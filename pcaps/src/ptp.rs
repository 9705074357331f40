//! PTP's Announce (IEEE 1588-2019 §13.5) with elements behind it.

/// The port of messages whose time does not matter.
pub(crate) const GENERAL_PORT: u16 = 320;
/// PTP without IP.
pub(crate) const ETHERTYPE: u16 = 0x88f7;
/// An element that an organisation fills as it likes (ORGANIZATION_EXTENSION).
pub(crate) const ORGANISATION: u16 = 0x0003;
/// The clocks that an Announce came by (PATH_TRACE).
pub(crate) const PATH_TRACE: u16 = 0x0008;

const ANNOUNCE: u8 = 0xb;
const OCTETS: u16 = 64;

/// An Announce of the telecom profile with one element, whose octets are even in number.
pub(crate) fn announce(clock: [u8; 8], sequence: u16, (kind, value): (u16, &[u8])) -> Vec<u8> {
    let mut message = vec![ANNOUNCE, 2];
    message.extend((OCTETS + 4 + value.len() as u16).to_be_bytes());
    message.extend([24, 0, 0, 0x08]);
    message.extend([0; 12]);
    message.extend(clock);
    message.extend([0, 1]);
    message.extend(sequence.to_be_bytes());
    message.extend([5, 0]);
    // Origin time stamp, UTC offset, reserved, priority, clock quality, second priority.
    message.extend([0; 10]);
    message.extend([0, 37, 0, 128, 6, 0x21, 0x4e, 0x5d, 128]);
    message.extend(clock);
    message.extend([0, 0, 0x20]);
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    message
}
