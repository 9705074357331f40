//! The PDU Session Container (TS 38.415 §5.5.2, releases 15 to 18): the content
//! of a GTP-U extension header of type 0x85.
//!
//! Two octets, then whichever fields their flags announce, in a fixed order.
//! A container that ends before its last field keeps those that are there
//! ([`PduSession::is_cut`]): a phone's packet must not vanish behind one.

use crate::{Layer, WireError};

/// A PDU Session Container. Of a reserved PDU type nothing but the type and the
/// QFI's place is known; it has no fields.
#[derive(Clone, Copy, Debug)]
pub struct PduSession<'a> {
    fixed: &'a [u8; 2],
    rest: &'a [u8],
}

const DOWNLINK: u8 = 0;
const UPLINK: u8 = 1;

/// Octets of an NTP time stamp (RFC 5905 §6): seconds since 1900 and their fraction.
const TIME_STAMP: usize = 8;
/// Octets of a delay result, in milliseconds.
const DELAY: usize = 4;
/// Octets of a QFI sequence number.
const SEQUENCE: usize = 3;
/// Octets of an MBS QFI sequence number.
const MBS_SEQUENCE: usize = 4;
/// Octets of congestion information, in hundredths of a percent.
const CONGESTION: usize = 2;

impl<'a> PduSession<'a> {
    /// Reads the content of an extension header of type
    /// [`PDU_SESSION_CONTAINER`](crate::gtpu_extension::PDU_SESSION_CONTAINER).
    /// Its first two octets are all that must be there.
    #[inline]
    pub fn parse(content: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = content.split_first_chunk().ok_or(WireError::truncated(Layer::Gtpu))?;
        Ok(Self { fixed, rest })
    }

    /// The PDU type: 0 downlink (UPF to RAN), 1 uplink, others reserved.
    #[inline]
    pub const fn pdu_type(&self) -> u8 {
        self.fixed[0] >> 4
    }

    /// QMP: time stamps of QoS monitoring follow, one downlink, three uplink.
    pub const fn qmp(&self) -> bool {
        self.pdu_type() <= UPLINK && self.fixed[0] & 0x08 != 0
    }

    /// SNP: a QFI sequence number follows (downlink: bit 3; uplink: bit 1).
    pub const fn snp(&self) -> bool {
        self.announces(DOWNLINK, 0x04) || self.announces(UPLINK, 0x01)
    }

    /// MSNP of a downlink PDU: an MBS QFI sequence number follows.
    pub const fn msnp(&self) -> bool {
        self.announces(DOWNLINK, 0x02)
    }

    /// PPP of a downlink PDU: a paging policy indicator follows.
    pub const fn ppp(&self) -> bool {
        self.pdu_type() == DOWNLINK && self.fixed[1] & 0x80 != 0
    }

    /// RQI of a downlink PDU: reflective QoS.
    pub const fn rqi(&self) -> bool {
        self.pdu_type() == DOWNLINK && self.fixed[1] & 0x40 != 0
    }

    /// The QoS flow identifier, 6 bits.
    #[inline]
    pub const fn qfi(&self) -> u8 {
        self.fixed[1] & 0x3f
    }

    /// The paging policy indicator, 3 bits, if [`PduSession::ppp`] and it is there.
    pub const fn ppi(&self) -> Option<u8> {
        match self.rest {
            [first, ..] if self.ppp() => Some(*first >> 5),
            _ => None,
        }
    }

    /// When the UPF sent a downlink packet; in an uplink container the RAN repeats it.
    pub fn dl_sending_time_stamp(&self) -> Option<u64> {
        self.time_stamp(self.qmp(), 0)
    }

    /// When the RAN received the downlink packet whose time stamp it repeats.
    pub fn dl_received_time_stamp(&self) -> Option<u64> {
        self.time_stamp(self.announces(UPLINK, 0x08), 1)
    }

    /// When the RAN sent an uplink packet.
    pub fn ul_sending_time_stamp(&self) -> Option<u64> {
        self.time_stamp(self.announces(UPLINK, 0x08), 2)
    }

    /// The radio's downlink delay in milliseconds (uplink, DL Delay Ind).
    pub fn dl_delay_result(&self) -> Option<u32> {
        let at = self.time_stamps_end();
        self.number::<DELAY>(self.announces(UPLINK, 0x04), at)
    }

    /// The radio's uplink delay in milliseconds (uplink, UL Delay Ind).
    pub fn ul_delay_result(&self) -> Option<u32> {
        let at = self.time_stamps_end() + self.len_if(UPLINK, 0x04, DELAY);
        self.number::<DELAY>(self.announces(UPLINK, 0x02), at)
    }

