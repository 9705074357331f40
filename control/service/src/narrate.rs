//! Findings in plain English: what was seen, what the policy expected, why it
//! was flagged, what was ruled out, what to do next.

mod tunnels;

use weir_engine::contract::verdict::{Alert, Direction, Fact, Hidden, Initiator, Severity};
use weir_engine::contract::words::Table;
use weir_engine::detect::{EGR_NOTALLOWED, GTP_PEER, INV_UNKNOWN};

use crate::eve;

/// The sentences about one finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Story {
    /// What was seen.
    pub observed: String,
    /// What there should have been.
    pub expected: String,
    /// One sentence that says why it was flagged.
    pub why: String,
    /// Harmless explanations that do not hold.
    pub ruled_out: Vec<String>,
    /// What to do next.
    pub next: String,
}

/// Tells about an alert; `suspect` is the equipment's id or number, `peer_id` the
/// peer's if it is equipment, `tap` the tap's name.
pub fn tell(alert: &Alert, suspect: Option<&str>, peer_id: Option<&str>, tap: &str) -> Story {
    let equipment = suspect;
    let suspect = name(equipment);
    let peer = peer(alert, peer_id);
    let service = service(alert);
    let (observed, why) = said(alert, equipment, &peer, &service, tap);
    Story {
        observed,
        expected: expected(alert, suspect, &peer),
        why,
        ruled_out: ruled_out(alert),
        next: next(alert, equipment, &peer),
    }
}

fn name(equipment: Option<&str>) -> &str {
    equipment.unwrap_or("no listed equipment")
}

fn peer(alert: &Alert, id: Option<&str>) -> String {
    let Some(address) = alert.peer else { return "no peer".into() };
    match (id, &alert.peer_name) {
        (Some(id), _) => format!("{id} ({address})"),
        (None, Some(name)) => format!("{address} ({name})"),
        (None, None) => address.to_string(),
    }
}

/// Protocol and the responder's port, as in `TCP port 443`.
fn service(alert: &Alert) -> String {
    match &alert.outer {
        None => "IP".into(),
        Some(outer) if outer.destination_port == 0 => eve::protocol(outer.protocol),
        Some(outer) => {
            format!("{} port {}", eve::protocol(outer.protocol), outer.destination_port)
        }
    }
}

