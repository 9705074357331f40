//! Users' addresses, and where a pass moves them.
//!
//! IPv4 addresses move within their /16, IPv6 prefixes of 64 bits within their /48; the interface
//! identifier stays. A block of 65,536 of them is one row here. Within a block a pass adds so much
//! that its users stand behind those of the pass before, and walks on past what is equipment's: a
//! permutation of all that is not.

use std::collections::BTreeMap;

use weir_wire::Address;

/// The most blocks that are known, 24 KiB each.
const BLOCKS: usize = 4_096;
/// Addresses or prefixes in a block.
const BLOCK: usize = 1 << 16;

/// A set of a block's addresses.
#[derive(Clone, Debug)]
struct Set(Box<[u64; BLOCK / 64]>);

impl Set {
    fn new() -> Self {
        Self(Box::new([0; BLOCK / 64]))
    }

    fn insert(&mut self, low: u16) {
        self.0[usize::from(low / 64)] |= 1 << (low % 64);
    }

    fn contains(&self, low: u16) -> bool {
        self.0[usize::from(low / 64)] >> (low % 64) & 1 == 1
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = u16> {
        (0..=u16::MAX).filter(|low| self.contains(*low))
    }
}

#[derive(Clone, Debug)]
struct Block {
    /// Users', as N4 says.
    signalled: Set,
    /// Users', as G-PDUs show.
    seen: Set,
    /// Equipment's.
    equipment: Set,
    /// How far a pass moves them.
    span: u16,
}

/// Which addresses are users'. What counts as one is settled at the end of the survey.
#[derive(Clone, Debug, Default)]
pub(crate) struct Users {
    /// There are few of them as a rule, and four are looked for a packet.
    blocks: BTreeMap<u64, Block>,
    /// Addresses that were not noted since there are too many blocks.
    pub(crate) left_out: u64,
}

impl Users {
    /// Notes the address of a UE IP Address element.
    pub(crate) fn signalled(&mut self, address: Address) {
        self.note(address, |block| &mut block.signalled);
    }

    /// Notes the user's end of a packet inside a G-PDU.
    pub(crate) fn seen(&mut self, address: Address) {
        self.note(address, |block| &mut block.seen);
    }

    /// Notes an address of equipment: an end of GTP-U or PFCP.
    pub(crate) fn equipment(&mut self, address: Address) {
        self.note(address, |block| &mut block.equipment);
    }

    fn note(&mut self, address: Address, set: impl Fn(&mut Block) -> &mut Set) {
        if address.is_local_scope() {
            return;
        }
        let (key, low) = place(address);
        if self.blocks.len() >= BLOCKS && !self.blocks.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let block = self.blocks.entry(key).or_insert_with(|| Block {
            signalled: Set::new(),
            seen: Set::new(),
            equipment: Set::new(),
            span: 0,
        });
        set(block).insert(low);
    }

    /// Settles who is a user: those of whom N4 tells, or, where none does, those whom G-PDUs show. A
    /// source that is spoofed, or a user from before the capture, stays who it is. Equipment is no
    /// user.
    pub(crate) fn settle(&mut self) {
        let knows_n4 = self.blocks.values().any(|block| !block.signalled.is_empty());
        for block in self.blocks.values_mut() {
            let seen = std::mem::replace(&mut block.seen, Set::new());
            if !knows_n4 {
                block.signalled = seen;
            }
            let equipment = block.equipment.0.iter();
            block.signalled.0.iter_mut().zip(equipment).for_each(|(user, not)| *user &= !not);
            let mut users = block.signalled.iter();
            let first = users.next();
            let last = users.next_back().or(first);
            // A block that is full has no room for others; its users change places.
            block.span = match first.zip(last) {
                Some((first, last)) => (last - first).wrapping_add(1).max(1),
                None => 0,
            };
        }
        self.blocks.retain(|_, block| !block.signalled.is_empty());
    }

    /// Where a pass moves an address; none if it is no user's.
    pub(crate) fn moved(&self, address: Address, pass: u32) -> Option<Address> {
        let (key, low) = place(address);
        let block = self.blocks.get(&key)?;
        if !block.signalled.contains(low) {
            return None;
        }
        let step = (u32::from(block.span).wrapping_mul(pass)) as u16;
        // A user's own address is no equipment's, so the walk ends there at the latest.
        let mut to = low.wrapping_add(step);
        while block.equipment.contains(to) {
            to = to.wrapping_add(step);
        }
        Some(with_low(address, to))
    }

