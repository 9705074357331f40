//! Echoes and time synchronisation of equipment, in the order of their packets.

use weir_wire::Address;

use super::Judge;
use super::bounded::Bounded;
use super::flow::{Flow, Way};
use crate::Nanos;
use crate::contract::verdict::{Alert, EchoOddity, Fact, Initiator, Severity, TimeOddity, Verdict};
use crate::detect::cov_icmp::{Asked, Echo, Echoes};
use crate::detect::cov_time::{CLIENT, Ntp, Rate, SERVER};
use crate::detect::{COV_ICMP, COV_TIME, EGR_NOTALLOWED, INV_UNKNOWN};
use crate::report::{Mark, Report, Seen, Shows};
use crate::rules::{EquipmentId, Party, Roles, Rules};
use crate::track::FlowKey;

/// Pairs of nodes whose echoes are remembered, requests that wait for their replies, and clients
/// of servers whose questions are counted.
const ROWS: usize = 1 << 14;
/// How long a request waits.
const PATIENCE: Nanos = Nanos::from_secs(10);

/// A request that waits for its reply.
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    echo: Option<Echo>,
    at: Nanos,
    /// Whether another one with its number waits as well: nobody can say which is answered.
    is_repeated: bool,
}

/// What is remembered of them.
#[derive(Debug)]
pub(crate) struct Marks {
    echoes: Bounded<FlowKey, Echoes>,
    requests: Bounded<Asked, Request>,
    rates: Bounded<(EquipmentId, Address), Rate>,
}

impl Default for Marks {
    fn default() -> Self {
        let (echoes, requests, rates) =
            (Bounded::new(ROWS), Bounded::new(ROWS), Bounded::new(ROWS));
        Self { echoes, requests, rates }
    }
}

impl Marks {
    /// Forgets all.
    pub(crate) fn forget(&mut self) {
        self.echoes.clear();
        self.requests.clear();
        self.rates.clear();
    }

    /// Rows given up for others so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.echoes.evictions() + self.requests.evictions() + self.rates.evictions()
    }

    /// Whether a reply is unlike its request. Some hosts cut long ones.
    fn is_unlike(&mut self, seen: &Seen, echo: &Echo) -> bool {
        let key = (seen.flow, echo.number.0, echo.number.1);
        if !echo.is_reply {
            let row = self.requests.entry(key, Request::default);
            let is_same = row
                .echo
                .is_none_or(|it| (it.beginning, it.octets) == (echo.beginning, echo.octets));
            let is_waiting = row.echo.is_some() && seen.time.since(row.at) <= PATIENCE;
            let is_repeated = is_waiting && (row.is_repeated || !is_same);
            *row = Request { echo: Some(*echo), at: seen.time, is_repeated };
            return false;
        }
        let Some(Request { echo: Some(asked), at, is_repeated }) = self.requests.take(&key) else {
            return false;
        };
        let is_late = seen.time.since(at) > PATIENCE;
        let is_cut = echo.octets < asked.octets;
        // Each way has fragments as long as its path allows.
        let is_part = echo.is_part || asked.is_part;
        let is_longer = echo.octets > asked.octets && !is_part;
        !is_late && !is_repeated && !is_cut && (is_longer || echo.beginning != asked.beginning)
    }
}

/// What an alert about packets is about.
struct Charge {
    detection: u16,
    severity: Severity,
    fact: Fact,
    /// Who sends what is wrong.
    way: Way,
    /// Packets and bytes.
    size: (u64, u64),
}

