//! The information elements that the scenarios speak (TS 29.244 §8.2).

use std::net::IpAddr;

use super::{Interface, element, group};

/// Cause: request accepted.
pub(crate) fn accepted() -> Vec<u8> {
    cause(1)
}

pub(crate) fn cause(value: u8) -> Vec<u8> {
    element(19, &[value])
}

pub(crate) fn source_interface(interface: Interface) -> Vec<u8> {
    element(20, &[interface as u8])
}

pub(crate) fn destination_interface(interface: Interface) -> Vec<u8> {
    element(42, &[interface as u8])
}

/// F-TEID (§8.2.3).
pub(crate) fn f_teid(teid: u32, address: impl Into<IpAddr>) -> Vec<u8> {
    let address = address.into();
    let family = if address.is_ipv4() { 0x01 } else { 0x02 };
    element(21, &[&[family][..], &teid.to_be_bytes(), &octets(address)].concat())
}

/// F-TEID that the UPF shall choose, for IPv4.
pub(crate) fn f_teid_choose() -> Vec<u8> {
    element(21, &[0x01 | 0x04])
}

/// The same with a CHOOSE ID: PDRs that name the same one share the F-TEID.
pub(crate) fn f_teid_choose_id(id: u8) -> Vec<u8> {
    element(21, &[0x01 | 0x04 | 0x08, id])
}

/// Network Instance, as the labels of a domain name.
pub(crate) fn network_instance(name: &str) -> Vec<u8> {
    element(22, &labels(name))
}

/// APN/DNN, as the labels of a domain name.
pub(crate) fn dnn(name: &str) -> Vec<u8> {
    element(159, &labels(name))
}

pub(crate) fn gate_status_open() -> Vec<u8> {
    element(25, &[0])
}

/// Maximum bit rates, in kbit/s.
pub(crate) fn mbr(uplink: u32, downlink: u32) -> Vec<u8> {
    element(26, &bit_rates(uplink, downlink))
}

/// Guaranteed bit rates, in kbit/s.
pub(crate) fn gbr(uplink: u32, downlink: u32) -> Vec<u8> {
    element(27, &bit_rates(uplink, downlink))
}

/// Rates have 40 bits each.
fn bit_rates(uplink: u32, downlink: u32) -> Vec<u8> {
    let rate = |kbit: u32| [&[0][..], &kbit.to_be_bytes()].concat();
    [rate(uplink), rate(downlink)].concat()
}

pub(crate) fn precedence(value: u32) -> Vec<u8> {
    element(29, &value.to_be_bytes())
}

/// CP Function Features: SSET (SMF sets) and BUNDL (bundled messages).
pub(crate) fn cp_features() -> Vec<u8> {
    element(89, &[0x08 | 0x10])
}

/// UP Function Features: FTUP (the UPF may choose F-TEIDs), EMPU (it sends End Markers), PDIU
/// (traffic endpoints), SSET and BUNDL.
pub(crate) fn up_features() -> Vec<u8> {
    element(43, &[0x10, 0x01 | 0x02, 0x08 | 0x40])
}

pub(crate) fn apply_action(action: u8) -> Vec<u8> {
    element(44, &[action])
}

pub(crate) fn pdr_id(id: u16) -> Vec<u8> {
    element(56, &id.to_be_bytes())
}

pub(crate) fn far_id(id: u32) -> Vec<u8> {
    element(108, &id.to_be_bytes())
}

/// The rule for whose sake a request failed (§8.2.80): a FAR.
pub(crate) fn failed_far(id: u32) -> Vec<u8> {
    let [a, b, c, d] = id.to_be_bytes();
    element(114, &[1, a, b, c, d])
}

pub(crate) fn qer_id(id: u32) -> Vec<u8> {
    element(109, &id.to_be_bytes())
}

pub(crate) fn qfi(value: u8) -> Vec<u8> {
    element(124, &[value])
}

pub(crate) fn f_seid(seid: u64, address: impl Into<IpAddr>) -> Vec<u8> {
    let address = address.into();
    let family = if address.is_ipv4() { 0x02 } else { 0x01 };
    element(57, &[&[family][..], &seid.to_be_bytes(), &octets(address)].concat())
}

