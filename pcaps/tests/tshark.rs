//! tshark as the judge of generated captures: nothing malformed, every checksum right, as many
//! messages as the labels say.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use weir_pcaps::Scenario;

/// Subscribers' datagrams on port 8805 are not PFCP; tshark believes in the port alone.
const NOT_PFCP: &str =
    "(udp.port == 8805 && (ip.addr == 10.60.0.0/16 || ipv6.addr == 2001:db8:60::/48))";

fn tshark(capture: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("tshark")
        .args(["-n", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"])
        .args(["-o", "tcp.check_checksum:TRUE", "--disable-heuristic", "cltp_udp"])
        .arg("-r")
        .arg(capture)
        .args(arguments)
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: tshark not installed");
            None
        }
        Err(error) => panic!("tshark: {error}"),
    }
}

/// How often each value of a field occurs in the frames of a filter.
fn tally(capture: &Path, filter: &str, field: &str) -> Option<BTreeMap<u8, u64>> {
    let text = tshark(capture, &["-Y", filter, "-T", "fields", "-e", field])?;
    let mut counts = BTreeMap::new();
    for value in text.lines().flat_map(|line| line.split(',')).filter(|value| !value.is_empty()) {
        let value = match value.strip_prefix("0x") {
            Some(hex) => u8::from_str_radix(hex, 16).unwrap(),
            None => value.parse().unwrap(),
        };
        *counts.entry(value).or_default() += 1;
    }
    Some(counts)
}

fn judge(scenario: &Scenario) {
    let directory = tempfile::tempdir().unwrap();
    let report = scenario.write_to(directory.path(), |_| ()).unwrap();
    let capture = &report.captures[0];
    let malformed = format!("_ws.malformed && !{NOT_PFCP}");
    let Some(frames) = tshark(capture, &["-Y", &malformed]) else { return };
    assert_eq!(frames, "", "malformed");
    let bad = ["ip", "udp", "tcp", "icmp", "icmpv6", "vrrp"]
        .map(|protocol| format!("{protocol}.checksum.status == 0"))
        .join(" || ");
    assert_eq!(tshark(capture, &["-Y", &bad]).unwrap(), "", "checksums");
    assert_eq!(tally(capture, "gtp", "gtp.message").unwrap(), report.labels.messages.gtpu);
    // N4 is 10.0.2.0/24, or twice as wide, and the same over IPv6.
    let pfcp = "pfcp && (ip.src == 10.0.2.0/23 || ipv6.src == 2001:db8:4::/48) && !gtp";
    assert_eq!(tally(capture, pfcp, "pfcp.msg_type").unwrap(), report.labels.messages.pfcp);
}

