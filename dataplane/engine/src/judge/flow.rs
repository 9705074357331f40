//! The lasting state of one flow.

use weir_wire::Address;
use weir_wire::foreign::Foreign;

use crate::classify::party;
use crate::contract::verdict::Volume;
use crate::decode::protocol;
use crate::judge::offence::Offence;
use crate::judge::spell::Spell;
use crate::record::Evidence;
use crate::rules::{Allow, EquipmentId, Link, Party, Rules};
use crate::track::{FlowDelta, FlowKey, Inner, Side, is_closing};
use crate::{Nanos, TapId};

/// One of a flow's two directions; it also names the end that sends in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From the low end to the high end.
    Up,
    /// From the high end to the low end.
    Down,
}

impl Way {
    /// The other direction.
    pub const fn reverse(self) -> Self {
        match self {
            Way::Up => Way::Down,
            Way::Down => Way::Up,
        }
    }
}

/// A flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its two ends.
    pub key: FlowKey,
    /// What the low end sent.
    pub up: Side,
    /// What the high end sent.
    pub down: Side,
    /// The tap that saw it first.
    pub tap: TapId,
    /// The link it is on, given or inferred.
    pub link: Link,
    /// The tap's own link.
    given: Link,
    is_gtp_or_pfcp: bool,
    /// Who the low end and the high end are, packed, by the policy of this version.
    parties: (u32, u32),
    version: u64,
    /// What that policy is known by.
    identity: u64,
    /// The tunnel other than GTP-U that the low end, and the high end, sent.
    tunnels: (Option<Foreign>, Option<Foreign>),
    /// The first packet inside a verified G-PDU or another tunnel.
    pub inner: Option<Inner>,
    /// Whether the policy allows the flow as far as it was seen.
    pub allowed: bool,
    /// Whether it does so by a rule that declares a regular heartbeat.
    pub periodic: bool,
    /// What is wrong with it.
    pub offence: Option<Offence>,
    /// Packets and bytes that its alert does not count yet.
    pub uncounted: (u64, u64),
    /// Whether copies went or could go to an end of it at any time: its sums show them ever since.
    pub was_confidential: bool,
    /// When an hourly record is due.
    pub hourly: Nanos,
    /// The activity that is not told of yet.
    pub spell: Spell,
}

/// How long a flow may be idle: connections, whose ends would say if they
/// closed, and all others.
const IDLE: [Nanos; 2] = [Nanos::from_secs(900), Nanos::from_secs(120)];
/// How long a closed connection is kept for stragglers.
const LINGER: Nanos = Nanos::from_secs(5);
/// How often the record of a flow that goes on is made.
pub const HOUR: Nanos = Nanos::from_secs(3600);

impl Flow {
    /// A flow by what it did in its first slice.
    pub fn new(delta: &FlowDelta) -> Self {
        let mut flow = Self {
            key: delta.key,
            up: Side::default(),
            down: Side::default(),
            tap: delta.tap,
            link: delta.link,
            given: delta.given,
            is_gtp_or_pfcp: delta.is_gtp_or_pfcp,
            parties: (0, 0),
            version: 0,
            identity: 0,
            tunnels: (None, None),
            inner: None,
            allowed: false,
            periodic: false,
            offence: None,
            uncounted: (0, 0),
            was_confidential: false,
            hourly: delta.first().plus(HOUR),
            spell: Spell::default(),
        };
        flow.add(delta);
        flow
    }

    /// Adds what the flow did in a further slice; gives the spell of activity that is over.
    pub fn add(&mut self, delta: &FlowDelta) -> Option<Spell> {
        self.up.join(&delta.up);
        self.down.join(&delta.down);
        self.uncounted.0 += delta.up.packets + delta.down.packets;
        self.uncounted.1 += delta.up.bytes + delta.down.bytes;
        // The earlier one, whichever worker's report came first.
        if let Some(inner) = delta.inner {
            self.inner = Some(self.inner.map_or(inner, |first| first.or_earlier(inner)));
        }
        self.tunnels.0 = self.tunnels.0.or(delta.tunnels.0);
        self.tunnels.1 = self.tunnels.1.or(delta.tunnels.1);
        self.spell.add(Spell::of(delta))
    }

