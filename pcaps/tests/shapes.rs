//! The shapes, judged by tshark: each is dissected as what its label claims, and only those that
//! are meant to be broken are malformed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use weir_pcaps::{Group, GroupKind, Labels, Packet, Scenario};

fn load(name: &str) -> Scenario {
    Scenario::load(format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What tshark prints, or nothing where it is not installed.
fn tshark(capture: &Path, arguments: &[String]) -> Option<String> {
    let checks = ["ip", "udp", "tcp"].map(|layer| format!("{layer}.check_checksum:TRUE"));
    let output = Command::new("tshark")
        .arg("-n")
        .args(checks.iter().flat_map(|check| ["-o", check]))
        .args(["-o", "sctp.checksum:TRUE", "--disable-heuristic", "cltp_udp"])
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

/// The numbers of the frames that a display filter takes.
fn frames(capture: &Path, filter: &str) -> Option<BTreeSet<u64>> {
    let arguments = ["-Y", filter, "-T", "fields", "-e", "frame.number"].map(str::to_owned);
    let text = tshark(capture, &arguments)?;
    Some(text.lines().map(|line| line.parse().unwrap()).collect())
}

/// How many frames of its own each claim holds for, in one reading of the capture.
fn held(capture: &Path, groups: &[&Group]) -> Option<Vec<u64>> {
    let mut arguments = vec!["-q".to_owned()];
    for group in groups {
        let (first, last) = (group.frames[0], group.frames[group.frames.len() - 1]);
        let own = format!("frame.number >= {first} && frame.number <= {last}");
        arguments.extend(["-z".into(), format!("io,stat,0,({own}) && ({})", group.claim)]);
    }
    let text = tshark(capture, &arguments)?;
    let row = |line: &&str| line.contains("<>");
    let counts: Vec<u64> = text
        .lines()
        .filter(row)
        .map(|line| line.split('|').nth(2).unwrap().trim().parse().unwrap())
        .collect();
    assert_eq!(counts.len(), groups.len(), "{text}");
    // tshark prints the last asked first; the head of the first table says so.
    let asked = text.lines().find(|line| line.contains("Col 1:")).unwrap();
    assert!(asked.contains(&format!(">= {} ", groups[groups.len() - 1].frames[0])), "{asked}");
    Some(counts.into_iter().rev().collect())
}

fn named<'a>(labels: &'a Labels, frames: &BTreeSet<u64>) -> BTreeMap<&'a str, GroupKind> {
    let of = |group: &&Group| group.frames.iter().any(|frame| frames.contains(frame));
    labels.groups.iter().filter(of).map(|group| (group.name.as_str(), group.kind)).collect()
}

#[test]
fn every_shape_is_dissected_as_what_it_claims() {
    let directory = tempfile::tempdir().unwrap();
    let report = load("shapes").write_to(directory.path(), |_| ()).unwrap();
    let (capture, labels) = (&report.captures[0], &report.labels);
    let claiming: Vec<&Group> =
        labels.groups.iter().filter(|group| !group.claim.is_empty()).collect();
    let Some(held) = held(capture, &claiming) else { return };
    let refuted: Vec<(&str, &str)> = claiming
        .iter()
        .zip(held)
        .filter(|(_, count)| *count == 0)
        .map(|(group, _)| (group.name.as_str(), group.claim))
        .collect();
    assert!(refuted.is_empty(), "{refuted:#?}");
    let bad = ["ip", "udp", "tcp", "icmp", "icmpv6", "sctp"]
        .map(|layer| format!("{layer}.checksum.status == 0"))
        .join(" || ");
    for filter in ["_ws.malformed", &bad] {
        let mut named = named(labels, &frames(capture, filter).unwrap());
        named.retain(|_, kind| *kind != GroupKind::Broken);
        assert!(named.is_empty(), "{filter}: {named:#?}");
    }
}

#[test]
fn labels_number_every_frame_once() {
    let mut generation = load("shapes").generate();
    let packets: Vec<Packet> = generation.by_ref().collect();
    let labels = generation.labels();
    let mut names = BTreeSet::new();
    let mut numbered = 0;
    for (index, group) in labels.groups.iter().enumerate() {
        assert!(names.insert(&group.name), "{} twice", group.name);
        assert!(!group.frames.is_empty(), "{} has no frame", group.name);
        assert!(group.frames.is_sorted());
        for number in &group.frames {
            assert_eq!(packets[*number as usize - 1].group, Some(index), "{}", group.name);
            numbered += 1;
        }
    }
    assert_eq!(numbered, packets.len());
    assert!(packets.len() < 5_000, "{} frames", packets.len());
    let again: Vec<Packet> = load("shapes").generate().collect();
    assert!(packets == again);
}

/// What the brief of a decoder lists, by the types in the frames themselves.
#[test]
fn every_message_and_extension_header_occurs() {
    const IPV4_UDP: usize = 14 + 20 + 8;
    let mut generation = load("shapes").generate();
    let packets: Vec<Packet> = generation.by_ref().collect();
    let mut seen: BTreeMap<&str, BTreeSet<u8>> = BTreeMap::new();
    for group in generation.labels().groups.iter().filter(|g| g.kind == GroupKind::Shape) {
        for number in &group.frames {
            let frame = &packets[*number as usize - 1].frame;
            let Some(payload) = frame.get(IPV4_UDP..) else { continue };
            // Plain IPv4 and UDP, uncut: the other forms hold nothing that these lack.
            if frame[12..15] != [8, 0, 0x45] || frame[20] & 0x3f != 0 || frame[21] != 0 {
                continue;
            }
            match u16::from_be_bytes([frame[36], frame[37]]) {
                2152 if frame[23] == 17 => {
                    seen.entry("gtpu").or_default().insert(payload[1]);
                    if payload[0] & 4 != 0 {
                        seen.entry("extension").or_default().insert(payload[11]);
                    }
                }
                8805 if frame[23] == 17 => {
                    seen.entry("pfcp").or_default().insert(payload[1]);
                }
                _ => {}
            }
        }
    }
    assert_eq!(seen["gtpu"], BTreeSet::from([1, 2, 26, 31, 253, 254, 255]));
    let extensions = [0, 0x03, 0x20, 0x40, 0x81, 0x82, 0x83, 0x84, 0x85, 0xc0];
    assert_eq!(seen["extension"], BTreeSet::from(extensions));
    assert_eq!(seen["pfcp"], (1..=17).chain(50..=57).collect());
}

#[test]
fn no_file_grows_beyond_600_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let within = ["check", "n4", "n4_attack", "n4_confounder", "pfcp", "shapes"];
    let folders = within.map(|folder| format!("src/{folder}"));
    for folder in folders.iter().map(String::as_str).chain(["src", "tests"]) {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                assert!(lines <= 600, "{}: {lines} lines", path.display());
            }
        }
    }
}

