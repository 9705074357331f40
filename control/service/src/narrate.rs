//! Findings in plain English: what was seen, what the policy expected, why it
//! was flagged, what was ruled out, what to do next.

mod content;
mod flows;
mod health;
mod links;
mod memory;
mod proof;
mod sessions;
mod signalling;
#[cfg(test)]
mod tests;
mod tunnels;

use std::fmt::Display;

use weir_engine::contract::session::Signalled;
use weir_engine::contract::verdict::{Alert, Fact, Initiator, Severity};

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

impl Story {
    /// A story of what was seen and why it counts; the rest is added to it.
    fn of(observed: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            observed: observed.into(),
            expected: String::new(),
            why: why.into(),
            ruled_out: Vec::new(),
            next: String::new(),
        }
    }

    fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), ..self }
    }

    fn ruled_out(self, explanations: &[&str]) -> Self {
        Self { ruled_out: explanations.iter().map(|one| (*one).into()).collect(), ..self }
    }

    fn next(self, next: impl Into<String>) -> Self {
        Self { next: next.into(), ..self }
    }
}

/// The names in a story, which outlive the policy's numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// The suspect's id or number, if equipment is suspected.
    pub suspect: Option<&'a str>,
    /// The peer's id, if it is equipment.
    pub peer: Option<&'a str>,
    /// The id of whoever gave the order, if it is equipment.
    pub orderer: Option<&'a str>,
    /// The tap.
    pub tap: &'a str,
}

/// An alert with everything in it by its name.
struct About<'a> {
    alert: &'a Alert,
    equipment: Option<&'a str>,
    /// The equipment, or that there is none.
    suspect: &'a str,
    /// The other side, with its address.
    peer: String,
    /// Who gave the order, as far as N4 says so.
    orderer: String,
    tap: &'a str,
}

impl<'a> About<'a> {
    fn new(alert: &'a Alert, names: Names<'a>) -> Self {
        let peer = match (alert.peer, names.peer, &alert.peer_name) {
            (None, ..) => "no peer".into(),
            (Some(address), Some(id), _) => format!("{id} ({address})"),
            (Some(address), None, Some(name)) => format!("{address} ({name})"),
            (Some(address), None, None) => address.to_string(),
        };
        let orderer = match (alert.n4.as_ref().and_then(|n4| n4.ordered_by), names.orderer) {
            (Some(address), Some(id)) => format!("{id} ({address})"),
            (Some(address), None) => address.to_string(),
            (None, _) => peer.clone(),
        };
        Self {
            alert,
            equipment: names.suspect,
            suspect: names.suspect.unwrap_or("no listed equipment"),
            peer,
            orderer,
            tap: names.tap,
        }
    }

    fn n4(&self) -> Option<&Signalled> {
        self.alert.n4.as_deref()
    }

    /// Who did it: the equipment, or else the peer.
    fn actor(&self) -> &str {
        self.equipment.unwrap_or(&self.peer)
    }

    /// Protocol and the responder's port, as in `TCP port 443`.
    fn service(&self) -> String {
        match &self.alert.outer {
            None => "IP".into(),
            Some(outer) if outer.destination_port == 0 => eve::protocol(outer.protocol),
            Some(outer) => {
                format!("{} port {}", eve::protocol(outer.protocol), outer.destination_port)
            }
        }
    }
}

