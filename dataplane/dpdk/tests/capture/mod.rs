//! A small classic pcap file in a temporary folder.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

/// Frames and their times, microseconds since the epoch, as a file.
pub(crate) struct Capture {
    bytes: Vec<u8>,
    folder: TempDir,
}

impl Capture {
    pub(crate) fn new() -> Self {
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
            bytes.extend(word.to_le_bytes());
        }
        Self { bytes, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn push(&mut self, microseconds: u64, frame: &[u8]) {
        let len = frame.len() as u32;
        let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
        for word in [seconds as u32, rest as u32, len, len] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(frame);
    }

    /// Leaves off the end.
    #[allow(dead_code, reason = "one of the tests that share this file damages its capture")]
    pub(crate) fn cut(&mut self, bytes: usize) {
        self.bytes.truncate(self.bytes.len() - bytes);
    }

    pub(crate) fn write(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, &self.bytes).unwrap();
        path
    }
}
