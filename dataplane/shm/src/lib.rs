//! The memory that sensor and control share, and the socket by which it is handed over.
//!
//! This crate is a transport. It knows blocks of `u64` words ([`BlockWriter`]) and rings of
//! opaque records ([`RingWriter`]); what the words and records mean is the business of whoever names the
//! `schema` in the [`Shape`], whose hash both sides must agree on.
//!
//! The sensor makes a [`Segment`] of two memfds and sends their descriptors over a
//! [`channel`]; control opens them as an [`Attachment`]. *Data* can be written by the
//! sensor's own mapping and by nothing else; the *cursor* page is the only memory that control
//! can write, and the sensor believes nothing in it that could hurt.
//!
//! # What is consistent, and what is not
//!
//! One snapshot of one block is consistent in itself: all its words come from the same
//! `publish`. Two blocks, or one block read twice, are not consistent with each other, nor is a
//! block with the event ring: a counter may already include a packet whose record is not yet
//! in the ring, and the other way round. A record is whole or not there: it becomes visible
//! only when all of it is written, and a reader that the writer has overtaken is told so
//! instead of being given a mixture. The records of a ring are in order and numbered without a
//! gap from 0, since only written records are counted; what was dropped shows as a step of
//! `lost_before` and in the lost counters, each of which is exact and never falls, while a
//! reader may see the counters a moment before or after the record that follows the loss.
//! Heartbeats and the state word are single words, each true by itself. After `kill -9` of
//! the sensor the records up to the head stay whole, and a block that was being published
//! stays torn for ever. All of this holds against control unconditionally; it holds for
//! control only as far as the sensor keeps to the protocol, so control checks every value that
//! it uses as a length or an index, and a sensor gone wrong can give it wrong numbers but no
//! undefined behaviour.

// Loom explores the protocols alone; what maps and describes real memory is unused there.
#![cfg_attr(loom, allow(dead_code))]

#[cfg(not(loom))]
mod ancillary;
#[cfg(not(loom))]
mod attachment;
mod block;
#[cfg(not(loom))]
pub mod channel;
mod cursor;
mod header;
mod histogram;
#[cfg(not(loom))]
mod memfd;
mod ring;
#[cfg(not(loom))]
mod segment;
mod words;

#[cfg(not(loom))]
pub use attachment::{AttachError, Attachment, Records};
pub use block::{BlockWriter, Torn};
pub use header::{BootId, Position, Shape, ShapeError};
pub use histogram::Histogram;
pub use ring::{Loss, Lost, PAYLOAD_BYTES, Record, RecordError, RingWriter};
#[cfg(not(loom))]
pub use segment::{Handover, Segment, SegmentError, Status};
