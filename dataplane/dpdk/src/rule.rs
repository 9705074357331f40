//! Rules that a device sorts frames by (rte_flow).

use std::ffi::CStr;
use std::ptr::{self, NonNull};

use weir_dpdk_sys as sys;

use crate::error::errno_text;
use crate::port::PortId;
use sys::rte_flow_action_type as action;
use sys::rte_flow_item_type as item;

/// The version of IP that a rule is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// What a rule is about behind the IP header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Upper {
    UdpFrom(u16),
    UdpTo(u16),
    Icmp,
    Gtpu,
}

/// Frames of one kind: Ethernet, a VLAN tag or none, IP, and what is behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Match {
    pub(crate) is_tagged: bool,
    pub(crate) version: Version,
    pub(crate) upper: Upper,
}

impl Match {
    /// All that is N4, by its ports on either side.
    pub(crate) fn n4(ports: &[u16], is_tagged: bool) -> Vec<Self> {
        let uppers = ports.iter().flat_map(|port| [Upper::UdpTo(*port), Upper::UdpFrom(*port)]);
        uppers.flat_map(|upper| Self::of_both(upper, is_tagged)).collect()
    }

    /// An upper layer over either version of IP.
    pub(crate) fn of_both(upper: Upper, is_tagged: bool) -> [Self; 2] {
        [Version::V4, Version::V6].map(|version| Self { is_tagged, version, upper })
    }

    /// The types of the pattern's items, and what a UDP header must be: values and mask.
    fn items(self) -> (Vec<u32>, Option<(sys::rte_flow_item_udp, sys::rte_flow_item_udp)>) {
        let mut types = vec![item::RTE_FLOW_ITEM_TYPE_ETH];
        if self.is_tagged {
            types.push(item::RTE_FLOW_ITEM_TYPE_VLAN);
        }
        types.push(match self.version {
            Version::V4 => item::RTE_FLOW_ITEM_TYPE_IPV4,
            Version::V6 => item::RTE_FLOW_ITEM_TYPE_IPV6,
        });
        let mut ports = None;
        match (self.upper, self.version) {
            (Upper::UdpFrom(port), _) => {
                types.push(item::RTE_FLOW_ITEM_TYPE_UDP);
                ports = Some((udp(port, 0), udp(u16::MAX, 0)));
            }
            (Upper::UdpTo(port), _) => {
                types.push(item::RTE_FLOW_ITEM_TYPE_UDP);
                ports = Some((udp(0, port), udp(0, u16::MAX)));
            }
            (Upper::Icmp, Version::V4) => types.push(item::RTE_FLOW_ITEM_TYPE_ICMP),
            (Upper::Icmp, Version::V6) => types.push(item::RTE_FLOW_ITEM_TYPE_ICMP6),
            (Upper::Gtpu, _) => {
                types.extend([item::RTE_FLOW_ITEM_TYPE_UDP, item::RTE_FLOW_ITEM_TYPE_GTPU]);
            }
        }
        types.push(item::RTE_FLOW_ITEM_TYPE_END);
        (types, ports)
    }
}

/// A UDP header of these ports.
fn udp(source: u16, destination: u16) -> sys::rte_flow_item_udp {
    let mut udp = sys::rte_flow_item_udp::default();
    udp.hdr.src_port = source.to_be();
    udp.hdr.dst_port = destination.to_be();
    udp
}

/// Where a rule sends its frames.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// To one queue.
    Queue(u16),
    /// To these queues, by the innermost addresses under this key.
    Innermost { queues: Vec<u16>, key: Vec<u8> },
}

/// Why a device does not take a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    /// The driver knows no rules at all.
    pub(crate) is_deaf: bool,
    pub(crate) why: String,
}

/// A rule that is in force until this is told to end.
#[derive(Debug)]
pub(crate) struct Rule(NonNull<sys::rte_flow>);

// SAFETY: DPDK's handle, given back to it once, by whoever owns the port.
unsafe impl Send for Rule {}
// SAFETY: through a shared reference nothing is done with it.
unsafe impl Sync for Rule {}

