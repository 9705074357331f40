//! Compressed captures: recognised by their content, never by their names.

use std::fmt;
use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// How a capture is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packing {
    /// gzip, of one member or several.
    Gzip,
    /// Zstandard, of one frame or several.
    Zstd,
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
        })
    }
}

/// The largest zstd window that is unpacked, as a power of 2: what `zstd
/// --long` writes. It bounds the memory that a file can ask for.
const WINDOW_LOG_MAX: u32 = 27;
/// Compressed bytes that are read at a time.
const INPUT: usize = 128 << 10;
/// Compressed bytes that are unpacked at a time. A decoder that fails keeps what
/// it has made of its last piece to itself: small pieces, small loss.
const PIECE: usize = 512;

impl Packing {
    /// By the first bytes. A zstd file may begin with a frame to skip.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Packing::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Some(Packing::Zstd)
            }
            _ => None,
        }
    }
}

/// Unpacks the bytes if they are compressed, else gives them as they are. Waits for the first four.
///
/// # Errors
/// If the input can't be read, or its decoder can't be set up.
pub fn unpack(
    mut input: impl Read + Send + 'static,
) -> io::Result<(Option<Packing>, Box<dyn Read + Send>)> {
    let mut head = Vec::with_capacity(4);
    input.by_ref().take(4).read_to_end(&mut head)?;
    let packing = Packing::of(&head);
    let whole = Cursor::new(head).chain(input);
    let Some(packing) = packing else { return Ok((None, Box::new(whole))) };
    let pieces = BufReader::with_capacity(PIECE, BufReader::with_capacity(INPUT, whole));
    let unpacked: Box<dyn Read + Send> = match packing {
        Packing::Gzip => Box::new(MultiGzDecoder::new(pieces)),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(pieces)?;
            decoder.window_log_max(WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    };
    Ok((Some(packing), unpacked))
}
