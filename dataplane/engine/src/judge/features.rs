//! What the first packets of equipment's flows show: names, offers and keys, and whether clear text is
//! any. Each is told once in a while, so that a busy client costs no more than an idle one.

use std::collections::HashMap;

use super::Judge;
use super::bounded::Bounded;
use super::flow::{Flow, Way};
use super::ja4::{Carrier, first_protocol, ja4};
use super::names::{alpn, defused_to, handshake, host_name};
use super::questions::entropy;
use super::{quic, ssh};
use crate::Nanos;
use crate::contract::content::{Feature, Features, MAX_PROTOCOL};
use crate::contract::verdict::{MAX_NAME, Verdict};
use crate::decode::protocol;
use crate::report::{Seen, Speech};
use crate::rules::{EquipmentId, Rules};
use crate::track::FlowKey;

/// How long the same is not told again.
const AGAIN: Nanos = Nanos::from_secs(600);
/// Features that are told of an equipment in [`PERIOD`]; further ones are counted.
const MOST: u32 = 64;
const PERIOD: Nanos = Nanos::from_secs(10);
/// How long after its handshake a connection says its first words.
const YOUNG: Nanos = Nanos::from_secs(10);
/// Features, and flows of clear text, that are remembered at a time.
const ROWS: usize = 1 << 14;

/// What was told of an equipment lately.
#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    since: Nanos,
    told: u32,
    folded: u64,
}

/// What is remembered of them.
#[derive(Debug)]
pub(crate) struct Openings {
    told: Bounded<(EquipmentId, Feature), Nanos>,
    budgets: HashMap<EquipmentId, Budget>,
    /// The first octets each way of flows of clear text; none once they were enough.
    clear: Bounded<(FlowKey, bool), Option<Vec<u8>>>,
}

impl Default for Openings {
    fn default() -> Self {
        let (told, clear) = (Bounded::new(ROWS), Bounded::new(ROWS));
        Self { told, budgets: HashMap::new(), clear }
    }
}

impl Openings {
    /// Forgets what is known by equipment numbers. Flows go on: what was looked at of them is not
    /// their beginning if it is looked at again.
    pub(crate) fn forget(&mut self) {
        self.told.clear();
        self.budgets.clear();
    }

    /// A flow is over: what it sent first is of no more use.
    pub(crate) fn end(&mut self, flow: FlowKey) {
        for upward in [true, false] {
            self.clear.take(&(flow, upward));
        }
    }

    /// Rows given up for others so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.told.evictions() + self.clear.evictions()
    }

    /// Whether a feature is to be told, and how many were not since the one before.
    fn is_news(&mut self, client: EquipmentId, feature: &Feature, at: Nanos) -> Option<u64> {
        let is_recent = |told: Nanos| at.since(told) < AGAIN && told.since(at) < AGAIN;
        let told = self.told.entry((client, feature.clone()), Nanos::default);
        if *told != Nanos(0) && is_recent(*told) {
            return None;
        }
        let budget = self.budgets.entry(client).or_default();
        if at.since(budget.since) >= PERIOD || budget.since.since(at) >= PERIOD {
            (budget.since, budget.told) = (at, 0);
        }
        if budget.told >= MOST {
            budget.folded += 1;
            return None;
        }
        *told = at;
        budget.told += 1;
        Some(std::mem::take(&mut budget.folded))
    }

    /// The entropy of the first `enough` octets that a side sends, when they are there.
    fn clear(&mut self, seen: &Seen, payload: &[u8], enough: usize, begins: bool) -> Option<f64> {
        let key = (seen.flow, seen.upward);
        let fresh = || begins.then(Vec::new);
        let row = self.clear.entry_ranked(key, fresh, Option::is_some);
        let octets = row.as_mut()?;
        octets.extend(payload.iter().take(enough - octets.len().min(enough)));
        if octets.len() < enough {
            return None;
        }
        let bits = entropy(octets);
        *row = None;
        Some(bits)
    }
}