impl Rule {
    /// Asks whether the device would take the rule.
    pub(crate) fn validate(port: PortId, about: Match, fate: &Fate) -> Result<(), Refusal> {
        apply(port, about, fate, |attr, pattern, actions, error| {
            // SAFETY: the port exists; the lists end with their END and outlive the call.
            let result = unsafe { sys::rte_flow_validate(port.0, attr, pattern, actions, error) };
            (result, Ok(()))
        })
    }

    /// Puts the rule in force.
    pub(crate) fn create(port: PortId, about: Match, fate: &Fate) -> Result<Self, Refusal> {
        Self::validate(port, about, fate)?;
        apply(port, about, fate, |attr, pattern, actions, error| {
            // SAFETY: as above; the driver copies what it keeps.
            let rule = unsafe { sys::rte_flow_create(port.0, attr, pattern, actions, error) };
            let refused = Refusal { is_deaf: false, why: "the driver gives no rule".into() };
            let failed = if rule.is_null() { -nix::libc::EINVAL } else { 0 };
            (failed, NonNull::new(rule).map(Self).ok_or(refused))
        })
    }

    /// Ends the rule.
    pub(crate) fn end(self, port: PortId) {
        let mut error = sys::rte_flow_error::default();
        // SAFETY: the rule is the port's and ends here, since self is taken. A device that keeps it
        // all the same is closed next.
        unsafe { sys::rte_flow_destroy(port.0, self.0.as_ptr(), &mut error) };
    }
}

type Attr = sys::rte_flow_attr;
type Item = sys::rte_flow_item;
type Action = sys::rte_flow_action;

