//! A complete N4, the attacks on sessions and their look-alikes, read back from the frames.

mod tracker;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use tracker::{Tracker, Udp, messages, udp};
use weir_pcaps::{Group, GroupKind, Labels, Link, Message, Packet, Scenario};

const SECOND: u64 = 1_000_000_000;

fn scenario() -> Scenario {
    Scenario::load(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/sessions.toml")).unwrap()
}

fn play() -> (Vec<Packet>, Labels) {
    let mut generation = scenario().generate();
    let packets = generation.by_ref().collect();
    (packets, generation.labels().clone())
}

fn group<'a>(labels: &'a Labels, name: &str) -> &'a Group {
    labels.groups.iter().find(|group| group.name == name).unwrap_or_else(|| panic!("{name}"))
}

fn of<'a>(packets: &'a [Packet], labels: &Labels, name: &str) -> Vec<&'a Packet> {
    group(labels, name).frames.iter().map(|number| &packets[*number as usize - 1]).collect()
}

fn name_of<'a>(labels: &'a Labels, packet: &Packet) -> &'a str {
    packet.group.map_or("", |index| labels.groups[index].name.as_str())
}

/// The UPF of a datagram on N4, by the ranges of the scenario.
fn upf_of(datagram: &Udp) -> IpAddr {
    let is_upf = |address: &IpAddr| match address {
        IpAddr::V4(four) => four.octets()[3] < 100,
        IpAddr::V6(six) => six.segments()[7] < 0x100,
    };
    [datagram.dst.0, datagram.src.0].into_iter().find(is_upf).expect("a UPF")
}

fn on_n4(packet: &Packet) -> Option<Udp> {
    (packet.link == Link::N4).then(|| udp(packet)).flatten()
}

/// A G-PDU of N3 or N9: whether it is uplink, its tunnel, and the user packet.
fn g_pdu(packet: &Packet) -> Option<(bool, (u32, IpAddr), Vec<u8>)> {
    if packet.message != Some(Message::Gtpu(255)) {
        return None;
    }
    let datagram = udp(packet)?;
    let bytes = &datagram.payload;
    let teid = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
    let (uplink, user) = match bytes[0] & 4 {
        0 => (matches!(datagram.dst.0, IpAddr::V4(four) if four.octets()[2] == 1), &bytes[8..]),
        _ => (bytes[13] >> 4 == 1, &bytes[16..]),
    };
    Some((uplink, (teid, datagram.dst.0), user.to_vec()))
}

fn inner_source(user: &[u8]) -> IpAddr {
    match user[0] >> 4 {
        4 => IpAddr::from(<[u8; 4]>::try_from(&user[12..16]).unwrap()),
        _ => IpAddr::from(<[u8; 16]>::try_from(&user[8..24]).unwrap()),
    }
}

/// Everything that is not labelled, and these too: tunnels that sessions know.
const KNOWN: [&str; 18] = [
    "",
    "reordered-n4",
    "lost-n4",
    "repeated-n4",
    "rerouted-n4",
    "end-marker-tails",
    "upf-restart",
    "smf-restart",
    "smf-restart-again",
    "lost-answers",
    "smf-failover",
    "set-deletion",
    "association-release",
    "nat",
    "two-dnns",
    "late-address",
    "bundled-messages",
    "i-upf-insertion",
];

/// How many G-PDUs on a tunnel are no alarm yet, and how long a tunnel that ended is remembered.
const FEW: u64 = 9;
const REMEMBERED: u64 = 4 * SECOND;

#[derive(Default)]
struct Seen {
    tracker: Tracker,
    /// G-PDUs in tunnels that no session has, by the label and tunnel.
    strangers: BTreeMap<(String, (u32, IpAddr)), u64>,
    /// Octets in tunnels that were not known yet and never used again.
    early: BTreeMap<(u32, IpAddr), u64>,
    /// Uplink packets of others than the session's subscriber, by label.
    spoofed: BTreeMap<String, u64>,
}

