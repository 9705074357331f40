//! A stream gives what the file gives, however its bytes come and however
//! they are packed.

mod lab;

use std::io::{self, Cursor, Read, Write};
use std::sync::mpsc::{Receiver, channel};

use flate2::Compression;
use flate2::write::GzEncoder;
use lab::*;
use weir_capture::{Damage, OpenError, Packing, Reader, Source, Stream, open};

/// What can be compared of a packet.
type Seen = (Vec<u8>, usize, u32, u64);

fn of_slice(file: &[u8]) -> (Vec<Seen>, Option<Damage>) {
    let (mut seen, mut damage) = (Vec::new(), None);
    for packet in Reader::open(file).unwrap() {
        match packet {
            Ok(p) => seen.push((p.bytes.to_vec(), p.offset, p.wire_len, p.time.0)),
            Err(found) => damage = Some(found),
        }
    }
    (seen, damage)
}

fn of_stream(input: impl Read + Send + 'static) -> (Vec<Seen>, Option<Damage>) {
    let mut stream = Stream::open(input).unwrap();
    let (mut seen, mut damage) = (Vec::new(), None);
    while let Some(packet) = stream.next() {
        match packet {
            Ok(p) => {
                let one = (p.bytes.to_vec(), p.offset, p.wire_len, p.time.0);
                let again = stream.current().unwrap();
                assert_eq!((again.bytes, again.offset), (&one.0[..], one.1));
                seen.push(one);
            }
            Err(found) => damage = Some(found),
        }
    }
    assert!(stream.next().is_none() && stream.current().is_none());
    (seen, damage)
}

/// Gives a byte at a time, with interruptions.
struct Drops(Cursor<Vec<u8>>, bool);

impl Read for Drops {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = into.len().min(1);
        self.0.read(&mut into[..len])
    }
}

fn drops(bytes: &[u8]) -> Drops {
    Drops(Cursor::new(bytes.to_vec()), false)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// As the command zstd does: with a checksum at the end.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Packets larger than the window at first, and many small ones across its end.
fn large() -> Vec<u8> {
    let mut noise = Noise(0x5eed_0004);
    let mut file = [ORDERS[0].section(), ORDERS[0].interface(1, 0, None, None)].concat();
    for _ in 0..2_000 {
        let len = noise.next() as usize % 1_500;
        let bytes: Vec<u8> = (0..len).map(|_| noise.next() as u8).collect();
        file.extend(ORDERS[0].enhanced(0, 5, &bytes));
    }
    file.extend(ORDERS[0].block(77, &vec![7; 3 << 20]));
    file.extend(ORDERS[0].enhanced(0, 6, &vec![8; 256 << 10]));
    file.extend(ORDERS[0].enhanced(0, 7, b"last"));
    file
}

#[test]
fn a_stream_in_drops_gives_what_the_file_gives_cut_anywhere() {
    let pcap = ORDERS[0].pcap(0xa1b2_c3d4, 1, &[b"abc", b"", b"defgh"]);
    let modified = ORDERS[1].pcap(0xa1b2_cd34, 1, &[&[0; 40], &[0; 40]]);
    for file in [pcap, modified, everything()] {
        for end in 24..=file.len() {
            assert_eq!(of_stream(drops(&file[..end])), of_slice(&file[..end]), "cut at {end}");
        }
    }
}

#[test]
fn large_blocks_and_window_ends_change_nothing() {
    let file = large();
    let expected = of_slice(&file);
    assert_eq!(expected.0.len(), 2_002);
    assert_eq!(of_stream(Cursor::new(file.clone())), expected);
    assert_eq!(of_stream(Cursor::new(gzip(&file))), expected);
    assert_eq!(of_stream(Cursor::new(zstd(&file))), expected);
    assert_eq!(of_stream(drops(&file)), expected);
}

#[test]
fn several_members_and_frames_are_one_capture() {
    let file = everything();
    let (first, second) = file.split_at(101);
    let expected = of_slice(&file);
    assert_eq!(of_stream(Cursor::new([gzip(first), gzip(second)].concat())), expected);
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..]].concat();
    let frames = [skipped.clone(), zstd(first), skipped, zstd(second)].concat();
    assert_eq!(of_stream(Cursor::new(frames)), expected);
}

#[test]
fn compressed_data_that_ends_early_keeps_what_came_and_tells_the_offset_in_the_capture() {
    let file = large();
    let whole = of_slice(&file).0;
    for (packed, packing) in [(gzip(&file), Packing::Gzip), (zstd(&file), Packing::Zstd)] {
        for part in [50, 90, 99] {
            let end = packed.len() * part / 100;
            let (seen, damage) = of_stream(Cursor::new(packed[..end].to_vec()));
            assert!(seen.len() > 2_000 * (part - 15) / 100, "{packing} {part}: {}", seen.len());
            assert_eq!(seen, whole[..seen.len()]);
            let damage = damage.unwrap();
            assert_eq!(damage.packing, Some(packing));
            let last = seen.last().unwrap();
            assert!(damage.offset >= last.1 + last.0.len());
            let said = damage.to_string();
            assert!(said.contains("of the decompressed capture"), "{said}");
            assert!(said.contains(&format!("the {packing} data ends too early")), "{said}");
        }
        // All is there but the end of the checksum.
        let (seen, damage) = of_stream(Cursor::new(packed[..packed.len() - 1].to_vec()));
        assert_eq!((seen.len(), damage.unwrap().offset), (whole.len(), file.len()));
    }
}