impl Judge {
    /// Judges what all workers marked.
    pub(super) fn judge_marks<'a>(
        &mut self,
        reports: impl Iterator<Item = &'a Report>,
        rules: &Rules,
        say: &mut impl FnMut(Verdict),
    ) {
        let mut marks: Vec<Mark> =
            reports.flat_map(|report| report.marks.iter().copied()).collect();
        // Of one time a request comes before its reply.
        marks.sort_by_key(|mark| (mark.seen.time, mark.shows, mark.seen));
        for Mark { seen, shows } in marks {
            // Where copies go is told of in confidence only.
            if self.has_confidential_end(&seen.flow) {
                continue;
            }
            match shows {
                Shows::Echo(echo) => self.judge_echo(&seen, &echo, rules, say),
                Shows::Ntp(ntp) => self.judge_ntp(&seen, ntp, rules, say),
                Shows::Ptp(element) => {
                    let oddity = TimeOddity::Element(element);
                    self.charge_time(&seen, oddity, rules, say);
                }
            }
        }
    }

    fn judge_echo(
        &mut self,
        seen: &Seen,
        echo: &Echo,
        rules: &Rules,
        say: &mut impl FnMut(Verdict),
    ) {
        if !self.is_enabled(COV_ICMP) {
            return;
        }
        let settings = rules.settings();
        let is_unlike = self.marks.is_unlike(seen, echo);
        let way = way(seen);
        let row = self.marks.echoes.entry_ranked(seen.flow, Echoes::default, Echoes::rank);
        let is_told = row.add(seen, echo, is_unlike, settings.icmp_min_packets);
        let fact = if is_told {
            let at = usize::from(!seen.upward);
            let is_changing = row.changing[at] >= settings.icmp_min_packets;
            let size = std::mem::take(&mut row.uncounted[at]);
            let oddity = if is_changing { EchoOddity::Changing } else { EchoOddity::Unlike };
            Some((oddity, size))
        } else if u64::from(echo.octets) >= settings.icmp_min_bytes && self.is_off_net(seen, rules)
        {
            Some((EchoOddity::Large, (1, u64::from(seen.bytes))))
        } else {
            None
        };
        if let Some((oddity, size)) = fact {
            let (detection, severity, fact) = (COV_ICMP, Severity::High, Fact::Echoes(oddity));
            self.charge(seen, Charge { detection, severity, fact, way, size }, say);
        }
    }

    /// Whether an end of a flow is declared nowhere, not even by a rule that allows it.
    fn is_off_net(&self, seen: &Seen, rules: &Rules) -> bool {
        let is_stranger = |end| Party::unpack(rules.party(end)) == Party::Unknown;
        let is_allowed = self.flows.find(&seen.flow).is_some_and(|flow| flow.allowed);
        !is_allowed && [seen.flow.low, seen.flow.high].into_iter().any(is_stranger)
    }

    fn judge_ntp(&mut self, seen: &Seen, ntp: Ntp, rules: &Rules, say: &mut impl FnMut(Verdict)) {
        let roles = |end| {
            let equipment = Party::unpack(rules.party(end)).equipment();
            Some((equipment?, rules.equipment(equipment?)?.roles))
        };
        let is_server = |end| roles(end).is_some_and(|(_, roles)| roles.any(Roles::NTP));
        let (low, high) = (seen.flow.low, seen.flow.high);
        let (from, to) = if seen.upward { (low, high) } else { (high, low) };
        let (client, server) = if ntp.mode == SERVER { (to, from) } else { (from, to) };
        let is_allowed = self.flows.find(&seen.flow).is_some_and(|flow| flow.allowed);
        let oddity = match ntp.oddity() {
            // Servers of the inventory agree among themselves.
            Some(TimeOddity::Mode(1 | 2)) if is_server(from) && is_server(to) => None,
            Some(TimeOddity::Length(_))
                if ntp.may_be_authenticated() && self.is_authenticated(seen, rules) =>
            {
                None
            }
            oddity => oddity,
        };
        let is_unlisted = roles(client).is_some() && !is_server(server) && !is_allowed;
        let oddity = match oddity {
            None if is_unlisted => Some(TimeOddity::Unlisted),
            None if ntp.mode == CLIENT => roles(client).and_then(|(client, _)| {
                let key = (client, server);
                let rate = self.marks.rates.entry_ranked(key, Rate::default, Rate::rank);
                let asked = rate.ask(seen.time, rules.settings().ntp_pause)?;
                Some(TimeOddity::Rate(asked.min(u32::MAX.into()) as u32))
            }),
            oddity => oddity,
        };
        if let Some(oddity) = oddity {
            self.charge_time(seen, oddity, rules, say);
        }
    }

    /// Whether the inventory's equipment at an end has authenticated NTP declared.
    fn is_authenticated(&self, seen: &Seen, rules: &Rules) -> bool {
        [seen.flow.low, seen.flow.high].into_iter().any(|end| {
            let equipment = Party::unpack(rules.party(end)).equipment();
            equipment.is_some_and(|id| rules.is_quirk(COV_TIME, id, "ntp authentication"))
        })
    }

    fn charge_time(
        &mut self,
        seen: &Seen,
        oddity: TimeOddity,
        rules: &Rules,
        say: &mut impl FnMut(Verdict),
    ) {
        let value = oddity.to_string();
        let is_declared = |id| rules.is_quirk(COV_TIME, id, &value);
        let ends = [seen.flow.low, seen.flow.high].map(|end| Party::unpack(rules.party(end)));
        let equipment = ends.iter().filter_map(|party| party.equipment());
        if !self.is_enabled(COV_TIME) || equipment.chain([seen.client]).any(is_declared) {
            return;
        }
        let (detection, severity, fact) = (COV_TIME, Severity::Medium, Fact::Time(oddity));
        let size = (1, u64::from(seen.bytes));
        self.charge(seen, Charge { detection, severity, fact, way: way(seen), size }, say);
    }

    /// Adds packets to their alert, and lets what is more general about them rest.
    fn charge(&mut self, seen: &Seen, charge: Charge, say: &mut impl FnMut(Verdict)) {
        let Charge { detection, severity, fact, way, size: (packets, bytes) } = charge;
        let blank = Alert {
            tap: seen.tap.0,
            link: seen.link,
            packets,
            bytes,
            first: seen.time,
            last: seen.time,
            initiator: Initiator::Equipment,
            ..self.blank(detection, severity, fact, seen.time)
        };
        let Some(flow) = self.flows.find(&seen.flow).cloned() else {
            // Below IP there is no flow.
            let alert = Alert { equipment: Some(seen.client), ..blank };
            return self.observe(alert, Some(seen.time), say);
        };
        // An answer to a stranger is the doing of the equipment that takes part.
        let own = if flow.is_equipment(way) { way } else { way.reverse() };
        let peer = flow.sender(own.reverse());
        let now = self.now;
        for general in [EGR_NOTALLOWED, INV_UNKNOWN] {
            self.alerts.supersede(general, (peer, flow.id()), detection, now, &mut |alert| {
                say(Verdict::Alert(Box::new(alert)));
            });
        }
        let alert = Alert {
            equipment: flow.equipment(own),
            peer_equipment: flow.equipment(own.reverse()),
            peer: Some(peer.into()),
            peer_name: self.name(&flow, own.reverse()),
            initiator: initiator(&flow, own),
            outer: Some(flow.key.tuple(way == Way::Up)),
            flow_id: flow.id(),
            ..blank
        };
        self.observe(alert, Some(seen.time), say);
    }
}

fn way(seen: &Seen) -> Way {
    if seen.upward { Way::Up } else { Way::Down }
}

fn initiator(flow: &Flow, own: Way) -> Initiator {
    match flow.opener() {
        Some(way) if way == own => Initiator::Equipment,
        Some(_) => Initiator::Peer,
        None => Initiator::Unknown,
    }
}