impl Judge {
    /// Tells what messages show that begin a flow.
    pub(super) fn judge_openings(
        &mut self,
        heard: &[(Seen, Speech, &[u8])],
        rules: &Rules,
        say: &mut impl FnMut(Verdict),
    ) {
        for (seen, speech, message) in heard {
            let Some(flow) = self.flows.find(&seen.flow) else { continue };
            let own = if seen.upward { Way::Up } else { Way::Down };
            let (allowed, flow_id) = (flow.allowed, flow.id());
            let is_client = flow.opener().is_none_or(|opener| opener == own);
            let begins = begins(flow, seen.time);
            let peer_equipment = flow.equipment(own.reverse());
            // Where copies go is told of in confidence only.
            if self.has_confidential_end(&seen.flow) {
                continue;
            }
            let feature = match speech {
                Speech::ClientHello(_) => tls(&handshake(message), Carrier::Tcp),
                Speech::Quic => {
                    quic::client_hello(message).and_then(|hello| tls(&hello, Carrier::Quic))
                }
                Speech::Ssh => ssh::hassh(message, is_client).map(Feature::Ssh),
                Speech::Http => host(message).map(Feature::Http),
                Speech::Clear if allowed && !is_sealed_snmp(seen, message) => {
                    let settings = rules.settings();
                    let enough = settings.crypto_octets;
                    let bits = self.openings.clear(seen, message, enough, begins);
                    bits.filter(|bits| *bits >= settings.crypto_entropy)
                        .map(|bits| Feature::Clear((bits * 100.0).floor() as u16))
                }
                _ => None,
            };
            let Some(shows) = feature else { continue };
            let Some(folded) = self.openings.is_news(seen.client, &shows, seen.time) else {
                continue;
            };
            say(Verdict::Features(Box::new(Features {
                equipment: seen.client,
                peer_equipment,
                tuple: seen.flow.tuple(seen.upward),
                flow_id,
                shows,
                folded,
                bytes: seen.bytes.into(),
                at: seen.time,
                allowed,
                tap: seen.tap.0,
                link: seen.link,
                policy: self.words.policy_version,
            })));
        }
    }
}

/// Whether a flow was seen to begin lately, so that what it says may be its first words: amid a
/// connection, files that are compressed pass. Each datagram begins anew.
fn begins(flow: &Flow, at: Nanos) -> bool {
    let opened = [flow.up.opened, flow.down.opened].into_iter().flatten().min();
    flow.key.protocol != protocol::TCP || opened.is_some_and(|opened| at.since(opened) <= YOUNG)
}

/// What a ClientHello shows.
fn tls(message: &[u8], carrier: Carrier) -> Option<Feature> {
    if message.first() != Some(&1) {
        return None;
    }
    let name = host_name(message);
    let protocol = alpn(message)
        .and_then(|content| first_protocol(&content).map(|name| defused_to(name, MAX_PROTOCOL)));
    let ja4 = ja4(message, carrier);
    let is_any = name.is_some() || ja4.is_some();
    is_any.then_some(Feature::Tls { name, protocol, ja4 })
}

/// The host that a request names.
fn host(message: &[u8]) -> Option<String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    // A request that is cut, or has more headers, has those that were read.
    let _ = request.parse(message);
    let host = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"))?;
    let host = host.value.split(|octet| *octet == b':').next()?;
    (!host.is_empty()).then(|| defused_to(host, MAX_NAME))
}

/// Whether a message is SNMP of version 3, which may be encrypted by its standard.
fn is_sealed_snmp(seen: &Seen, message: &[u8]) -> bool {
    let is_snmp =
        [seen.flow.low_port, seen.flow.high_port].iter().any(|port| matches!(port, 161 | 162));
    let beginning = message.get(..8).unwrap_or(message);
    is_snmp && beginning.first() == Some(&0x30) && beginning.windows(3).any(|it| it == [2, 1, 3])
}
