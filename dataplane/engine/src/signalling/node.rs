//! PFCP nodes, and the pairs of them that talk to each other.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;

use weir_wire::Address;

use super::coverage::Coverage;
use super::keyed::KeyedHasher;
use super::pool::NIL;
use super::sequence::Spaces;
use crate::Nanos;
use crate::decode::protocol;
use crate::detect::pfcp_flood::Rates;
use crate::rules::{EquipmentId, Party, Roles, Rules};

/// Nodes and pairs that are kept; of these, what undeclared addresses may have.
const NODES: usize = 1 << 15;
const PAIRS: usize = 1 << 15;
const STRANGERS: usize = 1 << 12;
/// Ports of one sender whose sequence numbers are watched.
const PORTS: usize = 8;

type Map<K, V> = HashMap<K, V, BuildHasherDefault<KeyedHasher>>;

/// A PFCP node by one address.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) address: Address,
    pub(crate) equipment: Option<EquipmentId>,
    /// Whether it serves user planes: by its role, or by what it was asked.
    pub(crate) is_up: bool,
    /// Its Recovery Time Stamp, from what can be trusted.
    pub(crate) recovery: Option<u32>,
    /// Since when its sessions are known from their beginnings: the sensor's start, its
    /// first message, or its restart.
    pub(crate) learning_since: Nanos,
    /// When it last restarted.
    pub(crate) restarted: Nanos,
    /// Its last message, and the end of the last time in which there was none for long.
    pub(crate) heard: Nanos,
    pub(crate) silent_until: Nanos,
    pub(crate) coverage: Coverage,
    /// Sessions in the store that it set up.
    pub(crate) sessions: usize,
    /// Sessions with and without a User ID, of a CP function.
    pub(crate) with_user: u64,
    pub(crate) without_user: u64,
}

/// One node's messages to another.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// Whether the policy lets them speak PFCP; as the policy of this identity has it.
    pub(crate) declared: bool,
    identity: u64,
    /// The sender's ports with how often each was used.
    ports: Vec<(u16, u32, Spaces)>,
    /// Heartbeats in a row without an answer.
    pub(crate) missed_heartbeats: u32,
    pub(crate) rates: Rates,
}

impl Pair {
    /// The spaces of sequence numbers of one port. The port that was used least makes room
    /// for a new one, so that nobody drives the usual one out.
    pub(crate) fn spaces(&mut self, port: u16) -> &mut Spaces {
        let place = self.ports.iter().position(|(of, ..)| *of == port).unwrap_or_else(|| {
            if self.ports.len() >= PORTS
                && let Some(least) = (0..PORTS).min_by_key(|place| self.ports[*place].1)
            {
                self.ports.remove(least);
            }
            self.ports.push((port, 0, Spaces::default()));
            self.ports.len() - 1
        });
        let (_, uses, spaces) = &mut self.ports[place];
        *uses = uses.saturating_add(1);
        spaces
    }
}

/// A node that is not heard for so long was perhaps not seen: what it agreed on before may
/// be over.
const SILENCE: Nanos = Nanos::from_secs(60);

impl Node {
    /// Notes a message of the node, or to it.
    pub(crate) fn hear(&mut self, time: Nanos) {
        if self.heard > Nanos(0) && time.since(self.heard) > SILENCE {
            self.silent_until = time;
        }
        self.heard = self.heard.max(time);
    }
}

/// All nodes and pairs. A row is never moved; one of an undeclared address is used again
/// when there are too many of them.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    pairs: Vec<Pair>,
    by_address: Map<Address, u32>,
    by_ends: Map<(Address, Address), u32>,
    strange_nodes: VecDeque<u32>,
    strange_pairs: VecDeque<u32>,
    latest: Option<((Address, Address), u32)>,
    /// The pair that makes room next when all are declared.
    hand: u32,
    evictions: u64,
}

impl Nodes {
    pub(crate) fn node(&self, number: u32) -> Option<&Node> {
        self.nodes.get(number as usize)
    }

    pub(crate) fn node_mut(&mut self, number: u32) -> Option<&mut Node> {
        self.nodes.get_mut(number as usize)
    }

    pub(crate) fn pair(&self, number: u32) -> Option<&Pair> {
        self.pairs.get(number as usize)
    }

    /// Whether the policy lets a pair speak PFCP.
    pub(crate) fn is_declared(&self, number: u32) -> bool {
        self.pair(number).is_some_and(|pair| pair.declared)
    }

    pub(crate) fn pair_mut(&mut self, number: u32) -> Option<&mut Pair> {
        self.pairs.get_mut(number as usize)
    }

    /// Notes a message between a pair of nodes.
    pub(crate) fn hear(&mut self, pair: u32, time: Nanos) {
        let Some((from, to)) = self.pair(pair).map(|pair| (pair.from, pair.to)) else { return };
        for number in [from, to] {
            if let Some(node) = self.node_mut(number) {
                node.hear(time);
            }
        }
    }

    /// All nodes, by number.
    pub(crate) fn all(&self) -> &[Node] {
        &self.nodes
    }

