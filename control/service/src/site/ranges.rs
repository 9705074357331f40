//! Which entry an address belongs to: of several the one with the longest prefix.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Prefixes with what they stand for. A look-up costs as much as there are lengths of prefixes.
#[derive(Clone, Debug)]
pub struct Ranges<T> {
    /// The longest first.
    lengths: Vec<u8>,
    entries: HashMap<IpNet, T>,
}

impl<T: Copy> Ranges<T> {
    /// Of a prefix that is named twice the first stands.
    pub fn of(named: impl IntoIterator<Item = (IpNet, T)>) -> Self {
        let mut entries = HashMap::new();
        for (net, value) in named {
            entries.entry(net.trunc()).or_insert(value);
        }
        let mut lengths: Vec<u8> = entries.keys().map(IpNet::prefix_len).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        Self { lengths, entries }
    }

    /// What the longest prefix that holds an address stands for.
    pub fn find(&self, address: IpAddr) -> Option<T> {
        self.lengths.iter().find_map(|length| {
            let net = IpNet::new(address, *length).ok()?;
            self.entries.get(&net.trunc()).copied()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_of_the_addresss_own_family_is_found() {
        let named = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "2001:db8::/32", "::/8"];
        let nets = named.iter().map(|net| net.parse().unwrap()).zip(0..);
        let ranges = Ranges::of(nets);
        let found = |address: &str| ranges.find(address.parse().unwrap());
        assert_eq!(found("10.1.2.3"), Some(2));
        assert_eq!(found("10.1.2.4"), Some(1));
        assert_eq!(found("10.2.0.1"), Some(0));
        assert_eq!(found("2001:db8:1::1"), Some(3));
        assert_eq!(found("::5"), Some(4));
        assert_eq!((found("192.0.2.1"), found("2001:db9::")), (None, None));
    }
}
