//! What is told of G-PDUs that do not fit the sessions which N4 set up.

use std::net::IpAddr;

use weir_engine::contract::verdict::{Alert, Direction, Spoof};

use super::{About, Story, counted, listed};

const OLDER: &str = "a session older than the tap: start_grace_seconds is over";
const LATE: &str = "N4 that comes late: grace_seconds was waited for it";
const ENDED: &str =
    "a handover or a deletion: old tunnels are remembered for End Markers and stragglers";
/// TEIDs that a sentence lists; events list them all.
const SHOWN: usize = 4;

pub(super) fn orphans(about: &About<'_>, tunnels: u32) -> Story {
    let actor = about.actor();
    Story::of(
        format!(
            "{actor} sent G-PDUs{} on {} that no session has{}.",
            towards(about),
            counted(tunnels, "tunnel"),
            teids(about)
        ),
        format!(
            "{}, the time to wait for it is over, and nothing on it ever set these tunnels up: they carry what the core knows nothing of.",
            coverage(about)
        ),
    )
    .expected("G-PDUs only on F-TEIDs that N4 has given to a session.")
    .ruled_out(&[OLDER, LATE, ENDED])
    .next(format!(
        "Ask the UPF which sessions have these TEIDs; if none has, stop {} at the site router, keep its packets, and ask the vendor.",
        path(about)
    ))
}

pub(super) fn scan(about: &About<'_>, tunnels: u32) -> Story {
    let actor = about.actor();
    Story::of(
        format!(
            "{actor} tried {}{} that no session has{}.",
            counted(tunnels, "tunnel"),
            towards(about),
            teids(about)
        ),
        format!("{actor} looks for tunnels that answer: whoever finds one sends as its subscriber."),
    )
    .expected("G-PDUs only on F-TEIDs that N4 has given to a session.")
    .ruled_out(&[OLDER, LATE, "a UPF that restarted: its tunnels are learned anew for a while"])
    .next(format!(
        "Block {actor} at the site router unless it is yours; if it is, ask its vendor why it guesses TEIDs, and look which of them were answered."
    ))
}

pub(super) fn error_indications(about: &About<'_>, indications: u32) -> Story {
    let actor = about.actor();
    Story::of(
        format!(
            "{} came back to {actor} for tunnels that no session has{}.",
            counted(indications, "Error Indication"),
            teids(about)
        ),
        format!(
            "Each tells {actor} that a TEID is not in use; so many of them in so short a time come of trying."
        ),
    )
    .expected("An Error Indication now and then, after a restart or a lost deletion.")
    .ruled_out(&[OLDER, "a UPF that restarted: its tunnels are learned anew for a while"])
    .next(format!(
        "Find out what {actor} sends on port 2152, and block it at the site router unless it is yours."
    ))
}

pub(super) fn shared(about: &About<'_>) -> Story {
    let About { peer, .. } = about;
    let actor = about.actor();
    Story::of(
        format!("{actor} and {peer} sent on one tunnel at the same time{}.", teids(about)),
        format!(
            "An F-TEID is one sender's at a time, and N4 shows no handover between the two: one of them sends as a subscriber of the other{}.",
            whose(about)
        ),
    )
    .expected("One sender on a tunnel, or a handover that N4 shows.")
    .ruled_out(&[
        "one node with several addresses: equipment is compared, not addresses",
        "a handover: N4 moved no tunnel of the session around it",
    ])
    .next(format!(
        "Ask the UPF which of {actor} and {peer} serves the session, and stop the other at its site router."
    ))
}