fn load(name: &str) -> Scenario {
    Scenario::load(format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_small_scenario_is_sound() {
    judge(&load("small"));
}

#[test]
fn the_benign_scenario_is_sound() {
    judge(&load("benign"));
}

#[test]
fn the_sessions_are_sound() {
    judge(&load("sessions"));
}

#[test]
fn fragments_are_sound() {
    let path = format!("{}/scenarios/small.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let cut = "[subscribers]\ninner_mtu = 1500\nouter_mtu = 1500";
    judge(&text.replace("[subscribers]", cut).parse().unwrap());
}

#[test]
fn the_evasions_are_sound_and_seen_through() {
    let directory = tempfile::tempdir().unwrap();
    let report = load("evasion").write_to(directory.path(), |_| ()).unwrap();
    let capture = &report.captures[0];
    let bad = ["ip", "udp", "tcp", "icmp", "sctp"]
        .map(|protocol| format!("{protocol}.checksum.status == 0"))
        .join(" || ");
    let Some(frames) = tshark(capture, &["-o", "sctp.checksum:TRUE", "-Y", &bad]) else { return };
    assert_eq!(frames, "", "checksums");
    let numbers = |filter: &str| {
        let text = tshark(capture, &["-Y", filter, "-T", "fields", "-e", "frame.number"]).unwrap();
        text.lines().map(|line| line.parse().unwrap()).collect::<std::collections::BTreeSet<u64>>()
    };
    for (name, claim) in [
        ("nested-by-equipment", "gtp && ip.src == 10.0.0.1 && ip.dst == 192.0.2.66"),
        ("nested-by-subscriber", "gtp && ip.dst == 198.51.100.99"),
        ("pfcp-inside", "gtp && pfcp.msg_type == 54"),
        ("pfcp-by-subscriber", "gtp && pfcp.msg_type == 54"),
        ("gtpc-inside", "gtp && gtpv2.message_type == 1"),
        ("ngap-inside", "gtp && ngap"),
        ("subscriber-to-infrastructure", "gtp && tcp.dstport == 22"),
        ("gre", "gre"),
        ("ip-in-ip", "ip.proto == 4"),
        ("vxlan", "vxlan"),
        ("wireguard", "wg"),
        ("esp", "esp"),
        ("l2tp", "l2tp"),
        ("erspan", "erspan"),
        ("clear-gtpu", "gtp && ip.src == 10.0.0.3"),
        ("unknown-extension", "gtp.ext_hdr.next == 0x5a"),
        ("ipsec", "esp || isakmp"),
        ("handover-forwarding", "gtp && ip.src == 10.0.0.1 && ip.dst == 10.0.0.2"),
        ("error-indications", "gtp.message == 26 || gtp.message == 255"),
        ("end-markers", "gtp.message == 254"),
        ("erspan-to-broker", "erspan"),
        ("path-failure", "gtp.message == 1"),
    ] {
        let group = report.labels.groups.iter().find(|group| group.name == name).unwrap();
        let seen = numbers(claim);
        let blind: Vec<&u64> = group.frames.iter().filter(|n| !seen.contains(n)).collect();
        assert!(blind.is_empty(), "{name}: {blind:?}");
    }
}

/// The load for measuring has no frames of its own: it is judged in the plainest ones.
#[test]
fn the_load_is_sound() {
    use weir_pcaps::n4_load::{cycles, established};
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("load.pcap");
    let mut bytes = 0xa1b2_c3d4_u32.to_ne_bytes().to_vec();
    bytes.extend([2u16, 4].into_iter().flat_map(u16::to_ne_bytes));
    bytes.extend([0u32, 0, 65_535, 101].into_iter().flat_map(u32::to_ne_bytes));
    let load: Vec<_> = cycles(3, 400, 5).chain(established(4, 400, 3)).collect();
    for datagram in &load {
        let length = datagram.payload.len();
        let (IpAddr::V4(src), IpAddr::V4(dst)) = (datagram.source.0, datagram.destination.0) else {
            panic!("N4 of the load is IPv4");
        };
        let mut packet = vec![0x45, 0];
        packet.extend((length as u16 + 28).to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
        packet.extend([src.octets(), dst.octets()].concat());
        packet.extend(datagram.source.1.to_be_bytes());
        packet.extend(datagram.destination.1.to_be_bytes());
        packet.extend((length as u16 + 8).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(&datagram.payload);
        let stored = (packet.len() as u32).to_ne_bytes();
        bytes.extend([[0; 4], [0; 4], stored, stored].concat());
        bytes.extend(packet);
    }
    std::fs::write(&capture, bytes).unwrap();
    let Some(frames) = tshark(&capture, &["-Y", "_ws.malformed || !pfcp"]) else { return };
    assert_eq!(frames, "", "malformed");
    let kinds = tally(&capture, "pfcp", "pfcp.msg_type").unwrap();
    let expected = [(50, 800), (51, 800), (52, 800), (53, 800), (54, 400), (55, 400)];
    assert_eq!(kinds, BTreeMap::from(expected));
    // A subscriber's digits are in their place.
    let filter = ["-Y", "pfcp.msg_type == 50", "-T", "fields", "-e", "e212.imsi"];
    let imsis = tshark(&capture, &filter).unwrap();
    assert!(imsis.lines().any(|imsi| imsi == "001010000003990"), "{imsis}");
}

#[test]
fn names_are_readable_where_a_thief_shows_them() {
    let directory = tempfile::tempdir().unwrap();
    let report = load("small").write_to(directory.path(), |_| ()).unwrap();
    let from = "ip.dst == 198.51.100.7 && tls.handshake.type == 1";
    let field = "tls.handshake.extensions_server_name";
    let arguments = ["-Y", from, "-T", "fields", "-e", field];
    let Some(sni) = tshark(&report.captures[0], &arguments) else { return };
    assert_eq!(sni.trim(), "telemetry.vendor-a-cloud.example");
    let answers = ["-Y", "dns.a == 198.51.100.7", "-T", "fields", "-e", "dns.qry.name"];
    assert_eq!(tshark(&report.captures[0], &answers).unwrap().trim(), sni.trim());
}
