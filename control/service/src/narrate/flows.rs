//! What is told of flows that no rule allows.

use super::{About, Story};

const OWN_ADDRESS: &str = "a subscriber's traffic: the address is the equipment's own";

pub(super) fn opened(about: &About<'_>) -> Story {
    let About { suspect, peer, .. } = about;
    let story = Story::of(
        format!("{suspect} opened a flow to {peer} on {}.", about.service()),
        format!("{suspect} turned to {peer} by itself, and no rule of the policy allows it."),
    );
    off_policy(about, story)
        .ruled_out(&["a reply to a request: the equipment spoke first", OWN_ADDRESS])
}

pub(super) fn answered(about: &About<'_>) -> Story {
    let About { suspect, peer, .. } = about;
    let story = Story::of(
        format!(
            "{peer} opened a flow to {suspect} on {}, and {suspect} answered with data.",
            about.service()
        ),
        format!("{suspect} serves {peer}, which no rule of the policy allows."),
    );
    off_policy(about, story).ruled_out(&[
        "a scan that was turned away: the answer carried data, not only RST, ICMP or an empty SYN-ACK",
        OWN_ADDRESS,
    ])
}

pub(super) fn sent_data(about: &About<'_>) -> Story {
    let About { suspect, peer, .. } = about;
    let story = Story::of(
        format!(
            "{suspect} sent data to {peer} on a flow whose opening was not seen ({}).",
            about.service()
        ),
        format!(
            "{suspect} sends data to {peer}, whoever opened the flow, and no rule of the policy allows either."
        ),
    );
    off_policy(about, story).ruled_out(&["a scan that was turned away: data was sent", OWN_ADDRESS])
}

pub(super) fn acknowledged(about: &About<'_>, round_trips: u32) -> Story {
    let About { suspect, peer, .. } = about;
    let story = Story::of(
        format!(
            "Only the packets of {peer} were seen ({}); its acknowledgements grew in {round_trips} round trips.",
            about.service()
        ),
        format!(
            "Acknowledgements that grow prove that {suspect} sends data to {peer}, and no rule of the policy allows it."
        ),
    );
    off_policy(about, story).ruled_out(&[
        "a scan that was turned away: the peer acknowledged growing amounts of data",
        "keep-alives: they acknowledge nothing new",
    ])
}

fn off_policy(about: &About<'_>, story: Story) -> Story {
    let About { suspect, peer, .. } = about;
    story
        .expected(format!(
            "Flows of {suspect} that an [[allow]] entry of the policy names; none names {peer}."
        ))
        .next(format!(
            "Ask who runs {peer} and why {suspect} talks to it; allow it in policy.toml if it is wanted, else block it at the router and ask the vendor."
        ))
}
