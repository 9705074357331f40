//! What findings sound like.

use super::*;
use std::net::IpAddr;
use weir_engine::Nanos;
use weir_engine::contract::session::{Forwarding, SessionContext, Slice, TunnelEnd};
use weir_engine::contract::verdict::{Direction, Hidden, Oddity, Spoof, Tunnel, Tuple};
use weir_engine::detect::{
    CNS_BALANCE, CNS_DUP, EGR_NOTALLOWED, GTP_ORPHAN, GTP_PEER, GTP_TEIDCLONE, GTP_TEIDSCAN,
    GTP_UESPOOF, INV_UNKNOWN, OPS_BLIND, PFCP_DUPL, PFCP_FLOOD, PFCP_GHOST, PFCP_PEER, PFCP_REDIR,
};
use weir_engine::rules::Link;

fn of(suspect: &str) -> Names<'_> {
    Names { suspect: Some(suspect), ..Names::default() }
}

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
        n4: None,
        evidence: None,
    }
}

#[test]
fn a_story_names_suspect_peer_and_service() {
    let story = tell(&alert(EGR_NOTALLOWED, Fact::Opened), of("upf-1"));
    assert_eq!(
        story.observed,
        "upf-1 opened a flow to 198.51.100.7 (evil.example) on TCP port 5555."
    );
    assert!(story.why.contains("upf-1") && story.next.contains("policy.toml"));
    let story = tell(&alert(INV_UNKNOWN, Fact::NewMac([2, 0, 0, 0, 0, 0xab])), Names::default());
    assert!(story.observed.contains("02:00:00:00:00:ab"), "{}", story.observed);
}