fn said(
    alert: &Alert,
    equipment: Option<&str>,
    peer: &str,
    service: &str,
    tap: &str,
) -> (String, String) {
    let suspect = name(equipment);
    match alert.fact {
        Fact::Opened => (
            format!("{suspect} opened a flow to {peer} on {service}."),
            format!("{suspect} turned to {peer} by itself, and no rule of the policy allows it."),
        ),
        Fact::Answered => (
            format!("{peer} opened a flow to {suspect} on {service}, and {suspect} answered with data."),
            format!("{suspect} serves {peer}, which no rule of the policy allows."),
        ),
        Fact::SentData => (
            format!("{suspect} sent data to {peer} on a flow whose opening was not seen ({service})."),
            format!("{suspect} sends data to {peer}, whoever opened the flow, and no rule of the policy allows either."),
        ),
        Fact::Acknowledged { round_trips } => (
            format!(
                "Only the packets of {peer} were seen ({service}); its acknowledgements grew in {round_trips} round trips."
            ),
            format!("Acknowledgements that grow prove that {suspect} sends data to {peer}, and no rule of the policy allows it."),
        ),
        Fact::UndeclaredPair => (
            format!("G-PDUs between {suspect} and {peer}{}.", tunnel(alert)),
            format!("User packets are tunnelled between {suspect} and {peer}, which nobody declared as a pair."),
        ),
        Fact::OnN6 => (
            format!("G-PDUs between {suspect} and {peer} on the link to the data network{}.", tunnel(alert)),
            "A tunnel leaves towards the data network, where every tunnel should have ended.".into(),
        ),
        Fact::Nested => tunnels::said_inside(alert, equipment, "GTP-U again"),
        Fact::ControlInside => {
            tunnels::said_inside(alert, equipment, tunnels::control_plane(alert))
        }
        Fact::IntoInfrastructure => tunnels::said_infrastructure(alert, equipment, peer),
        Fact::Header(hidden) => tunnels::said_header(alert, suspect, peer, hidden),
        Fact::ForeignTunnel(index) => tunnels::said_foreign(alert, suspect, peer, index),
        Fact::ClearGtpu => (
            format!("{suspect} sent G-PDUs in clear to {peer}{}.", tunnel(alert)),
            format!("Users' packets between {suspect} and {peer} can be read by whoever is on the way, where the policy says that only ESP may pass."),
        ),
        Fact::UnknownAddress => (
            format!("{peer} sends on the {} link at tap {tap}.", alert.link.name()),
            format!("{peer} is in no inventory entry, subscriber pool or declared range, and exchanges packets on an infrastructure link."),
        ),
        Fact::NewMac(mac) => {
            let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
            (
                format!("Frames with an address of {suspect} came from the MAC address {mac}."),
                format!("The entry of {suspect} lists its MAC addresses, and {mac} is none of them."),
            )
        }
        Fact::NewVlan(id) => (
            format!("{suspect} sent in VLAN {id}."),
            format!("{suspect} had not used VLAN {id} before."),
        ),
        Fact::NewEtherType(kind) => (
            format!("{suspect} sent frames of EtherType {kind:#06x}."),
            format!("EtherType {kind:#06x} is uncommon on such links and new for {suspect}."),
        ),
        Fact::Loss { lost, received } => (
            format!("{lost} of {received} frames were lost before inspection."),
            "What was lost was not inspected, and verdicts meanwhile may be incomplete.".into(),
        ),
        Fact::NoPolicy => (
            "The sensor runs without a policy.".into(),
            "Without inventory and policy traffic is decoded, tracked and counted, but nothing can be judged.".into(),
        ),
        Fact::Silent(direction) => {
            let way = match direction {
                Direction::Ul => "uplink",
                Direction::Dl => "downlink",
            };
            (
                format!("Tap {tap} delivers no {way} any more, while the other direction goes on."),
                format!("Half of the conversations at tap {tap} can't be seen."),
            )
        }
        Fact::ClockBack { by } => (
            format!("Packet time stepped back by {}.", seconds(by)),
            "Order and intervals around the step are not reliable.".into(),
        ),
        Fact::ClockAhead { by } => (
            format!("Packet time jumped ahead by {}.", seconds(by)),
            "Timers fired early and intervals around the jump are not reliable.".into(),
        ),
        Fact::TableFull(index) => {
            let name = Table::ALL.get(usize::from(index)).map_or("unknown", |table| table.name());
            (
                format!("The table {name} is full and gives up rows."),
                "What was given up is not tracked any more; someone may be filling the table on purpose.".into(),
            )
        }
        Fact::ControlAway => (
            "The control process was away.".into(),
            "While control is away alerts are not seen, and events are lost once the ring is full.".into(),
        ),
    }
}

fn tunnel(alert: &Alert) -> String {
    let Some(tunnel) = alert.tunnel else { return String::new() };
    match tunnel.qfi {
        Some(qfi) => format!(", TEID {} and QFI {qfi} first", tunnel.teid),
        None => format!(", TEID {} first", tunnel.teid),
    }
}

fn seconds(nanoseconds: u64) -> String {
    format!("{:.3} s", nanoseconds as f64 / 1e9)
}

fn expected(alert: &Alert, suspect: &str, peer: &str) -> String {
    match alert.fact {
        Fact::Opened | Fact::Answered | Fact::SentData | Fact::Acknowledged { .. } => {
            format!("Flows of {suspect} that an [[allow]] entry of the policy names; none names {peer}.")
        }
        Fact::UndeclaredPair => {
            "G-PDUs only between pairs that the policy allows gtpu, or with declared roaming partners."
                .into()
        }
        Fact::OnN6 => "Plain IP packets on N6, and no GTP-U.".into(),
        Fact::Nested => "Users' packets in one tunnel, not in two.".into(),
        Fact::ControlInside => "Control plane on its own links, outside users' tunnels.".into(),
        Fact::IntoInfrastructure => {
            "Users' packets to the data network, [[mec]] servers and declared DNS servers.".into()
        }
        Fact::Header(hidden) => tunnels::expected_header(hidden).into(),
        Fact::ForeignTunnel(_) => {
            format!("Tunnels of {suspect} that an [[allow]] entry of the policy names; none names {peer}.")
        }
        Fact::ClearGtpu => "ESP alone between the two, as esp_only of the policy says.".into(),
        Fact::UnknownAddress => {
            "Only declared equipment, subscribers and partners on this link.".into()
        }
        Fact::NewMac(_) => format!("Only the MAC addresses that the entry of {suspect} lists."),
        Fact::NewVlan(_) => format!("The VLANs that {suspect} has used so far."),
        Fact::NewEtherType(_) => "IPv4, IPv6, ARP and the link's own housekeeping.".into(),
        Fact::Loss { .. } => "No frame lost before inspection.".into(),
        Fact::NoPolicy => "An inventory and a policy in force.".into(),
        Fact::Silent(_) => "Both directions, as the tap is configured.".into(),
        Fact::ClockBack { .. } | Fact::ClockAhead { .. } => {
            "Packet time that runs on steadily.".into()
        }
        Fact::TableFull(_) => "Room in every table.".into(),
        Fact::ControlAway => "A control process that reads along.".into(),
    }
}

