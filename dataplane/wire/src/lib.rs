//! Zero-copy views of the headers of the 5G user plane.
//!
//! One protocol a file. A view is built from a byte slice by `parse`, which
//! checks every length once; after that its accessors can't fail. Nothing here
//! allocates, and no input makes it panic.
#![no_std]
#![forbid(unsafe_code)]

pub mod address;
pub mod ah;
pub mod error;
pub mod erspan;
pub mod esp;
pub mod ethernet;
pub mod foreign;
pub mod gre;
pub mod gtpc;
pub mod gtpu;
pub mod gtpu_element;
pub mod gtpu_extension;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod mpls;
pub mod null;
pub mod pdu_session;
pub mod pfcp;
pub mod pfcp_ie;
pub mod pfcp_walk;
pub mod pppoe;
pub mod ptp;
pub mod sctp;
pub mod sll;
pub mod sll2;
pub mod tcp;
pub mod udp;
pub mod vxlan;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod seeded;

pub use address::Address;
pub use error::{ErrorKind, Layer, WireError};

/// Where a datagram stands in a fragmented series (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fragment {
    /// Not fragmented.
    #[default]
    None,
    /// The fragment with offset 0; transport headers are at its start.
    First,
    /// A fragment with an offset: no transport header in it.
    Later,
}
