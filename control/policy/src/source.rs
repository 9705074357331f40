//! Where a tap's frames come from, as `source` of a `[[tap]]` writes it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::diagnostic::Mistake;
use crate::nearest::quoted;

/// A source of frames.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum PacketSource {
    /// `pci:0000:3b:00.0`: a port of this machine, bound to DPDK.
    Pci(PciAddress),
    /// `vdev:net_af_packet0,iface=eth1`: a DPDK virtual device.
    Vdev {
        /// Driver and number, as in `net_af_packet0`.
        name: String,
        /// Its arguments without the leading comma; empty when there are none.
        arguments: String,
    },
    /// `file:f.pcap`: a capture, read by the engine's own reader.
    File(PathBuf),
}

/// The place of a device on the PCI bus; displays as DPDK writes it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PciAddress {
    /// Domain.
    pub domain: u16,
    /// Bus.
    pub bus: u8,
    /// Device, up to 0x1f.
    pub device: u8,
    /// Function, up to 7.
    pub function: u8,
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

impl fmt::Display for PacketSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(address) => write!(f, "pci:{address}"),
            Self::Vdev { name, arguments } if arguments.is_empty() => write!(f, "vdev:{name}"),
            Self::Vdev { name, arguments } => write!(f, "vdev:{name},{arguments}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl FromStr for PciAddress {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let field = |text: &str, digits: usize| {
            let hexadecimal = text.bytes().all(|digit| digit.is_ascii_hexdigit());
            (text.len() == digits && hexadecimal).then(|| u16::from_str_radix(text, 16).ok())?
        };
        let read = || {
            let (domain, rest) = text.split_once(':')?;
            let (bus, rest) = rest.split_once(':')?;
            let (device, function) = rest.split_once('.')?;
            let device = field(device, 2).filter(|device| *device <= 0x1f)?;
            let function = field(function, 1).filter(|function| *function <= 7)?;
            Some(Self {
                domain: field(domain, 4)?,
                bus: field(bus, 2)? as u8,
                device: device as u8,
                function: function as u8,
            })
        };
        read().ok_or_else(|| {
            Mistake::new(
                format!("{} is not a PCI address", quoted(text)),
                "write domain:bus:device.function as in 0000:3b:00.0 (lspci -D shows it)",
            )
        })
    }
}

impl FromStr for PacketSource {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if text.len() > 4096 || text.chars().any(char::is_control) {
            let message = format!("{} is no source", quoted(text));
            return Err(Mistake::new(message, "write one line of at most 4096 bytes"));
        }
        match text.split_once(':') {
            Some(("pci", address)) => address.parse().map(Self::Pci),
            Some(("vdev", device)) => {
                let (name, arguments) = device.split_once(',').unwrap_or((device, ""));
                let letters =
                    |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
                if !name.starts_with("net_") || name.len() > 63 || !name.bytes().all(letters) {
                    let message = format!("{} is no DPDK network device", quoted(name));
                    let remedy =
                        "write its driver and a number, as in vdev:net_af_packet0,iface=eth1";
                    return Err(Mistake::new(message, remedy));
                }
                Ok(Self::Vdev { name: name.into(), arguments: arguments.into() })
            }
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(Mistake::new(
                format!("{} is no source", quoted(text)),
                "write pci:0000:3b:00.0, vdev:net_af_packet0,iface=eth1 or file:f.pcap",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_source_is_read_and_written_back() {
        let texts = [
            "pci:0000:3b:00.0",
            "vdev:net_af_packet0,iface=eth1",
            "vdev:net_pcap0,rx_pcap=f.pcap",
            "vdev:net_null0",
            "file:a dir/f:1.pcap",
        ];
        for text in texts {
            assert_eq!(text.parse::<PacketSource>().unwrap().to_string(), text);
        }
        let PacketSource::Pci(address) = "pci:0001:af:1f.7".parse().unwrap() else { panic!() };
        assert_eq!(
            (address.domain, address.bus, address.device, address.function),
            (1, 0xaf, 31, 7)
        );
    }

    #[test]
    fn what_is_no_source_says_how_one_is_written() {
        let remedy = |text: &str| text.parse::<PacketSource>().unwrap_err().remedy;
        for wrong in
            ["pci:3b:00.0", "pci:0000:3b:20.0", "pci:0000:3b:00.8", "pci:", "pci:0000:+b:00.0"]
        {
            assert!(remedy(wrong).contains("0000:3b:00.0 (lspci"), "{wrong}");
        }
        for wrong in ["vdev:eth1", "vdev:", "vdev:net_pcap0 -v"] {
            assert!(remedy(wrong).contains("driver and a number"), "{wrong}");
        }
        for wrong in ["eth1", "", "file:", "usb:1"] {
            assert!(remedy(wrong).contains("or file:f.pcap"), "{wrong}");
        }
        assert!("file:a\nb".parse::<PacketSource>().is_err());
    }
}
