//! What hides in everyday protocols, and what only looks so, read back from the frames and by tshark.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use pnet_packet::Packet as _;
use pnet_packet::ipv4::Ipv4Packet;
use pnet_packet::udp::UdpPacket;
use weir_pcaps::{GroupKind, Labels, Packet, Scenario, bundled};

const ETHERNET: usize = 14;
/// Every way with the packets that it is to send, and the octets in each.
const WAYS: [(&str, u64, u64); 16] = [
    ("dns-tunnel", 20, 120),
    ("dns-long-label", 5, 60),
    ("dns-spread", 10, 30),
    ("icmp-tunnel", 12, 200),
    ("icmp-unlike", 6, 40),
    ("icmp-large", 5, 256),
    ("ntp-server", 4, 4),
    ("ntp-mode", 4, 64),
    ("ntp-length", 4, 20),
    ("ntp-often", 50, 4),
    ("ntp-low-bits", 4, 4),
    ("ptp-tlv", 6, 30),
    ("ptp-path-trace", 6, 16),
    ("entropy", 6, 200),
    ("entropy-scattered", 6, 200),
    ("entropy-text", 6, 200),
];

fn scenario() -> Scenario {
    let mut text = bundled::BENIGN.to_owned();
    for (how, packets, bytes) in WAYS {
        text += &format!(
            "\n[[theft.covert]]\nid = \"{how}\"\nhow = \"{how}\"\nequipment = \"gnb-2\"\n\
             peer = \"198.51.100.9\"\nstart_seconds = 20\npackets = {packets}\n\
             every_milliseconds = 1000\nbytes = {bytes}\n"
        );
    }
    text.parse().unwrap()
}

fn play() -> (Vec<Packet>, Labels) {
    let mut generation = scenario().generate();
    let packets = generation.by_ref().collect();
    (packets, generation.labels().clone())
}

fn ip(packet: &Packet) -> Ipv4Packet<'_> {
    Ipv4Packet::new(&packet.frame[ETHERNET..]).unwrap()
}

/// The packets of a way that its equipment sends.
fn sent<'a>(packets: &'a [Packet], labels: &Labels, way: &str) -> Vec<&'a Packet> {
    let theft = labels.thefts.iter().position(|theft| theft.expectation.id == way).unwrap();
    let own = Ipv4Addr::new(10, 0, 10, 2);
    let is_own = |packet: &&Packet| packet.theft == Some(theft) && ip(packet).get_source() == own;
    packets.iter().filter(is_own).collect()
}

/// What is behind UDP or the eight octets of an echo.
fn content(packet: &Packet) -> Vec<u8> {
    let ip = ip(packet);
    ip.payload()[8..].to_vec()
}

#[test]
fn every_way_is_played_and_counted() {
    let (packets, labels) = play();
    assert!(packets == play().0, "bytes repeat");
    for (index, (theft, (how, count, _))) in labels.thefts.iter().zip(WAYS).enumerate() {
        let expected = &theft.expectation;
        assert_eq!((expected.id.as_str(), expected.kind), (how, how));
        assert_eq!(expected.equipment.as_deref(), Some("gnb-2"));
        let own: Vec<&Packet> = packets.iter().filter(|p| p.theft == Some(index)).collect();
        assert_eq!(theft.packets, own.len() as u64, "{how}");
        assert_eq!(sent(&packets, &labels, how).len() as u64, count, "{how}");
        for packet in own {
            let ends = [ip(packet).get_source(), ip(packet).get_destination()].map(IpAddr::from);
            assert!(ends.contains(&expected.peer.unwrap()), "{how}: {ends:?}");
        }
    }
    let mut detections: BTreeMap<&str, u32> = BTreeMap::new();
    for theft in &labels.thefts {
        *detections.entry(theft.expectation.detection).or_default() += 1;
    }
    let expected = [("COV-DNS", 3), ("COV-ICMP", 3), ("COV-TIME", 7), ("EGR-CRYPTO", 3)];
    assert_eq!(detections, BTreeMap::from(expected));
}

/// Bits of an octet, by how often each occurs.
fn entropy(octets: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    octets.iter().for_each(|octet| counts[usize::from(*octet)] += 1);
    let shares = counts.iter().filter(|count| **count > 0);
    shares.map(|count| f64::from(*count) / octets.len() as f64).map(|it| -it * it.log2()).sum()
}

