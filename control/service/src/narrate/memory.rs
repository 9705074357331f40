//! What only a long memory shows.

use weir_engine::Nanos;
use weir_engine::contract::verdict::Alert;

use super::{About, Story, counted};

/// `7 h`, `2 min 30 s`: the two largest parts of a time.
fn long(time: Nanos) -> String {
    let seconds = time.0.saturating_add(500_000_000) / 1_000_000_000;
    let parts = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut words = Vec::new();
    for (length, unit) in parts {
        if rest >= length || (unit == "s" && words.is_empty()) {
            words.push(format!("{} {unit}", rest / length));
        } else if !words.is_empty() {
            break;
        }
        rest %= length;
    }
    words.truncate(2);
    words.join(" ")
}

pub(super) fn beacon(about: &About<'_>, period: Nanos, beats: u32, peers: u32) -> Story {
    let About { suspect, peer, .. } = about;
    let (every, service) = (long(period), about.service());
    let to = if peers > 1 { format!("{} in turn", counted(peers, "peer")) } else { peer.clone() };
    Story::of(
        format!("{suspect} turned to {to} on {service} about every {every}; {beats} times so far."),
        format!(
            "A rhythm of {every} that no [[allow]] entry with `periodic = true` declares: a timer in {suspect}, \
             not a person or an event, opens these flows."
        ),
    )
    .expected(format!("No regular heartbeat of {suspect} on {service} but declared ones."))
    .ruled_out(&[
        "chance: intervals of events that are independent scatter far more",
        "a protocol that is periodic by its standard (NTP, PTP, heartbeats of GTP, PFCP, SCTP, BGP, IKE) and allowed",
        "polling by the peer: the equipment opens the flows",
    ])
    .next(format!(
        "Ask the vendor which timer this is; declare it with `periodic = true` if it is wanted, else block {to} and look which other equipment of the build does the same."
    ))
}

pub(super) fn lasting(about: &About<'_>, lasted: Nanos) -> Story {
    let About { suspect, peer, .. } = about;
    let (hours, service) = (long(lasted), about.service());
    Story::of(
        format!("A flow between {suspect} and {peer} on {service} has lasted {hours}."),
        format!("{suspect} keeps up a connection with {peer} for hours, and no rule of the policy allows it."),
    )
    .expected(format!("Flows of {suspect} that an [[allow]] entry of the policy names; none names {peer}."))
    .ruled_out(&[
        "a scan or a failed attempt: packets were exchanged until now",
        "a declared session: no rule allows it",
    ])
    .next(format!(
        "Ask who runs {peer} and what the session is for; a tunnel or a remote shell is the usual reason. Allow it in policy.toml if it is wanted, else cut it at the router."
    ))
}

pub(super) fn cohort(
    about: &About<'_>,
    (nodes, installed): (u32, u32),
    (others, of_others): (u32, u32),
) -> Story {
    let About { suspect, peer, .. } = about;
    let contrast = match of_others {
        0 => "there is no other equipment to hold against it".to_owned(),
        _ => format!("{others} of {of_others} others"),
    };
    let story = Story::of(
        format!("{nodes} of {installed} of the build of {suspect} turned to {peer} in the last days; {contrast}."),
        format!("What many of one build do and others do not is the build's own doing: {peer} is a place that its maker chose."),
    )
    .expected(format!("Flows of {suspect} that an [[allow]] entry of the policy names; none names {peer}."))
    .next(format!(
        "Ask the vendor what the build wants of {peer}, and look at the other sites of that build; allow it in policy.toml if it is a wanted update service, else block it everywhere."
    ));
    if of_others == 0 {
        return story;
    }
    story.ruled_out(&[
        "a service that all equipment uses: the others do not turn there",
        "one compromised node: several of the build do the same",
    ])
}