    /// Whether GTP or PFCP was verified in it.
    pub fn is_gtp_or_pfcp(&self) -> bool {
        self.is_gtp_or_pfcp
    }

    /// The version of the policy that the flow was judged by, 0 for none.
    pub fn policy(&self) -> u64 {
        self.version
    }

    /// What was sent in a direction.
    pub fn side(&self, way: Way) -> &Side {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    /// The address that sends in a direction.
    pub fn sender(&self, way: Way) -> Address {
        match way {
            Way::Up => self.key.low,
            Way::Down => self.key.high,
        }
    }

    /// The port that sends in a direction.
    pub fn port(&self, way: Way) -> u16 {
        match way {
            Way::Up => self.key.low_port,
            Way::Down => self.key.high_port,
        }
    }

    /// Who sends in a direction.
    pub fn party(&self, way: Way) -> Party {
        Party::unpack(match way {
            Way::Up => self.parties.0,
            Way::Down => self.parties.1,
        })
    }

    /// The tunnel other than GTP-U that was sent in a direction.
    pub fn tunnel(&self, way: Way) -> Option<Foreign> {
        match way {
            Way::Up => self.tunnels.0,
            Way::Down => self.tunnels.1,
        }
    }

    /// The equipment that sends in a direction, if it is one.
    pub fn equipment(&self, way: Way) -> Option<EquipmentId> {
        self.party(way).equipment()
    }

    /// Whether equipment sends in a direction.
    pub fn is_equipment(&self, way: Way) -> bool {
        self.equipment(way).is_some()
    }

    /// The ways whose sender is equipment, the one that spoke first in front.
    pub fn equipment_ways(&self) -> impl Iterator<Item = Way> + '_ {
        let first = self.first_sender();
        [first, first.reverse()].into_iter().filter(|way| self.is_equipment(*way))
    }

    /// Who sent the first packet that was seen.
    pub fn first_sender(&self) -> Way {
        match (self.up.packets, self.down.packets) {
            (_, 0) => Way::Up,
            (0, _) => Way::Down,
            _ if self.up.first <= self.down.first => Way::Up,
            _ => Way::Down,
        }
    }

    /// Who opened the conversation: what the handshake says; for protocols
    /// without one, who spoke first.
    pub fn opener(&self) -> Option<Way> {
        let handshake = matches!(
            self.key.protocol,
            protocol::TCP | protocol::SCTP | protocol::ICMP | protocol::ICMPV6
        ) && !self.key.fragments;
        if !handshake {
            return Some(self.first_sender());
        }
        match (self.up.opened, self.down.opened) {
            (Some(up), Some(down)) => Some(if up <= down { Way::Up } else { Way::Down }),
            (Some(_), None) => Some(Way::Up),
            (None, Some(_)) => Some(Way::Down),
            (None, None) if self.up.evidence.any(Evidence::ACCEPTS) => Some(Way::Down),
            (None, None) if self.down.evidence.any(Evidence::ACCEPTS) => Some(Way::Up),
            (None, None) => None,
        }
    }

    /// Asks the policy again whether the flow is allowed: the capture may have begun amid it.
    /// Under another policy than before, the flow's ends are looked up again and
    /// what it was flagged for is forgotten.
    pub fn ask(&mut self, rules: &Rules) {
        let was_allowed = self.allowed && self.identity == rules.identity();
        if self.identity != rules.identity() {
            let party = |address| party(address, self.given, self.is_gtp_or_pfcp, rules);
            self.parties = (party(self.key.low), party(self.key.high));
            self.version = rules.version();
            self.identity = rules.identity();
            self.offence = None;
        }
        self.allowed = self.is_allowed(rules, |_| true);
        self.periodic = self.allowed
            && if was_allowed {
                self.periodic
            } else {
                self.is_allowed(rules, |rule| rule.is_periodic)
            };
    }

    /// Whether a rule like this allows the flow, in the orientation that the handshake proves, else
    /// in either.
    fn is_allowed(&self, rules: &Rules, wanted: impl Fn(&Allow) -> bool) -> bool {
        let proven = matches!(self.key.protocol, protocol::TCP | protocol::SCTP);
        let opened_by = |opener: Way| {
            let end = |way: Way| (self.party(way), self.sender(way));
            let responder = opener.reverse();
            let port = (!self.key.fragments).then(|| self.port(responder));
            let (from, to) = (end(opener), end(responder));
            rules.allowing(from, to, self.key.protocol, port, self.last()).any(&wanted)
        };
        match self.opener().filter(|_| proven && !self.key.fragments) {
            Some(way) => opened_by(way),
            None => opened_by(Way::Up) || opened_by(Way::Down),
        }
    }

