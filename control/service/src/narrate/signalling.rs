//! What is told of PFCP: who speaks it, and what it orders.

use weir_engine::contract::session::{Forwarding, TunnelEnd};
use weir_engine::contract::verdict::Oddity;
use weir_wire::pfcp;

use super::sessions::session;
use super::{About, Story, counted};

const SETS: &str = "an SMF set: no [[smf_set]] holds the two";

pub(super) fn undeclared_peer(about: &About<'_>) -> Story {
    let About { suspect, peer, .. } = about;
    Story::of(
        format!("PFCP between {suspect} and {peer}."),
        format!(
            "Whoever speaks PFCP decides where subscribers' packets go, and nobody declared {peer} as a node of N4."
        ),
    )
    .expected("PFCP only between equipment that the policy allows pfcp.")
    .ruled_out(&["another service on port 8805: version, lengths and message type were verified"])
    .next(format!(
        "Find out what {peer} is; declare it in inventory.toml and allow pfcp if it is yours, else block it at the router before N4 and check the UPF's sessions."
    ))
}

pub(super) fn node_moved(about: &About<'_>) -> Story {
    let About { suspect, peer, .. } = about;
    Story::of(
        format!("A Node ID that belongs to {suspect} speaks from {peer}."),
        format!(
            "{peer} is none of the addresses of {suspect}: somebody takes its part on N4, or it was moved and nobody said so."
        ),
    )
    .expected(format!("The Node ID of {suspect} from the addresses that its entry lists."))
    .ruled_out(&["several addresses of one node: all that the entry lists are meant", SETS])
    .next(format!(
        "Ask who runs {peer}; add it to the entry of {suspect} if it was moved, else block it and have the UPF release the association."
    ))
}

pub(super) fn foreign_seid(about: &About<'_>) -> Story {
    let orderer = &about.orderer;
    let of = session(about);
    Story::of(
        format!("{orderer} sent a request with the SEID of {of}, which it does not own."),
        format!(
            "A SEID is known to the two that agreed on it and is guessed or overheard by others; {orderer} is neither owner nor of the owner's SMF set."
        ),
    )
    .expected("Requests for a session from the SMF that set it up, or from its set.")
    .ruled_out(&[SETS, "fail-over: the session was not handed to another SMF"])
    .next(format!(
        "Compare the session in the UPF with what its SMF believes, restore it, and find out what {orderer} is."
    ))
}

pub(super) fn contradiction(about: &About<'_>) -> Story {
    let orderer = &about.orderer;
    let of = session(about);
    Story::of(
        format!("A request of {orderer} changed or ended {of}, whose owner goes on using what it was before."),
        "An SMF does not undo its own orders without knowing: somebody else speaks with its address.",
    )
    .expected("Requests that agree with what the session's SMF does next.")
    .ruled_out(&[
        "a restart of the SMF: its Recovery Time Stamp did not change",
        "a retransmission: the request's bytes are others",
    ])
    .next(format!(
        "Ask the SMF whether it sent that request; if not, look for the host that uses the address of {orderer}, and restore the session."
    ))
}

pub(super) fn second_sequence(about: &About<'_>) -> Story {
    let orderer = &about.orderer;
    Story::of(
        format!(
            "Requests from one address and port of {orderer} come with two series of sequence numbers at the same time."
        ),
        "One node counts its requests once; a second count that is mixed with the first is a second sender with the same address.",
    )
    .expected("One series of sequence numbers from one address and port.")
    .ruled_out(&[
        "a restart: the first series goes on",
        "heartbeats that always have number 0",
    ])
    .next(format!(
        "Look for a second host with the address of {orderer} (MAC and port of the switch), and compare the sessions of UPF and SMF."
    ))
}

