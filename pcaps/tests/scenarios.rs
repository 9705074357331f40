//! What the bundled scenarios promise, read back from the frames by pnet's views.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use pnet_packet::Packet as _;
use pnet_packet::ipv4::Ipv4Packet;
use pnet_packet::tcp::TcpPacket;
use pnet_packet::udp::UdpPacket;
use weir_pcaps::{Labels, Link, Message, Packet, Scenario};

const ETHERNET: usize = 14;

fn path(name: &str) -> String {
    format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

fn scenario(name: &str) -> Scenario {
    Scenario::load(path(name)).unwrap()
}

fn play(scenario: &Scenario) -> (Vec<Packet>, Labels) {
    let mut generation = scenario.generate();
    let packets = generation.by_ref().collect();
    (packets, generation.labels().clone())
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

/// The user packet of a G-PDU, which always has a PDU Session Container here.
fn inner(packet: &Packet) -> Option<Vec<u8>> {
    if packet.message != Some(Message::Gtpu(255)) || packet.theft.is_some() {
        return None;
    }
    let outer = Ipv4Packet::new(&packet.frame[ETHERNET..])?;
    let gtpu = UdpPacket::new(outer.payload())?.payload().to_vec();
    Some(gtpu[16..].to_vec())
}

/// A packet as it is before or after some hops: another TTL, and no header checksum, which
/// follows from the rest.
fn hopped(mut packet: Vec<u8>, hops: i8) -> Vec<u8> {
    let ttl = if packet[0] >> 4 == 6 { 7 } else { 8 };
    packet[ttl] = packet[ttl].wrapping_add_signed(-hops);
    if ttl == 8 {
        packet[10..12].fill(0);
    }
    packet
}

#[test]
fn time_never_goes_back_and_bytes_repeat() {
    let (once, _) = play(&scenario("small"));
    let (again, _) = play(&scenario("small"));
    assert!(once == again);
    assert!(once.is_sorted_by_key(|packet| packet.time_ns));
    assert!(once.iter().all(|packet| packet.time_ns % 1_000 == 0 && packet.frame.len() <= 1_500));
    assert_eq!(once[0].time_ns / 1_000_000_000, 1_767_571_200, "2026-01-05T00:00:00Z");

    let other = Scenario::from_str(&text("small").replace("seed = 7", "seed = 8")).unwrap();
    assert!(play(&other).0 != once);
}

#[test]
fn every_theft_is_played_and_nothing_else_is_blamed() {
    for (name, kinds) in [
        ("demo", ["call_home", "reverse_shell", "gtp_peer", "unknown_box"].as_slice()),
        ("small", &["call_home", "reverse_shell", "backdoor", "gtp_peer", "unknown_box"]),
        ("benign", &[]),
    ] {
        let (packets, labels) = play(&scenario(name));
        let played: Vec<&str> = labels.thefts.iter().map(|theft| theft.expectation.kind).collect();
        assert_eq!(played, kinds, "{name}");
        for (index, theft) in labels.thefts.iter().enumerate() {
            let sent: Vec<&Packet> =
                packets.iter().filter(|packet| packet.theft == Some(index)).collect();
            assert_eq!(theft.packets, sent.len() as u64);
            assert!(theft.packets >= 8, "{name} {}", theft.expectation.id);
            for packet in sent {
                let ip = Ipv4Packet::new(&packet.frame[ETHERNET..]).unwrap();
                let ends = [IpAddr::from(ip.get_source()), ip.get_destination().into()];
                assert!(ends.contains(&theft.expectation.peer.unwrap()));
            }
        }
    }
}

#[test]
fn n6_carries_what_the_tunnels_carry() {
    let (packets, _) = play(&scenario("small"));
    let mut outside: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for packet in packets.iter().filter(|packet| packet.link == Link::N6) {
        let ip = &packet.frame[ETHERNET..];
        let length = match ip[0] >> 4 {
            6 => 40 + usize::from(u16::from_be_bytes([ip[4], ip[5]])),
            _ => usize::from(u16::from_be_bytes([ip[2], ip[3]])),
        };
        *outside.entry(hopped(ip[..length].to_vec(), 0)).or_default() += 1;
    }
    let last = packets.last().unwrap().time_ns;
    let (mut tunnelled, mut families) = (0, BTreeSet::new());
    for packet in packets.iter().filter(|packet| packet.time_ns + 1_000_000 < last) {
        let Some(user) = inner(packet) else { continue };
        tunnelled += 1;
        families.insert(user[0] >> 4);
        // Outer destinations of uplink are UPFs, in the upper half of N3.
        let uplink = packet.frame[ETHERNET + 18] == 1;
        let on_n6 = hopped(user, if uplink { 1 } else { -1 });
        let copies = outside.get_mut(&on_n6).expect("the packet was on N6 too");
        *copies = copies.checked_sub(1).expect("as often as in tunnels");
    }
    assert!(tunnelled > 1_000, "{tunnelled} G-PDUs");
    assert_eq!(families, BTreeSet::from([4, 6]));
}

#[test]
fn the_labels_count_what_is_there() {
    let (packets, labels) = play(&scenario("small"));
    assert_eq!(labels.frames, packets.len() as u64);
    let count = |message| packets.iter().filter(|p| p.message == Some(message)).count() as u64;
    for kind in [1, 2, 254, 255] {
        assert_eq!(labels.messages.gtpu[&kind], count(Message::Gtpu(kind)), "GTP-U {kind}");
    }
    for kind in [1, 2, 5, 6, 50, 51, 52, 53, 54, 55] {
        assert_eq!(labels.messages.pfcp[&kind], count(Message::Pfcp(kind)), "PFCP {kind}");
    }
    assert_eq!(labels.links.values().sum::<u64>(), labels.frames);
}

/// Roles by address, and the allowed (from, to, service).
type Rules = (BTreeMap<IpAddr, String>, BTreeSet<(String, String, String)>);

fn rules(scenario: &Scenario) -> Rules {
    let inventory: toml::Table = scenario.inventory().unwrap().parse().unwrap();
    let policy: toml::Table = scenario.policy().unwrap().parse().unwrap();
    let string = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let mut roles = BTreeMap::new();
    for equipment in inventory["equipment"].as_array().unwrap() {
        let role = string(&equipment["roles"].as_array().unwrap()[0]);
        for address in equipment["addresses"].as_array().unwrap() {
            roles.insert(address.as_str().unwrap().parse().unwrap(), role.clone());
        }
    }
    let mut allowed = BTreeSet::new();
    for rule in policy["allow"].as_array().unwrap() {
        let (Some(from), Some(to)) = (rule["from"].get("role"), rule["to"].get("role")) else {
            continue;
        };
        for service in rule["services"].as_array().unwrap() {
            allowed.insert((string(from), string(to), string(service)));
        }
    }
    (roles, allowed)
}

#[test]
fn the_policy_allows_what_equipment_says_to_equipment_and_not_the_thefts() {
    let services = BTreeMap::from([
        (2152, "gtpu"),
        (8805, "pfcp"),
        (53, "dns"),
        (123, "ntp"),
        (514, "syslog"),
        (830, "netconf"),
    ]);
    for name in ["demo", "small", "benign"] {
        let scenario = scenario(name);
        let (roles, allowed) = rules(&scenario);
        let (mut judged, mut used) = (0, BTreeSet::new());
        for packet in scenario.generate() {
            let Some(ip) = Ipv4Packet::new(&packet.frame[ETHERNET..]) else { continue };
            let ports = match (&packet.frame[12..ETHERNET], ip.get_next_level_protocol().0) {
                ([8, 0], 17) => {
                    let udp = UdpPacket::new(ip.payload()).unwrap();
                    (udp.get_source(), udp.get_destination())
                }
                ([8, 0], 6) => {
                    let tcp = TcpPacket::new(ip.payload()).unwrap();
                    (tcp.get_source(), tcp.get_destination())
                }
                _ => continue,
            };
            let role = |address| roles.get(&IpAddr::from(address));
            let (from, to) = (role(ip.get_source()), role(ip.get_destination()));
            if packet.theft.is_some() {
                assert!(from.is_none() || to.is_none(), "{name}: a theft has a stranger");
                continue;
            }
            let (Some(from), Some(to)) = (from, to) else { continue };
            judged += 1;
            // Where both ports are the service's, the message tells who asks whom.
            let asks = match packet.message {
                Some(Message::Pfcp(kind)) => [1, 5, 50, 52, 54, 56].contains(&kind),
                Some(Message::Gtpu(kind)) => kind != 2,
                None => services.contains_key(&ports.1) && from != "ntp",
            };
            let (ends, port) = if asks { ((from, to), ports.1) } else { ((to, from), ports.0) };
            let service = services.get(&port).map_or("none", |service| *service);
            let rule = (ends.0.clone(), ends.1.clone(), service.to_owned());
            assert!(allowed.contains(&rule), "{name}: {rule:?}, {ports:?}");
            used.insert(rule);
        }
        assert!(judged > 1_000, "{name}: {judged} packets");
        let needed = allowed.into_iter().filter(|(_, _, service)| service != "icmp").collect();
        assert_eq!(used, needed, "{name}: every rule is for traffic that is there");
    }
}

#[test]
fn an_outer_mtu_cuts_and_counts_a_message_once() {
    let text = text("small").replace(
        "reflective_share = 0.02",
        "reflective_share = 0.02\ninner_mtu = 1500\nouter_mtu = 1500",
    );
    let (packets, labels) = play(&Scenario::from_str(&text).unwrap());
    let fragment = |packet: &&Packet| {
        let ip = Ipv4Packet::new(&packet.frame[ETHERNET..]).unwrap();
        packet.link == Link::N3 && (ip.get_flags() & 1 != 0 || ip.get_fragment_offset() > 0)
    };
    let pieces: Vec<&Packet> = packets.iter().filter(fragment).collect();
    assert!(pieces.len() > 20, "{} fragments", pieces.len());
    let whole = pieces.iter().filter(|packet| packet.message.is_some()).count();
    assert_eq!(whole * 2, pieces.len());
    let messages: u64 = labels.messages.gtpu.values().sum();
    assert_eq!(messages + whole as u64, labels.links["n3"]);
}

#[test]
fn links_go_into_files_of_their_own_when_asked() {
    let text = text("small").replace("capture = \"mixed\"", "capture = \"per-link\"");
    let directory = tempfile::tempdir().unwrap();
    let mut last = 0.0;
    let report = Scenario::from_str(&text)
        .unwrap()
        .write_to(directory.path(), |progress| last = progress.share)
        .unwrap();
    let names: Vec<_> = report.captures.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(names, ["n3.pcap", "n4.pcap", "n6.pcap", "oam.pcap"]);
    assert!((last - 1.0).abs() < f64::EPSILON);
    let sizes: u64 =
        report.captures.iter().map(|path| std::fs::metadata(path).unwrap().len()).sum();
    assert_eq!(sizes, 4 * 24 + report.labels.frames * 16 + report.labels.bytes);
}

#[test]
fn the_imix_scenario_is_n3_alone() {
    let (packets, labels) = play(&scenario("imix"));
    assert_eq!(packets.len(), 200_000);
    assert_eq!(labels.messages.gtpu, BTreeMap::from([(255, 200_000)]));
}

#[test]
fn the_committed_capture_is_the_generated_one() {
    let directory = tempfile::tempdir().unwrap();
    scenario("small").write_to(directory.path(), |_| ()).unwrap();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/small");
    for name in ["capture.pcap", "labels.json", "inventory.toml", "policy.toml"] {
        let same = std::fs::read(directory.path().join(name)).unwrap()
            == std::fs::read(committed.join(name)).unwrap();
        assert!(
            same,
            "{name}; pcaps/captures/small; renew it: weir generate pcaps/scenarios/small.toml --out pcaps/captures/small"
        );
    }
}

#[test]
fn a_directory_that_is_a_file_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = scenario("small").write_to(file.path(), |_| ()).unwrap_err().to_string();
    assert!(error.contains(file.path().to_str().unwrap()), "{error}");
}
