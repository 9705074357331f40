//! What becomes of the interfaces below live ports: one line at each change, and the sensor goes on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use crate::plan::{Device, DeviceSource};

/// How often interfaces are looked at.
const GLANCE: Duration = Duration::from_millis(500);

/// The arguments of virtual devices that name an interface.
const KEYS: [&str; 2] = ["iface", "rx_iface"];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Link {
    Up,
    Down,
    /// A device that is made anew under the same name is another one.
    Gone,
}

/// A port, the interface below it, and what was last said of it.
#[derive(Debug)]
struct Watched {
    port: String,
    interface: String,
    link: Link,
}

/// The interfaces of all ports that have one.
#[derive(Debug)]
pub(crate) struct Links {
    watched: Vec<Watched>,
    looked: Option<Instant>,
}

impl Links {
    pub(crate) fn of(sources: &[DeviceSource]) -> Self {
        let watched = sources.iter().filter_map(|source| match &source.device {
            Device::Pci(_) => None,
            Device::Virtual { name, argument } => {
                let interface = interface_of(argument)?.to_owned();
                Some(Watched { port: name.clone(), interface, link: Link::Up })
            }
        });
        Self { watched: watched.collect(), looked: None }
    }

    /// Looks now and then, and says what has changed.
    pub(crate) fn look(&mut self) {
        let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= GLANCE);
        if self.watched.is_empty() || !is_due {
            return;
        }
        self.looked = Some(Instant::now());
        // A kernel that can't tell just now is asked again.
        let Ok(all) = getifaddrs() else { return };
        let flags = all.map(|one| (one.interface_name, one.flags)).collect();
        for line in self.compare(&flags) {
            eprintln!("{line}");
        }
    }

    fn compare(&mut self, flags: &BTreeMap<String, InterfaceFlags>) -> Vec<String> {
        let mut lines = Vec::new();
        for Watched { port, interface, link } in &mut self.watched {
            let now = match flags.get(interface.as_str()) {
                _ if *link == Link::Gone => Link::Gone,
                None => Link::Gone,
                Some(flags) if flags.contains(InterfaceFlags::IFF_RUNNING) => Link::Up,
                Some(_) => Link::Down,
            };
            if now == *link {
                continue;
            }
            *link = now;
            lines.push(match now {
                Link::Up => format!("port {port} has its link again; interface {interface}"),
                Link::Down => format!(
                    "warning: port {port} has no link; interface {interface}; it receives again \
                     when the link is back"
                ),
                Link::Gone => format!(
                    "warning: port {port} is gone and its counters stay; interface {interface}; \
                     start the sensor anew when it is there"
                ),
            });
        }
        lines
    }
}

fn interface_of(argument: &str) -> Option<&str> {
    argument
        .split([',', '(', ')'])
        .filter_map(|part| part.split_once('='))
        .find_map(|(key, value)| KEYS.contains(&key).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::Shares;

    #[test]
    fn each_change_is_said_once_and_what_is_gone_stays_gone() {
        let source = |argument: &str| DeviceSource {
            device: Device::Virtual { name: "net_fake0".into(), argument: argument.into() },
            shares: Shares(Vec::new()),
            capture: None,
        };
        let mut links =
            Links::of(&[source("net_fake0,start_queue=0,iface=eth1"), source("net_ring0")]);
        let state = |up| {
            let flags = if up { InterfaceFlags::IFF_RUNNING } else { InterfaceFlags::IFF_UP };
            BTreeMap::from([("lo".to_owned(), InterfaceFlags::IFF_UP), ("eth1".to_owned(), flags)])
        };
        let mut said = |flags: &_| links.compare(flags).join("|");
        assert_eq!(said(&state(true)), "");
        assert!(said(&state(false)).contains("net_fake0 has no link; interface eth1"));
        assert_eq!(said(&state(false)), "");
        assert!(said(&state(true)).contains("again"));
        assert!(said(&BTreeMap::new()).contains("gone"));
        assert_eq!(said(&BTreeMap::new()) + &said(&state(true)), "");
        assert_eq!(interface_of("net_failsafe0,dev(net_af_packet0,iface=eth2)"), Some("eth2"));
    }
}