pub(super) fn spoofed(about: &About<'_>, spoof: Spoof) -> Story {
    let actor = about.actor();
    let source = source(about.alert);
    let of = session(about);
    let story = match spoof {
        Spoof::Odd => Story::of(
            format!("{actor} carried packets from {source} in the tunnel of {of}."),
            "The UPF should drop a packet whose source is not the session's; as long as it does, this is for information.",
        ),
        Spoof::Stale => Story::of(
            format!(
                "{actor} carried packets from {source}, the address of a session that has ended, in the tunnel of {of}."
            ),
            "Telephones use an old address for a while after they got a new one; the UPF should drop such packets.",
        ),
        Spoof::Leaves => Story::of(
            format!(
                "Packets from {source} in the tunnel of {of} went on towards the data network."
            ),
            format!(
                "The UPF should have dropped them: whoever sends them through {actor} speaks as another subscriber, and answers go to that one."
            ),
        ),
        Spoof::Much => Story::of(
            format!(
                "{actor} carried far more packets from foreign sources such as {source} than others, in the tunnel of {of}."
            ),
            "A telephone sends a few packets with an old address; so many are made on purpose, or by a node that mixes up its tunnels.",
        ),
        Spoof::NoSession => Story::of(
            format!(
                "A packet from {source} left towards the data network, and no live session has that address."
            ),
            format!(
                "Every tap of N3 and N4 is complete, so that a subscriber's packet without a session was made behind the tunnels, by {actor} or what is behind it."
            ),
        ),
    };
    let story = story.expected("Packets from the session's own address, prefix or framed routes.");
    let harmless = "addresses that no session has to own: `::`, link-local, 0.0.0.0, DHCP, Ethernet PDUs, [[nat]]";
    let story = story.ruled_out(&[harmless, "an address that N4 gave late: the session was known"]);
    match spoof {
        Spoof::Odd | Spoof::Stale => story.next(
            "Nothing, unless it grows; check that the UPF drops sources that are not the session's.",
        ),
        Spoof::Leaves | Spoof::NoSession => story.next(format!(
            "Switch on source checks at the UPF, and find out what is behind {source}."
        )),
        Spoof::Much => story.next(format!(
            "Look at the sessions behind {actor}; if one subscriber sends it bar that one, else ask the vendor of {actor}."
        )),
    }
}

/// What to stop: the path between both ends, or what the only one sends.
fn path(about: &About<'_>) -> String {
    match (about.equipment, about.alert.peer) {
        (Some(suspect), Some(_)) => format!("the path between {suspect} and {}", about.peer),
        _ => format!("what {} sends", about.actor()),
    }
}

/// The other end of the path, as far as one is known.
fn towards(about: &About<'_>) -> String {
    match (about.equipment, about.alert.peer) {
        (Some(_), Some(_)) => format!(" to {}", about.peer),
        _ => String::new(),
    }
}

/// The first TEIDs.
fn teids(about: &About<'_>) -> String {
    let listed_ones = about.n4().map_or(&[][..], |n4| n4.teids.as_slice());
    let of_packet = about.alert.tunnel.map(|tunnel| tunnel.teid);
    let of_packet = of_packet.as_slice();
    let all = if listed_ones.is_empty() { of_packet } else { listed_ones };
    match all {
        [] => String::new(),
        [one] => format!(" (TEID {one})"),
        many if many.len() <= SHOWN => format!(" (TEIDs {})", listed(many)),
        many => {
            let shown: Vec<String> = many[..SHOWN].iter().map(u32::to_string).collect();
            format!(" (TEIDs {} …)", shown.join(", "))
        }
    }
}

fn coverage(about: &About<'_>) -> String {
    match about.n4().and_then(|n4| n4.coverage) {
        Some(coverage) => {
            format!("N4 of this UPF is seen whole to {:.0} %", f64::from(coverage) * 100.0)
        }
        None => "N4 of this UPF is seen".into(),
    }
}

/// The session by its subscriber and its SEID.
pub(super) fn session(about: &About<'_>) -> String {
    let Some(session) = about.n4().and_then(|n4| n4.session.as_ref()) else {
        return "a session".into();
    };
    match session.ue {
        Some(ue) => format!("the session of {ue} (UP SEID {:#x})", session.up_seid),
        None => format!("the session with UP SEID {:#x}", session.up_seid),
    }
}

fn whose(about: &About<'_>) -> String {
    match about.n4().and_then(|n4| n4.session.as_ref()) {
        Some(_) => format!(", in {}", session(about)),
        None => String::new(),
    }
}

/// The subscriber's side of the packet.
fn source(alert: &Alert) -> String {
    let packet = alert.inner.as_ref().or(alert.outer.as_ref());
    let address: Option<IpAddr> = packet.map(|packet| match alert.direction {
        Some(Direction::Dl) => packet.destination,
        _ => packet.source,
    });
    address.map_or_else(|| "an unknown source".into(), |address| address.to_string())
}