pub(super) fn duplication(about: &About<'_>, sessions: u32, authorised: u32) -> Story {
    let About { orderer, peer, .. } = about;
    let place = about.n4().and_then(|n4| n4.after).and_then(|after| after.to);
    let place = place.map_or_else(|| peer.clone(), |to| to.addr.to_string());
    Story::of(
        format!(
            "{orderer} ordered its UPF to copy subscribers' packets to {place}: {} at a time.",
            counted(sessions, "session")
        ),
        format!(
            "{} authorised for that UPF and address, so that copies are taken which no warrant covers.",
            match authorised {
                0 => "None is".into(),
                1 => "1 is".into(),
                many => format!("{many} are"),
            }
        ),
    )
    .expected("Copies of as many sessions as [[authorised]] entries of li.toml name, to their addresses.")
    .ruled_out(&[
        "authorised interception: li.toml names fewer or none",
        "redundant transmission: that is another Apply Action",
    ])
    .next(format!(
        "Tell the officer for lawful interception, and nobody else; compare the warrants with the sessions, and find out what {place} is."
    ))
}

pub(super) fn redirected(about: &About<'_>) -> Story {
    let orderer = &about.orderer;
    let of = session(about);
    let n4 = about.n4();
    let after = n4.and_then(|n4| n4.after);
    let to = after.and_then(|after| after.to);
    let rule = after.map_or_else(|| "A rule".into(), |after| format!("FAR {}", after.far));
    let place = to.map_or_else(|| about.peer.clone(), |to| to.addr.to_string());
    let before = n4.and_then(|n4| n4.before).and_then(|Forwarding { to, .. }| to);
    let before = before.map_or_else(String::new, |to| format!(", no longer to {}", end(to)));
    let target = to.map_or_else(|| place.clone(), end);
    Story::of(
        format!("{orderer} ordered that {rule} of {of} sends packets to {target}{before}."),
        format!(
            "{place} is in no inventory entry, infrastructure range, [[mec]] or [[roaming_peer]]: the subscriber's packets leave the network that you declared."
        ),
    )
    .expected("Packets sent to declared nodes and ranges only.")
    .ruled_out(&[
        "a handover or an I-UPF: their nodes are in the inventory",
        "a new site: it would be inside infrastructure",
    ])
    .next(format!(
        "Find out what {place} is; declare it if it is yours, else have the SMF restore the rule and ask how {orderer} came to order it."
    ))
}

fn end(TunnelEnd { teid, addr }: TunnelEnd) -> String {
    format!("{addr} (TEID {teid})")
}

pub(super) fn address_claimed(about: &About<'_>, older_alive: bool) -> Story {
    claimed(about, "UE address", older_alive)
}

pub(super) fn tunnel_claimed(about: &About<'_>, older_alive: bool) -> Story {
    claimed(about, "F-TEID", older_alive)
}

fn claimed(about: &About<'_>, what: &str, older_alive: bool) -> Story {
    let orderer = &about.orderer;
    let of = session(about);
    let life = if older_alive {
        format!(
            "The older session is alive, so that two of them have one {what}, and the subscriber's packets go to whoever came second."
        )
    } else {
        format!(
            "The older session has shown no life since: its {what} may have been given away before it was deleted."
        )
    };
    Story::of(format!("{orderer} set up {of} with a {what} that another session has."), life)
        .expected(format!("A {what} in one live session of a UPF and network instance."))
        .ruled_out(&[
            "the same session again: a repeated CP F-SEID or a restoration replaces it",
            "private addresses of several networks: they are compared within one network instance",
        ])
        .next(format!(
            "Ask the SMF which of the two sessions it knows, and {} the other.",
            if older_alive { "have the UPF delete" } else { "look for a lost deletion of" }
        ))
}