/// Puts a rule into DPDK's words and calls with them.
fn apply<T>(
    _port: PortId,
    about: Match,
    fate: &Fate,
    call: impl FnOnce(
        &Attr,
        *const Item,
        *const Action,
        *mut sys::rte_flow_error,
    ) -> (i32, Result<T, Refusal>),
) -> Result<T, Refusal> {
    let mut attr = sys::rte_flow_attr::default();
    attr.set_ingress(1);
    let (types, ports) = about.items();
    let pattern: Vec<Item> = types
        .into_iter()
        .map(|type_| {
            let ports = ports.as_ref().filter(|_| type_ == item::RTE_FLOW_ITEM_TYPE_UDP);
            Item {
                type_,
                spec: ports.map_or(ptr::null(), |(spec, _)| ptr::from_ref(spec).cast()),
                last: ptr::null(),
                mask: ports.map_or(ptr::null(), |(_, mask)| ptr::from_ref(mask).cast()),
            }
        })
        .collect();
    let (queue, rss) = match fate {
        Fate::Queue(index) => (sys::rte_flow_action_queue { index: *index }, None),
        Fate::Innermost { queues, key } => {
            let rss = sys::rte_flow_action_rss {
                func: sys::rte_eth_hash_function::RTE_ETH_HASH_FUNCTION_DEFAULT,
                level: 2,
                types: sys::WEIR_RSS_IP,
                key_len: key.len() as u32,
                queue_num: queues.len() as u32,
                key: if key.is_empty() { ptr::null() } else { key.as_ptr() },
                queue: queues.as_ptr(),
            };
            (sys::rte_flow_action_queue::default(), Some(rss))
        }
    };
    let first = match &rss {
        Some(rss) => {
            Action { type_: action::RTE_FLOW_ACTION_TYPE_RSS, conf: ptr::from_ref(rss).cast() }
        }
        None => {
            Action { type_: action::RTE_FLOW_ACTION_TYPE_QUEUE, conf: ptr::from_ref(&queue).cast() }
        }
    };
    let end = Action { type_: action::RTE_FLOW_ACTION_TYPE_END, conf: ptr::null() };
    let actions = [first, end];
    let mut error = sys::rte_flow_error::default();
    let (result, given) = call(&attr, pattern.as_ptr(), actions.as_ptr(), &mut error);
    if result == 0 {
        return given;
    }
    let why = if error.message.is_null() {
        errno_text(result)
    } else {
        // SAFETY: the driver's message is a C string that lives as long as the driver.
        unsafe { CStr::from_ptr(error.message) }.to_string_lossy().into_owned()
    };
    Err(Refusal { is_deaf: result == -nix::libc::ENOSYS, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n4_is_matched_by_either_port_in_both_versions() {
        let rules = Match::n4(&[8805], false);
        assert_eq!(rules.len(), 4);
        let (types, ports) = rules[0].items();
        let expected = [
            item::RTE_FLOW_ITEM_TYPE_ETH,
            item::RTE_FLOW_ITEM_TYPE_IPV4,
            item::RTE_FLOW_ITEM_TYPE_UDP,
            item::RTE_FLOW_ITEM_TYPE_END,
        ];
        assert_eq!(types, expected);
        let (spec, mask) = ports.unwrap();
        assert_eq!((spec.hdr.src_port, spec.hdr.dst_port), (0, 8805_u16.to_be()));
        assert_eq!((mask.hdr.src_port, mask.hdr.dst_port), (0, 0xffff));
        let other_side = rules.iter().find(|rule| rule.upper == Upper::UdpFrom(8805)).unwrap();
        let (spec, mask) = other_side.items().1.unwrap();
        assert_eq!((spec.hdr.src_port, mask.hdr.dst_port), (8805_u16.to_be(), 0));
        assert_eq!(rules.iter().filter(|rule| rule.version == Version::V6).count(), 2);
        assert_eq!(Match::n4(&[8805, 9000], false).len(), 8);
    }

    #[test]
    fn a_brokers_tag_and_icmp_of_either_version_have_their_items() {
        let [v4, v6] = Match::of_both(Upper::Icmp, true);
        assert_eq!(
            v4.items().0[1..4],
            [
                item::RTE_FLOW_ITEM_TYPE_VLAN,
                item::RTE_FLOW_ITEM_TYPE_IPV4,
                item::RTE_FLOW_ITEM_TYPE_ICMP,
            ]
        );
        assert_eq!(
            v6.items().0[2..],
            [
                item::RTE_FLOW_ITEM_TYPE_IPV6,
                item::RTE_FLOW_ITEM_TYPE_ICMP6,
                item::RTE_FLOW_ITEM_TYPE_END,
            ]
        );
    }

    #[test]
    fn a_rule_comes_to_dpdk_whole() {
        let fate = Fate::Innermost { queues: vec![0, 1, 2], key: vec![0x6d, 0x5a] };
        let [about, _] = Match::of_both(Upper::Gtpu, false);
        let seen = apply(PortId(0), about, &fate, |attr, pattern, actions, _| {
            // SAFETY: the pattern of a GTP-U rule has five items, the actions are two.
            let (pattern, actions) = unsafe {
                (std::slice::from_raw_parts(pattern, 5), std::slice::from_raw_parts(actions, 2))
            };
            // SAFETY: the first action is RSS.
            let rss = unsafe { &*actions[0].conf.cast::<sys::rte_flow_action_rss>() };
            let types: Vec<u32> = pattern.iter().map(|item| item.type_).collect();
            assert!(pattern.iter().all(|item| item.spec.is_null()));
            let ends = (actions[0].type_, actions[1].type_);
            (0, Ok((attr.ingress(), types, ends, (rss.level, rss.queue_num, rss.key_len))))
        });
        let (ingress, types, ends, rss) = seen.unwrap();
        assert_eq!(types[3], item::RTE_FLOW_ITEM_TYPE_GTPU);
        let expected = (action::RTE_FLOW_ACTION_TYPE_RSS, action::RTE_FLOW_ACTION_TYPE_END);
        assert_eq!((ingress, ends, rss), (1, expected, (2, 3, 2)));
        let deaf = apply::<()>(PortId(0), about, &Fate::Queue(3), |_, _, actions, _| {
            // SAFETY: the first action is QUEUE.
            let queue = unsafe { &*(*actions).conf.cast::<sys::rte_flow_action_queue>() };
            assert_eq!(queue.index, 3);
            (-nix::libc::ENOSYS, Ok(()))
        });
        assert!(deaf.unwrap_err().is_deaf);
    }
}
