//! What is told of packets inside tunnels, of tunnels that should not be there,
//! and of GTP-U headers that hide something.

use weir_engine::contract::verdict::{Alert, Direction, Hidden, Tuple};
use weir_wire::foreign::Foreign;

use super::{About, Story};

const VERIFIED: &str =
    "another service on port 2152: header, lengths and inner packet were verified";

pub(super) fn undeclared_pair(about: &About<'_>) -> Story {
    let About { alert, suspect, peer, .. } = about;
    let story = Story::of(
        format!("G-PDUs between {suspect} and {peer}{}.", first(alert)),
        format!(
            "User packets are tunnelled between {suspect} and {peer}, which nobody declared as a pair."
        ),
    );
    story
        .expected(
            "G-PDUs only between pairs that the policy allows gtpu, or with declared roaming partners.",
        )
        .ruled_out(&[VERIFIED])
        .next(declare(peer))
}

pub(super) fn on_n6(about: &About<'_>) -> Story {
    let About { alert, suspect, peer, .. } = about;
    Story::of(
        format!(
            "G-PDUs between {suspect} and {peer} on the link to the data network{}.",
            first(alert)
        ),
        "A tunnel leaves towards the data network, where every tunnel should have ended.",
    )
    .expected("Plain IP packets on N6, and no GTP-U.")
    .ruled_out(&[VERIFIED])
    .next(declare(peer))
}

pub(super) fn signalled_peer(about: &About<'_>) -> Story {
    let About { alert, suspect, peer, orderer, .. } = about;
    let by = if alert.n4.as_ref().is_some_and(|n4| n4.ordered_by.is_some()) {
        orderer
    } else {
        "the control plane"
    };
    Story::of(
        format!("G-PDUs between {suspect} and {peer}{}; {by} signalled that tunnel.", first(alert)),
        format!(
            "N4 names {peer} as the end of a tunnel, so that it is probably a site which nobody has declared yet; until then nobody knows whose it is."
        ),
    )
    .expected("Ends of tunnels that inventory.toml, [[mec]] or [[roaming_peer]] declare.")
    .ruled_out(&[VERIFIED, "a new site in its grace: import_grace_seconds is over"])
    .next(format!(
        "Ask planning whether {peer} is a new site; add it to inventory.toml if it is yours, else ask who made {by} send users there."
    ))
}

fn declare(peer: &str) -> String {
    format!(
        "Find out what {peer} is; declare it in inventory.toml and allow gtpu if it is yours, else stop the tunnel at the site router."
    )
}

fn first(alert: &Alert) -> String {
    let Some(tunnel) = alert.tunnel else { return String::new() };
    match tunnel.qfi {
        Some(qfi) => format!(", TEID {} and QFI {qfi} first", tunnel.teid),
        None => format!(", TEID {} first", tunnel.teid),
    }
}

pub(super) fn nested(about: &About<'_>) -> Story {
    inside(about, "GTP-U again")
        .expected("Users' packets in one tunnel, not in two.")
        .ruled_out(&[
            "something else on port 2152: version, message type and exact length of the inner header were verified",
        ])
        .next(next_inside(about.equipment, &about.peer, true))
}

pub(super) fn control_inside(about: &About<'_>) -> Story {
    inside(about, control_plane(about.alert))
        .expected("Control plane on its own links, outside users' tunnels.")
        .ruled_out(&[
            "a subscriber's ephemeral port: header, length and message type of the inner packet were verified",
        ])
        .next(next_inside(about.equipment, &about.peer, false))
}

fn inside(about: &About<'_>, what: &str) -> Story {
    let (observed, why) = said_inside(about.alert, about.equipment, what);
    Story::of(observed, why)
}

pub(super) fn into_infrastructure(about: &About<'_>) -> Story {
    let (observed, why) = said_infrastructure(about.alert, about.equipment, &about.peer);
    Story::of(observed, why)
        .expected("Users' packets to the data network, [[mec]] servers and declared DNS servers.")
        .ruled_out(&[
            "local break-out and name resolution: [[mec]] and equipment of the role dns are not meant",
        ])
        .next(next_inside(about.equipment, &about.peer, false))
}

pub(super) fn header(about: &About<'_>, hidden: Hidden) -> Story {
    let About { suspect, peer, .. } = about;
    let (observed, why) = said_header(about.alert, suspect, peer, hidden);
    let ruled_out = match hidden {
        Hidden::Trailing => "a broker's trailer: trailer_bytes of the tap was taken off",
        Hidden::EchoRate => "a path that fails: only Echoes that were answered are counted",
        _ => "an oddity that is known of its build: no [[quirk]] names it",
    };
    Story::of(observed, why).expected(expected_header(hidden)).ruled_out(&[ruled_out]).next(format!(
        "Keep such packets and ask the vendor of {suspect} what they carry; if its build does so by design, declare a [[quirk]] with value = \"{hidden}\"."
    ))
}