fn watch(packets: &[Packet], labels: &Labels) -> Seen {
    let start = packets[0].time_ns / SECOND * SECOND;
    let mut seen = Seen::default();
    let mut last: BTreeMap<(u32, IpAddr), (IpAddr, u64)> = BTreeMap::new();
    for packet in packets {
        let at = packet.time_ns - start;
        if let Some(datagram) = on_n4(packet) {
            seen.tracker.take(at, &datagram, upf_of(&datagram), at / SECOND / 60);
        }
        let Some((uplink, tunnel, user)) = g_pdu(packet) else { continue };
        let name = name_of(labels, packet).to_owned();
        let sessions = &seen.tracker.sessions;
        let holds = |key: &(IpAddr, u64)| {
            let session = &sessions[key];
            let told = session.uplink.contains(&tunnel) || session.downlink.contains(&tunnel);
            told && session.ended.is_none_or(|end| end + REMEMBERED > at)
        };
        // A tunnel of N9 is told at both its ends: its user packets are those of the receiver.
        let own = |key: &&(IpAddr, u64)| sessions[*key].uplink.contains(&tunnel) == uplink;
        let known = last.get(&tunnel).copied().filter(&holds);
        let key = known.or_else(|| {
            let told = || sessions.keys().filter(|key| holds(key));
            told().find(own).or_else(|| told().next()).copied()
        });
        let bytes = user.len() as u64;
        // What is injected into a tunnel is not what the UPF counts for the session.
        let counts = packet.theft.is_none() || name.ends_with("-takeover");
        let Some(key) = key else {
            *seen.early.entry(tunnel).or_default() += bytes;
            *seen.strangers.entry((name, tunnel)).or_default() += 1;
            continue;
        };
        last.insert(tunnel, key);
        let session = seen.tracker.sessions.get_mut(&key).unwrap();
        if counts {
            let before = seen.early.remove(&tunnel).unwrap_or(0);
            session.carried[usize::from(!uplink)] += bytes + before;
        }
        // A session whose request was lost never tells its address.
        let ue = &session.ue;
        if uplink && !ue.is_empty() && !ue.contains(&inner_source(&user)) {
            *seen.spoofed.entry(name).or_default() += 1;
        }
    }
    seen
}

#[test]
fn bytes_repeat_and_every_attack_is_played_with_its_frames_numbered() {
    let (packets, labels) = play();
    assert!(packets.len() < 62_000, "{} frames", packets.len());
    assert!(packets == play().0, "bytes repeat");
    assert!(packets.is_sorted_by_key(|packet| packet.time_ns));
    let mut detections: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut about = BTreeSet::new();
    for (index, theft) in labels.thefts.iter().enumerate() {
        let expected = &theft.expectation;
        let (id, severity) = (&expected.id, expected.severity.expect("a severity"));
        *detections.entry((expected.detection, severity)).or_default() += 1;
        let network = match expected.peer.unwrap() {
            IpAddr::V4(four) => four.octets()[..3].to_vec(),
            IpAddr::V6(six) => six.octets()[..6].to_vec(),
        };
        let alert = (expected.detection, expected.equipment.clone(), network);
        assert!(about.insert(alert), "{id} can't be told from another one");
        let own = of(&packets, &labels, id);
        assert_eq!(theft.packets, own.len() as u64, "{id}");
        assert!(theft.packets >= 10, "{id}: {}", theft.packets);
        assert!(own.iter().all(|packet| packet.theft == Some(index)), "{id}");
        assert_eq!(group(&labels, id).at_most, Some(severity), "{id}");
    }
    let expected = [
        (("GTP-ORPHAN", "high"), 1),
        (("GTP-TEIDCLONE", "high"), 1),
        (("GTP-TEIDSCAN", "high"), 1),
        (("GTP-UESPOOF", "high"), 1),
        (("PFCP-DUPL", "critical"), 1),
        (("PFCP-FLOOD", "high"), 2),
        (("PFCP-GHOST", "medium"), 3),
        (("PFCP-PEER", "critical"), 7),
        (("PFCP-REDIR", "critical"), 4),
    ];
    assert_eq!(detections, BTreeMap::from(expected));
    let silent = labels.groups.iter().filter(|group| group.kind == GroupKind::Silent);
    let silent: BTreeSet<&str> = silent.map(|group| group.name.as_str()).collect();
    let others = [
        "clock-following",
        "f1-u",
        "handover-storm",
        "mid-stream",
        "s1-u",
        "unnumbered-heartbeats",
    ];
    let known = KNOWN.into_iter().filter(|name| !name.is_empty());
    assert_eq!(silent, known.chain(others).collect());
    for name in silent {
        let own = of(&packets, &labels, name);
        assert!(own.len() >= 20, "{name}: {}", own.len());
        assert!(own.iter().all(|packet| packet.theft.is_none()), "{name}");
    }
}