    /// The node at an address.
    pub(crate) fn at(&self, address: Address) -> Option<u32> {
        self.by_address.get(&address).copied()
    }

    /// Nodes and pairs given up for others.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }

    /// The pair of a sender and a receiver, made if it is new.
    pub(crate) fn pair_of(
        &mut self,
        from: Address,
        to: Address,
        time: Nanos,
        rules: Option<&Rules>,
    ) -> u32 {
        let identity = rules.map_or(0, Rules::identity);
        if let Some((ends, number)) = self.latest
            && ends == (from, to)
            && self.pairs[number as usize].identity == identity
        {
            return number;
        }
        let known = self.by_ends.get(&(from, to)).copied();
        let number = match known {
            Some(number) if self.pairs[number as usize].identity == identity => number,
            _ => {
                let declared = rules.is_none_or(|rules| may_speak(rules, from, to, time));
                let ends = (
                    self.node_of(from, time, declared, rules),
                    self.node_of(to, time, declared, rules),
                );
                let number = known.unwrap_or_else(|| self.new_pair(declared));
                let pair = &mut self.pairs[number as usize];
                (pair.from, pair.to) = ends;
                (pair.declared, pair.identity) = (declared, identity);
                self.by_ends.insert((from, to), number);
                number
            }
        };
        self.latest = Some(((from, to), number));
        number
    }

    fn new_pair(&mut self, declared: bool) -> u32 {
        let is_full = self.pairs.len() >= PAIRS;
        let used_again = !declared && self.strange_pairs.len() >= STRANGERS || is_full;
        let stranger = if used_again { self.strange_pairs.pop_front() } else { None };
        let number = match stranger {
            Some(number) => self.empty(number),
            None if is_full => {
                self.hand = (self.hand + 1) % PAIRS as u32;
                self.empty(self.hand)
            }
            None => {
                self.pairs.push(Pair::default());
                (self.pairs.len() - 1) as u32
            }
        };
        if !declared {
            self.strange_pairs.push_back(number);
        }
        number
    }

    /// Takes a pair out of its place.
    fn empty(&mut self, number: u32) -> u32 {
        self.evictions += 1;
        let old = std::mem::take(&mut self.pairs[number as usize]);
        let address = |node: u32| self.nodes.get(node as usize).map(|node| node.address);
        if let (Some(from), Some(to)) = (address(old.from), address(old.to))
            && self.by_ends.get(&(from, to)) == Some(&number)
        {
            self.by_ends.remove(&(from, to));
        }
        number
    }

    /// Another inventory says anew who holds which address.
    pub(crate) fn renew(&mut self, rules: &Rules) {
        for node in &mut self.nodes {
            node.equipment = rules.holder(node.address);
        }
    }

    fn node_of(
        &mut self,
        address: Address,
        time: Nanos,
        declared: bool,
        rules: Option<&Rules>,
    ) -> u32 {
        let equipment = rules.and_then(|rules| rules.holder(address));
        let has_role = |roles: Roles| {
            let entry = equipment.and_then(|id| rules.and_then(|rules| rules.equipment(id)));
            entry.is_some_and(|entry| entry.roles.any(roles))
        };
        if let Some(&number) = self.by_address.get(&address) {
            let node = &mut self.nodes[number as usize];
            node.equipment = equipment;
            node.is_up |= has_role(Roles::UPF);
            return number;
        }
        let strange = !declared && equipment.is_none();
        let fresh = Node {
            address,
            equipment,
            is_up: has_role(Roles::UPF),
            learning_since: time,
            ..Node::default()
        };
        let used_again =
            strange && self.strange_nodes.len() >= STRANGERS || self.nodes.len() >= NODES;
        if used_again && let Some(number) = self.strange_nodes.pop_front() {
            self.evictions += 1;
            self.by_address.remove(&self.nodes[number as usize].address);
            self.nodes[number as usize] = fresh;
            self.strange_nodes.push_back(number);
            self.by_address.insert(address, number);
            return number;
        }
        if self.nodes.len() >= NODES {
            return NIL;
        }
        let number = self.nodes.len() as u32;
        self.nodes.push(fresh);
        if strange {
            self.strange_nodes.push_back(number);
        }
        self.by_address.insert(address, number);
        number
    }
}

/// Whether two addresses may speak PFCP: a rule allows it either way, or the inventory
/// lists one as SMF and the other as UPF, which then is EGR-NOTALLOWED's to judge.
fn may_speak(rules: &Rules, from: Address, to: Address, time: Nanos) -> bool {
    if rules.installed() == 0 {
        return true;
    }
    let end = |address| (Party::unpack(rules.party(address)), address);
    let port = Some(weir_wire::pfcp::PORT);
    let allows = |a, b| rules.allows(end(a), end(b), protocol::UDP, port, time);
    let roles = |address| {
        let entry = rules.holder(address).and_then(|id| rules.equipment(id));
        entry.map_or(Roles::default(), |entry| entry.roles)
    };
    let (a, b) = (roles(from), roles(to));
    allows(from, to)
        || allows(to, from)
        || (a.any(Roles::SMF) && b.any(Roles::UPF))
        || (a.any(Roles::UPF) && b.any(Roles::SMF))
}
