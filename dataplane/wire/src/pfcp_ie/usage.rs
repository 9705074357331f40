//! What was measured: Volume Measurement (§8.2.44), Duration Measurement
//! (§8.2.45), UR-SEQN (§8.2.71).

use super::cursor::Cursor;
use crate::WireError;

/// Octets, and since release 16 packets, that a URR counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VolumeMeasurement {
    /// Octets in both directions.
    pub total: Option<u64>,
    /// Octets from the user.
    pub uplink: Option<u64>,
    /// Octets to the user.
    pub downlink: Option<u64>,
    /// Packets in both directions.
    pub total_packets: Option<u64>,
    /// Packets from the user.
    pub uplink_packets: Option<u64>,
    /// Packets to the user.
    pub downlink_packets: Option<u64>,
}

impl VolumeMeasurement {
    /// Reads the value of a Volume Measurement.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let flags = cursor.octet()?;
        let mut number =
            |bit: u8| Ok(cursor.given(flags & bit != 0, Cursor::array)?.map(u64::from_be_bytes));
        Ok(Self {
            total: number(0x01)?,
            uplink: number(0x02)?,
            downlink: number(0x04)?,
            total_packets: number(0x08)?,
            uplink_packets: number(0x10)?,
            downlink_packets: number(0x20)?,
        })
    }
}

/// Seconds that a URR counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DurationMeasurement(pub u32);

impl DurationMeasurement {
    /// Reads the value of a Duration Measurement.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        Cursor(value).array().map(|octets| Self(u32::from_be_bytes(octets)))
    }
}

/// The number of a usage report of one URR: a gap is a report that was lost.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UrSeqn(pub u32);

impl UrSeqn {
    /// Reads the value of a UR-SEQN.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        Cursor(value).array().map(|octets| Self(u32::from_be_bytes(octets)))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::sound::sound;
    use super::*;
    use crate::seeded::Seeded;

    #[test]
    fn volumes_are_read_with_every_set_of_flags() {
        let mut seeded = Seeded::new(66);
        for flags in 0..0x40_u8 {
            let mut octets = std::vec![flags];
            let mut number = |bit: u8| {
                let value = Some(seeded.next()).filter(|_| flags & bit != 0);
                octets.extend(value.map(u64::to_be_bytes).into_iter().flatten());
                value
            };
            let want = VolumeMeasurement {
                total: number(1),
                uplink: number(2),
                downlink: number(4),
                total_packets: number(8),
                uplink_packets: number(16),
                downlink_packets: number(32),
            };
            sound(&octets, VolumeMeasurement::parse, want);
        }
    }

    #[test]
    fn numbers_are_of_four_octets() {
        sound(&[0, 0, 1, 0], UrSeqn::parse, UrSeqn(256));
        sound(&[0, 1, 0, 0], DurationMeasurement::parse, DurationMeasurement(65_536));
    }
}