    /// The first packet's time.
    pub fn first(&self) -> Nanos {
        self.side(self.first_sender()).first
    }

    /// The last packet's time.
    pub fn last(&self) -> Nanos {
        self.up.last.max(self.down.last)
    }

    /// Whether an end has closed or broken the connection.
    pub fn is_closed(&self) -> bool {
        let broken = |side: &Side| side.evidence.any(Evidence::REFUSES);
        broken(&self.up)
            || broken(&self.down)
            || (is_closing(self.up.tcp_flags) && is_closing(self.down.tcp_flags))
    }

    /// When the flow has ended unless it shows life before.
    pub fn deadline(&self) -> Nanos {
        let patience = if self.is_closed() {
            LINGER
        } else {
            let connection = matches!(self.key.protocol, protocol::TCP | protocol::SCTP);
            IDLE[usize::from(!connection)]
        };
        self.last().plus(patience)
    }

    /// Packets and bytes so far, both ways.
    pub fn total(&self) -> (u64, u64) {
        (self.up.packets + self.down.packets, self.up.bytes + self.down.bytes)
    }

    /// Packets and bytes in a direction, as events tell them.
    pub fn volume(&self, way: Way) -> Volume {
        let side = self.side(way);
        Volume { packets: side.packets, bytes: side.bytes, tcp_flags: side.tcp_flags }
    }

    /// A number that the flow keeps for its life, the same in every replay (FNV-1a).
    pub fn id(&self) -> u64 {
        let ports = u128::from(self.key.low_port) << 64
            | u128::from(self.key.high_port) << 32
            | u128::from(self.key.protocol) << 1
            | u128::from(self.key.fragments);
        let start = u128::from(self.hourly.0 % HOUR.0);
        [self.key.low.0, self.key.high.0, ports, start]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lpm::Prefix;
    use crate::rules::{Allow, End, Equipment, RuleSet, Service};
    use crate::track::FlowKey;

    /// gnb-1, and what it may do under a policy of this version.
    fn rules(version: u64, allowed: Option<bool>) -> Rules {
        let any = Prefix::new(Address::v4([0, 0, 0, 0]), 0).unwrap();
        let own = Prefix::new(Address::v4([10, 0, 0, 1]), 32).unwrap();
        let end = End { equipment: None, prefix: Some(any) };
        let services = vec![Service { protocol: 17, ports: None, either_way: true }];
        let allow = allowed.map(|is_periodic| Allow {
            from: end.clone(),
            to: end.clone(),
            services,
            not_after: None,
            is_periodic,
        });
        Rules::compile(RuleSet {
            version,
            sha256: [version as u8; 32],
            equipment: vec![Equipment { prefixes: vec![own], ..Equipment::default() }],
            allow: allow.into_iter().collect(),
            ..RuleSet::default()
        })
        .unwrap()
    }

    #[test]
    fn what_one_policy_declared_periodic_is_not_so_under_another() {
        let side = Side { packets: 1, bytes: 60, ..Side::default() };
        let mut flow = Flow::new(&FlowDelta {
            key: FlowKey {
                low: Address::v4([10, 0, 0, 1]),
                high: Address::v4([198, 51, 100, 7]),
                low_port: 5000,
                high_port: 9,
                protocol: 17,
                fragments: false,
            },
            up: side,
            down: Side::default(),
            tap: TapId(0),
            link: Link::Oam,
            given: Link::Oam,
            is_gtp_or_pfcp: false,
            tunnels: (None, None),
            inner: None,
        });
        let mut asked = |version, allowed| {
            flow.ask(&rules(version, allowed));
            (flow.allowed, flow.periodic)
        };
        assert_eq!(asked(1, Some(true)), (true, true));
        assert_eq!(asked(1, Some(true)), (true, true));
        assert_eq!(asked(2, None), (false, false));
        assert_eq!(asked(3, Some(false)), (true, false));
        assert_eq!(asked(4, Some(true)), (true, true));
    }
}
