//! What is told of users' packets that are followed from tap to tap.

use weir_engine::contract::verdict::Direction;

use super::sessions::session;
use super::{About, Story, counted};

const DOUBLED: &str =
    "a tap or broker that tells twice: the same place at the same time counts once";
const WAY: &str =
    "the session's own way: N3, N9 and N6, its handovers and what gNBs forward around them";
const REPEATED: &str = "a user who sends again: what comes twice on one way is no copy";
const BUFFERED: &str = "packets that wait while their user is paged: a minute is waited for them";
const LOST: &str = "what taps and lines lose: as much of the other direction was allowed for";
const OWN: &str =
    "what a UPF makes itself: echoes, reports, ICMP errors, router advertisements, fragments";

pub(super) fn copied(about: &About<'_>, digests: u32) -> Story {
    let actor = about.actor();
    let target = match about.alert.peer {
        Some(_) => format!(" to {}", about.peer),
        None => String::new(),
    };
    Story::of(
        format!(
            "{} of {} came a second time, from {actor}{target} on {}.",
            counted(digests, "followed packet"),
            session(about),
            about.service(),
        ),
        format!(
            "Of a subscriber's packets one of 256 is followed by a secret; these were on their way as they should, and {actor} sent them to where no session of their subscriber leads."
        ),
    )
    .expected("Each packet once on each hop of its session, and nowhere else.")
    .ruled_out(&[DOUBLED, WAY, REPEATED])
    .next(format!(
        "Stop what {actor} sends{target} at the site router, keep the frames of this path, and ask the vendor; some 256 packets were copied for each that was followed."
    ))
}

pub(super) fn imbalance(about: &About<'_>, (extra, came): (u64, u64), windows: u32) -> Story {
    let suspect = about.suspect;
    let way = match about.alert.direction {
        Some(Direction::Ul) => "towards the data network",
        Some(Direction::Dl) => "towards the radio side",
        None => "on",
    };
    Story::of(
        format!(
            "{suspect} let out {} {way} that had not come to it, while {came} came, {}.",
            counted(extra, "followed packet"),
            match windows {
                0 | 1 => "in one window".to_owned(),
                many => format!("the last of {many} windows in a row that were like that"),
            },
        ),
        format!(
            "What comes to a UPF must leave it, and nothing else may: each followed packet stands for 256, and these were made or changed inside {suspect}."
        ),
    )
    .expected("Users' packets only as they came, on every path of N3, N9 and N6.")
    .ruled_out(&[BUFFERED, LOST, OWN])
    .next(format!(
        "Check that every parallel path of {suspect} is tapped and that it changes no packets by order (header enrichment); then ask its vendor what it sends."
    ))
}