/// `63.2 MiB`.
fn size(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

pub(super) fn volume(
    about: &About<'_>,
    (bytes, usual): (u64, u64),
    hours: u32,
    is_same_hour: bool,
) -> Story {
    let About { suspect, peer, .. } = about;
    let (bytes, usual) = (size(bytes), size(usual));
    let like = if is_same_hour {
        format!("the same hour on {} was like that", counted(hours, "day"))
    } else {
        format!("{} of the last week were like that", counted(hours, "hour"))
    };
    Story::of(
        format!("{suspect} sent {bytes} in an hour, most of it to {peer}; usual are {usual}; {like}."),
        "Far more leaves the equipment than its own history explains, more than once.",
    )
    .expected(format!("About {usual} in such an hour, or a backup on a rule with `periodic = true`."))
    .ruled_out(&[
        "users' traffic: GTP-U is not counted",
        "the daily wave: hours are compared with the same hour of other weeks and days",
        "declared work: no change window is open",
    ])
    .next(format!(
        "Find what {suspect} sends to {peer} at that hour: logs and dumps are the usual reason. Declare a wanted backup, else block it and ask the vendor."
    ))
}

pub(super) fn outside_window(about: &About<'_>, sent: u64, is_remote: bool) -> Story {
    let About { suspect, peer, .. } = about;
    let (sent, service) = (size(sent), about.service());
    let (observed, why) = if is_remote {
        (
            format!("{suspect} and {peer} had a session on {service}; {sent} left the equipment."),
            format!(
                "{peer} is not in the inventory, and no change window of {suspect} is open: nobody declared that it is worked on."
            ),
        )
    } else {
        (
            format!("{sent} left {suspect} towards {peer} on {service} in a day."),
            "A session of management carried away far more than management needs, outside every change window.".into(),
        )
    };
    Story::of(observed, why)
        .expected(format!("Work on {suspect} within a [[change_window]] of the policy."))
        .ruled_out(&[
            "declared work: no change window is open",
            "a scan that was turned away: far more than a greeting went both ways",
        ])
        .next(format!(
            "Ask who worked on {suspect} then, and on whose order; declare planned work as a [[change_window]] with its reason."
        ))
}

pub(super) fn unmatched(
    about: &About<'_>,
    (streams, authorised): (u32, u32),
    is_declared: bool,
) -> Story {
    let suspect = about.suspect;
    let Alert { first, last, .. } = about.alert;
    let lasted = long(last.since(*first));
    let streams = counted(streams, "stream");
    let may = match authorised {
        0 => "none is".to_owned(),
        1 => "1 is".to_owned(),
        many => format!("{many} are"),
    };
    let story = if is_declared {
        Story::of(
            format!("{streams} of copies of subscribers' traffic to one mediation function for {lasted}; {may} authorised. {suspect} copies most beyond what it may."),
            "No more can have been authorised meanwhile: even the most that were, and the fewest streams, within feed_lag_seconds do not match.",
        )
        .ruled_out(&[
            "a warrant that is told late, or one that ended: the excess lasted longer than feed_lag_seconds",
            "a session that is changed: its stream counts on",
        ])
    } else {
        Story::of(
            format!("{streams} of copies of subscribers' traffic from {suspect} to a place that nobody declared as a mediation function."),
            "Interception goes to the mediation functions that li.toml and inventory.toml name, and nowhere else.",
        )
        .ruled_out(&["an authorisation that ended meanwhile: there was none when the stream began"])
    };
    story
        .expected("As many streams, over all UPFs together, as [[authorised]] entries of li.toml name for their mediation function.")
        .next("Tell the officer for lawful interception, and nobody else; compare the warrants with the mediation function's own count, and look for PFCP-DUPL in this file.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_two_largest_parts() {
        let said = |seconds: f64| long(Nanos((seconds * 1e9) as u64));
        assert_eq!(said(25_200.0), "7 h");
        assert_eq!(said(150.2), "2 min 30 s");
        assert_eq!(said(90_061.0), "1 d 1 h");
        assert_eq!(said(86_460.0), "1 d");
        assert_eq!(said(0.2), "0 s");
    }
}
