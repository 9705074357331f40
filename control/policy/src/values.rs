//! The values that configuration files write as text: prefixes, MAC addresses, names, slices,
//! networks, and moments.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use toml::value::Datetime;

use crate::diagnostic::Mistake;
use crate::limits::MAX_TEXT_BYTES;
use crate::message::Slice;
use crate::nearest::quoted;

/// A CIDR without host bits; a bare address is a prefix of its full length.
pub(crate) struct Prefix(pub(crate) IpNet);

impl FromStr for Prefix {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let net = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| {
                Mistake::new(
                    format!("{} is neither an address nor a prefix", quoted(text)),
                    "write 10.0.0.1, 10.0.0.0/24 or 2001:db8:1::/64",
                )
            })?,
        };
        if let IpNet::V6(v6) = net
            && let Some(v4) = v6.addr().to_ipv4_mapped()
        {
            let message = format!("{} is an IPv4 address in IPv6 form", quoted(text));
            let remedy = format!("write it as IPv4 ({v4}): that is how it stands in packets");
            return Err(Mistake::new(message, remedy));
        }
        let canonical = net.trunc();
        if net != canonical {
            let message = format!("{} has host bits set", quoted(text));
            let remedy = format!("write {canonical}, or {} for the one address", net.addr());
            return Err(Mistake::new(message, remedy));
        }
        Ok(Self(canonical))
    }
}

/// The MAC address of one interface.
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl FromStr for Mac {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let malformed = || {
            let message = format!("{} is not a MAC address", quoted(text));
            Mistake::new(message, "write six bytes: 00:11:22:33:44:55")
        };
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(malformed)?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(malformed());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| malformed())?;
        }
        if parts.next().is_some() {
            return Err(malformed());
        }
        if bytes[0] & 1 != 0 || bytes == [0; 6] {
            let message = format!("{} is not the address of one interface", quoted(text));
            return Err(Mistake::new(message, "write the interface's own address, no group"));
        }
        Ok(Self(bytes))
    }
}

/// A name or a note: not empty, bounded, one line.
pub(crate) struct Text(pub(crate) String);

