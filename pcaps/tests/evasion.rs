//! The evasions and their look-alikes, read back from the frames and from what is declared.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use pnet_packet::Packet as _;
use pnet_packet::ipv4::Ipv4Packet;
use pnet_packet::udp::UdpPacket;
use weir_pcaps::{Group, GroupKind, Labels, Packet, Scenario};

const ETHERNET: usize = 14;

fn scenario() -> Scenario {
    Scenario::load(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/evasion.toml")).unwrap()
}

fn play() -> (Vec<Packet>, Labels) {
    let mut generation = scenario().generate();
    let packets = generation.by_ref().collect();
    (packets, generation.labels().clone())
}

fn of<'a>(packets: &'a [Packet], labels: &'a Labels, name: &str) -> Vec<&'a Packet> {
    let named = |group: &&Group| group.name == name;
    let group = labels.groups.iter().find(named).unwrap_or_else(|| panic!("{name}"));
    group.frames.iter().map(|number| &packets[*number as usize - 1]).collect()
}

fn ip(frame: &[u8]) -> Ipv4Packet<'_> {
    Ipv4Packet::new(&frame[ETHERNET..]).unwrap()
}

/// The GTP-U message of a frame, or what else is in UDP.
fn datagram(packet: &Packet) -> Vec<u8> {
    UdpPacket::new(ip(&packet.frame).payload()).unwrap().payload().to_vec()
}

/// The packet inside a G-PDU whose only optional part is a container.
fn inside(packet: &Packet) -> Vec<u8> {
    let message = datagram(packet);
    assert_eq!((message[0], message[1], message[11]), (0x34, 255, 0x85));
    message[16..].to_vec()
}

#[test]
fn every_evasion_is_played_and_its_frames_are_numbered() {
    let (packets, labels) = play();
    assert!(packets.len() < 5_000, "{} frames", packets.len());
    assert!(packets == play().0, "bytes repeat");
    let mut detections: BTreeMap<&str, u32> = BTreeMap::new();
    for (index, theft) in labels.thefts.iter().enumerate() {
        let (id, peer) = (&theft.expectation.id, theft.expectation.peer.unwrap());
        *detections.entry(theft.expectation.detection).or_default() += 1;
        let frames = of(&packets, &labels, id);
        assert!(theft.packets >= 4, "{id}: {}", theft.packets);
        assert_eq!(theft.packets, frames.len() as u64, "{id}");
        for packet in frames {
            assert_eq!(packet.theft, Some(index), "{id}");
            let outer = ip(&packet.frame);
            let mut ends = vec![outer.get_source(), outer.get_destination()];
            if ["GTP-NEST", "GTP-CPINUP"].contains(&theft.expectation.detection) {
                ends = vec![Ipv4Packet::new(&inside(packet)).unwrap().get_destination()];
            }
            assert!(ends.contains(&four(peer)), "{id}: {ends:?}");
        }
    }
    let expected = [("GTP-CPINUP", 5), ("GTP-HDRCOV", 6), ("GTP-NEST", 2), ("TUN-FOREIGN", 8)];
    assert_eq!(detections, BTreeMap::from(expected));
    let silent = labels.groups.iter().filter(|group| group.kind == GroupKind::Silent);
    let silent: BTreeSet<&str> = silent.map(|group| group.name.as_str()).collect();
    let kinds = [
        "ipsec",
        "ephemeral-ports",
        "local-services",
        "handover-forwarding",
        "error-indications",
        "end-markers",
        "erspan-to-broker",
        "path-failure",
    ];
    assert_eq!(silent, BTreeSet::from(kinds));
    for name in silent {
        let frames = of(&packets, &labels, name);
        assert!(frames.len() >= 8, "{name}: {}", frames.len());
        assert!(frames.iter().all(|packet| packet.theft.is_none()), "{name}");
    }
}

fn four(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(four) => four,
        IpAddr::V6(six) => panic!("{six}"),
    }
}

