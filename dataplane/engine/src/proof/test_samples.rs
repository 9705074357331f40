//! A user's packet that was chosen, for tests.

use weir_wire::Address;

use super::{Carrier, Digests, Sample};
use crate::Nanos;
use crate::rules::Link;

/// One in a tunnel from the address 1, on the first tap.
pub(crate) fn sample(time: Nanos, digests: Digests, to: u128) -> Sample {
    Sample {
        time,
        digests,
        from: Address(1),
        to: Address(to),
        protocol: 17,
        port: 2152,
        teid: 1,
        tap: 0,
        link: Link::N3,
        carrier: Carrier::GPdu,
        user: (Address(3), Address(4)),
        ports: (1, 2),
        kind: 17,
        source_port: 2152,
        is_fragment: false,
        is_report: false,
        is_echo_reply: false,
        bytes: 100,
        wire_len: 150,
    }
}