pub(super) fn foreign(about: &About<'_>, index: u8) -> Story {
    let About { suspect, peer, .. } = about;
    let (observed, why) = said_foreign(about.alert, suspect, peer, index);
    Story::of(observed, why)
        .expected(format!(
            "Tunnels of {suspect} that an [[allow]] entry of the policy names; none names {peer}."
        ))
        .ruled_out(&[
            "a tap's own wrapper: what the tap declares was taken off",
            "an attempt from outside: the equipment itself sent the tunnel",
        ])
        .next(format!(
            "Ask what the tunnel from {suspect} to {peer} is for; allow it with services = [\"{}\"] if it is wanted, else block it at the router and ask the vendor.",
            service(about.alert)
        ))
}

pub(super) fn clear_gtpu(about: &About<'_>) -> Story {
    let About { alert, suspect, peer, .. } = about;
    Story::of(
        format!("{suspect} sent G-PDUs in clear to {peer}{}.", first(alert)),
        format!(
            "Users' packets between {suspect} and {peer} can be read by whoever is on the way, where the policy says that only ESP may pass."
        ),
    )
    .expected("ESP alone between the two, as esp_only of the policy says.")
    .ruled_out(&[VERIFIED])
    .next(format!(
        "Check the security gateway between {suspect} and {peer}: its tunnel is down or passed by; drop the pair from esp_only if clear GTP-U is wanted there."
    ))
}

/// What was seen and why it counts, for a packet inside a G-PDU that has no
/// business there. Without a suspect it is the subscriber's own doing.
fn said_inside(alert: &Alert, suspect: Option<&str>, what: &str) -> (String, String) {
    let through = through(alert);
    let ends = ends(alert);
    match suspect {
        Some(suspect) => (
            format!("{suspect} sent a G-PDU{through} whose inner packet{ends} is {what}."),
            format!(
                "No end of the inner packet is a subscriber's, so that {suspect} put {what} into the user plane, past whatever looks at the outer packet only."
            ),
        ),
        None => {
            let subscriber = subscriber(alert);
            (
                format!("The inner packet{ends} of a G-PDU{through} is {what}."),
                format!(
                    "{subscriber} is an end of it: this is the subscriber's own doing, such as a laboratory behind a phone, and not that of equipment."
                ),
            )
        }
    }
}

/// The same for a packet to infrastructure.
fn said_infrastructure(alert: &Alert, suspect: Option<&str>, peer: &str) -> (String, String) {
    let through = through(alert);
    match (suspect, &alert.inner) {
        (Some(suspect), inner) => {
            let from = inner.map_or_else(String::new, |inner| format!(" from {}", inner.source));
            (
                format!(
                    "{suspect} sent a G-PDU{through} whose inner packet goes{from} to {peer}, an address of the infrastructure."
                ),
                format!(
                    "{peer} is closed to the user plane, and the packet comes from no subscriber: {suspect} made it or let it in."
                ),
            )
        }
        (None, inner) => {
            let subscriber = inner.map_or_else(
                || "a subscriber".into(),
                |inner| format!("subscriber {}", inner.source),
            );
            (
                format!(
                    "A packet of {subscriber} goes through its tunnel{through} to {peer}, an address of the infrastructure."
                ),
                format!(
                    "{peer} is closed to subscribers; that {subscriber} turns to it is the subscriber's own doing, and not that of equipment."
                ),
            )
        }
    }
}

/// What the packet inside is, as far as its protocol and ports say.
fn control_plane(alert: &Alert) -> &'static str {
    const SCTP: u8 = 132;
    let Some(inner) = &alert.inner else { return "control plane" };
    let has_port = |port| inner.source_port == port || inner.destination_port == port;
    match inner.protocol {
        SCTP => "a protocol of the RAN over SCTP",
        _ if has_port(8805) => "PFCP",
        _ if has_port(2123) => "GTP-C",
        _ => "control plane",
    }
}

fn through(alert: &Alert) -> String {
    let Some(tunnel) = alert.tunnel else { return String::new() };
    match tunnel.qfi {
        Some(qfi) => format!(" (TEID {}, QFI {qfi})", tunnel.teid),
        None => format!(" (TEID {})", tunnel.teid),
    }
}

fn ends(alert: &Alert) -> String {
    alert.inner.map_or_else(String::new, |inner| {
        format!(", from {} to {},", inner.source, inner.destination)
    })
}

