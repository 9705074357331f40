//! `weir decode`: one JSON object per frame of a capture.

mod datagram;
mod ends;
mod gtpu;
mod json;
mod line;
mod path;
mod pfcp;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use weir_capture::{Damage, LinkType, OpenError, Packet, Reader, Source, Stream};
use weir_capture::{is_standard_input, open};
use weir_engine::decode::Ports;

use crate::failure::Failure;
use crate::output::written;
use line::Lines;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A pcap or pcapng capture, plain or packed with gzip or zstd; - for standard input
    file: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let source = open(&options.file).map_err(|why| unreadable(&options.file, &why))?;
    match decode(source, &mut io::stdout().lock()) {
        Ok(end) => end.judge(&options.file),
        Err(why) => written(Err(why)),
    }
}

/// The refusal of a capture that can't be opened.
pub(crate) fn unreadable(path: &Path, why: &io::Error) -> Failure {
    Failure::usage(format!(
        "can't read the capture: {why}; {}; give the path of a readable pcap or pcapng file, or - for \
         standard input",
        name(path)
    ))
}

/// A capture's name for people.
fn name(path: &Path) -> impl std::fmt::Display {
    if is_standard_input(path) { Path::new("standard input").display() } else { path.display() }
}

/// What a capture turned out to be, once its frames are printed.
#[derive(Default)]
pub(crate) struct End {
    pub(crate) trouble: Option<OpenError>,
    pub(crate) undecoded: BTreeSet<u16>,
}

impl End {
    pub(crate) fn judge(&self, file: &Path) -> Result<(), Failure> {
        let file = name(file);
        for link_type in &self.undecoded {
            eprintln!(
                "error: link type {link_type} is not decoded in this version; {file}; capture on an \
                 Ethernet interface"
            );
        }
        match &self.trouble {
            Some(OpenError::Damaged(damage)) => Err(Failure::work(format!(
                "damaged capture: {}; {file}, {}; the frames before it are decoded, capture the \
                 rest again",
                damage.what,
                damage.place()
            ))),
            Some(error) => Err(Failure::work(format!(
                "{error}; {file}; give a pcap or pcapng file, plain or packed with gzip or zstd"
            ))),
            None if self.undecoded.is_empty() => Ok(()),
            None => Err(Failure::Said(1)),
        }
    }
}

/// Prints the frames of a capture up to its end or its damage.
fn decode(source: Source, out: &mut impl Write) -> io::Result<End> {
    let mut printer = Printer {
        lines: Lines::new(Ports::default()),
        end: End::default(),
        page: Vec::with_capacity(2 * PAGE),
        out,
    };
    match source {
        Source::Mapped(map) => match Reader::open(&map) {
            Ok(mut packets) => while printer.print(packets.next())? {},
            Err(error) => printer.end.trouble = Some(error),
        },
        Source::Stream(input) => match Stream::open(input) {
            Ok(packets) => printer.follow(packets)?,
            Err(error) => printer.end.trouble = Some(error),
        },
    }
    printer.flush()?;
    Ok(printer.end)
}

/// Bytes of lines that are written at a time.
const PAGE: usize = 256 << 10;

struct Printer<'o, W> {
    lines: Lines,
    end: End,
    /// Whole lines that are not written yet.
    page: Vec<u8>,
    out: &'o mut W,
}

impl<W: Write> Printer<'_, W> {
    /// Prints what comes, as soon as it has come.
    fn follow(&mut self, mut packets: Stream) -> io::Result<()> {
        loop {
            let arrived = packets.arrived();
            let goes_on = if arrived.is_some() {
                self.print(arrived)?
            } else {
                self.flush()?;
                self.print(packets.next())?
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.page)?;
        self.page.clear();
        self.out.flush()
    }

    /// Prints a packet's line; false after the last one.
    fn print(&mut self, packet: Option<Result<Packet<'_>, Damage>>) -> io::Result<bool> {
        match packet {
            Some(Ok(packet)) => {
                if let LinkType::Other(code) = packet.link_type {
                    self.end.undecoded.insert(code);
                }
                self.lines.write(&packet, &mut self.page);
                if self.page.len() >= PAGE {
                    self.flush()?;
                }
                return Ok(true);
            }
            Some(Err(damage)) => self.end.trouble = Some(damage.into()),
            None => {}
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