#[test]
fn who_nests_is_told_by_the_inner_source() {
    let (packets, labels) = play();
    for (name, subscriber) in [
        ("nested-by-equipment", false),
        ("nested-by-subscriber", true),
        ("pfcp-inside", false),
        ("pfcp-by-subscriber", true),
        ("subscriber-to-infrastructure", true),
    ] {
        for packet in of(&packets, &labels, name) {
            let source = Ipv4Packet::new(&inside(packet)).unwrap().get_source().octets();
            assert_eq!(source[..2] == [10, 60], subscriber, "{name}: {source:?}");
        }
        let group = labels.groups.iter().find(|group| group.name == name).unwrap();
        assert_eq!(group.at_most, subscriber.then_some("medium"), "{name}");
        let theft = labels.thefts.iter().find(|theft| theft.expectation.id == name).unwrap();
        assert_eq!(theft.expectation.equipment.is_none(), subscriber, "{name}");
    }
}

#[test]
fn headers_carry_what_they_hide() {
    let (packets, labels) = play();
    let all = |name| of(&packets, &labels, name).into_iter().map(datagram);
    let bits = all("reserved-bit").map(|message| message[0] >> 3 & 1);
    let letters: Vec<u8> = bits
        .collect::<Vec<_>>()
        .chunks(8)
        .map(|byte| byte.iter().fold(0, |letter, bit| letter << 1 | bit))
        .collect();
    assert_eq!(letters, b"SSSSS");
    assert!(all("unknown-extension").all(|message| message[15] == 0x5a));
    let length = |message: &[u8]| 8 + usize::from(u16::from_be_bytes([message[2], message[3]]));
    assert!(all("trailing-bytes").all(|message| message.len() == length(&message) + 24));
    let requests = |name| all(name).filter(|message| message[1] == 1);
    assert!(requests("private-extension").all(|message| message[12] == 255));
    assert!(requests("oversized-echo").all(|message| message.len() == 600));
    assert_eq!(requests("frequent-echo").count() * 2, all("frequent-echo").count());
}

#[test]
fn a_lost_upf_leaves_every_request_open_and_each_is_sent_five_times() {
    let (packets, labels) = play();
    let mut attempts: BTreeMap<(Ipv4Addr, u16), u32> = BTreeMap::new();
    for packet in of(&packets, &labels, "path-failure") {
        let message = datagram(packet);
        assert_eq!((message[1], ip(&packet.frame).get_destination()), (1, [10, 0, 1, 2].into()));
        let sequence = u16::from_be_bytes([message[8], message[9]]);
        *attempts.entry((ip(&packet.frame).get_source(), sequence)).or_default() += 1;
    }
    assert!(attempts.len() >= 6, "{attempts:?}");
    assert!(attempts.values().all(|attempts| *attempts == 5), "{attempts:?}");
    let answers = packets.iter().filter(|packet| {
        packet.message == Some(weir_pcaps::Message::Gtpu(2))
            && attempts.contains_key(&(
                ip(&packet.frame).get_destination(),
                u16::from_be_bytes(datagram(packet)[8..10].try_into().unwrap()),
            ))
            && ip(&packet.frame).get_source() == Ipv4Addr::new(10, 0, 1, 2)
    });
    assert_eq!(answers.count(), 0);
}

#[test]
fn the_declarations_are_taken_as_they_are() {
    for name in ["evasion", "shapes"] {
        let path = format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let scenario = Scenario::load(path).unwrap();
        let inventory = scenario.inventory().unwrap();
        let inventory = weir_policy::inventory_from_str("inventory.toml", &inventory).unwrap();
        let policy = scenario.policy().unwrap();
        let policy =
            weir_policy::policy_from_str("policy.toml", &policy, &inventory.value).unwrap();
        let said = (policy.value.esp_only.len(), policy.value.mec.len());
        assert_eq!(said, if name == "evasion" { (1, 1) } else { (0, 0) });
    }
}
