//! `account`: the counters of a worker and of its lanes, plain words that are
//! published to shared memory once a burst.

use weir_wire::gtpu::{self, Gtpu};

use crate::contract::words::{LaneWords, RING_FILLS, Reason, WorkerWords};
use crate::decode::pfcp_bundle;
use crate::frame::BURST;
use crate::record::{Flags, Kind, Record, error_index};
use crate::shed::Overload;
use crate::vendor_elements::VendorElements;
use crate::{fragment_trails, reassembly, series};

/// Counters of one lane: what one worker received from one queue of one port.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    words: LaneWords,
}

impl Lane {
    /// Frames came from the source.
    pub fn received(&mut self, frames: u64, bytes: u64) {
        self.words.received_packets += frames;
        self.words.received_bytes += bytes;
    }

    /// Frames were inspected.
    pub fn inspected(&mut self, frames: u64) {
        self.words.inspected_packets += frames;
    }

    /// Frames were not inspected, and why.
    pub fn not_inspected(&mut self, frames: u64, reason: Reason) {
        self.words.not_inspected[reason as usize] += frames;
    }

    /// The counters as they are published.
    pub fn words(&self) -> &LaneWords {
        &self.words
    }
}

/// Counters of one worker.
#[derive(Clone, Debug)]
pub struct Tally {
    words: WorkerWords,
    vendors: VendorElements,
    secret: u64,
}

impl Tally {
    /// Nothing counted yet; the secret decides what a full table keeps.
    pub fn new(secret: u64) -> Self {
        Self { words: WorkerWords::default(), vendors: VendorElements::with_room(), secret }
    }

    /// Counts one decoded frame by what it is.
    #[inline]
    pub fn frame(&mut self, record: &Record, bytes: &[u8]) {
        self.error(record);
        match record.kind {
            Kind::Gtpu => {
                let message = gtpu::Message::from_code(record.message);
                self.words.gtpu_messages[message.counter()] += 1;
            }
            // Counted when it is whole.
            Kind::Pfcp if record.is_fragment() => {}
            Kind::Pfcp => {
                let start = usize::from(record.gtp);
                let datagram = bytes.get(start..start + usize::from(record.payload_len));
                self.pfcp(datagram.unwrap_or_default());
            }
            Kind::Ip if record.flags.has(Flags::WRAPPED) => self.wrapped(record, bytes),
            Kind::Ip | Kind::NotIp => {}
        }
    }

    /// Counts the error that ended a frame's decoding, if one did.
    #[inline]
    pub(crate) fn error(&mut self, record: &Record) {
        if let Some(error) = record.error() {
            self.words.decode_errors[error_index(error)] += 1;
        }
    }

    /// Counts G-PDUs in which nothing else is to be counted.
    #[inline]
    pub(crate) fn g_pdus(&mut self, packets: u64) {
        self.words.gtpu_messages[gtpu::Message::GPdu.counter()] += packets;
    }

    /// Counts a packet that is chosen for proof.
    #[inline]
    pub(crate) fn sampled(&mut self) {
        self.words.sampled += 1;
    }

    /// Counts the GTP-U or PFCP message inside another tunnel.
    #[cold]
    fn wrapped(&mut self, record: &Record, bytes: &[u8]) {
        let datagram = bytes.get(usize::from(record.gtp)..).unwrap_or_default();
        if datagram.first().is_some_and(|first| Gtpu::is_version_1(*first)) {
            let message = gtpu::Message::from_code(record.message);
            self.words.gtpu_messages[message.counter()] += 1;
        } else {
            self.pfcp(datagram);
        }
    }

    /// Takes the counters of the worker's tables of fragments over.
    pub(crate) fn fragments(
        &mut self,
        trails: &fragment_trails::Counters,
        datagrams: &reassembly::Counters,
    ) {
        (self.words.fragments, self.words.reassembly) = series::words(trails, datagrams);
    }

    /// Takes an empty table of vendors' elements in exchange for the one filled so far.
    pub(crate) fn exchange(&mut self, vendors: &mut VendorElements) {
        std::mem::swap(&mut self.vendors, vendors);
    }

    /// Counts the PFCP messages of a datagram, and the vendors' elements in them. What
    /// subscribers send in G-PDUs does not come here: they would fill the table, and
    /// GTP-CPINUP tells of them.
    pub(crate) fn pfcp(&mut self, payload: &[u8]) {
        for message in pfcp_bundle(payload) {
            match message {
                Ok(message) => {
                    self.words.pfcp_messages[message.message().counter()] += 1;
                    let fault = self.vendors.read(&message, self.secret);
                    if let Some(error) = fault.or(message.shortage()) {
                        self.words.decode_errors[error_index(error)] += 1;
                    }
                }
                Err(error) => self.words.decode_errors[error_index(error)] += 1,
            }
        }
    }

    /// Counts a poll that brought `frames` frames and took `busy` of the `total`
    /// nanoseconds since the one before.
    pub fn poll(&mut self, frames: usize, busy: u64, total: u64) {
        self.words.bursts[frames.min(BURST)] += 1;
        self.words.busy_ns += busy;
        self.words.total_ns += total;
    }

    /// Notes which share of users' flows is left out, and how often it came to that.
    pub fn overload(&mut self, overload: &Overload) {
        self.words.shed_share = overload.share().into();
        self.words.overloads = overload.episodes().into();
    }

    /// Counts a poll of rings by how full the fullest was, in 64ths: N4's and users'.
    pub fn rings(&mut self, n4: usize, users: usize) {
        let bucket = |fill: usize| {
            RING_FILLS.iter().position(|bound| fill <= *bound).unwrap_or(RING_FILLS.len() - 1)
        };
        self.words.ring_fills[bucket(n4)] += 1;
        self.words.ring_fills[RING_FILLS.len() + bucket(users)] += 1;
    }

    /// The counters as they are published.
    pub fn words(&self) -> &WorkerWords {
        &self.words
    }
}