/// The forms that a capture may have, and what a reader takes each for.
#[test]
fn every_capture_form_is_read_with_the_same_tunnels() {
    let text =
        std::fs::read_to_string(format!("{}/scenarios/shapes.toml", env!("CARGO_MANIFEST_DIR")))
            .unwrap();
    let mut tunnels = BTreeMap::new();
    for (format, link_type, layer) in [
        ("pcap", "en10mb", "eth"),
        ("pcapng", "en10mb", "eth"),
        ("pcap", "raw", "raw"),
        ("pcapng", "raw", "raw"),
        ("pcap", "sll", "sll"),
        ("pcapng", "sll2", "sll"),
        ("pcap", "sll2", "sll"),
        ("pcap", "null", "null"),
    ] {
        // Extension headers and messages are all in plain IP: every link type carries them.
        let head = format!("format = \"{format}\"\nlink_type = \"{link_type}\"\n[plan]");
        let scenario: Scenario = (text.replace("[plan]", &head)
            + "families = [\"extensions\", \"messages\", \"beside\"]\n")
            .parse()
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let report = scenario.write_to(directory.path(), |_| ()).unwrap();
        let name = report.captures[0].file_name().unwrap();
        assert_eq!(name.to_str().unwrap(), format!("capture.{format}"));
        let Some(of_layer) = frames(&report.captures[0], layer) else { return };
        assert_eq!(of_layer.len() as u64, report.labels.frames, "{format} {link_type}");
        let fields = [
            "-Y",
            "gtp && !icmp && !icmpv6",
            "-T",
            "fields",
            "-e",
            "gtp.teid",
            "-e",
            "gtp.ext_hdr.next",
        ];
        let fields = fields.map(str::to_owned);
        let found = tshark(&report.captures[0], &fields).unwrap();
        assert!(found.lines().count() > 40, "{found}");
        tunnels.insert(found, (format, link_type));
    }
    assert_eq!(tunnels.len(), 1, "{tunnels:#?}");
}