impl FromStr for Text {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if text.trim().is_empty() {
            return Err(Mistake::new("the text is empty", "write something or leave the key out"));
        }
        if text.len() > MAX_TEXT_BYTES {
            let message = format!("the text has {} bytes, more than {MAX_TEXT_BYTES}", text.len());
            return Err(Mistake::new(message, "shorten it"));
        }
        if text.chars().any(char::is_control) {
            let message = format!("{} has control characters", quoted(text));
            return Err(Mistake::new(message, "write one line of plain text"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A file's path.
pub(crate) struct FilePath(pub(crate) PathBuf);

impl FromStr for FilePath {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if text.is_empty() || text.len() > 4096 || text.contains('\0') {
            let message = format!("{} is not a path", quoted(text));
            return Err(Mistake::new(message, "name a file, relative to weir.toml or absolute"));
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for Slice {
    type Err = Mistake;

    /// `SST` or `SST-SD`, SST 0–255 in decimal, SD six hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Mistake> {
        let (sst, sd) = text.split_once('-').unwrap_or((text, "ffffff"));
        let digits = |part: &str, hex: u32| part.chars().all(|digit| digit.is_digit(hex));
        let sst = sst.parse::<u8>().ok().filter(|_| digits(sst, 10));
        let sd = u32::from_str_radix(sd, 16).ok().filter(|_| sd.len() == 6 && digits(sd, 16));
        let (Some(sst), Some(sd)) = (sst, sd) else {
            let message = format!("{} is not a slice", quoted(text));
            return Err(Mistake::new(message, "write SST-SD, as in 1-010203"));
        };
        let [_, a, b, c] = sd.to_be_bytes();
        Ok(Self { sst, sd: (sd != 0xff_ffff).then_some([a, b, c]) })
    }
}

/// A mobile network: three digits of country code, two or three of network code.
pub(crate) struct Plmn(pub(crate) String);

impl FromStr for Plmn {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if !matches!(text.len(), 5 | 6) || !text.bytes().all(|digit| digit.is_ascii_digit()) {
            let message = format!("{} is not a PLMN", quoted(text));
            return Err(Mistake::new(message, "write MCC and MNC together, as in 26201"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Which moment a date without a time means.
#[derive(Clone, Copy)]
pub(crate) enum Day {
    /// Its first nanosecond, UTC.
    Start,
    /// Its last nanosecond, UTC.
    End,
}

/// The moment in nanoseconds since 1970 UTC.
pub(crate) fn nanoseconds(written: &Datetime, day: Day) -> Result<u64, Mistake> {
    let remedy = "write 2027-01-01 or 2027-01-01T00:00:00Z";
    let impossible = || Mistake::new(format!("{written} is no moment after 1970"), remedy);
    let Some(calendar) = written.date else {
        return Err(Mistake::new(format!("{written} has no date"), remedy));
    };
    let calendar = Date::new(
        i16::try_from(calendar.year).map_err(|_| impossible())?,
        i8::try_from(calendar.month).map_err(|_| impossible())?,
        i8::try_from(calendar.day).map_err(|_| impossible())?,
    )
    .map_err(|_| impossible())?;
    let (time, offset_minutes) = match (written.time, written.offset) {
        (None, _) => (Time::midnight(), 0),
        (Some(_), None) => {
            let message = format!("{written} does not say in which time zone");
            return Err(Mistake::new(message, format!("add the offset: {written}Z for UTC")));
        }
        (Some(time), Some(offset)) => {
            let minutes = match offset {
                toml::value::Offset::Z => 0,
                toml::value::Offset::Custom { minutes } => minutes,
            };
            // A leap second (…:60) is taken as the second before it.
            let second = time.second.unwrap_or(0).min(59);
            let nanosecond = time.nanosecond.unwrap_or(0);
            let time = Time::new(
                i8::try_from(time.hour).map_err(|_| impossible())?,
                i8::try_from(time.minute).map_err(|_| impossible())?,
                i8::try_from(second).map_err(|_| impossible())?,
                i32::try_from(nanosecond).map_err(|_| impossible())?,
            );
            (time.map_err(|_| impossible())?, minutes)
        }
    };
    let offset = Offset::from_seconds(i32::from(offset_minutes) * 60).map_err(|_| impossible())?;
    let timestamp = offset.to_timestamp(calendar.to_datetime(time)).map_err(|_| impossible())?;
    let start = u64::try_from(timestamp.as_nanosecond()).map_err(|_| impossible())?;
    const DAY_NANOSECONDS: u64 = 86_400 * 1_000_000_000;
    match (written.time, day) {
        (None, Day::End) => Ok(start.saturating_add(DAY_NANOSECONDS - 1)),
        _ => Ok(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Result<String, Mistake> {
        text.parse::<Prefix>().map(|prefix| prefix.0.to_string())
    }

    #[test]
    fn prefixes_are_canonical_and_say_how_to_become_so() {
        assert_eq!(prefix("10.0.0.1").unwrap(), "10.0.0.1/32");
        assert_eq!(prefix("2001:db8::").unwrap(), "2001:db8::/128");
        assert_eq!(prefix("2001:db8:1::/64").unwrap(), "2001:db8:1::/64");
        let host_bits = prefix("10.0.0.1/24").unwrap_err();
        assert_eq!(host_bits.message, "`10.0.0.1/24` has host bits set");
        assert_eq!(host_bits.remedy, "write 10.0.0.0/24, or 10.0.0.1 for the one address");
        assert!(prefix("::ffff:10.0.0.1").unwrap_err().remedy.contains("10.0.0.1"));
        for wrong in ["", "10.0.0", "10.0.0.0/33", "2001:db8::/129", "gnb-1", "10.0.0.1/"] {
            assert!(prefix(wrong).unwrap_err().message.contains("neither"), "{wrong}");
        }
    }

    #[test]
    fn macs_are_six_bytes_of_one_interface() {
        let mac = |text: &str| text.parse::<Mac>().map(|mac| mac.0);
        assert_eq!(mac("00:11:22:aA:44:55").unwrap(), [0, 0x11, 0x22, 0xaa, 0x44, 0x55]);
        assert_eq!(mac("00-11-22-33-44-55").unwrap()[5], 0x55);
        for wrong in
            ["", "00:11:22:33:44", "00:11:22:33:44:55:66", "0:1:2:3:4:5", "+0:11:22:33:44:55"]
        {
            assert!(mac(wrong).unwrap_err().message.contains("not a MAC"), "{wrong}");
        }
        assert!(mac("01:00:5e:00:00:01").unwrap_err().message.contains("one interface"));
        assert!(mac("00:00:00:00:00:00").is_err());
    }

    #[test]
    fn slices_and_plmns_hold_to_their_forms() {
        let slice = |sst, sd| Slice { sst, sd };
        assert_eq!("1-0102aF".parse(), Ok(slice(1, Some([1, 2, 0xaf]))));
        for none in ["255", "255-ffffff", "255-FFFFFF"] {
            assert_eq!(none.parse(), Ok(slice(255, None)), "{none}");
        }
        assert_eq!("0-000000".parse(), Ok(slice(0, Some([0; 3]))));
        for wrong in ["256-010203", "1-0102", "x-010203", "", "-010203", "+1-010203", "1-01020g"] {
            assert!(wrong.parse::<Slice>().is_err(), "{wrong}");
        }
        assert!("26201".parse::<Plmn>().is_ok() && "310260".parse::<Plmn>().is_ok());
        for wrong in ["2620", "3102600", "26x01", ""] {
            assert!(wrong.parse::<Plmn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_is_one_bounded_line() {
        assert!("site 17, rack 2".parse::<Text>().is_ok());
        for wrong in [String::new(), "  ".into(), "a\nb".into(), "x".repeat(257)] {
            assert!(wrong.parse::<Text>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_date_means_the_end_of_day_that_was_asked_for() {
        let at = |text: &str, day| nanoseconds(&text.parse().unwrap(), day);
        const SECOND: u64 = 1_000_000_000;
        assert_eq!(at("2027-01-01", Day::Start), Ok(1_798_761_600 * SECOND));
        assert_eq!(at("2026-12-31", Day::End), Ok(1_798_761_600 * SECOND - 1));
        assert_eq!(at("2027-01-01T01:00:00+01:00", Day::End), Ok(1_798_761_600 * SECOND));
        assert_eq!(at("2027-01-01T00:00:00.5Z", Day::End), Ok(1_798_761_600 * SECOND + SECOND / 2));
        let zoneless = at("2027-01-01T00:00:00", Day::Start).unwrap_err();
        assert_eq!(zoneless.remedy, "add the offset: 2027-01-01T00:00:00Z for UTC");
        assert!(at("07:32:00", Day::Start).unwrap_err().message.contains("no date"));
        assert!(at("1969-12-31", Day::Start).is_err());
        assert!(at("9999-12-31", Day::End).is_err(), "beyond what 64 bits of nanoseconds hold");
    }
}
