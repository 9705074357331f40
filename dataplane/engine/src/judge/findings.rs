//! What single packets of GTP-U showed, whatever their flow is allowed to carry.

use weir_wire::Address;

use super::Judge;
use super::flow::Way;
use crate::contract::verdict::{Alert, Fact, Hidden, Initiator, Severity, Verdict};
use crate::detect::{GTP_CPINUP, GTP_HDRCOV, GTP_NEST, rank};
use crate::finding::{Finding, Sign};
use crate::report::Report;
use crate::rules::{Party, Rules};

impl Judge {
    /// Judges the findings of all workers in the order of their first packets.
    pub(super) fn judge_findings<'a>(
        &mut self,
        reports: impl Iterator<Item = &'a Report>,
        rules: &Rules,
        say: &mut impl FnMut(Verdict),
    ) {
        let mut findings: Vec<Finding> =
            reports.flat_map(|report| report.findings.rows()).copied().collect();
        findings.sort_by_key(|found| (found.key, found.first, found.tap.0));
        findings.dedup_by(|later, found| {
            let same = later.key == found.key;
            if same {
                found.join(later);
            }
            same
        });
        findings.sort_by_key(|found| (found.first, found.key));
        for mut found in findings {
            if let Some((detection, fact)) = self.fact_of(&mut found, rules) {
                self.accuse_packets(&found, detection, fact, rules, say);
            }
        }
    }

    /// What a finding means, and the packets that it is about; none if it means nothing.
    fn fact_of(&mut self, found: &mut Finding, rules: &Rules) -> Option<(u16, Fact)> {
        let hidden = match found.key.sign {
            Sign::Nested => return Some((GTP_NEST, Fact::Nested)),
            Sign::ControlInside => return Some((GTP_CPINUP, Fact::ControlInside)),
            Sign::IntoInfrastructure => return Some((GTP_CPINUP, Fact::IntoInfrastructure)),
            Sign::SpareBit => Hidden::SpareBit,
            Sign::Trailing => Hidden::Trailing,
            Sign::PrivateExtension => Hidden::PrivateExtension,
            Sign::Padded => Hidden::Padding,
            Sign::Extension(kind) => Hidden::Extension(kind),
            Sign::EchoRequest | Sign::EchoResponse => {
                let is_request = found.key.sign == Sign::EchoRequest;
                let path = ends(found);
                let settings = rules.settings();
                let bound = (settings.echo_responses, settings.echo_window);
                let (packets, at) = (found.packets, found.first);
                found.packets = self.echoes.count(path, is_request, packets, at, bound)?;
                Hidden::EchoRate
            }
        };
        Some((GTP_HDRCOV, Fact::Header(hidden)))
    }

    fn accuse_packets(
        &mut self,
        found: &Finding,
        detection: u16,
        fact: Fact,
        rules: &Rules,
        say: &mut impl FnMut(Verdict),
    ) {
        let key = &found.key;
        let (from, to) = ends(found);
        let party = |address| Party::unpack(rules.party(address)).equipment();
        let suspect = party(from).filter(|_| !key.own);
        let quirk = |hidden: Hidden| {
            suspect.is_some_and(|id| rules.is_quirk(detection, id, &hidden.to_string()))
        };
        let silent = !self.is_enabled(detection)
            || (suspect.is_none() && !key.own)
            || matches!(fact, Fact::Header(hidden) if quirk(hidden));
        if silent {
            return;
        }
        let Some(flow) = self.flows.find(&key.flow) else { return };
        // Where copies go is told of in confidence only.
        if self.is_withheld(flow, to) {
            return;
        }
        // G-PDUs of a pair that nobody declared are told of as such.
        if flow.offence.is_some_and(|offence| rank(offence.detection) > rank(detection)) {
            return;
        }
        let flow_id = flow.id();
        let upward = is_upward(found);
        let direction = self.direction(flow, if upward { Way::Up } else { Way::Down });
        let reached = found.inner.map(|inner| Address::from(inner.tuple.destination));
        let peer = reached.unwrap_or(to);
        let severity = match fact {
            Fact::Header(_) => Severity::Medium,
            _ if key.own => Severity::Medium,
            _ => Severity::High,
        };
        let alert = Alert {
            equipment: suspect,
            peer_equipment: party(peer).filter(|_| suspect.is_some()),
            peer: Some(peer.into()),
            initiator: if suspect.is_some() { Initiator::Equipment } else { Initiator::Peer },
            tap: found.tap.0,
            link: found.link,
            direction,
            outer: Some(key.flow.tuple(upward)),
            inner: found.inner.map(|inner| inner.tuple),
            tunnel: found.inner.and_then(|inner| inner.tunnel),
            flow_id,
            packets: found.packets,
            bytes: found.bytes,
            first: found.first,
            last: found.last,
            n4: self.session_of(found.inner.as_ref(), to),
            ..self.blank(detection, severity, fact, self.now)
        };
        self.observe(alert, Some(found.first), say);
    }
}

/// Whether it goes from the flow's lower end to its higher one. An answer is the doing of who
/// asked for it.
fn is_upward(found: &Finding) -> bool {
    found.key.upward != (found.key.sign == Sign::EchoResponse)
}

/// Whose doing it is, and towards whom: outer addresses.
fn ends(found: &Finding) -> (Address, Address) {
    let flow = &found.key.flow;
    if is_upward(found) { (flow.low, flow.high) } else { (flow.high, flow.low) }
}