/// Node ID as an address.
pub(crate) fn node_id(address: impl Into<IpAddr>) -> Vec<u8> {
    let address = address.into();
    element(60, &[&[u8::from(address.is_ipv6())][..], &octets(address)].concat())
}

/// FQ-CSID with one identifier (§8.2.46): the sessions that share it fall together.
pub(crate) fn fq_csid(id: u16, address: IpAddr) -> Vec<u8> {
    let kind = if address.is_ipv4() { 0x01 } else { 0x11 };
    element(65, &[&[kind][..], &octets(address), &id.to_be_bytes()].concat())
}

/// Outer Header Creation of GTP-U/UDP/IPv4 or IPv6 (§8.2.56).
pub(crate) fn outer_header_creation(teid: u32, address: impl Into<IpAddr>) -> Vec<u8> {
    let address = address.into();
    let family = if address.is_ipv4() { 0x01 } else { 0x02 };
    element(84, &[&[family, 0x00][..], &teid.to_be_bytes(), &octets(address)].concat())
}

/// Flags of a modification request: SNDEM, the old tunnel gets an End Marker (§8.2.50).
pub(crate) fn send_end_marker() -> Vec<u8> {
    element(49, &[0x02])
}

/// Outer Header Removal of GTP-U/UDP/IPv4, with the extension headers (§8.2.64).
pub(crate) fn outer_header_removal() -> Vec<u8> {
    element(95, &[0, 1])
}

/// UE IP Address (§8.2.62), as the destination of downlink or the source of uplink.
pub(crate) fn ue_ip(address: IpAddr, destination: bool) -> Vec<u8> {
    let side = u8::from(destination) << 2;
    match address {
        IpAddr::V4(four) => element(93, &[&[0x02 | side][..], &four.octets()].concat()),
        IpAddr::V6(six) => element(93, &[&[0x01 | side][..], &six.octets()].concat()),
    }
}

/// Seconds since 1900 of the moment when the entity last started (§8.2.65).
pub(crate) fn recovery_time_stamp(seconds: u32) -> Vec<u8> {
    element(96, &seconds.to_be_bytes())
}

pub(crate) fn pdn_type(address: IpAddr) -> Vec<u8> {
    element(113, &[if address.is_ipv4() { 1 } else { 2 }])
}

/// Who a subscriber is: IMSI, IMEI and MSISDN in decimal digits.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub imsi: String,
    pub imei: String,
    pub msisdn: String,
}

/// User ID in telephony BCD (§8.2.101).
pub(crate) fn user_id(identity: &Identity) -> Vec<u8> {
    let mut value = vec![0x01 | 0x02 | 0x04];
    for digits in [&identity.imsi, &identity.imei, &identity.msisdn] {
        let coded = bcd(digits);
        value.push(coded.len() as u8);
        value.extend(coded);
    }
    element(141, &value)
}

/// Two digits an octet, the earlier one low; an odd last digit is filled with 0xf.
fn bcd(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().map(|digit| digit - b'0').collect();
    digits.chunks(2).map(|pair| pair[0] | pair.get(1).unwrap_or(&0xf) << 4).collect()
}

pub(crate) fn urr_id(id: u32) -> Vec<u8> {
    element(81, &id.to_be_bytes())
}

/// A URR that counts volume and reports periodically.
pub(crate) fn create_urr(id: u32, period_seconds: u32) -> Vec<u8> {
    const VOLUME: u8 = 0x02;
    const PERIODIC: u8 = 0x01;
    let members = [
        urr_id(id),
        element(62, &[VOLUME]),
        element(37, &[PERIODIC, 0]),
        element(64, &period_seconds.to_be_bytes()),
    ];
    group(super::CREATE_URR, &members)
}

/// What a usage report says of the time since the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub urr: u32,
    /// UR-SEQN, from 0.
    pub number: u32,
    /// Usage Report Trigger, three octets.
    pub trigger: [u8; 3],
    /// Seconds since 1900 of start and end.
    pub from: u32,
    pub to: u32,
    /// Octets of T-PDUs, uplink and downlink.
    pub bytes: [u64; 2],
    pub packets: [u64; 2],
}

