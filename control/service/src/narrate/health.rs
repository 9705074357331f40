//! What is told of Weir's own blindness.

use weir_engine::contract::verdict::Direction;
use weir_engine::contract::words::Table;

use super::{About, Story, counted};

pub(super) fn loss(lost: u64, received: u64) -> Story {
    Story::of(
        format!("{lost} of {received} frames were lost before inspection."),
        "What was lost was not inspected, and verdicts meanwhile may be incomplete.",
    )
    .expected("No frame lost before inspection.")
    .next("Give the sensor more workers or tap less.")
}

pub(super) fn no_policy() -> Story {
    Story::of(
        "The sensor runs without a policy.",
        "Without inventory and policy traffic is decoded, tracked and counted, but nothing can be judged.",
    )
    .expected("An inventory and a policy in force.")
    .next("Give control an inventory.toml and a policy.toml.")
}

pub(super) fn silent(about: &About<'_>, direction: Direction) -> Story {
    let tap = about.tap;
    let way = match direction {
        Direction::Ul => "uplink",
        Direction::Dl => "downlink",
    };
    Story::of(
        format!("Tap {tap} delivers no {way} any more, while the other direction goes on."),
        format!("Half of the conversations at tap {tap} can't be seen."),
    )
    .expected("Both directions, as the tap is configured.")
    .next("Check the tap's fibre and the broker's port.")
}

pub(super) fn clock_back(by: u64) -> Story {
    let story = Story::of(
        format!("Packet time stepped back by {}.", seconds(by)),
        "Order and intervals around the step are not reliable.",
    );
    clock(story)
}

pub(super) fn clock_ahead(by: u64) -> Story {
    let story = Story::of(
        format!("Packet time jumped ahead by {}.", seconds(by)),
        "Timers fired early and intervals around the jump are not reliable.",
    );
    clock(story)
}

fn clock(story: Story) -> Story {
    story
        .expected("Packet time that runs on steadily.")
        .next("Check the time source of the sensor or the capture.")
}

fn seconds(nanoseconds: u64) -> String {
    format!("{:.3} s", nanoseconds as f64 / 1e9)
}

pub(super) fn table_full(index: u8) -> Story {
    let table = Table::ALL.get(usize::from(index));
    let name = table.map_or("unknown", |table| table.name());
    let next = match table {
        Some(Table::Sessions | Table::Tunnels) => {
            "Look who sets up so many sessions; see weir_sessions and weir_table_evictions_total."
        }
        Some(Table::Questions) => {
            "Look who asks the DNS for names under so many domains; see the log of the resolver."
        }
        Some(Table::Transactions | Table::Nodes) => {
            "Look who sends so much PFCP; see weir_pfcp_messages_total and weir_n4_transactions_total."
        }
        Some(Table::Parked) => {
            "Look who sends on so many tunnels without a session; see weir_gpdu_attribution_total."
        }
        Some(Table::Samples | Table::Digests | Table::Copies) => {
            "Look whether more users' packets come than there is room to follow; see weir_proof_packets_total."
        }
        _ => "Look who opens so many flows; see weir_table_evictions_total.",
    };
    Story::of(
        format!("The table {name} is full and gives up rows."),
        "What was given up is not tracked any more; someone may be filling the table on purpose.",
    )
    .expected("Room in every table.")
    .next(next)
}

pub(super) fn control_away() -> Story {
    Story::of(
        "The control process was away.",
        "While control is away alerts are not seen, and events are lost once the ring is full.",
    )
    .expected("A control process that reads along.")
    .next("Look at the log of weir-control.")
}

pub(super) fn n4_coverage(whole: u64, seen: u64) -> Story {
    Story::of(
        format!("Of {} on N4 {whole} were seen with both halves.", counted(seen, "transaction")),
        "Sessions can't be followed with so many gaps: verdicts that rest on them are not given, or given with less confidence.",
    )
    .expected("Requests and their answers, on every path between SMF and UPF.")
    .next("Tap every parallel path of N4 in both directions; see weir_n4_transactions_total.")
}

pub(super) fn n4_dropped(dropped: u64) -> Story {
    Story::of(
        format!("{} of N4 found no room on the way to the session machine.", counted(dropped, "datagram")),
        "What was dropped between declared peers changed sessions unseen; someone may be flooding N4 on purpose.",
    )
    .expected("Every datagram of N4 followed.")
    .next("Look in weir_n4_dropped_datagrams_total whose they were, and who sends so much PFCP in weir_pfcp_messages_total.")
}