fn ruled_out(alert: &Alert) -> Vec<String> {
    let texts: &[&str] = match alert.fact {
        Fact::Opened => &[
            "a reply to a request: the equipment spoke first",
            "a subscriber's traffic: the address is the equipment's own",
        ],
        Fact::Answered => &[
            "a scan that was turned away: the answer carried data, not only RST, ICMP or an empty SYN-ACK",
            "a subscriber's traffic: the address is the equipment's own",
        ],
        Fact::SentData => &[
            "a scan that was turned away: data was sent",
            "a subscriber's traffic: the address is the equipment's own",
        ],
        Fact::Acknowledged { .. } => &[
            "a scan that was turned away: the peer acknowledged growing amounts of data",
            "keep-alives: they acknowledge nothing new",
        ],
        Fact::UndeclaredPair | Fact::OnN6 => {
            &["another service on port 2152: header, lengths and inner packet were verified"]
        }
        Fact::Nested => &[
            "something else on port 2152: version, message type and exact length of the inner header were verified",
        ],
        Fact::ControlInside => &[
            "a subscriber's ephemeral port: header, length and message type of the inner packet were verified",
        ],
        Fact::IntoInfrastructure => &[
            "local break-out and name resolution: [[mec]] and equipment of the role dns are not meant",
        ],
        Fact::Header(Hidden::Trailing) => {
            &["a broker's trailer: trailer_bytes of the tap was taken off"]
        }
        Fact::Header(Hidden::EchoRate) => {
            &["a path that fails: only Echoes that were answered are counted"]
        }
        Fact::Header(_) => &["an oddity that is known of its build: no [[quirk]] names it"],
        Fact::ForeignTunnel(_) => &[
            "a tap's own wrapper: what the tap declares was taken off",
            "an attempt from outside: the equipment itself sent the tunnel",
        ],
        Fact::ClearGtpu => {
            &["another service on port 2152: header, lengths and inner packet were verified"]
        }
        Fact::UnknownAddress => &[
            "multicast, link-local and the link's own housekeeping",
            "a peer that a more specific detection names",
        ],
        _ => &[],
    };
    texts.iter().map(|text| (*text).into()).collect()
}

