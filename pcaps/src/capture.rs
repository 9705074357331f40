//! Writing a capture: pcap or pcapng, little-endian, in the scenario's link type.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::stage::Packet;

const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const SNAP_LENGTH: u32 = 65_535;
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// `if_tsresol`: time stamps count 10⁻⁹ s.
const NANOSECONDS: [u8; 8] = [9, 0, 1, 0, 9, 0, 0, 0];
const END_OF_OPTIONS: [u8; 4] = [0; 4];

const MACS: usize = 12;
const ETHERNET: usize = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ARPHRD_ETHER: u16 = 1;
/// The interface in the cooked headers that name one.
const INDEX: u32 = 2;

/// The format of a capture file.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// The classic one, in microseconds.
    #[default]
    Pcap,
    /// One section and one interface, in nanoseconds.
    Pcapng,
}

impl Format {
    /// What a file of this format is called after the dot.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
        }
    }
}

/// What a frame begins with.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LinkType {
    /// Ethernet.
    #[default]
    En10mb,
    /// The IP header itself.
    Raw,
    /// Linux cooked capture.
    Sll,
    /// Linux cooked capture, version 2.
    Sll2,
    /// BSD loopback: the address family in the byte order of the host that captured.
    Null,
}

impl LinkType {
    fn code(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::En10mb => 1,
            Self::Raw => 101,
            Self::Sll => 113,
            Self::Sll2 => 276,
        }
    }

    /// An Ethernet frame as this link type has it; `None` if only IP goes there and it is none.
    /// What the Ethernet frame was padded with stays, as it does in real captures.
    pub(crate) fn dress(self, frame: Vec<u8>) -> Option<Vec<u8>> {
        let ethertype = [frame[MACS], frame[MACS + 1]];
        let ip = match u16::from_be_bytes(ethertype) {
            IPV4 => Some(2u32),
            IPV6 => Some(30),
            _ => None,
        };
        let (source, payload) = (&frame[6..MACS], &frame[ETHERNET..]);
        // To us, to everyone, to a group.
        let kind = if frame.starts_with(&[0xff; 6]) { 1 } else { (frame[0] & 1) * 2 };
        match self {
            Self::En10mb => Some(frame),
            Self::Raw => ip.map(|_| payload.to_vec()),
            Self::Null => ip.map(|family| [&family.to_le_bytes(), payload].concat()),
            Self::Sll => {
                let mut bytes = vec![0, kind];
                bytes.extend(ARPHRD_ETHER.to_be_bytes());
                bytes.extend([0, 6]);
                bytes.extend_from_slice(source);
                bytes.extend([0, 0]);
                bytes.extend(ethertype);
                bytes.extend_from_slice(payload);
                Some(bytes)
            }
            Self::Sll2 => {
                let mut bytes = ethertype.to_vec();
                bytes.extend([0, 0]);
                bytes.extend(INDEX.to_be_bytes());
                bytes.extend(ARPHRD_ETHER.to_be_bytes());
                bytes.extend([kind, 6]);
                bytes.extend_from_slice(source);
                bytes.extend([0, 0]);
                bytes.extend_from_slice(payload);
                Some(bytes)
            }
        }
    }
}

/// A capture file under way.
pub(crate) struct Capture {
    path: PathBuf,
    file: BufWriter<File>,
    format: Format,
    snap_length: u32,
}

impl Capture {
    pub(crate) fn create(
        path: &Path,
        format: Format,
        link: LinkType,
        snap_bytes: Option<u32>,
    ) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 16, File::create(path)?);
        let snap_length = snap_bytes.unwrap_or(SNAP_LENGTH);
        let mut capture = Self { path: path.into(), file, format, snap_length };
        match format {
            Format::Pcap => capture.pcap_header(link)?,
            Format::Pcapng => {
                let length_unknown = u64::MAX.to_le_bytes();
                let section = [&BYTE_ORDER.to_le_bytes()[..], &[1, 0, 0, 0], &length_unknown];
                capture.block(SECTION_HEADER, &section.concat())?;
                let linktype = u32::from(link.code()).to_le_bytes();
                let snap = capture.snap_length.to_le_bytes();
                let interface = [&linktype[..], &snap, &NANOSECONDS, &END_OF_OPTIONS];
                capture.block(INTERFACE, &interface.concat())?;
            }
        }
        Ok(capture)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&mut self, packet: &Packet) -> io::Result<()> {
        let length = packet.frame.len() as u32;
        let kept = length.min(self.snap_length);
        let frame = &packet.frame[..kept as usize];
        match self.format {
            Format::Pcap => {
                let micros = packet.time_ns / 1_000;
                let time = [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32];
                self.words(&[time[0], time[1], kept, length])?;
                self.file.write_all(frame)
            }
            Format::Pcapng => {
                let time = [(packet.time_ns >> 32) as u32, packet.time_ns as u32];
                let words = [0, time[0], time[1], kept, length];
                let mut body: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
                body.extend_from_slice(frame);
                body.resize(body.len().next_multiple_of(4), 0);
                self.block(ENHANCED_PACKET, &body)
            }
        }
    }

    /// Everything is in the file when this returns without error.
    pub(crate) fn finish(mut self) -> io::Result<PathBuf> {
        self.file.flush()?;
        Ok(self.path)
    }

    fn pcap_header(&mut self, link: LinkType) -> io::Result<()> {
        self.file.write_all(&MAGIC_MICROSECONDS.to_le_bytes())?;
        for half in [2u16, 4] {
            self.file.write_all(&half.to_le_bytes())?;
        }
        // Time zone and accuracy of the time stamps are 0 by convention.
        self.words(&[0, 0, self.snap_length, link.code().into()])
    }

    /// A block of pcapng; the body is a multiple of four octets.
    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = body.len() as u32 + 12;
        self.words(&[kind, length])?;
        self.file.write_all(body)?;
        self.words(&[length])
    }

    fn words(&mut self, words: &[u32]) -> io::Result<()> {
        words.iter().try_for_each(|word| self.file.write_all(&word.to_le_bytes()))
    }
}
