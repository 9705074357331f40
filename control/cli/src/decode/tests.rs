//! Lines of hand-made frames.

use serde_json::{Value, json};

use super::*;

/// A microsecond pcap of these frames at 1700000000.123456.
fn capture(link_type: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link_type] {
        file.extend(u32::to_le_bytes(word));
    }
    for frame in frames {
        let len = frame.len() as u32;
        for word in [1_700_000_000, 123_456, len, len + 4] {
            file.extend(u32::to_le_bytes(word));
        }
        file.extend(frame);
    }
    file
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [source, destination, 8 + payload.len() as u16, 0] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend(payload);
    bytes
}

fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 7, 0, 0, 64, protocol, 0, 0]);
    bytes.extend(source);
    bytes.extend(destination);
    bytes.extend(payload);
    bytes
}

fn ipv6(ends: [u8; 2], next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
    for end in ends {
        bytes.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
    }
    bytes.extend(payload);
    bytes
}

fn ethernet(tags: &[u16], packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2; 12];
    for tag in tags {
        bytes.extend([0x81, 0x00]);
        bytes.extend(tag.to_be_bytes());
    }
    bytes.extend([0x08, 0x00]);
    bytes.extend(packet);
    bytes
}

/// Around a PFCP message or GTP-U packet: 42 bytes of headers without tags.
fn node_to_node(port: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(&[], &ipv4([10, 0, 0, 1], [10, 0, 1, 1], 17, &udp(port, port, payload)))
}

fn lines(file: &[u8]) -> (Vec<Value>, End) {
    let mut place = tempfile::NamedTempFile::new().unwrap();
    place.write_all(file).unwrap();
    let mut out = Vec::new();
    let end = decode(open(place.path()).unwrap(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), end)
}

fn line(frame: Vec<u8>) -> Value {
    lines(&capture(1, &[frame])).0.remove(0)
}

#[test]
fn a_users_packet_in_a_tunnel_gives_every_key() {
    let inner = ipv4([10, 60, 0, 1], [192, 0, 2, 7], 17, &udp(40_000, 53, b"query"));
    let mut message = vec![0x34, 255];
    message.extend((8 + inner.len() as u16).to_be_bytes());
    message.extend([0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0x00, 0xc9, 0]);
    message.extend(&inner);
    let packet = ipv4([10, 0, 0, 1], [10, 0, 1, 1], 17, &udp(2152, 2152, &message));
    let frame = ethernet(&[100], &packet);
    let caplen = frame.len();
    assert_eq!(
        line(frame),
        json!({
            "n": 1, "ts": "1700000000.123456000", "caplen": caplen, "len": caplen + 4,
            "layers": ["eth", "vlan", "ipv4", "udp", "gtpu", "ipv4", "udp"],
            "vlan": [100], "mpls": [],
            "outer": {"src": "10.0.0.1", "dst": "10.0.1.1", "proto": 17, "sport": 2152,
                      "dport": 2152, "frag": "none"},
            "gtpu": {"type": 255, "teid": 1, "length": 41, "seq": null, "npdu": null,
                     "ext": [{"type": 133, "len": 4, "pdu_type": 0, "qfi": 9, "rqi": true,
                              "ppp": true, "ppi": null, "qmp": false, "snp": false}]},
            "inner": {"src": "10.60.0.1", "dst": "192.0.2.7", "proto": 17, "sport": 40000,
                      "dport": 53},
        })
    );
}

#[test]
fn an_uplink_container_has_no_keys_of_the_downlinks() {
    let message = [0x34, 255, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0x10, 0x09, 0];
    let ext = &line(node_to_node(2152, &message))["gtpu"]["ext"];
    let expected = json!([{"type": 133, "len": 4, "pdu_type": 1, "qfi": 9, "qmp": false,
                           "snp": false}]);
    assert_eq!(ext, &expected);
}