#[test]
fn compressed_data_that_is_spoilt_keeps_what_came_before() {
    let mut noise = Noise(0x5eed_0006);
    let mut file = [ORDERS[0].section(), ORDERS[0].interface(1, 0, None, None)].concat();
    for _ in 0..4_000 {
        // Four bits of every byte: what Huffman's code is made for.
        let bytes: Vec<u8> = (0..200).map(|_| noise.next() as u8 & 0x0f).collect();
        file.extend(ORDERS[0].enhanced(0, 5, &bytes));
    }
    let whole = of_slice(&file).0;
    // Besides, what a piece or a block may hold.
    for (mut packed, most) in [(gzip(&file), 4 << 10), (zstd(&file), 256 << 10)] {
        let at = packed.len() / 2;
        packed[at..at + 600].fill_with(|| noise.next() as u8);
        let (seen, damage) = of_stream(Cursor::new(packed));
        let damage = damage.unwrap();
        let intact = seen.iter().zip(&whole).take_while(|(one, other)| one == other).count();
        let kept = seen[..intact].last().map_or(0, |packet| packet.1);
        assert!(kept + most > file.len() / 2, "{kept} of {}: {damage}", file.len());
        assert!(kept < file.len() * 3 / 5 && damage.offset > kept);
    }
}

#[test]
fn every_cut_of_compressed_data_is_damage() {
    let file = everything();
    for packed in [gzip(&file), zstd(&file)] {
        for end in 4..packed.len() {
            match Stream::open(Cursor::new(packed[..end].to_vec())) {
                Err(OpenError::Damaged(damage)) => assert!(damage.packing.is_some()),
                Err(error) => panic!("{error} cut at {end}"),
                Ok(mut stream) => {
                    let mut last = None;
                    while let Some(packet) = stream.next() {
                        last = Some(packet.is_err());
                    }
                    assert_eq!(last, Some(true), "cut at {end}");
                }
            }
        }
    }
}

#[test]
fn noise_in_compressed_data_ends() {
    let mut noise = Noise(0x5eed_0005);
    let file = everything();
    for packed in [gzip(&file), zstd(&file)] {
        for _ in 0..2_000 {
            let mut packed = packed.clone();
            for _ in 0..=noise.next() % 4 {
                let at = noise.next() as usize % packed.len();
                packed[at] = noise.next() as u8;
            }
            let Ok(mut stream) = Stream::open(Cursor::new(packed)) else { continue };
            while stream.next().is_some() {}
        }
    }
}

#[test]
fn what_is_packed_but_no_capture_is_named() {
    let text = gzip(b"No capture, but some lines of text that somebody has packed.");
    let twice = gzip(&zstd(&everything()));
    for (packed, word) in [(text, "text"), (twice, "zstd once more"), (zstd(b""), "empty")] {
        let error = Stream::open(Cursor::new(packed)).unwrap_err();
        assert!(matches!(&error, OpenError::Foreign(_)) && error.to_string().contains(word));
    }
}

/// A pipe: what is sent can be read, and the rest is waited for.
struct Pipe(Receiver<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Ok(sent) = self.0.recv() else { return Ok(0) };
        into[..sent.len()].copy_from_slice(&sent);
        Ok(sent.len())
    }
}

#[test]
fn a_packet_is_given_as_soon_as_it_has_arrived() {
    let file = ORDERS[0].pcap(0xa1b2_c3d4, 1, &[b"abc", b"defgh"]);
    let (send, pipe) = channel();
    // In pieces of which `open` takes the header: 4 bytes for the magic, and the rest.
    for piece in [&file[..4], &file[4..24], &file[24..43]] {
        send.send(piece.to_vec()).unwrap();
    }
    let mut stream = Stream::open(Pipe(pipe)).unwrap();
    assert!(stream.arrived().is_none());
    assert_eq!(stream.next().unwrap().unwrap().bytes, b"abc");
    assert!(stream.arrived().is_none());
    send.send(file[43..].to_vec()).unwrap();
    assert_eq!(stream.next().unwrap().unwrap().bytes, b"defgh");
    drop(send);
    assert!(stream.next().is_none());
}

#[test]
fn an_input_that_fails_is_damage_where_it_failed() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("cable pulled"))
        }
    }
    let file = ORDERS[0].pcap(0xa1b2_c3d4, 1, &[b"abc"]);
    let len = file.len();
    let (seen, damage) = of_stream(Cursor::new(file).chain(Failing));
    assert_eq!(seen.len(), 1);
    let damage = damage.unwrap();
    assert_eq!(damage.offset, len);
    assert!(damage.to_string().contains("cable pulled"), "{damage}");
}

#[test]
fn a_file_is_opened_by_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let file = everything();
    let expected = of_slice(&file);
    // Names that lie.
    for (name, bytes) in
        [("a.gz", file.clone()), ("a.pcap", gzip(&file)), ("a", zstd(&file)), ("b", Vec::new())]
    {
        let path = directory.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        match open(&path).unwrap() {
            Source::Mapped(map) if bytes.is_empty() => assert!(map.is_empty()),
            Source::Mapped(map) => assert_eq!((name, of_slice(&map)), ("a.gz", expected.clone())),
            Source::Stream(input) => assert_eq!(of_stream(input), expected, "{name}"),
        }
    }
    assert_eq!(open(directory.path()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
