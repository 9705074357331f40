//! The readers of PFCP's elements against captures that nobody here wrote: no
//! value that a real core sends may be refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use weir_wire::ethernet::Ethernet;
use weir_wire::ipv4::Ipv4;
use weir_wire::pfcp::{self, Pfcp};
use weir_wire::udp::Udp;
use weir_wire::{pfcp_ie, pfcp_walk};

/// The captures; a user's machine has none.
fn captures() -> Option<Vec<PathBuf>> {
    // Beside the repository, or beside the folder of its worktrees.
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let shared = above.map(|it| it.join("shared/pcaps")).find(|it| it.is_dir())?;
    let folder = std::fs::read_dir(shared.join("5g-attacks")).ok()?;
    let mut captures: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
    captures.push(shared.join("oai-5greplay/oai.pcap"));
    Some(captures)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let octets = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*octets) as usize)
}

/// The frames of a pcap or pcapng file that a little-endian machine wrote.
fn frames(file: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let is_next_generation = word(file, 0) == Some(0x0a0d_0d0a);
    let mut at = if is_next_generation { 0 } else { 24 };
    loop {
        // A block of pcapng is its type and length, and of a packet (6) five words more; a
        // record of pcap is its time and length.
        let (length, head) = if is_next_generation { (4, 28) } else { (8, 16) };
        let Some(length) = word(file, at + length) else { return frames };
        let is_packet = !is_next_generation || word(file, at) == Some(6);
        let captured = if is_next_generation { word(file, at + 20) } else { Some(length) };
        if let Some(captured) = captured.filter(|_| is_packet) {
            frames.extend(file.get(at + head..at + head + captured));
        }
        at += if is_next_generation { length.max(12) } else { head + length };
    }
}

/// The payload of a frame's datagram, if that is PFCP and no fragment.
fn datagram(frame: &[u8]) -> Option<&[u8]> {
    let ethernet = Ethernet::parse(frame).ok().filter(|it| it.ether_type() == 0x0800)?;
    let ip = Ipv4::parse(ethernet.payload()).ok().filter(|it| it.protocol() == 17)?;
    let udp = Udp::parse(ip.payload()).ok()?;
    let is_pfcp = [udp.source(), udp.destination()].contains(&pfcp::PORT);
    (is_pfcp && ip.fragment() == weir_wire::Fragment::None).then(|| udp.payload())
}

#[test]
fn every_value_of_real_cores_is_read() {
    let Some(captures) = captures() else {
        eprintln!("skipped: no captures");
        return;
    };
    let (mut read, mut unread) = (BTreeMap::<u16, usize>::new(), BTreeMap::<u16, usize>::new());
    let mut refused = Vec::new();
    for capture in captures {
        let file = std::fs::read(&capture).expect("a capture can be read");
        let frames = frames(&file);
        assert!(frames.len() > 500, "{} has {} frames", capture.display(), frames.len());
        for (number, frame) in frames.into_iter().enumerate() {
            let mut rest = datagram(frame);
            while let Some(message) = rest.and_then(|bytes| Pfcp::parse(bytes).ok()) {
                pfcp_walk::walk(&message, &mut |_, element| {
                    let counts = match pfcp_ie::check(element) {
                        Some(Ok(())) => &mut read,
                        Some(Err(error)) => {
                            refused.push((
                                capture.clone(),
                                number,
                                element.kind,
                                element.value.to_vec(),
                                error,
                            ));
                            return;
                        }
                        None => &mut unread,
                    };
                    *counts.entry(element.kind).or_default() += 1;
                });
                rest = message.next_message();
            }
        }
    }
    let with_name = |counts: &BTreeMap<u16, usize>| -> Vec<_> {
        counts.iter().map(|(kind, times)| (pfcp_ie::name_of(*kind), *times)).collect()
    };
    eprintln!("read: {:?}\nwithout a reader: {:?}", with_name(&read), with_name(&unread));
    assert!(
        refused.is_empty(),
        "{} refused: {:?}",
        refused.len(),
        &refused[..refused.len().min(9)]
    );
    assert!(read.len() > 30 && read.values().sum::<usize>() > 200_000);
    // All that these cores send has a name.
    assert!(unread.keys().chain(read.keys()).all(|kind| pfcp_ie::name_of(*kind).is_some()));
}