#[test]
fn bundled_messages_are_listed_with_their_elements_flattened() {
    let grouped = [0, 1, 0, 13, 0, 56, 0, 2, 0, 1, 0, 2, 0, 3, 0x80, 1, 0];
    let mut message = vec![0x25, 50, 0, 12 + 17 + 9];
    message.extend([0, 0, 0, 0, 0, 0, 0, 0x2a, 0, 0, 7, 0]);
    message.extend(grouped);
    message.extend([0x80, 2, 0, 5, 0x28, 0xaf, 0, 1, 0]);
    message.extend([0x20, 1, 0, 12, 0, 0, 5, 0, 0, 96, 0, 4, 1, 2, 3, 4]);
    let line = line(node_to_node(8805, &message));
    assert_eq!(
        line["pfcp"],
        json!([
            {"type": 50, "seid": "0x2a", "seq": 7, "length": 38, "ie": [1, 56, 2, 32770]},
            {"type": 1, "seq": 5, "length": 12, "ie": [96]},
        ])
    );
    // The member of the PDI is cut; what follows the group is read all the same.
    assert_eq!(line["error"], json!({"layer": "pfcp", "kind": "truncated", "offset": 42 + 30}));
}

#[test]
fn nesting_without_end_is_an_error_not_an_overflow() {
    let mut value = vec![];
    for _ in 0..300 {
        let mut element = vec![0, 1];
        element.extend((value.len() as u16).to_be_bytes());
        element.extend(&value);
        value = element;
    }
    let mut message = vec![0x20, 5];
    message.extend((4 + value.len() as u16).to_be_bytes());
    message.extend([0, 0, 1, 0]);
    message.extend(&value);
    let line = line(node_to_node(8805, &message));
    assert_eq!(line["pfcp"][0]["ie"].as_array().unwrap().len(), 16);
    assert_eq!(line["error"]["kind"], "depth");
}

#[test]
fn a_later_fragment_has_no_ports_and_a_cut_header_its_offset() {
    let mut packet = ipv4([10, 0, 0, 1], [10, 0, 1, 1], 17, &[0; 24]);
    packet[7] = 5;
    let later = line(ethernet(&[], &packet));
    assert_eq!(
        later["outer"],
        json!({"src": "10.0.0.1", "dst": "10.0.1.1", "proto": 17, "frag": "later"})
    );
    let cut = line(node_to_node(2152, &[0x30, 255, 0, 40]));
    assert_eq!(cut["layers"], json!(["eth", "ipv4", "udp", "gtpu"]));
    assert_eq!(cut["error"], json!({"layer": "gtpu", "kind": "truncated", "offset": 42}));
    let there = json!({"type": 255, "length": 40, "seq": null, "npdu": null, "ext": []});
    assert_eq!(cut["gtpu"], there);
}

#[test]
fn a_header_whose_length_can_not_be_is_shown_as_far_as_it_is_there() {
    let optional = line(node_to_node(2152, &[0x32, 255, 0, 2, 0, 0, 0, 9, 0, 5, 0, 0]));
    let there = json!({"type": 255, "teid": 9, "length": 2, "seq": null, "npdu": null, "ext": []});
    assert_eq!(optional["gtpu"], there);
    assert_eq!(optional["error"], json!({"layer": "gtpu", "kind": "length", "offset": 42}));

    let endless = [0x34, 255, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0x40, 0, 0x10, 9, 0];
    let beyond = [0x34, 255, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0x40, 9, 0x10, 9, 0];
    for (message, len) in [(endless, 0), (beyond, 36)] {
        let line = line(node_to_node(2152, &message));
        assert_eq!(line["gtpu"]["ext"], json!([{"type": 64, "len": len}]));
        assert_eq!(line["error"]["layer"], "gtpu");
    }

    let empty = line(node_to_node(8805, &[0x20, 1, 0, 0, 0, 0, 5, 0]));
    assert_eq!(empty["pfcp"], json!([{"type": 1, "length": 0, "ie": []}]));
    assert_eq!(empty["error"], json!({"layer": "pfcp", "kind": "length", "offset": 42}));
    let follow = [0x24, 1, 0, 4, 0, 0, 5, 0, 0x21, 52, 0, 14, 0, 0, 0, 0, 0, 0, 0, 7, 0];
    let cut = line(node_to_node(8805, &follow));
    assert_eq!(
        cut["pfcp"],
        json!([
            {"type": 1, "seq": 5, "length": 4, "ie": []},
            {"type": 52, "seid": "0x7", "length": 14, "ie": []},
        ])
    );
    assert_eq!(cut["error"], json!({"layer": "pfcp", "kind": "truncated", "offset": 50}));
    let spare_missing = line(node_to_node(8805, &[0x20, 2, 0, 12, 0, 1, 0]));
    assert_eq!(spare_missing["pfcp"], json!([{"type": 2, "seq": 256, "length": 12, "ie": []}]));
}

