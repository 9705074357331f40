//! `weir decode`: one JSON object per frame of a capture.

mod datagram;
mod ends;
mod gtpu;
mod line;
mod path;
mod pfcp;

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use weir_capture::{Damage, LinkType, Reader};
use weir_engine::decode::Ports;
use weir_mem::FileMap;

use crate::failure::Failure;
use crate::output::written;
use line::Lines;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A pcap or pcapng capture
    file: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let file = FileMap::open(&options.file).map_err(|why| unreadable(&options.file, &why))?;
    let mut out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
    let outcome = decode(&file, &mut out);
    match outcome.and_then(|end| out.flush().map(|()| end)) {
        Ok(end) => end.judge(&options.file),
        Err(why) => written(Err(why)),
    }
}

/// The refusal of a capture that can't be opened.
pub(crate) fn unreadable(path: &Path, why: &io::Error) -> Failure {
    Failure::usage(format!(
        "can't read the capture: {why}; {}; give the path of a readable pcap or pcapng file",
        path.display()
    ))
}

/// What a capture turned out to be, once its frames are printed.
struct End {
    damage: Option<Damage>,
    undecoded: BTreeSet<u16>,
}

impl End {
    fn judge(&self, file: &Path) -> Result<(), Failure> {
        for link_type in &self.undecoded {
            eprintln!(
                "error: link type {link_type} is not decoded in this version; {}; capture on an \
                 Ethernet interface",
                file.display()
            );
        }
        if let Some(Damage { offset, what }) = self.damage {
            return Err(Failure::work(format!(
                "damaged capture: {what}; {}, byte offset {offset}; the frames before it are \
                 decoded, capture the rest again",
                file.display()
            )));
        }
        if self.undecoded.is_empty() { Ok(()) } else { Err(Failure::Said(1)) }
    }
}

/// Prints the frames of a capture up to its end or its damage.
fn decode(file: &[u8], out: &mut impl Write) -> io::Result<End> {
    let mut end = End { damage: None, undecoded: BTreeSet::new() };
    let reader = match Reader::open(file) {
        Ok(reader) => reader,
        Err(damage) => {
            end.damage = Some(damage);
            return Ok(end);
        }
    };
    let mut lines = Lines::new(Ports::default());
    for packet in reader {
        let packet = match packet {
            Ok(packet) => packet,
            Err(damage) => {
                end.damage = Some(damage);
                break;
            }
        };
        if let LinkType::Other(code) = packet.link_type {
            end.undecoded.insert(code);
        }
        lines.write(&packet, out)?;
    }
    Ok(end)
}

#[cfg(test)]
mod tests;