    /// The QFI sequence number, 24 bits, of either direction.
    pub fn qfi_sequence_number(&self) -> Option<u32> {
        self.number::<SEQUENCE>(self.snp(), self.delays_end())
    }

    /// The MBS QFI sequence number (downlink, MSNP).
    pub fn mbs_qfi_sequence_number(&self) -> Option<u32> {
        self.number::<MBS_SEQUENCE>(self.msnp(), self.sequence_end())
    }

    /// The delay on N3 and N9 in milliseconds (uplink, N3/N9 Delay Ind).
    pub fn n3_n9_delay_result(&self) -> Option<u32> {
        self.number::<DELAY>(self.has_n3_n9_delay(), self.sequence_end())
    }

    /// The first octet of New IE Flags (uplink, New IE Flag).
    pub fn new_ie_flags(&self) -> Option<u8> {
        let at = self.n3_n9_delay_end();
        self.number::<1>(self.has_new_ie_flags(), at).map(|flags| flags as u8)
    }

    /// Whether the uplink delay includes the PDCP's part (D1), if it is told.
    pub fn d1_ul_pdcp_delay_result(&self) -> Option<bool> {
        let at = self.new_ie_flags_end();
        self.number::<1>(self.new_ie(0x01), at).map(|indication| indication & 1 != 0)
    }

    /// Uplink congestion in hundredths of a percent.
    pub fn ul_congestion(&self) -> Option<u16> {
        let at = self.new_ie_flags_end() + usize::from(self.new_ie(0x01));
        self.number::<CONGESTION>(self.new_ie(0x02), at).map(|hundredths| hundredths as u16)
    }

    /// Downlink congestion in hundredths of a percent.
    pub fn dl_congestion(&self) -> Option<u16> {
        let at = self.end() - if self.new_ie(0x04) { CONGESTION } else { 0 };
        self.number::<CONGESTION>(self.new_ie(0x04), at).map(|hundredths| hundredths as u16)
    }

    /// Whether the container ends before the last field that its flags announce.
    pub fn is_cut(&self) -> bool {
        self.end() > self.rest.len()
    }

    const fn announces(&self, pdu_type: u8, flag: u8) -> bool {
        self.pdu_type() == pdu_type && self.fixed[0] & flag != 0
    }

    const fn has_n3_n9_delay(&self) -> bool {
        self.pdu_type() == UPLINK && self.fixed[1] & 0x80 != 0
    }

    const fn has_new_ie_flags(&self) -> bool {
        self.pdu_type() == UPLINK && self.fixed[1] & 0x40 != 0
    }

    fn new_ie(&self, flag: u8) -> bool {
        self.new_ie_flags().is_some_and(|flags| flags & flag != 0)
    }

    const fn len_if(&self, pdu_type: u8, flag: u8, len: usize) -> usize {
        if self.announces(pdu_type, flag) { len } else { 0 }
    }

    const fn time_stamps_start(&self) -> usize {
        if self.ppp() { 1 } else { 0 }
    }

    const fn time_stamps_end(&self) -> usize {
        self.time_stamps_start()
            + self.len_if(DOWNLINK, 0x08, TIME_STAMP)
            + self.len_if(UPLINK, 0x08, 3 * TIME_STAMP)
    }

    const fn delays_end(&self) -> usize {
        self.time_stamps_end() + self.len_if(UPLINK, 0x04, DELAY) + self.len_if(UPLINK, 0x02, DELAY)
    }

    const fn sequence_end(&self) -> usize {
        self.delays_end() + if self.snp() { SEQUENCE } else { 0 }
    }

    const fn n3_n9_delay_end(&self) -> usize {
        self.sequence_end() + if self.has_n3_n9_delay() { DELAY } else { 0 }
    }

    /// Behind New IE Flags and its extension octets, of which each announces
    /// the next by its highest bit (Annex A).
    fn new_ie_flags_end(&self) -> usize {
        let start = self.n3_n9_delay_end();
        if !self.has_new_ie_flags() {
            return start;
        }
        let octets = self.rest.get(start..).unwrap_or_default();
        start + octets.iter().take_while(|flags| **flags & 0x80 != 0).count() + 1
    }

    /// Behind the last field that the flags announce.
    fn end(&self) -> usize {
        self.new_ie_flags_end()
            + self.len_if(DOWNLINK, 0x02, MBS_SEQUENCE)
            + usize::from(self.new_ie(0x01))
            + if self.new_ie(0x02) { CONGESTION } else { 0 }
            + if self.new_ie(0x04) { CONGESTION } else { 0 }
    }