pub(super) fn downlink_silent(about: &About<'_>) -> Story {
    let About { orderer, peer, .. } = about;
    let of = session(about);
    Story::of(
        format!("{orderer} moved the downlink of {of} to {peer}; packets went there, and none came from there."),
        format!("Who takes a subscriber over sends its packets, too; {peer} only receives."),
    )
    .expected("Uplink from the node that the downlink was moved to, within uplink_seconds.")
    .ruled_out(&[
        "an idle subscriber: packets were sent down",
        "an untapped path: N3 is tapped whole",
    ])
    .next(format!(
        "Ask the AMF where the subscriber is; if it is not at {peer}, have the SMF restore the tunnel, and find out what {peer} is."
    ))
}

pub(super) fn flood(about: &About<'_>, message: u8, per_second: u32) -> Story {
    let sender = about.actor();
    let sent = counted(per_second, &kind(message));
    Story::of(
        format!("{sender} sent up to {sent} a second."),
        "That is far more than this node ever needs, and each of them costs the other side work or a row in its tables.",
    )
    .expected("Requests at about the rate of the last hour.")
    .ruled_out(&[
        "retransmissions: the same bytes again are not counted",
        "a restart: the storm after it is shorter than sustained_seconds",
    ])
    .next(format!(
        "Look at the load of the far side; limit PFCP from {sender} before it, and ask why it sends so much."
    ))
}

pub(super) fn failing_establishments(about: &About<'_>, failed: u32, requests: u32) -> Story {
    let sender = about.actor();
    Story::of(
        format!(
            "Of {} for sessions by {sender} {failed} were rejected or not answered.",
            counted(requests, "request")
        ),
        "A working SMF asks for what its UPF can give; so many refusals come of trying, or of a UPF that has no room left.",
    )
    .expected("Establishments that nearly all succeed.")
    .ruled_out(&["a few failures by chance: their share and their number are both above the bounds"])
    .next(format!(
        "Look at weir_pfcp_responses_total for the causes, and ask why {sender} goes on."
    ))
}

fn kind(message: u8) -> String {
    pfcp::Message::counter_name(pfcp::Message(message).counter()).replace('_', " ")
}

pub(super) fn ghost(about: &About<'_>, oddity: Oddity) -> Story {
    let orderer = &about.orderer;
    let of = session(about);
    let context = about.n4().and_then(|n4| n4.session.as_ref());
    let (observed, why, expected) = match oddity {
        Oddity::OutsidePools => (
            format!("{orderer} set up {of}, whose address is in none of ue_pools."),
            "A subscriber gets its address from a pool; this one was chosen by somebody else.",
            "UE addresses inside ue_pools of their network instance.",
        ),
        Oddity::UndeclaredDnn => (
            format!(
                "{orderer} set up {of} to the data network {}.",
                context.and_then(|context| context.dnn.as_deref()).unwrap_or("without a name")
            ),
            "That data network is in no list of dnns: packets may go where no subscriber should.",
            "Data networks that dnns of the policy lists.",
        ),
        Oddity::UndeclaredSlice => (
            format!(
                "{orderer} set up {of} in slice {}.",
                context
                    .and_then(|context| context.slice)
                    .map_or_else(|| "unknown".into(), |slice| slice.to_string())
            ),
            "That slice is in no list of slices: it has other rules and perhaps other customers.",
            "Slices that slices of the policy lists.",
        ),
        Oddity::NoUserId => (
            format!("{orderer} set up {of} without a User ID."),
            "Nearly all sessions of that SMF have one: this one belongs to no subscriber that could be named.",
            "A User ID, as in nearly all sessions of that SMF.",
        ),
        Oddity::OneWay => (
            format!("In {of} packets go one way only."),
            "A subscriber's traffic is answered; what goes one way for so long may be a copy.",
            "Packets both ways.",
        ),
    };
    Story::of(observed, why)
        .expected(expected)
        .ruled_out(&[
            "what the policy leaves open: an absent list is not judged",
            "emergency sessions without a card: few sessions of that SMF lack what this one lacks",
        ])
        .next("Ask the SMF whose session it is; declare its pool, network or slice if they are yours, else have it deleted and ask who set it up.")
}
