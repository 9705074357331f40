//! A PCI device's address.

use std::fmt;
use std::str::FromStr;

/// Domain, bus, device and function, as in `0000:3b:00.0`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

/// The text is not a PCI address.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not a PCI address; write it like 0000:3b:00.0")]
pub struct BadPciAddress {
    text: String,
}

impl FromStr for PciAddress {
    type Err = BadPciAddress;

    /// Reads `DDDD:BB:DD.F` in hexadecimal; without a domain it is domain 0.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| BadPciAddress { text: text.into() })
    }
}

fn parse(text: &str) -> Option<PciAddress> {
    let (slot, function) = text.rsplit_once('.')?;
    let (bus, device) = slot.rsplit_once(':')?;
    let (domain, bus) = bus.rsplit_once(':').unwrap_or(("0", bus));
    Some(PciAddress {
        domain: hexadecimal(domain, 0xffff_ffff)?,
        bus: u8::try_from(hexadecimal(bus, 0xff)?).ok()?,
        device: u8::try_from(hexadecimal(device, 0x1f)?).ok()?,
        function: u8::try_from(hexadecimal(function, 7)?).ok()?,
    })
}

/// `from_str_radix` alone would take a sign.
fn hexadecimal(text: &str, largest: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(text, 16).ok()?;
    (digits && number <= largest).then_some(number)
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_dpdk_names_the_port() {
        for (text, name) in [
            ("0000:3b:00.0", "0000:3b:00.0"),
            ("3B:1f.7", "0000:3b:1f.7"),
            ("10000:01:00.1", "10000:01:00.1"),
        ] {
            assert_eq!(text.parse::<PciAddress>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "3b:00", "3b:20.0", "3b:00.8", "x:3b:00.0", "+0:3b:00.0", "3b:00.0,x=1"] {
            assert!(text.parse::<PciAddress>().is_err(), "{text}");
        }
    }
}