#[test]
fn whatever_is_no_theft_goes_through_tunnels_that_n4_has_told() {
    let (packets, labels) = play();
    let seen = watch(&packets, &labels);
    assert!(seen.tracker.sessions.len() > 500);
    for ((name, tunnel), count) in &seen.strangers {
        let known = KNOWN.contains(&name.as_str());
        // A change whose answer was lost is taken as done a second later.
        assert!(!known || *count <= FEW, "{name:?}: {count} in {tunnel:?}");
    }
    let counts = |name: &str| {
        let of = seen.strangers.iter().filter(|((of, _), _)| of == name);
        of.map(|(_, count)| *count).collect::<Vec<u64>>()
    };
    assert!(counts("teid-scan").len() >= 64);
    assert_eq!(counts("orphan-tunnel"), [40, 40]);
    for name in ["mid-stream", "f1-u", "s1-u"] {
        assert!(counts(name).iter().all(|count| *count > FEW), "{name} would be orphans");
    }
    assert_eq!(seen.spoofed, BTreeMap::from([("spoofed-subscriber".into(), 20)]));
}

#[test]
fn reports_say_what_n3_carried() {
    let (packets, labels) = play();
    let seen = watch(&packets, &labels);
    let mut compared = 0;
    let past = seen.tracker.past.iter().map(|(key, session)| (key, session));
    for (key, session) in seen.tracker.sessions.iter().chain(past) {
        let whole = (0..session.reports.len() as u32).eq(session.reports.iter().copied());
        if !session.told_at_end || !whole || session.uplink.is_empty() {
            continue;
        }
        let early = |ends: &BTreeSet<_>| ends.iter().filter_map(|end| seen.early.get(end)).sum();
        let before: [u64; 2] = [early(&session.uplink), early(&session.downlink)];
        let carried = [0, 1].map(|way| session.carried[way] + before[way]);
        assert_eq!(session.reported, carried, "{key:?} {session:?}");
        compared += usize::from(session.reports.len() > 1);
    }
    assert!(seen.tracker.past.len() > 20, "{} numbers again", seen.tracker.past.len());
    assert!(compared > 200, "{compared} sessions compared");
}

#[test]
fn n4_is_covered_but_where_it_is_attacked_or_down() {
    let (packets, labels) = play();
    let seen = watch(&packets, &labels);
    assert!(seen.tracker.reordered > 40 && seen.tracker.halves > 40);
    for ((upf, minute), (asked, answered)) in &seen.tracker.coverage {
        // The flood of establishments is in the eighth minute, at the fourth UPF.
        let flooded = *upf == IpAddr::from([10, 0, 3, 4]) && *minute == 7;
        let covered = *answered as f64 >= 0.9 * *asked as f64;
        assert_eq!(covered, !flooded, "{upf} in minute {minute}: {answered} of {asked}");
    }
    let user_ids = seen.tracker.sessions.values().filter(|session| session.named).count();
    assert!(user_ids * 100 >= seen.tracker.sessions.len() * 90);
    let dnns: BTreeSet<&[u8]> =
        seen.tracker.sessions.values().map(|session| session.dnn.as_slice()).collect();
    for dnn in ["\x08internet", "\x03iot", "\x06shadow"] {
        assert!(dnns.contains(dnn.as_bytes()), "{dnn}");
    }
}

