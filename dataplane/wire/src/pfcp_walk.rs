//! The recursive walk over a PFCP message's information elements: every one in
//! its place, the members of a grouped one behind it.
//!
//! A member that is cut ends its group only; what follows the group is still
//! read, since attacks are found among malformed messages. The walk holds one
//! cursor a level and allocates nothing.

use crate::pfcp::{Element, Elements, Pfcp};
use crate::{Layer, WireError};

/// The deepest nesting that is followed; TS 29.244 nests four deep.
pub const MAX_DEPTH: usize = 16;

/// Visits every element with its depth (0: the message's own). Gives the first
/// thing that is wrong, and the bytes from the element on that is; a group at
/// the greatest depth is such, and is visited but not entered.
pub fn walk<'a>(
    message: &Pfcp<'a>,
    visit: &mut impl FnMut(usize, &Element<'a>),
) -> Option<(WireError, &'a [u8])> {
    let mut groups = [Elements::new(&[]); MAX_DEPTH];
    groups[0] = message.elements();
    let mut depth = 0;
    let mut fault = None;
    loop {
        let at = groups[depth].rest();
        let entered = match groups[depth].next() {
            Some(Ok(element)) => {
                visit(depth, &element);
                if element.lacks_enterprise() {
                    fault.get_or_insert((WireError::length(Layer::Pfcp), at));
                }
                element.is_grouped().then_some(element.value)
            }
            ended => {
                if let Some(Err(error)) = ended {
                    fault.get_or_insert((error, at));
                }
                if depth == 0 {
                    return fault;
                }
                depth -= 1;
                None
            }
        };
        match entered {
            Some(members) if depth + 1 < MAX_DEPTH => {
                depth += 1;
                groups[depth] = Elements::new(members);
            }
            Some(_) => {
                fault.get_or_insert((WireError::depth(Layer::Pfcp), at));
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::vec::Vec;

    /// An element with its header; a value too long for its length is never written.
    fn element(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value);
        bytes
    }

    /// A session modification request.
    fn message(body: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0x21, 52];
        bytes.extend((body.len() as u16 + 12).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 1, 0]);
        bytes.extend(body);
        bytes
    }

    type Seen = Vec<(usize, u16)>;

    fn seen(bytes: &[u8]) -> (Seen, Option<(WireError, usize)>) {
        let mut seen = Vec::new();
        let fault = walk(&Pfcp::parse(bytes).unwrap(), &mut |depth, element| {
            seen.push((depth, element.kind));
        });
        let start = bytes.as_ptr() as usize;
        (seen, fault.map(|(error, at)| (error, at.as_ptr() as usize - start)))
    }

    /// Random elements to a depth, and the order in which the walk shall meet them.
    fn grown(seeded: &mut Seeded, depth: usize, order: &mut Seen) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..1 + seeded.next() % 3 {
            let grouped = depth < 4 && seeded.next().is_multiple_of(2);
            let kind = if grouped { 1 } else { 20 + (seeded.next() % 16) as u16 };
            order.push((depth, kind));
            let value = if grouped {
                grown(seeded, depth + 1, order)
            } else {
                seeded.next().to_be_bytes()[..seeded.next() as usize % 9].to_vec()
            };
            bytes.extend(element(kind, &value));
        }
        bytes
    }

    #[test]
    fn what_is_written_is_met_in_its_order_and_every_truncation_meets_a_part() {
        let mut seeded = Seeded::new(15);
        for _ in 0..200 {
            let mut order = Vec::new();
            let body = grown(&mut seeded, 0, &mut order);
            let bytes = message(&body);
            assert_eq!(seen(&bytes), (order.clone(), None));
            for end in 16..bytes.len() {
                let (part, _) = seen(&bytes[..end]);
                // Depth first, so that a cut message's elements are the whole one's first.
                assert_eq!(part, order[..part.len()], "{end}");
                assert!(part.len() < order.len());
            }
        }
    }

    #[test]
    fn a_create_pdr_is_flattened_in_place() {
        // Create PDR (PDR ID, PDI (Source Interface, F-TEID)), then a vendor's element.
        let pdi =
            element(2, &[element(20, &[0]), element(21, &[1, 0, 0, 0, 7, 10, 0, 0, 1])].concat());
        let pdr = element(1, &[element(56, &[0, 1]), pdi].concat());
        let bytes = message(&[pdr, element(0x8001, &[0x28, 0xaf, 0, 1, 0, 0])].concat());
        let order = std::vec![(0, 1), (1, 56), (1, 2), (2, 20), (2, 21), (0, 0x8001)];
        assert_eq!(seen(&bytes), (order, None));
    }

    #[test]
    fn a_member_that_is_cut_ends_its_group_only() {
        // tshark ends the message here; the FAR behind the lie re-points a tunnel all the same.
        let lying = element(1, &[0, 56, 0, 200, 0, 1]);
        let body = [lying, element(10, &element(108, &[0, 0, 0, 1]))].concat();
        let (order, fault) = seen(&message(&body));
        assert_eq!(order, [(0, 1), (0, 10), (1, 108)]);
        assert_eq!(fault.unwrap(), (WireError::truncated(Layer::Pfcp), 16 + 4));
    }

    #[test]
    fn a_vendors_element_too_short_for_its_number_hides_nothing() {
        let body = [element(0x8001, &[9]), element(10, &element(108, &[0, 0, 0, 1]))].concat();
        let (order, fault) = seen(&message(&body));
        assert_eq!(order, [(0, 0x8001), (0, 10), (1, 108)]);
        assert_eq!(fault.unwrap(), (WireError::length(Layer::Pfcp), 16));
    }

    #[test]
    fn a_hundred_levels_end_at_the_bound_and_the_first_fault_is_kept() {
        let mut nested = element(56, &[0, 1]);
        for _ in 0..100 {
            nested = element(1, &nested);
        }
        let behind = element(19, &[1]);
        let bytes = message(&[nested, behind, std::vec![0, 19, 0, 9]].concat());
        let (order, fault) = seen(&bytes);
        assert_eq!(order.len(), MAX_DEPTH + 1);
        assert_eq!(order[MAX_DEPTH - 1], (MAX_DEPTH - 1, 1));
        assert_eq!(order[MAX_DEPTH], (0, 19));
        let (error, at) = fault.unwrap();
        assert_eq!((error, at), (WireError::depth(Layer::Pfcp), 16 + 4 * (MAX_DEPTH - 1)));
    }
}