fn next(alert: &Alert, equipment: Option<&str>, peer: &str) -> String {
    let suspect = name(equipment);
    if alert.superseded_by.is_some() {
        return "See the alert of the more specific detection about the same peer.".into();
    }
    match alert.detection {
        EGR_NOTALLOWED => format!(
            "Ask who runs {peer} and why {suspect} talks to it; allow it in policy.toml if it is wanted, else block it at the router and ask the vendor."
        ),
        GTP_PEER => format!(
            "Find out what {peer} is; declare it in inventory.toml and allow gtpu if it is yours, else stop the tunnel at the site router."
        ),
        INV_UNKNOWN => match alert.fact {
            Fact::UnknownAddress => format!(
                "Find the box behind {peer} by its switch port; add it to inventory.toml if it is yours."
            ),
            _ => format!(
                "Ask who changed the cabling or the cards of {suspect}; update its entry if it was planned."
            ),
        },
        _ => match alert.fact {
            Fact::Nested => tunnels::next_inside(equipment, peer, true),
            Fact::ControlInside | Fact::IntoInfrastructure => {
                tunnels::next_inside(equipment, peer, false)
            }
            Fact::Header(hidden) => format!(
                "Keep such packets and ask the vendor of {suspect} what they carry; if its build does so by design, declare a [[quirk]] with value = \"{hidden}\"."
            ),
            Fact::ForeignTunnel(_) => format!(
                "Ask what the tunnel from {suspect} to {peer} is for; allow it with services = [\"{}\"] if it is wanted, else block it at the router and ask the vendor.",
                tunnels::service(alert)
            ),
            Fact::ClearGtpu => format!(
                "Check the security gateway between {suspect} and {peer}: its tunnel is down or passed by; drop the pair from esp_only if clear GTP-U is wanted there."
            ),
            Fact::Loss { .. } => "Give the sensor more workers or tap less.".into(),
            Fact::NoPolicy => "Give control an inventory.toml and a policy.toml.".into(),
            Fact::Silent(_) => "Check the tap's fibre and the broker's port.".into(),
            Fact::ClockBack { .. } | Fact::ClockAhead { .. } => {
                "Check the time source of the sensor or the capture.".into()
            }
            Fact::TableFull(_) => {
                "Look who opens so many flows; see weir_table_evictions_total.".into()
            }
            _ => "Look at the log of weir-control.".into(),
        },
    }
}

/// How sure the finding is: 1 − the largest of the loss ratio and the
/// detection's own doubt. A detection that reads packets as they are has none.
/// One that infers the unseen side from `n` growths of the far side's
/// acknowledgements has 0.5ⁿ: each single growth may have another cause.
pub fn confidence(alert: &Alert) -> f64 {
    let doubt = match alert.fact {
        Fact::Acknowledged { round_trips } => 0.5_f64.powi(round_trips.min(64) as i32),
        _ => 0.0,
    };
    let loss = f64::from(alert.loss_ratio);
    let loss = if loss.is_finite() { loss.clamp(0.0, 1.0) } else { 1.0 };
    ((1.0 - doubt.max(loss)) * 1e4).round() / 1e4
}

/// The severity in force: what a more specific detection explains is info.
pub fn severity(alert: &Alert) -> Severity {
    if alert.superseded_by.is_some() { Severity::Info } else { alert.severity }
}