    #[cfg(test)]
    fn count(&self) -> u64 {
        let words = self.blocks.values().flat_map(|block| block.signalled.0.iter());
        words.map(|word| u64::from(word.count_ones())).sum()
    }
}

/// Set in the key of a block of IPv6 prefixes.
const V6: u64 = 1 << 63;

fn place(address: Address) -> (u64, u16) {
    match address.as_v4() {
        Some(v4) => (u64::from(v4 >> 16), v4 as u16),
        None => (V6 | (address.0 >> 80) as u64, (address.0 >> 64) as u16),
    }
}

fn with_low(address: Address, low: u16) -> Address {
    match address.as_v4() {
        Some(_) => Address(address.0 & !0xffff | u128::from(low)),
        None => Address(address.0 & !(0xffff << 64) | u128::from(low) << 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn v4(a: u8, b: u8, low: u16) -> Address {
        Address::v4([a, b, (low >> 8) as u8, low as u8])
    }

    #[test]
    fn passes_move_users_apart_within_their_block_and_never_onto_equipment() {
        let mut users = Users::default();
        for low in 1..=100 {
            users.signalled(v4(10, 60, low));
        }
        users.equipment(v4(10, 60, 150));
        users.equipment(v4(10, 60, 7));
        users.settle();
        assert_eq!(users.count(), 99);
        assert_eq!(users.moved(v4(10, 60, 7), 1), None);
        assert_eq!(users.moved(v4(10, 61, 8), 1), None);
        assert_eq!(users.moved(v4(10, 60, 8), 0), Some(v4(10, 60, 8)));
        for pass in 0..600 {
            let mut of_pass = HashSet::new();
            for low in (1..=100).filter(|low| *low != 7) {
                let to = users.moved(v4(10, 60, low), pass).unwrap();
                assert!(of_pass.insert(to), "{low} in pass {pass}");
                assert_eq!(to.as_v4().unwrap() >> 16, 10 << 8 | 60);
                assert!(![7, 150].contains(&(to.as_v4().unwrap() as u16)));
            }
        }
    }

    #[test]
    fn no_user_of_a_pass_has_an_address_of_another() {
        let mut users = Users::default();
        (1..=100).for_each(|low| users.signalled(v4(10, 60, low)));
        users.settle();
        let mut all = HashSet::new();
        for pass in 0..600 {
            assert!((1..=100).all(|low| all.insert(users.moved(v4(10, 60, low), pass))), "{pass}");
        }
    }

    #[test]
    fn a_full_block_changes_places_and_its_permutation_is_one() {
        let mut users = Users::default();
        (0..=u16::MAX).for_each(|low| users.signalled(v4(10, 60, low)));
        users.equipment(v4(10, 60, 0));
        users.settle();
        let to: HashSet<_> = (1..=u16::MAX).map(|low| users.moved(v4(10, 60, low), 3)).collect();
        assert_eq!(to.len(), 65_535);
    }

    #[test]
    fn who_is_only_seen_is_a_user_where_n4_tells_of_none() {
        let (user, seen) = (v4(10, 60, 1), v4(10, 60, 2));
        let mut users = Users::default();
        users.seen(seen);
        let mut without_n4 = users.clone();
        without_n4.settle();
        assert!(without_n4.moved(seen, 1).is_some());
        users.signalled(user);
        users.settle();
        assert!(users.moved(user, 1).is_some());
        assert_eq!(users.moved(seen, 1), None);
    }

    #[test]
    fn ipv6_moves_its_subnet_and_keeps_the_interface() {
        let address = |subnet: u128, interface: u128| {
            Address(0x2001_0db8_0060 << 80 | subnet << 64 | interface)
        };
        let mut users = Users::default();
        users.signalled(address(4, 0));
        users.signalled(address(5, 0));
        users.settle();
        assert_eq!(users.moved(address(4, 77), 1), Some(address(6, 77)));
        assert_eq!(users.moved(address(9, 77), 1), None);
    }
}
