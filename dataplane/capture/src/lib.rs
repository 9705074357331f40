//! Capture files, read from hostile bytes.
//!
//! The formats ([`pcap`], [`pcapng`]) know only a window of bytes and what to
//! do with its beginning. [`Reader`] moves that window over bytes that are all
//! there, [`Stream`] over bytes that come in order: a pipe, or a file that is
//! decompressed. A damaged capture gives the packets before the damage, then
//! the damage with its offset. Every length is checked against the bytes that
//! are there.
#![forbid(unsafe_code)]

mod foreign;
mod format;
mod packing;
mod pcap;
mod pcapng;
mod reader;
mod source;
mod stream;

use std::borrow::Cow;
use std::fmt;

use weir_engine::Nanos;
pub use weir_engine::frame::LinkType;

pub use packing::{Packing, unpack};
pub use reader::Reader;
pub use source::{Source, is_standard_input, open};
pub use stream::{Stream, describe};

/// A packet of a capture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// Where they stand in the capture, once it is decompressed.
    pub offset: usize,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// When it was captured.
    pub time: Nanos,
    /// How its bytes begin.
    pub link_type: LinkType,
}

/// The place at which a capture can't be read on, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("damaged at {}: {what}", self.place())]
pub struct Damage {
    /// The offset of the record or block that is wrong, in the decompressed capture.
    pub offset: usize,
    /// What is wrong with it.
    pub what: Cow<'static, str>,
    /// How the capture was compressed.
    pub packing: Option<Packing>,
}

impl Damage {
    /// The offset in words, which say of what it is one.
    pub fn place(&self) -> impl fmt::Display {
        let whole = if self.packing.is_some() { " of the decompressed capture" } else { "" };
        format!("byte offset {}{whole}", self.offset)
    }
}

/// Why a capture gives no packet at all.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// It is none; what it seems to be instead.
    #[error("not a capture: it {0}")]
    Foreign(Cow<'static, str>),
    /// It is one, and ends or breaks before its first packet.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// The longest packet that is believed; what claims more is damage.
const LONGEST: usize = 256 << 10;