/// What a complete N4 says, by message and element.
#[test]
fn every_message_and_element_of_a_complete_n4_is_there() {
    let (packets, labels) = play();
    let mut elements: BTreeMap<u8, BTreeSet<u16>> = BTreeMap::new();
    let (mut six, mut ports, mut bundles) = (0, BTreeSet::new(), 0);
    for packet in packets.iter().filter(|packet| packet.theft.is_none()) {
        let Some(datagram) = on_n4(packet) else { continue };
        let messages = messages(&datagram.payload);
        six += u64::from(datagram.src.0.is_ipv6());
        ports.extend([datagram.src.1, datagram.dst.1]);
        bundles += u64::from(messages.len() == 2);
        assert_eq!(packet.further.len() + 1, messages.len());
        for message in messages {
            let kinds = message.elements.iter().map(|element| element.kind);
            elements.entry(message.kind).or_default().extend(kinds);
        }
    }
    let messages: Vec<u8> = elements.keys().copied().collect();
    assert_eq!(messages, [1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 50, 51, 52, 53, 54, 55, 56, 57]);
    for (message, wanted) in [
        (5, &[43, 60, 89, 96][..]),
        (6, &[19, 43, 60, 96]),
        (14, &[60, 65]),
        (50, &[1, 2, 3, 4, 6, 7, 20, 21, 22, 23, 29, 42, 44, 56, 57, 60, 65, 81, 84, 93, 95]),
        (50, &[108, 109, 113, 124, 127, 131, 141, 159, 257]),
        (51, &[8, 19, 57, 60, 128]),
        (52, &[1, 3, 7, 9, 10, 11, 14, 15, 16, 18, 27, 49, 57, 84]),
        (53, &[8, 19]),
        (55, &[19, 63, 66, 79, 104]),
        (56, &[39, 66, 80, 83]),
        (57, &[19]),
    ] {
        let said = &elements[&message];
        // The SMF's features stand in requests, the UPF's in answers; downlink has no end yet.
        let absent = |kind: &&u16| !matches!((message, **kind), (5, 43) | (50, 84));
        let missing: Vec<&u16> =
            wanted.iter().filter(absent).filter(|kind| !said.contains(kind)).collect();
        assert!(missing.is_empty(), "{message}: {missing:?}");
    }
    assert!(six > 500 && bundles > 20, "{six} over IPv6, {bundles} bundles");
    assert_eq!(ports, BTreeSet::from([8805, 14_601, 14_605]));
    assert_eq!(labels.messages.pfcp.keys().copied().collect::<Vec<u8>>(), messages);
}

#[test]
fn forged_requests_are_numbered_apart_and_some_carry_options() {
    let (packets, labels) = play();
    for (name, options) in [
        ("forged-deletion", true),
        ("forged-deletion-plain", false),
        ("forged-redirection", true),
        ("forged-redirection-plain", false),
    ] {
        let requests = of(&packets, &labels, name).into_iter().filter_map(on_n4);
        let requests: Vec<Udp> =
            requests.filter(|datagram| [52, 54].contains(&datagram.payload[1])).collect();
        assert!(!requests.is_empty(), "{name}");
        for forged in &requests {
            let number = messages(&forged.payload)[0].sequence;
            assert_eq!((forged.options, number >> 12), (options, 5), "{name}");
            // The owner goes on counting from the same socket.
            let honest = packets.iter().filter(|packet| packet.theft.is_none());
            let own = honest
                .filter_map(on_n4)
                .filter(|datagram| (datagram.src, datagram.dst) == (forged.src, forged.dst));
            let numbers: Vec<u32> =
                own.flat_map(|datagram| messages(&datagram.payload)).map(|m| m.sequence).collect();
            assert!(numbers.len() > 50 && numbers.iter().all(|own| *own < 0x4000), "{name}");
        }
    }
}