/// The subscriber by its inner address: the source of uplink, the destination of downlink.
fn subscriber(alert: &Alert) -> String {
    match (alert.inner, alert.direction) {
        (None, _) => "A subscriber".into(),
        (Some(inner), Some(Direction::Ul)) => format!("Subscriber {}", inner.source),
        (Some(inner), Some(Direction::Dl)) => format!("Subscriber {}", inner.destination),
        (Some(Tuple { source, destination, .. }), None) => {
            format!("A subscriber, {source} or {destination},")
        }
    }
}

/// What to do about a packet inside a G-PDU.
fn next_inside(suspect: Option<&str>, peer: &str, is_nested: bool) -> String {
    match (suspect, is_nested) {
        (Some(suspect), true) => format!(
            "Ask the vendor of {suspect} who put the inner tunnel there, and find out what {peer} does with it."
        ),
        (Some(suspect), false) => format!(
            "Close {peer} to the user plane at the UPF, and ask the vendor of {suspect} where the packet came from; declare {peer} under [[mec]] if subscribers may reach it."
        ),
        (None, true) => {
            format!(
                "Find out whether {peer} answers; if it is yours, it must not take GTP-U from subscribers."
            )
        }
        (None, false) => format!(
            "Close {peer} to subscribers at the UPF or its router; declare it under [[mec]] if they may reach it."
        ),
    }
}

/// What was seen and why it counts, for a header that holds more than it should.
fn said_header(alert: &Alert, suspect: &str, peer: &str, hidden: Hidden) -> (String, String) {
    let link = alert.link.name();
    let (seen, why) = match hidden {
        Hidden::SpareBit => (
            "with the spare bit of the first octet set".into(),
            "Receivers ignore the spare bit, so that a bit a packet can be passed on in it.",
        ),
        Hidden::Trailing => (
            "with bytes behind the length that the header states".into(),
            "Receivers drop what stands behind the stated length, and many inspectors never look there.",
        ),
        Hidden::PrivateExtension => (
            "with a Private Extension".into(),
            "A Private Extension carries whatever its vendor likes, and nobody else can read it.",
        ),
        Hidden::Padding => (
            "in an Echo that is longer than its elements need".into(),
            "An Echo needs a few octets; what is added to them goes unread from node to node.",
        ),
        Hidden::Extension(kind) => (
            format!("with extension header {kind:#04x}, which is not standard on link {link}"),
            "Receivers skip an extension header that they don't expect, whatever it holds.",
        ),
        Hidden::EchoRate => (
            "in answered Echoes, more often than a working path needs".into(),
            "The rhythm of Echoes that nobody needs can carry data or keep a hidden path open.",
        ),
    };
    (format!("{suspect} sent GTP-U to {peer} {seen}."), why.into())
}

/// What there should have been in place of it.
fn expected_header(hidden: Hidden) -> &'static str {
    match hidden {
        Hidden::SpareBit => "A spare bit of 0 (TS 29.281, 5.1).",
        Hidden::Trailing => "Datagrams that end where the length of their header says.",
        Hidden::PrivateExtension => "Messages without elements of a vendor's own.",
        Hidden::Padding => "Echoes of the size of their elements.",
        Hidden::Extension(_) => "Extension headers that TS 29.281 knows on this link only.",
        Hidden::EchoRate => {
            "At most echo_responses answered Echoes in echo_window_seconds on a path that works."
        }
    }
}

/// The tunnel by its name.
fn tunnel_name(index: u8) -> &'static str {
    Foreign::ALL.get(usize::from(index)).map_or("unknown tunnel", |tunnel| tunnel.name())
}

/// What was seen and why it counts, for a tunnel that nobody declared.
fn said_foreign(alert: &Alert, suspect: &str, peer: &str, index: u8) -> (String, String) {
    let name = tunnel_name(index);
    let inside = ends(alert);
    let inside = inside.trim_matches(',');
    let first = if inside.is_empty() {
        String::new()
    } else {
        format!("; the first packet inside goes{inside}")
    };
    (
        format!("{suspect} sent {name} to {peer}{first}."),
        format!(
            "{suspect} has a tunnel to {peer} that no rule of the policy allows, and what is in it is hidden from all other judgement."
        ),
    )
}

/// The entry of `services` that would allow the tunnel.
fn service(alert: &Alert) -> String {
    const UDP: u8 = 17;
    let Some(outer) = &alert.outer else { return "ip/…".into() };
    match (outer.protocol, outer.destination_port) {
        (47, _) => "gre".into(),
        (50 | 51, _) | (UDP, 4500) => "ipsec".into(),
        (115, _) | (UDP, 1701) => "l2tp".into(),
        (UDP, 4789) => "vxlan".into(),
        (UDP, port) => format!("udp/{port}"),
        (protocol, _) => format!("ip/{protocol}"),
    }
}
