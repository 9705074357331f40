//! User ID (§8.2.101): who a session is for. Personal data: it is lent as it
//! stands and never printed by itself.

use core::fmt;

use super::cursor::Cursor;
use crate::WireError;

/// The identities of a user, each as it stands: the first three in BCD of two
/// digits an octet (TS 23.003), the others text.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct UserId<'a> {
    /// The subscription's number.
    pub imsi: Option<&'a [u8]>,
    /// The device's number.
    pub imei: Option<&'a [u8]>,
    /// The telephone number.
    pub msisdn: Option<&'a [u8]>,
    /// The network access identifier.
    pub nai: Option<&'a [u8]>,
    /// The permanent subscription identifier.
    pub supi: Option<&'a [u8]>,
    /// The public subscription identifier.
    pub gpsi: Option<&'a [u8]>,
    /// The permanent equipment identifier.
    pub pei: Option<&'a [u8]>,
}

impl<'a> UserId<'a> {
    /// Reads the value of a User ID.
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let flags = cursor.octet()?;
        let mut field = |bit: u8| cursor.given(flags & bit != 0, Cursor::short_field);
        Ok(Self {
            imsi: field(0x01)?,
            imei: field(0x02)?,
            msisdn: field(0x04)?,
            nai: field(0x08)?,
            supi: field(0x10)?,
            gpsi: field(0x20)?,
            pei: field(0x40)?,
        })
    }

    const fn fields(&self) -> [(&'static str, Option<&'a [u8]>); 7] {
        [
            ("imsi", self.imsi),
            ("imei", self.imei),
            ("msisdn", self.msisdn),
            ("nai", self.nai),
            ("supi", self.supi),
            ("gpsi", self.gpsi),
            ("pei", self.pei),
        ]
    }
}

/// Says which identities there are, never what they are.
impl fmt::Debug for UserId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = f.debug_set();
        for (name, _) in self.fields().into_iter().filter(|(_, field)| field.is_some()) {
            set.entry(&format_args!("{name}"));
        }
        set.finish()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::sound::sound;
    use super::*;
    use std::format;

    /// An IMSI in BCD, and texts of several lengths; an empty one too.
    const FIELDS: [&[u8]; 7] = [
        &[0x99, 0x99, 0x07, 0, 0, 0, 0, 0xf1],
        &[1, 2, 3, 4, 5, 6, 7, 8],
        &[0x94, 0x71],
        b"",
        b"imsi-999700000000001",
        b"msisdn-4917",
        b"imei-1",
    ];

    #[test]
    fn identities_are_read_with_every_set_of_flags() {
        for flags in 0..0x80_u8 {
            let field = |index: usize| Some(FIELDS[index]).filter(|_| flags >> index & 1 != 0);
            let mut octets = std::vec![flags];
            for field in (0..7).filter_map(field) {
                octets.push(field.len() as u8);
                octets.extend(field);
            }
            let want = UserId {
                imsi: field(0),
                imei: field(1),
                msisdn: field(2),
                nai: field(3),
                supi: field(4),
                gpsi: field(5),
                pei: field(6),
            };
            sound(&octets, UserId::parse, want);
        }
    }

    #[test]
    fn nothing_of_a_person_is_printed() {
        let user = UserId { imsi: Some(FIELDS[0]), supi: Some(FIELDS[4]), ..UserId::default() };
        assert_eq!(format!("{user:?}"), "{imsi, supi}");
    }
}