/// Tells about an alert.
pub fn tell(alert: &Alert, names: Names<'_>) -> Story {
    let about = &About::new(alert, names);
    let story = match alert.fact {
        Fact::Opened => flows::opened(about),
        Fact::Answered => flows::answered(about),
        Fact::SentData => flows::sent_data(about),
        Fact::Acknowledged { round_trips } => flows::acknowledged(about, round_trips),
        Fact::UndeclaredPair => tunnels::undeclared_pair(about),
        Fact::OnN6 => tunnels::on_n6(about),
        Fact::SignalledPeer => tunnels::signalled_peer(about),
        Fact::Nested => tunnels::nested(about),
        Fact::ControlInside => tunnels::control_inside(about),
        Fact::IntoInfrastructure => tunnels::into_infrastructure(about),
        Fact::Header(hidden) => tunnels::header(about, hidden),
        Fact::ForeignTunnel(index) => tunnels::foreign(about, index),
        Fact::ClearGtpu => tunnels::clear_gtpu(about),
        Fact::UnknownAddress => links::unknown_address(about),
        Fact::NewMac(mac) => links::new_mac(about, mac),
        Fact::NewVlan(id) => links::new_vlan(about, id),
        Fact::NewEtherType(kind) => links::new_ether_type(about, kind),
        Fact::Loss { lost, received } => health::loss(lost, received),
        Fact::NoPolicy => health::no_policy(),
        Fact::Silent(direction) => health::silent(about, direction),
        Fact::ClockBack { by } => health::clock_back(by),
        Fact::ClockAhead { by } => health::clock_ahead(by),
        Fact::TableFull(index) => health::table_full(index),
        Fact::ControlAway => health::control_away(),
        Fact::N4Coverage { whole, seen } => health::n4_coverage(whole, seen),
        Fact::N4Dropped { dropped } => health::n4_dropped(dropped),
        Fact::Orphans { tunnels } => sessions::orphans(about, tunnels),
        Fact::TeidScan { tunnels } => sessions::scan(about, tunnels),
        Fact::ErrorIndications { indications } => sessions::error_indications(about, indications),
        Fact::TunnelShared => sessions::shared(about),
        Fact::Spoofed(spoof) => sessions::spoofed(about, spoof),
        Fact::UndeclaredPeer => signalling::undeclared_peer(about),
        Fact::NodeMoved => signalling::node_moved(about),
        Fact::ForeignSeid => signalling::foreign_seid(about),
        Fact::Contradiction => signalling::contradiction(about),
        Fact::SecondSequence => signalling::second_sequence(about),
        Fact::Duplication { sessions, authorised } => {
            signalling::duplication(about, sessions, authorised)
        }
        Fact::Unmatched { streams, authorised, is_declared } => {
            memory::unmatched(about, (streams, authorised), is_declared)
        }
        Fact::Redirected => signalling::redirected(about),
        Fact::AddressClaimed { older_alive } => signalling::address_claimed(about, older_alive),
        Fact::TunnelClaimed { older_alive } => signalling::tunnel_claimed(about, older_alive),
        Fact::DownlinkSilent => signalling::downlink_silent(about),
        Fact::Flood { message, per_second } => signalling::flood(about, message, per_second),
        Fact::FailingEstablishments { failed, requests } => {
            signalling::failing_establishments(about, failed, requests)
        }
        Fact::Ghost(oddity) => signalling::ghost(about, oddity),
        Fact::Beacon { period, beats, peers, .. } => memory::beacon(about, period, beats, peers),
        Fact::Lasting { lasted } => memory::lasting(about, lasted),
        Fact::Cohort { nodes, installed, others, of_others } => {
            memory::cohort(about, (nodes, installed), (others, of_others))
        }
        Fact::Volume { bytes, usual, hours, is_same_hour } => {
            memory::volume(about, (bytes, usual), hours, is_same_hour)
        }
        Fact::OutsideWindow { sent, is_remote } => memory::outside_window(about, sent, is_remote),
        Fact::Copied { digests } => proof::copied(about, digests),
        Fact::Imbalance { extra, came, windows, .. } => {
            proof::imbalance(about, (extra, came), windows)
        }
        Fact::Names { names, octets, first_label, .. } => {
            content::names(about, names, octets, first_label)
        }
        Fact::Echoes(oddity) => content::echoes(about, oddity),
        Fact::Time(oddity) => content::time(about, oddity),
        Fact::Crypto(news) => content::crypto(about, news),
    };
    if alert.superseded_by.is_some() {
        return story.next("See the alert of the more specific detection about the same peer.");
    }
    story
}

/// `1 tunnel`, `7 tunnels`.
fn counted(number: impl Into<u64>, one: &str) -> String {
    match number.into() {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    }
}

/// `1, 2 and 3`.
fn listed<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => items.concat(),
    }
}

/// How sure the finding is: 1 − the largest of the loss ratio, the share of N4 that was not seen
/// where the finding rests on it, and the detection's own doubt. A detection that reads packets
/// as they are has none. One that infers the unseen side from `n` growths of the far side's
/// acknowledgements has 0.5ⁿ: each single growth may have another cause. A rhythm's doubt is what its
/// score lacks.
pub fn confidence(alert: &Alert) -> f64 {
    let inferred = match alert.fact {
        Fact::Acknowledged { round_trips } => 0.5_f64.powi(round_trips.min(64) as i32),
        Fact::Beacon { score, .. } => share(1.0 - score),
        _ => 0.0,
    };
    let n4 = alert.n4.as_deref();
    let coverage = n4.and_then(|n4| n4.coverage).map_or(0.0, |coverage| share(1.0 - coverage));
    let doubt = n4.map_or(0.0, |n4| share(n4.doubt)).max(inferred);
    let largest = share(alert.loss_ratio).max(coverage).max(doubt);
    ((1.0 - largest) * 1e4).round() / 1e4
}

/// A share that something doubtful makes whole: what is no number is as bad as it can be.
fn share(part: f32) -> f64 {
    if part.is_finite() { f64::from(part).clamp(0.0, 1.0) } else { 1.0 }
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