pub(crate) const TRIGGER_PERIODIC: [u8; 3] = [0x01, 0, 0];
pub(crate) const TRIGGER_TERMINATION: [u8; 3] = [0, 0x08, 0];

/// A usage report, as the group that the message around it asks for.
pub(crate) fn usage_report(kind: u16, usage: &Usage) -> Vec<u8> {
    let both = |[up, down]: [u64; 2]| [up + down, up, down];
    let mut volume = vec![0x3f];
    let counts = both(usage.bytes).into_iter().chain(both(usage.packets));
    volume.extend(counts.flat_map(u64::to_be_bytes));
    let members = [
        urr_id(usage.urr),
        element(104, &usage.number.to_be_bytes()),
        element(63, &usage.trigger),
        element(75, &usage.from.to_be_bytes()),
        element(76, &usage.to.to_be_bytes()),
        element(66, &volume),
        element(67, &usage.to.saturating_sub(usage.from).to_be_bytes()),
    ];
    group(kind, &members)
}

pub(crate) const REPORTS_DOWNLINK_DATA: u8 = 0x01;
pub(crate) const REPORTS_USAGE: u8 = 0x02;

pub(crate) fn report_type(kinds: u8) -> Vec<u8> {
    element(39, &[kinds])
}

/// A flow description (§8.2.5).
pub(crate) fn sdf_filter(description: &str) -> Vec<u8> {
    const DESCRIPTION: u8 = 0x01;
    let length = (description.len() as u16).to_be_bytes();
    element(23, &[&[DESCRIPTION, 0][..], &length, description.as_bytes()].concat())
}

pub(crate) fn traffic_endpoint_id(id: u8) -> Vec<u8> {
    element(131, &[id])
}

/// How long a UPF that wants its association released winds down (§8.2.79).
pub(crate) fn graceful_release_period(minutes: u8) -> Vec<u8> {
    const IN_MINUTES: u8 = 1 << 5;
    element(112, &[IN_MINUTES | (minutes & 0x1f)])
}

pub(crate) fn s_nssai(sst: u8, sd: [u8; 3]) -> Vec<u8> {
    element(257, &[sst, sd[0], sd[1], sd[2]])
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 1);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_number_of_digits_is_filled() {
        assert_eq!(bcd("26201"), [0x62, 0x02, 0xf1]);
        let identity = Identity { imsi: "26201".into(), imei: "35".into(), msisdn: "491".into() };
        let expected = [7, 3, 0x62, 0x02, 0xf1, 1, 0x53, 2, 0x94, 0xf1];
        assert_eq!(user_id(&identity)[4..], expected);
    }

    #[test]
    fn a_usage_report_adds_both_ways() {
        let usage = Usage {
            urr: 1,
            number: 0,
            trigger: TRIGGER_TERMINATION,
            from: 10,
            to: 25,
            bytes: [100, 2_000],
            packets: [1, 2],
        };
        let report = usage_report(79, &usage);
        let volume = &report[4 + 8 + 8 + 7 + 8 + 8..];
        assert_eq!(volume[..4], [0, 66, 0, 49]);
        assert_eq!((volume[4], volume[5..13].to_vec()), (0x3f, 2_100u64.to_be_bytes().to_vec()));
        assert_eq!(report[report.len() - 4..], 15u32.to_be_bytes());
    }

    #[test]
    fn both_families_have_their_flags() {
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        let four: IpAddr = "10.0.0.1".parse().unwrap();
        for (four, six, flags) in [
            (f_teid(1, four), f_teid(1, six), (1, 2)),
            (f_seid(1, four), f_seid(1, six), (2, 1)),
            (node_id(four), node_id(six), (0, 1)),
            (outer_header_creation(1, four), outer_header_creation(1, six), (1, 2)),
        ] {
            assert_eq!((four[4], six[4]), flags);
            assert_eq!(six.len(), four.len() + 12);
        }
    }
}