/// Who opened, as one word for people.
pub fn opener(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::Equipment => "→",
        Initiator::Peer => "←",
        Initiator::Unknown => "↔",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use weir_engine::Nanos;
    use weir_engine::contract::verdict::{Tunnel, Tuple};
    use weir_engine::rules::Link;

    fn alert(detection: u16, fact: Fact) -> Alert {
        let (ours, theirs) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([198, 51, 100, 7]));
        Alert {
            detection,
            instance: 1,
            day: 0,
            last_word: false,
            severity: Severity::High,
            superseded_by: None,
            degraded: false,
            loss_ratio: 0.0,
            equipment: None,
            peer_equipment: None,
            peer: Some(theirs),
            peer_name: Some("evil.example".into()),
            initiator: Initiator::Equipment,
            fact,
            tap: 0,
            link: Link::Oam,
            direction: None,
            outer: Some(Tuple {
                source: ours,
                destination: theirs,
                source_port: 40_000,
                destination_port: 5555,
                protocol: 6,
            }),
            inner: None,
            tunnel: None,
            flow_id: 1,
            packets: 1,
            bytes: 1,
            first: Nanos(0),
            last: Nanos(0),
            at: Nanos(0),
            policy: 1,
        }
    }

    #[test]
    fn a_story_names_suspect_peer_and_service() {
        let story = tell(&alert(EGR_NOTALLOWED, Fact::Opened), Some("upf-1"), None, "n6");
        assert_eq!(
            story.observed,
            "upf-1 opened a flow to 198.51.100.7 (evil.example) on TCP port 5555."
        );
        assert!(story.why.contains("upf-1") && story.next.contains("policy.toml"));
        let story = tell(&alert(INV_UNKNOWN, Fact::NewMac([2, 0, 0, 0, 0, 0xab])), None, None, "t");
        assert!(story.observed.contains("02:00:00:00:00:ab"), "{}", story.observed);
    }

    #[test]
    fn an_explained_alert_points_to_what_explains_it_and_is_info() {
        let mut explained = alert(EGR_NOTALLOWED, Fact::Opened);
        explained.superseded_by = Some(GTP_PEER);
        assert_eq!(severity(&explained), Severity::Info);
        assert!(tell(&explained, None, None, "t").next.contains("more specific"));
    }

    /// Of each fact about tunnels, and of each place in a header.
    fn of_tunnels() -> Vec<(u16, Fact)> {
        use weir_engine::detect::{GTP_CPINUP, GTP_HDRCOV, GTP_NEST, TUN_FOREIGN};
        let hidden = [
            Hidden::SpareBit,
            Hidden::Trailing,
            Hidden::PrivateExtension,
            Hidden::Padding,
            Hidden::Extension(0x5a),
            Hidden::EchoRate,
        ];
        let inside = [
            (GTP_NEST, Fact::Nested),
            (GTP_CPINUP, Fact::ControlInside),
            (GTP_CPINUP, Fact::IntoInfrastructure),
            (TUN_FOREIGN, Fact::ClearGtpu),
        ];
        let foreign = (0..=u8::MAX).map(|index| (TUN_FOREIGN, Fact::ForeignTunnel(index)));
        let headers = hidden.map(|hidden| (GTP_HDRCOV, Fact::Header(hidden)));
        inside.into_iter().chain(headers).chain(foreign).collect()
    }

    fn nested(
        inner: ([u8; 4], [u8; 4]),
        protocol: u8,
        port: u16,
    ) -> (Option<Tuple>, Option<Tunnel>) {
        let inner = Tuple {
            source: inner.0.into(),
            destination: inner.1.into(),
            source_port: 40_000,
            destination_port: port,
            protocol,
        };
        (Some(inner), Some(Tunnel { teid: 7, qfi: Some(9) }))
    }

    #[test]
    fn every_fact_about_tunnels_is_told_in_whole_sentences() {
        for (detection, fact) in of_tunnels() {
            for (inner, tunnel) in [(None, None), nested(([10, 60, 0, 1], [192, 0, 2, 7]), 17, 53)]
            {
                let alert = Alert { inner, tunnel, ..alert(detection, fact) };
                let story = tell(&alert, Some("gnb-1"), None, "t");
                for sentence in [&story.observed, &story.expected, &story.why, &story.next] {
                    assert!(sentence.ends_with('.') && !sentence.contains(".."), "{sentence}");
                    assert!(!sentence.contains("  ") && !sentence.contains(" ,"), "{sentence}");
                    assert!(
                        sentence.starts_with(char::is_uppercase)
                            || sentence.starts_with("gnb-1")
                            || sentence.starts_with("198."),
                        "{sentence}"
                    );
                }
                assert!(!story.ruled_out.is_empty(), "{fact:?}");
                assert!(!story.next.contains("weir-control"), "{}", story.next);
            }
        }
    }

    #[test]
    fn a_subscribers_own_doing_names_the_subscriber_and_no_equipment() {
        use weir_engine::detect::{GTP_CPINUP, GTP_NEST};
        let (phone, far) = ([10, 60, 0, 1], [192, 0, 2, 7]);
        let own = |detection, fact, direction, inner| {
            let (inner, tunnel) = inner;
            let alert = Alert { inner, tunnel, direction, ..alert(detection, fact) };
            tell(&alert, None, None, "t")
        };
        let up = own(GTP_NEST, Fact::Nested, Some(Direction::Ul), nested((phone, far), 17, 2152));
        assert_eq!(
            up.observed,
            "The inner packet, from 10.60.0.1 to 192.0.2.7, of a G-PDU (TEID 7, QFI 9) is GTP-U again."
        );
        assert!(up.why.starts_with("Subscriber 10.60.0.1 is an end of it"), "{}", up.why);
        let down = own(GTP_NEST, Fact::Nested, Some(Direction::Dl), nested((far, phone), 17, 2152));
        assert!(down.why.starts_with("Subscriber 10.60.0.1 is"), "{}", down.why);
        let either = own(GTP_NEST, Fact::Nested, None, nested((far, phone), 17, 2152));
        assert!(
            either.why.starts_with("A subscriber, 192.0.2.7 or 10.60.0.1, is"),
            "{}",
            either.why
        );
        let pfcp = own(GTP_CPINUP, Fact::ControlInside, None, nested((phone, far), 17, 8805));
        assert!(pfcp.observed.ends_with("is PFCP."), "{}", pfcp.observed);
        let ran = own(GTP_CPINUP, Fact::ControlInside, None, nested((phone, far), 132, 38412));
        assert!(ran.observed.contains("the RAN over SCTP"), "{}", ran.observed);
        let reach = own(GTP_CPINUP, Fact::IntoInfrastructure, None, nested((phone, far), 6, 22));
        assert!(
            reach.observed.contains("subscriber 10.60.0.1 goes through its tunnel (TEID 7, QFI 9)")
        );
        for story in [up, down, either, pfcp, ran, reach] {
            let Story { observed, expected, why, next, .. } = &story;
            let all = [observed, expected, why, next];
            assert!(all.iter().all(|text| !text.contains("no listed equipment")), "{story:?}");
            assert!(why.contains("own doing") && why.contains("not that of equipment"), "{why}");
        }
    }

    #[test]
    fn equipment_that_reaches_into_the_user_plane_is_named_with_what_it_did() {
        use weir_engine::detect::{GTP_CPINUP, GTP_NEST};
        let (inner, tunnel) = nested(([192, 0, 2, 1], [192, 0, 2, 7]), 17, 2123);
        let story = |detection, fact| {
            tell(&Alert { inner, tunnel, ..alert(detection, fact) }, Some("upf-1"), None, "t")
        };
        let nest = story(GTP_NEST, Fact::Nested);
        assert!(nest.observed.starts_with("upf-1 sent a G-PDU (TEID 7, QFI 9) whose"), "{nest:?}");
        assert!(nest.why.contains("No end of the inner packet is a subscriber's"), "{nest:?}");
        assert!(story(GTP_CPINUP, Fact::ControlInside).observed.ends_with("is GTP-C."));
    }

    #[test]
    fn a_foreign_tunnel_has_its_name_and_the_service_that_would_allow_it() {
        use weir_engine::detect::TUN_FOREIGN;
        use weir_wire::foreign::Foreign;
        let story = |tunnel: Foreign, protocol, port| {
            let mut alert = alert(TUN_FOREIGN, Fact::ForeignTunnel(tunnel as u8));
            let outer = alert.outer.as_mut().unwrap();
            (outer.protocol, outer.destination_port) = (protocol, port);
            tell(&alert, Some("gnb-1"), None, "t")
        };
        for (tunnel, protocol, port, service) in [
            (Foreign::Gre, 47, 0, "gre"),
            (Foreign::Erspan, 47, 0, "gre"),
            (Foreign::IpInIp, 4, 0, "ip/4"),
            (Foreign::Esp, 50, 0, "ipsec"),
            (Foreign::Esp, 17, 4500, "ipsec"),
            (Foreign::L2tp, 17, 1701, "l2tp"),
            (Foreign::Vxlan, 17, 4789, "vxlan"),
            (Foreign::WireGuard, 17, 51_820, "udp/51820"),
        ] {
            let story = story(tunnel, protocol, port);
            assert!(story.observed.contains(&format!("sent {} to 198.51.100.7", tunnel.name())));
            assert!(story.next.contains(&format!("[\"{service}\"]")), "{}", story.next);
        }
        let beyond = alert(TUN_FOREIGN, Fact::ForeignTunnel(200));
        assert!(tell(&beyond, Some("gnb-1"), None, "t").observed.contains("unknown tunnel"));
    }

    #[test]
    fn doubt_is_the_largest_of_loss_and_inference() {
        let inferred = Fact::Acknowledged { round_trips: 2 };
        assert_eq!(confidence(&alert(EGR_NOTALLOWED, Fact::Opened)), 1.0);
        assert_eq!(confidence(&alert(EGR_NOTALLOWED, inferred)), 0.75);
        let lossy = Alert { loss_ratio: 0.4, ..alert(EGR_NOTALLOWED, inferred) };
        assert_eq!(confidence(&lossy), 0.6);
        let broken = Alert { loss_ratio: f32::NAN, ..alert(EGR_NOTALLOWED, Fact::Opened) };
        assert_eq!(confidence(&broken), 0.0);
    }
}