#[test]
fn each_way_carries_what_it_says() {
    let (packets, labels) = play();
    let of = |way: &str| -> Vec<Vec<u8>> {
        sent(&packets, &labels, way).into_iter().map(content).collect()
    };
    let flow = |way: &str| of(way).concat();
    assert!(entropy(&flow("entropy")) > 7.5);
    assert!((4.8..5.1).contains(&entropy(&flow("entropy-text"))));
    let ports = |way: &str| -> usize {
        let port = |packet: &&Packet| UdpPacket::new(ip(packet).payload()).unwrap().get_source();
        sent(&packets, &labels, way).iter().map(port).collect::<BTreeSet<u16>>().len()
    };
    assert_eq!((ports("entropy"), ports("entropy-scattered")), (1, 6));
    // An echo and its answer, which stand in this order.
    for (way, is_alike) in [("icmp-tunnel", true), ("icmp-unlike", false), ("icmp-large", true)] {
        let theft = labels.thefts.iter().position(|theft| theft.expectation.id == way).unwrap();
        let own: Vec<_> = packets.iter().filter(|p| p.theft == Some(theft)).map(content).collect();
        assert!(own.chunks(2).all(|pair| (pair[0] == pair[1]) == is_alike), "{way}");
    }
    assert!(of("icmp-large").iter().all(|echo| echo.len() == 256));
    assert!(of("ntp-server").iter().all(|ntp| ntp.len() == 48 && ntp[0] == 0x23));
    assert!(of("ntp-length").iter().all(|ntp| ntp.len() == 68));
    assert!(of("ntp-mode").iter().all(|ntp| ntp[0] & 7 == 6));
    for (way, kind) in [("ptp-tlv", 3), ("ptp-path-trace", 8)] {
        assert!(of(way).iter().all(|ptp| ptp[64..66] == [0, kind] && ptp[0] == 0xb), "{way}");
    }
}

#[test]
fn what_only_looks_so_is_there_and_is_blamed_for_nothing() {
    let (packets, labels) = play();
    for (name, least) in [
        ("delivery-names", 200),
        ("recursion", 200),
        ("operator-names", 200),
        ("other-pings", 200),
        ("probes", 200),
        ("iburst", 32),
        ("ptp-of-profile", 100),
    ] {
        let group = labels.groups.iter().find(|group| group.name == name).unwrap();
        assert_eq!(group.kind, GroupKind::Silent);
        assert!(group.frames.len() >= least, "{name}: {}", group.frames.len());
        let all = group.frames.iter().map(|number| &packets[*number as usize - 1]);
        assert!(all.into_iter().all(|packet| packet.theft.is_none()), "{name}");
    }
}

#[test]
fn tshark_reads_what_it_should() {
    let directory = tempfile::tempdir().unwrap();
    let report = scenario().write_to(directory.path(), |_| ()).unwrap();
    let read = |filter: &str, field: &str| {
        let output = Command::new("tshark")
            .args(["-n", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-r"])
            .arg(&report.captures[0])
            .args(["-Y", filter, "-T", "fields", "-e", field])
            .output();
        let output = match output {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("skipped: tshark not installed");
                return None;
            }
            output => output.unwrap(),
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        Some(text.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let on_oam = "ip.addr == 10.0.10.0/24";
    let bad = "ip.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0";
    let Some(frames) = read(&format!("{on_oam} && ({bad})"), "frame.number") else { return };
    assert_eq!(frames, Vec::<String>::new(), "checksums");
    let malformed =
        read(&format!("({on_oam} || eth.type == 0x88f7) && _ws.malformed"), "frame.number");
    assert_eq!(malformed.unwrap(), Vec::<String>::new());
    let tunnel = read("dns.flags.response == 0 && ip.src == 10.0.10.2", "dns.qry.name").unwrap();
    let names: BTreeSet<&String> =
        tunnel.iter().filter(|name| name.ends_with("sync.example")).collect();
    assert_eq!(names.len(), 25);
    let long = |name: &&&String| name.split('.').next().is_some_and(|label| label.len() == 60);
    assert_eq!(names.iter().filter(long).count(), 5);
    let echoes = read("icmp.type == 8 && ip.dst == 198.51.100.9", "data.len").unwrap();
    assert_eq!(echoes.len(), 12 + 6 + 5);
    let modes = read("ntp && ip.src == 10.0.10.2", "ntp.flags.mode").unwrap();
    let control = modes.iter().filter(|mode| mode.as_str() == "6").count();
    assert_eq!(control, 4, "{modes:?}");
    let elements = read("ptp && ip.src == 10.0.10.2", "ptp.v2.messagetype").unwrap();
    assert_eq!(elements, vec!["0x0b"; 12]);
    let of_profile = read("ptp && eth.dst == 01:1b:19:00:00:00", "frame.number").unwrap();
    assert!(of_profile.len() >= 100, "{}", of_profile.len());
}
