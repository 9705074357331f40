//! How often one may ask: buckets of permits that fill again with time, one for each name in a
//! bounded table.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Names that are told apart at most; whoever comes beyond shares one bucket.
const NAMES: usize = 4_096;

/// How much one may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Permits of a full bucket.
    pub(crate) burst: f64,
    /// Permits that come each second.
    pub(crate) a_second: f64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    permits: f64,
    filled: Instant,
}

impl Bucket {
    fn full(allowance: Allowance, now: Instant) -> Self {
        Self { permits: allowance.burst, filled: now }
    }

    fn fill(&mut self, allowance: Allowance, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.permits = (self.permits + passed * allowance.a_second).min(allowance.burst);
        self.filled = now;
    }

    fn look(&mut self, allowance: Allowance, now: Instant) -> Result<(), Duration> {
        self.fill(allowance, now);
        if self.permits >= 1.0 {
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.permits) / allowance.a_second))
    }

    fn take(&mut self, allowance: Allowance, now: Instant) -> Result<(), Duration> {
        self.look(allowance, now).inspect(|()| self.permits -= 1.0)
    }
}

/// Buckets by name.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    allowance: Allowance,
    buckets: HashMap<K, Bucket>,
    /// That of all who find no room.
    others: Bucket,
    swept: Instant,
}

impl<K: Eq + Hash> Buckets<K> {
    pub(crate) fn new(allowance: Allowance, now: Instant) -> Self {
        let others = Bucket::full(allowance, now);
        Self { allowance, buckets: HashMap::new(), others, swept: now }
    }

    /// Takes a permit; how long to wait where there is none.
    pub(crate) fn take(&mut self, name: K, now: Instant) -> Result<(), Duration> {
        let allowance = self.allowance;
        if let Some(bucket) = self.buckets.get_mut(&name) {
            return bucket.take(allowance, now);
        }
        if self.buckets.len() >= NAMES {
            self.sweep(now);
        }
        if self.buckets.len() >= NAMES {
            return self.others.take(allowance, now);
        }
        self.buckets.entry(name).or_insert(Bucket::full(allowance, now)).take(allowance, now)
    }

    /// Whether there is a permit, which stays there; how long to wait where there is none.
    pub(crate) fn look(&mut self, name: K, now: Instant) -> Result<(), Duration> {
        let is_full = self.buckets.len() >= NAMES;
        match self.buckets.get_mut(&name) {
            Some(bucket) => bucket.look(self.allowance, now),
            None if is_full => self.others.look(self.allowance, now),
            None => Ok(()),
        }
    }

    /// Forgets whose bucket is full again, at most once a second: they lose nothing by it.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < Duration::from_secs(1) {
            return;
        }
        self.swept = now;
        let allowance = self.allowance;
        self.buckets.retain(|_, bucket| {
            bucket.fill(allowance, now);
            bucket.permits < allowance.burst
        });
    }
}

/// By what addresses are told apart: whoever has an IPv6 address has all of its /64.
pub(crate) fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Allowance = Allowance { burst: 3.0, a_second: 2.0 };

    #[test]
    fn a_burst_is_allowed_and_then_so_many_a_second_to_each() {
        let start = Instant::now();
        let mut buckets = Buckets::new(FEW, start);
        assert!((0..3).all(|_| buckets.take("a", start).is_ok()));
        assert_eq!(buckets.take("a", start), Err(Duration::from_millis(500)));
        assert!(buckets.look("a", start).is_err() && buckets.look("b", start).is_ok());
        assert!(buckets.take("b", start).is_ok(), "another one's bucket is another");
        let later = start + Duration::from_millis(500);
        assert!(buckets.take("a", later).is_ok() && buckets.take("a", later).is_err());
        // It never holds more than a burst.
        let much_later = start + Duration::from_secs(3_600);
        assert_eq!((0..9).filter(|_| buckets.take("a", much_later).is_ok()).count(), 3);
    }

    #[test]
    fn a_flood_of_names_takes_no_more_room_and_nobodys_bucket() {
        let start = Instant::now();
        let mut buckets = Buckets::new(FEW, start);
        assert!((0..3).all(|_| buckets.take(0, start).is_ok()));
        let allowed = (1..20_000).filter(|name| buckets.take(*name, start).is_ok()).count();
        assert_eq!(buckets.buckets.len(), NAMES);
        assert_eq!(allowed, NAMES - 1 + 3, "the rest shares one bucket");
        assert!(buckets.take(0, start).is_err(), "who has used theirs up is not forgotten");
        let later = start + Duration::from_secs(2);
        assert!(buckets.take(50_000, later).is_ok());
        assert!(buckets.buckets.len() < 3, "whose bucket is full is");
    }

    #[test]
    fn neighbours_in_ipv6_are_one_and_mapped_addresses_are_what_they_map() {
        let of = |text: &str| origin(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::7"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::7"), of("2001:db8:1:3::7"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }
}