#[test]
fn ports_are_known_although_the_header_is_wrong_or_cut() {
    let no_header_length = [0x94, 0xed, 0x01, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let wrong = line(ethernet(&[], &ipv4([10, 0, 0, 1], [10, 0, 1, 1], 6, &no_header_length)));
    assert_eq!((&wrong["outer"]["sport"], &wrong["outer"]["dport"]), (&json!(38125), &json!(443)));
    assert_eq!(wrong["error"]["layer"], "tcp");
    let cut = line(ethernet(&[], &ipv4([10, 0, 0, 1], [10, 0, 1, 1], 17, &[8, 104, 8, 104, 0])));
    assert_eq!(cut["outer"]["dport"], 2152);
}

#[test]
fn a_first_fragment_that_the_capture_cut_is_read_as_far_as_it_goes() {
    let message = [0x30, 255, 0, 40, 0, 0, 0, 9, 0x45, 0];
    let mut packet = ipv4([10, 0, 0, 1], [10, 0, 1, 1], 17, &udp(2152, 2152, &message));
    packet[6] = 0x20;
    packet[2..4].copy_from_slice(&200u16.to_be_bytes());
    let cut = line(ethernet(&[], &packet));
    assert_eq!((&cut["outer"]["frag"], &cut["gtpu"]["teid"]), (&json!("first"), &json!(9)));
    assert_eq!(cut["error"], json!({"layer": "ipv4", "kind": "cut", "offset": 14}));
}

#[test]
fn the_ports_behind_an_authentication_header_are_known() {
    let mut protected = vec![17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    protected.extend(udp(2152, 2153, &[0x30, 254, 0, 0, 0, 0, 0, 9]));
    let frame = ethernet(&[], &ipv4([10, 0, 0, 1], [10, 0, 1, 1], 51, &protected));
    let line = line(frame);
    assert_eq!(line["layers"], json!(["eth", "ipv4", "ah", "udp", "gtpu"]));
    assert_eq!((&line["outer"]["proto"], &line["outer"]["dport"]), (&json!(51), &json!(2153)));
}

#[test]
fn a_datagram_given_up_says_why() {
    let piece = |offset: u16, more: bool, bytes: &[u8]| {
        let mut packet = ipv6([1, 2], 44, &[]);
        packet.extend([17, 0]);
        packet.extend((offset << 3 | u16::from(more)).to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        packet.extend(bytes);
        packet[5] = (packet.len() - 40) as u8;
        let mut frame = ethernet(&[], &packet);
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        frame
    };
    let frames = [piece(0, true, &[1; 16]), piece(1, false, &[2; 16])];
    let (lines, _) = lines(&capture(1, &frames));
    assert!(lines[0].get("error").is_none());
    assert_eq!(lines[1]["error"], json!({"layer": "ipv6", "kind": "overlap", "offset": 14}));
}

#[test]
fn a_damaged_file_gives_what_is_whole_and_the_place() {
    let frame = node_to_node(9, b"x");
    let file = capture(1, &[frame.clone(), frame]);
    let (lines, end) = lines(&file[..file.len() - 1]);
    assert_eq!(lines.len(), 1);
    let Err(Failure::Work(message)) = end.judge(Path::new("a.pcap")) else { panic!() };
    let offset = 24 + 16 + 43;
    assert!(message.contains(&format!("a.pcap, byte offset {offset};")), "{message}");
}

#[test]
fn another_link_type_is_shown_as_other_and_told_at_the_end() {
    let (lines, end) = lines(&capture(147, &[vec![0; 60]]));
    assert_eq!(lines[0]["layers"], json!(["other"]));
    assert!(matches!(end.judge(Path::new("a.pcap")), Err(Failure::Said(1))));
}
