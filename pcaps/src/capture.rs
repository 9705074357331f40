//! Writing a capture: the classic pcap format, little-endian, microseconds, Ethernet.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::stage::Packet;

const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const SNAP_LENGTH: u32 = 65_535;
const EN10MB: u32 = 1;

/// A capture file under way.
pub(crate) struct Capture {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Capture {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 16, File::create(path)?);
        file.write_all(&MAGIC_MICROSECONDS.to_le_bytes())?;
        for half in [2u16, 4] {
            file.write_all(&half.to_le_bytes())?;
        }
        // Time zone and accuracy of the time stamps are 0 by convention.
        for word in [0, 0, SNAP_LENGTH, EN10MB] {
            file.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { path: path.into(), file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&mut self, packet: &Packet) -> io::Result<()> {
        let micros = packet.time_ns / 1_000;
        let length = packet.frame.len() as u32;
        let mut header = [0; 16];
        let words = [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, length, length];
        for (place, word) in header.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.file.write_all(&header)?;
        self.file.write_all(&packet.frame)
    }

    /// Everything is in the file when this returns without error.
    pub(crate) fn finish(mut self) -> io::Result<PathBuf> {
        self.file.flush()?;
        Ok(self.path)
    }
}