    fn time_stamp(&self, present: bool, index: usize) -> Option<u64> {
        let at = self.time_stamps_start() + index * TIME_STAMP;
        let octets = self.rest.get(at..)?.first_chunk()?;
        present.then(|| u64::from_be_bytes(*octets))
    }

    fn number<const N: usize>(&self, present: bool, at: usize) -> Option<u32> {
        let octets = self.rest.get(at..)?.first_chunk::<N>()?;
        present.then(|| octets.iter().fold(0, |number, octet| number << 8 | u32::from(*octet)))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::vec::Vec;

    /// The values that a container gives for its fields, in the order of the wire.
    type Fields = Vec<(&'static str, Option<u64>)>;

    fn fields(container: &PduSession<'_>) -> Fields {
        let wide = |number: Option<u32>| number.map(u64::from);
        std::vec![
            ("ppi", container.ppi().map(u64::from)),
            ("dl sending", container.dl_sending_time_stamp()),
            ("dl received", container.dl_received_time_stamp()),
            ("ul sending", container.ul_sending_time_stamp()),
            ("dl delay", wide(container.dl_delay_result())),
            ("ul delay", wide(container.ul_delay_result())),
            ("sequence", wide(container.qfi_sequence_number())),
            ("mbs sequence", wide(container.mbs_qfi_sequence_number())),
            ("n3/n9 delay", wide(container.n3_n9_delay_result())),
            ("new flags", container.new_ie_flags().map(u64::from)),
            ("d1", container.d1_ul_pdcp_delay_result().map(u64::from)),
            ("ul congestion", container.ul_congestion().map(u64::from)),
            ("dl congestion", container.dl_congestion().map(u64::from)),
        ]
    }

    /// Writes a container field by field, and says where each field ends.
    fn written(seeded: &mut Seeded, direction: u8) -> (Vec<u8>, Fields, Vec<usize>) {
        let [mut first, second] = [seeded.next() as u8, seeded.next() as u8];
        first = direction << 4 | first & 0x0f;
        let down = |octet: u8, bit: u8| direction == 0 && octet & bit != 0;
        let up = |octet: u8, bit: u8| direction == 1 && octet & bit != 0;
        let new = if up(second, 0x40) { seeded.next() as u8 & 0x7f } else { 0 };
        let widths = [
            ("ppi", usize::from(down(second, 0x80))),
            ("dl sending", 8 * usize::from(first & 0x08 != 0)),
            ("dl received", 8 * usize::from(up(first, 0x08))),
            ("ul sending", 8 * usize::from(up(first, 0x08))),
            ("dl delay", 4 * usize::from(up(first, 0x04))),
            ("ul delay", 4 * usize::from(up(first, 0x02))),
            ("sequence", 3 * usize::from(down(first, 0x04) || up(first, 0x01))),
            ("mbs sequence", 4 * usize::from(down(first, 0x02))),
            ("n3/n9 delay", 4 * usize::from(up(second, 0x80))),
            ("new flags", usize::from(up(second, 0x40))),
            ("d1", usize::from(new & 1 != 0)),
            ("ul congestion", 2 * usize::from(new & 2 != 0)),
            ("dl congestion", 2 * usize::from(new & 4 != 0)),
        ];
        let mut bytes = std::vec![first, second];
        let (mut values, mut ends) = (Vec::new(), Vec::new());
        for (name, width) in widths {
            let value = match name {
                "new flags" => u64::from(new),
                "ppi" => seeded.next() & 7,
                "d1" => seeded.next() & 1,
                _ => seeded.next() >> (64 - 8 * width.max(1)),
            };
            let wire = if name == "ppi" { value << 5 | 0x1f } else { value };
            bytes.extend(&wire.to_be_bytes()[8 - width..]);
            values.push((name, (width > 0).then_some(value)));
            ends.push(bytes.len());
        }
        (bytes, values, ends)
    }

    #[test]
    fn what_is_written_is_read_and_every_truncation_keeps_what_is_there() {
        let mut seeded = Seeded::new(11);
        for direction in [0, 1].repeat(1_000) {
            let (bytes, values, ends) = written(&mut seeded, direction);
            let container = PduSession::parse(&bytes).unwrap();
            assert_eq!((container.pdu_type(), container.qfi()), (direction, bytes[1] & 0x3f));
            for cut in 2..=bytes.len() {
                let container = PduSession::parse(&bytes[..cut]).unwrap();
                assert_eq!(container.is_cut(), cut < bytes.len(), "{cut} of {}", bytes.len());
                for ((field, (name, value)), end) in
                    fields(&container).into_iter().zip(&values).zip(&ends)
                {
                    let expected = if *end <= cut { *value } else { None };
                    assert_eq!(field, (*name, expected), "{cut} of {bytes:?}");
                }
            }
        }
        assert!(PduSession::parse(&[0x10]).is_err());
        assert!(PduSession::parse(&[]).is_err());
    }

    #[test]
    fn the_first_two_octets_tell_direction_and_flow() {
        let down = PduSession::parse(&[0x00, 0xc9, 0x60]).unwrap();
        assert_eq!((down.pdu_type(), down.qfi(), down.rqi(), down.ppi()), (0, 9, true, Some(3)));
        let up = PduSession::parse(&[0x10, 0xc9]).unwrap();
        assert_eq!((up.pdu_type(), up.qfi(), up.rqi(), up.ppi()), (1, 9, false, None));
    }

    #[test]
    fn a_downlink_container_with_everything_in_it() {
        // Figure 5.5.2.1-1: QMP, SNP, MSNP; PPP, RQI, QFI 5; PPI 3; then padding to 4n - 2.
        let bytes = [
            0x0e, 0xc5, 0x60, 0xe9, 0, 0, 1, 0x80, 0, 0, 0, 0x01, 0x02, 0x03, 0, 0, 0, 9, 0, 0, 0,
            0,
        ];
        let container = PduSession::parse(&bytes).unwrap();
        assert!(container.qmp() && container.snp() && container.msnp() && container.rqi());
        assert_eq!((container.ppi(), container.qfi()), (Some(3), 5));
        assert_eq!(container.dl_sending_time_stamp(), Some(0xe900_0001_8000_0000));
        assert_eq!(container.qfi_sequence_number(), Some(0x0001_0203));
        assert_eq!(container.mbs_qfi_sequence_number(), Some(9));
        assert_eq!(container.n3_n9_delay_result(), None);
        assert!(!container.is_cut());
    }

    #[test]
    fn an_uplink_container_with_everything_in_it() {
        // Figure 5.5.2.2-1 with every flag set. tshark 4.0 shows all of it as spare.
        let mut bytes = std::vec![0x1f, 0xc7];
        bytes.extend([1_u64, 2, 3].map(u64::to_be_bytes).concat());
        bytes.extend([4_u32, 5].map(u32::to_be_bytes).concat());
        bytes.extend([0, 0, 6, 0, 0, 0, 7, 0x07, 0x01, 0x25, 0x66, 0x03, 0xe8, 0, 0, 0]);
        let container = PduSession::parse(&bytes).unwrap();
        assert_eq!((container.pdu_type(), container.qfi(), container.snp()), (1, 7, true));
        assert_eq!(container.dl_sending_time_stamp(), Some(1));
        assert_eq!(container.dl_received_time_stamp(), Some(2));
        assert_eq!(container.ul_sending_time_stamp(), Some(3));
        assert_eq!((container.dl_delay_result(), container.ul_delay_result()), (Some(4), Some(5)));
        assert_eq!(container.qfi_sequence_number(), Some(6));
        assert_eq!(container.n3_n9_delay_result(), Some(7));
        assert_eq!(container.d1_ul_pdcp_delay_result(), Some(true));
        assert_eq!(
            (container.ul_congestion(), container.dl_congestion()),
            (Some(9574), Some(1000))
        );
        assert!(!container.is_cut());
    }

    #[test]
    fn extension_octets_of_the_new_flags_are_stepped_over() {
        // New IE Flags with D1 and an extension octet: the indication stands behind both.
        let container = PduSession::parse(&[0x10, 0x47, 0x81, 0x00, 0x01, 0x00]).unwrap();
        assert_eq!(container.new_ie_flags(), Some(0x81));
        assert_eq!(container.d1_ul_pdcp_delay_result(), Some(true));
        assert!(PduSession::parse(&[0x10, 0x47, 0x81, 0x80, 0x80]).unwrap().is_cut());
    }

    #[test]
    fn a_reserved_type_has_no_fields() {
        let container = PduSession::parse(&[0x2f, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).unwrap();
        assert_eq!((container.pdu_type(), container.qmp(), container.snp()), (2, false, false));
        assert!(fields(&container).iter().all(|(_, value)| value.is_none()));
        assert!(!container.is_cut());
    }
}
