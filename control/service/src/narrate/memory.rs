//! What only a long memory shows.

use weir_engine::Nanos;

use super::{About, Story, counted};

/// `7 h`, `2 min 30 s`: the two largest parts of a time.
fn long(time: Nanos) -> String {
    let seconds = (time.0 + 500_000_000) / 1_000_000_000;
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
