//! A capture file: the stream, in whatever reads it comes, gives the packets of
//! the mapped file and ends in the same place.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use weir_capture::{Packet, Reader, Stream};

/// Gives a few bytes at a time, as a pipe may.
struct Drops {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
}

impl Read for Drops {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.step.min(into.len()).min(self.bytes.len() - self.at);
        into[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

fn told(packet: &Packet<'_>) -> (Vec<u8>, usize, u32, u64) {
    (packet.bytes.to_vec(), packet.offset, packet.wire_len, packet.time.0)
}

fuzz_target!(|input: &[u8]| {
    let [step, file @ ..] = input else { return };
    let drops = Drops { bytes: file.to_vec(), at: 0, step: usize::from(*step) + 1 };
    let stream = Stream::open(drops);
    let packed = file.starts_with(&[0x1f, 0x8b])
        || file.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || matches!(file, [first, 0x2a, 0x4d, 0x18, ..] if first >> 4 == 5);
    if packed {
        if let Ok(mut stream) = stream {
            while let Some(Ok(_)) = stream.next() {}
        }
        return;
    }
    let (reader, mut stream) = match (Reader::open(file), stream) {
        (Ok(reader), Ok(stream)) => (reader, stream),
        (Err(_), Err(_)) => return,
        (mapped, stream) => panic!("{:?} {:?}", mapped.err(), stream.err()),
    };
    for packet in reader {
        match (packet, stream.next()) {
            (Ok(mapped), Some(Ok(streamed))) => assert_eq!(told(&mapped), told(&streamed)),
            (Err(mapped), Some(Err(streamed))) => assert_eq!(mapped.offset, streamed.offset),
            (mapped, streamed) => panic!("{mapped:?} {streamed:?}"),
        }
    }
    assert!(stream.next().is_none());
});