/// Who counts along is not told by its numbers: the SMF comes to each of them, and none is left out.
#[test]
fn forged_requests_that_count_along_take_the_numbers_that_the_smf_comes_to() {
    let (packets, labels) = play();
    for (name, kind) in [("sequence-theft", 52), ("forged-removal", 1)] {
        let forged = of(&packets, &labels, name).into_iter().filter_map(|packet| {
            let datagram = on_n4(packet).filter(|datagram| datagram.payload[1] == 52)?;
            Some((packet.time_ns, datagram))
        });
        let forged: Vec<(u64, Udp)> = forged.collect();
        assert_eq!(forged.len(), 5, "{name}");
        for (at, forged) in forged {
            let request = messages(&forged.payload).remove(0);
            let honest = packets.iter().filter(|packet| packet.theft.is_none());
            let own = honest.filter(|packet| (at..at + SECOND).contains(&packet.time_ns));
            let own = own
                .filter_map(on_n4)
                .filter(|datagram| (datagram.src, datagram.dst) == (forged.src, forged.dst))
                .flat_map(|datagram| messages(&datagram.payload));
            let same: Vec<_> = own.filter(|own| own.sequence == request.sequence).collect();
            assert_eq!(same.iter().map(|own| own.kind).collect::<Vec<u8>>(), [kind], "{name}");
            assert!(!forged.options && (kind == 1 || same[0].seid == request.seid), "{name}");
        }
    }
}

/// A second restart within seconds: the SMF's numbers name other sessions' requests than before.
#[test]
fn numbers_come_again_after_a_restart_about_other_sessions() {
    let (packets, labels) = play();
    let changes = |name: &str| -> BTreeMap<u32, (u64, u64)> {
        let own = of(&packets, &labels, name).into_iter();
        own.filter(|packet| packet.message == Some(Message::Pfcp(52)))
            .filter_map(|packet| Some((packet.time_ns, on_n4(packet)?)))
            .flat_map(|(at, datagram)| {
                messages(&datagram.payload).into_iter().map(move |message| (at, message))
            })
            .map(|(at, message)| (message.sequence, (at, message.seid.unwrap())))
            .collect()
    };
    let (before, after) = (changes("smf-restart"), changes("smf-restart-again"));
    let again = after.iter().filter(|(number, (at, seid))| {
        let then = before.get(number);
        then.is_some_and(|(then, other)| at - then < 15 * SECOND && seid != other)
    });
    assert!(again.count() >= 4);
}

/// A restart brings what a flood and a scan would be, were there no restart.
#[test]
fn the_storm_after_a_restart_is_a_storm() {
    let (packets, labels) = play();
    let storm = of(&packets, &labels, "upf-restart");
    let smf = IpAddr::from([10, 0, 2, 100]);
    let asked: Vec<u64> = storm
        .iter()
        .filter(|packet| packet.message == Some(Message::Pfcp(50)))
        .filter(|packet| on_n4(packet).is_some_and(|datagram| datagram.src.0 == smf))
        .map(|packet| packet.time_ns)
        .collect();
    let most = asked
        .iter()
        .map(|first| asked.iter().filter(|at| (*first..first + 3 * SECOND).contains(at)).count());
    assert!(most.max() >= Some(60));
    let complaints = storm.iter().filter(|packet| packet.message == Some(Message::Gtpu(26)));
    assert!(complaints.count() >= 20);
}

#[test]
fn the_policy_grants_and_declares_what_the_scenario_needs() {
    let scenario = scenario();
    let inventory = scenario.inventory().unwrap();
    let inventory = weir_policy::inventory_from_str("inventory.toml", &inventory).unwrap();
    let text = scenario.policy().unwrap();
    weir_policy::policy_from_str("policy.toml", &text, &inventory.value).unwrap();
    let policy: toml::Table = text.parse().unwrap();
    assert_eq!(policy["detections"]["GTP-ORPHAN"]["start_grace_seconds"].as_integer(), Some(60));
    assert_eq!(policy["dnns"].as_array().unwrap().len(), 2);
    assert_eq!(policy["slices"].as_array().unwrap().len(), 2);
    assert_eq!(policy["ue_pools"].as_array().unwrap().len(), 3);
    assert_eq!(policy["smf_set"][0]["members"].as_array().unwrap().len(), 2);
    assert_eq!(policy["nat"].as_array().unwrap().len(), 1);
}
