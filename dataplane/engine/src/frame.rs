//! What a source hands to the engine.

use crate::Nanos;

/// The index of a tap in the sensor's configuration.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct TapId(pub u16);

/// What the source knows about a frame besides its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RxMeta {
    /// When the frame was seen.
    pub time: Nanos,
    /// Bytes on the wire; the capture may hold fewer.
    pub wire_len: u32,
    /// The tap that it came from.
    pub tap: TapId,
    /// A VLAN tag that the driver took off the frame.
    pub stripped_vlan: Option<u16>,
}

/// A frame: Ethernet bytes, contiguous, and their metadata.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The bytes from the Ethernet header on.
    pub bytes: &'a [u8],
    /// What the source knows about them.
    pub meta: RxMeta,
}

/// The most frames in one burst.
pub const BURST: usize = 64;