#[test]
fn an_explained_alert_points_to_what_explains_it_and_is_info() {
    let mut explained = alert(EGR_NOTALLOWED, Fact::Opened);
    explained.superseded_by = Some(GTP_PEER);
    assert_eq!(severity(&explained), Severity::Info);
    assert!(tell(&explained, Names::default()).next.contains("more specific"));
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

fn nested(inner: ([u8; 4], [u8; 4]), protocol: u8, port: u16) -> (Option<Tuple>, Option<Tunnel>) {
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
        for (inner, tunnel) in [(None, None), nested(([10, 60, 0, 1], [192, 0, 2, 7]), 17, 53)] {
            let alert = Alert { inner, tunnel, ..alert(detection, fact) };
            let story = tell(&alert, of("gnb-1"));
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
        tell(&alert, Names::default())
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
    assert!(either.why.starts_with("A subscriber, 192.0.2.7 or 10.60.0.1, is"), "{}", either.why);
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
    let story =
        |detection, fact| tell(&Alert { inner, tunnel, ..alert(detection, fact) }, of("upf-1"));
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
        tell(&alert, of("gnb-1"))
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
    assert!(tell(&beyond, of("gnb-1")).observed.contains("unknown tunnel"));
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

/// Of each fact that N4 has a say in.
fn of_sessions() -> Vec<(u16, Fact)> {
    let spoofs = [Spoof::Odd, Spoof::Stale, Spoof::Leaves, Spoof::Much, Spoof::NoSession];
    let oddities = [
        Oddity::OutsidePools,
        Oddity::UndeclaredDnn,
        Oddity::UndeclaredSlice,
        Oddity::NoUserId,
        Oddity::OneWay,
    ];
    let others = [
        (GTP_ORPHAN, Fact::Orphans { tunnels: 2 }),
        (GTP_TEIDSCAN, Fact::TeidScan { tunnels: 64 }),
        (GTP_TEIDSCAN, Fact::ErrorIndications { indications: 1 }),
        (GTP_TEIDCLONE, Fact::TunnelShared),
        (GTP_PEER, Fact::SignalledPeer),
        (PFCP_PEER, Fact::UndeclaredPeer),
        (PFCP_PEER, Fact::NodeMoved),
        (PFCP_PEER, Fact::ForeignSeid),
        (PFCP_PEER, Fact::Contradiction),
        (PFCP_PEER, Fact::SecondSequence),
        (PFCP_DUPL, Fact::Duplication { sessions: 3, authorised: 0 }),
        (PFCP_DUPL, Fact::Duplication { sessions: 3, authorised: 2 }),
        (CNS_DUP, Fact::Copied { digests: 1 }),
        (CNS_DUP, Fact::Copied { digests: 3 }),
        (CNS_BALANCE, imbalance(1)),
        (CNS_BALANCE, imbalance(5)),
        (PFCP_REDIR, Fact::Redirected),
        (PFCP_REDIR, Fact::AddressClaimed { older_alive: true }),
        (PFCP_REDIR, Fact::TunnelClaimed { older_alive: false }),
        (PFCP_REDIR, Fact::DownlinkSilent),
        (PFCP_FLOOD, Fact::Flood { message: 50, per_second: 40 }),
        (PFCP_FLOOD, Fact::FailingEstablishments { failed: 60, requests: 100 }),
    ];
    let spoofs = spoofs.map(|spoof| (GTP_UESPOOF, Fact::Spoofed(spoof)));
    let oddities = oddities.map(|oddity| (PFCP_GHOST, Fact::Ghost(oddity)));
    others.into_iter().chain(spoofs).chain(oddities).collect()
}

fn imbalance(windows: u32) -> Fact {
    Fact::Imbalance { direction: Direction::Ul, extra: 30, bytes: 9_000, came: 1_000, windows }
}

fn signalled() -> Signalled {
    let to = |last| TunnelEnd { teid: 7, addr: IpAddr::from([10, 0, 0, last]) };
    let rule = |to| Some(Forwarding { far: 1, apply: 2, to: Some(to) });
    Signalled {
        session: Some(SessionContext {
            cp_seid: 1,
            up_seid: 0x2a,
            ue: Some(IpAddr::from([10, 60, 0, 1])),
            dnn: Some("internet".into()),
            supi: Some(7),
            slice: Some(Slice { sst: 1, sd: Some([1, 2, 3]) }),
        }),
        before: rule(to(1)),
        after: rule(to(9)),
        ordered_by: Some(IpAddr::from([10, 0, 2, 1])),
        coverage: Some(0.98),
        doubt: 0.0,
        teids: vec![7, 8, 9, 10, 11],
    }
}

#[test]
fn every_fact_about_sessions_is_told_in_whole_sentences() {
    for (detection, fact) in of_sessions() {
        for n4 in [None, Some(Box::new(signalled())), Some(Box::default())] {
            for names in [Names { orderer: Some("smf-1"), ..of("gnb-1") }, Names::default()] {
                let (inner, tunnel) = nested(([10, 60, 0, 9], [192, 0, 2, 7]), 17, 53);
                let told = Alert { n4: n4.clone(), inner, tunnel, ..alert(detection, fact) };
                let story = tell(&told, names);
                for sentence in [&story.observed, &story.expected, &story.why, &story.next] {
                    assert!(sentence.ends_with('.') && !sentence.contains(".."), "{sentence}");
                    assert!(!sentence.contains("  ") && !sentence.contains(" ,"), "{sentence}");
                    let first = sentence.chars().next().unwrap();
                    let is_name = ["gnb-1", "smf-1", "no listed"]
                        .iter()
                        .any(|name| sentence.starts_with(name));
                    assert!(
                        first.is_uppercase() || first.is_ascii_digit() || is_name,
                        "{sentence}"
                    );
                }
                assert!(!story.ruled_out.is_empty(), "{fact:?}");
            }
        }
    }
    for fact in [Fact::N4Coverage { whole: 8, seen: 20 }, Fact::N4Dropped { dropped: 1 }] {
        let story = tell(&alert(OPS_BLIND, fact), Names::default());
        assert!(story.next.contains("weir_n4_"), "{}", story.next);
    }
}

#[test]
fn stories_of_sessions_name_who_ordered_what_for_whom() {
    let told = |detection, fact| {
        let alert = Alert { n4: Some(Box::new(signalled())), ..alert(detection, fact) };
        tell(&alert, Names { orderer: Some("smf-1"), ..of("upf-1") })
    };
    let redirected = told(PFCP_REDIR, Fact::Redirected);
    assert_eq!(
        redirected.observed,
        "smf-1 (10.0.2.1) ordered that FAR 1 of the session of 10.60.0.1 (UP SEID 0x2a) sends \
         packets to 10.0.0.9 (TEID 7), no longer to 10.0.0.1 (TEID 7)."
    );
    let orphans = told(GTP_ORPHAN, Fact::Orphans { tunnels: 5 });
    assert_eq!(
        orphans.observed,
        "upf-1 sent G-PDUs to 198.51.100.7 (evil.example) on 5 tunnels that no session has \
         (TEIDs 7, 8, 9, 10 …)."
    );
    assert!(orphans.why.starts_with("N4 of this UPF is seen whole to 98 %"), "{}", orphans.why);
    assert!(orphans.next.contains("stop the path between upf-1 and 198.51.100.7 (evil"));
    let stranger = tell(&alert(GTP_ORPHAN, Fact::Orphans { tunnels: 1 }), Names::default());
    assert_eq!(
        stranger.observed,
        "198.51.100.7 (evil.example) sent G-PDUs on 1 tunnel that no session has."
    );
    assert!(stranger.next.contains("stop what 198.51.100.7 (evil.example) sends at the site"));
    let copies = told(PFCP_DUPL, Fact::Duplication { sessions: 3, authorised: 2 });
    assert_eq!(
        copies.observed,
        "smf-1 (10.0.2.1) ordered its UPF to copy subscribers' packets to 10.0.0.9: \
         3 sessions at a time."
    );
    assert!(copies.why.starts_with("2 are authorised"), "{}", copies.why);
    let flood = told(PFCP_FLOOD, Fact::Flood { message: 50, per_second: 40 });
    assert!(flood.observed.contains("40 session establishment requests a second"), "{flood:?}");
}

#[test]
fn doubt_is_the_largest_of_loss_coverage_and_the_detections_own() {
    let with = |coverage, doubt, loss_ratio| {
        let n4 = Signalled { coverage, doubt, ..Signalled::default() };
        let fact = Fact::Orphans { tunnels: 1 };
        confidence(&Alert { n4: Some(Box::new(n4)), loss_ratio, ..alert(GTP_ORPHAN, fact) })
    };
    assert_eq!(with(None, 0.0, 0.0), 1.0);
    assert_eq!(with(Some(0.9), 0.05, 0.02), 0.9);
    assert_eq!(with(Some(0.99), 0.25, 0.02), 0.75);
    assert_eq!(with(Some(0.99), 0.0, 0.5), 0.5);
    assert_eq!(with(Some(1.5), 0.0, 0.0), 1.0);
    assert_eq!(with(Some(f32::NAN), 0.0, 0.0), 0.0);
    assert_eq!(with(Some(1.0), f32::INFINITY, 0.0), 0.0);
}
