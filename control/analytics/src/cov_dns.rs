//! COV-DNS: names that carry more than names do. Whoever runs the name servers of a domain reads
//! what is asked for beneath it, whichever resolver the equipment may use: hence many different
//! names, or long ones, beneath one registered domain.

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::content::Questions;
use weir_engine::contract::verdict::{Fact, Severity};
use weir_engine::detect::COV_DNS;

use crate::memory::{Kind, Memory, Row};
use crate::told::{Size, Subject, Told};
use crate::{Finding, LATE, number_of};

/// Domains of equipment that are remembered at a time.
const DOMAINS: usize = 1 << 14;

/// Names of a domain that are told apart, if no more are asked for by `min_names`.
pub const MAX_NAMES: usize = 1024;

/// `[detections.COV-DNS]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// `min_names`, at most [`MAX_NAMES`].
    pub min_names: usize,
    /// `window_hours`, as a time.
    pub window: Nanos,
    /// `min_kibibytes_per_day`, in bits.
    pub min_bits: u64,
    /// `max_label_bytes`.
    pub max_label: u8,
}

/// Domains of mobile networks among themselves (TS 23.003 §19.2): their names are made of numbers.
const OF_OPERATORS: &str = "3gppnetwork.org";

/// Domains of content delivery, whose names are made by machines. Their name servers answer for their
/// owners alone: a customer gets a name there and no look at who asks for it. Domains in which
/// customers run name servers, or are told of questions, are no business of this list.
const OF_DELIVERY: [&str; 20] = [
    "akadns.net",
    "akamai.net",
    "akamaiedge.net",
    "akamaihd.net",
    "akamaized.net",
    "apple-dns.net",
    "azureedge.net",
    "azurefd.net",
    "cdn77.org",
    "cloudflare.net",
    "cloudfront.net",
    "edgekey.net",
    "edgesuite.net",
    "fastly.net",
    "fastlylb.net",
    "footprint.net",
    "googlevideo.com",
    "llnwd.net",
    "msedge.net",
    "trafficmanager.net",
];

/// Whether names beneath a registered domain may be as they like.
pub fn is_excused(domain: &str) -> bool {
    is_within(domain, OF_OPERATORS) || OF_DELIVERY.iter().any(|zone| is_within(domain, zone))
}

/// Whether a domain is a zone or lies in it.
pub fn is_within(domain: &str, zone: &str) -> bool {
    let before = domain.strip_suffix(zone);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct DomainKey {
    equipment: String,
    domain: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Domain {
    /// Each name that was asked for in the window: its digest, its bits, and when it last was.
    names: Vec<(u64, u16, Nanos)>,
    last: Nanos,
    told: Option<Told>,
}

impl Row for Domain {
    const KIND: Kind = Kind::Domain;
    const BOUND: usize = DOMAINS;
    type Rank = (bool, usize, Nanos);

    fn rank(&self) -> Self::Rank {
        (self.told.is_some(), self.names.len(), self.last)
    }

    fn told(&mut self) -> Option<&mut Told> {
        self.told.as_mut()
    }
}

/// The detection's memory.
#[derive(Debug, Default)]
pub struct Domains {
    pub(crate) domains: Memory<DomainKey, Domain>,
}

impl Domains {
    /// Takes questions in, and says what they carry. `day` is the UTC day on which alerts count them.
    pub fn observe(
        &mut self,
        equipment: &str,
        asked: &Questions,
        day: u32,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        let key = DomainKey { equipment: equipment.to_owned(), domain: asked.domain.clone() };
        let instance = number_of(&key);
        let domain = self.domains.entry(key, Domain::default);
        domain.forget(asked.last, settings.window);
        domain.learn(asked, settings.min_names);
        let names = domain.names.len();
        let a_day_ago = Nanos(asked.last.0.saturating_sub(Nanos::from_secs(86_400).0));
        let today = domain.names.iter().filter(|(.., last)| *last >= a_day_ago);
        let bits: u64 = today.map(|(_, bits, _)| u64::from(*bits)).sum();
        domain.told = domain.told.filter(|told| told.covers(day));
        let is_much = names >= settings.min_names
            || bits >= settings.min_bits
            || asked.first_label > settings.max_label;
        if !is_much && domain.told.is_none() {
            return;
        }
        let mut fact = Fact::Names {
            names: names as u32,
            octets: (bits / 8) as u32,
            first_label: asked.first_label,
            domain: if asked.domain.is_empty() { 0 } else { (instance % 255) as u8 + 1 },
        };
        let told = domain.told.get_or_insert_with(|| Told::new(day, fact, asked.first));
        fact.enlarge(told.fact);
        told.fact = fact;
        let subject =
            Subject { detection: COV_DNS, severity: Severity::High, peer: None, instance };
        let (packets, bytes) = asked.total;
        say(told.grow_by(Size { packets, bytes, last: asked.last }, subject));
    }
}

impl Domain {
    /// Forgets names that nobody asked for in the window, or a day if that is longer.
    fn forget(&mut self, now: Nanos, window: Nanos) {
        let (window, latest) = (window.max(Nanos::from_secs(86_400)), now.plus(LATE));
        // A clock that was ahead has come back.
        self.names.iter_mut().filter(|(.., last)| *last > latest).for_each(|it| it.2 = now);
        self.names.retain(|(.., last)| last.plus(window) >= now);
        self.last = now;
    }

    /// Adds names. Those that were told of longest ago give way, once there are more than enough.
    fn learn(&mut self, asked: &Questions, enough: usize) {
        for name in &asked.names {
            let digest = u64::from_be_bytes(name.digest);
            if let Some(known) = self.names.iter_mut().find(|known| known.0 == digest) {
                known.2 = known.2.max(asked.last);
                continue;
            }
            if self.names.len() >= enough.clamp(1, MAX_NAMES)
                && let Some(oldest) = (0..self.names.len()).min_by_key(|at| self.names[*at].2)
            {
                self.names.swap_remove(oldest);
            }
            self.names.push((digest, name.bits, asked.last));
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_engine::contract::content::AskedName;
    use weir_engine::rules::{EquipmentId, Link};

    use super::*;
    use crate::test_spells::{activity, hours};

    const SETTINGS: Settings = Settings {
        min_names: 100,
        window: Nanos(86_400_000_000_000),
        min_bits: 4 * 8 * 1024,
        max_label: 48,
    };

    /// A record of these names, each of so many bits.
    fn asked(domain: &str, names: std::ops::Range<u64>, bits: u16, at: Nanos) -> Questions {
        let name = |n: u64| AskedName { digest: (n.wrapping_mul(0x9e37)).to_be_bytes(), bits };
        Questions {
            equipment: EquipmentId(0),
            domain: domain.into(),
            name: format!("x.{domain}"),
            total: (names.end - names.start, 70),
            names: names.map(name).collect(),
            folded: 0,
            first_label: 9,
            tuple: activity(at).tuple,
            first: at,
            last: at,
            tap: 0,
            link: Link::Oam,
            policy: 1,
        }
    }

    fn told(records: impl IntoIterator<Item = Questions>) -> Vec<Finding> {
        let (mut domains, mut told) = (Domains::default(), Vec::new());
        for record in records {
            let day = record.last.day();
            domains.observe("gnb-1", &record, day, &SETTINGS, &mut |it| told.push(it));
        }
        told
    }

    fn names(finding: &Finding) -> u32 {
        let Fact::Names { names, .. } = finding.fact else { panic!("{finding:?}") };
        names
    }

    #[test]
    fn the_hundredth_name_of_a_day_under_one_domain_is_told_however_slowly_they_come() {
        let hourly = |count: u64, every: f64| {
            let one = move |n| asked("evil.example", n..n + 1, 8, hours(n as f64 * every));
            (0..count).map(one)
        };
        assert_eq!(told(hourly(99, 0.2)), []);
        assert_eq!(told(hourly(100, 0.2)).iter().map(names).collect::<Vec<_>>(), [100]);
        // One every quarter of an hour: 96 a day, however long it lasts; the window holds 97.
        assert_eq!(told(hourly(400, 0.25)), []);
        let different = |n| asked(&format!("{n}.example"), n..n + 1, 8, hours(1.0));
        assert_eq!(told((0..500).map(different)), []);
        assert_eq!(told((0..500).map(|_| asked("a.example", 0..1, 800, hours(1.0)))), []);
    }

    #[test]
    fn four_kibibytes_a_day_in_few_names_are_told() {
        let of = |bits| (0..40).map(move |n| asked("evil.example", n..n + 1, bits, hours(0.1)));
        assert_eq!(told(of(819)), []);
        let said = told(of(820));
        assert_eq!(said.len(), 1, "40 × 820 bits");
        let Fact::Names { octets, names: 40, .. } = said[0].fact else { panic!("{said:?}") };
        assert_eq!(octets, 4_100);
        let slow = (0..60).map(|n| asked("evil.example", n..n + 1, 820, hours(n as f64)));
        assert_eq!(told(slow), [], "24 hours hold too few of them");
    }

    #[test]
    fn a_first_label_beyond_48_octets_is_told_at_once_and_the_alert_grows() {
        let of = |first_label, at| Questions { first_label, ..asked("evil.example", 0..1, 9, at) };
        assert_eq!(told([of(48, hours(1.0))]), []);
        let said = told([of(49, hours(1.0)), of(3, hours(2.0)), of(3, hours(30.0))]);
        assert_eq!(said.iter().map(|it| it.packets).collect::<Vec<_>>(), [1, 2]);
        let Fact::Names { first_label, .. } = said[1].fact else { panic!("{said:?}") };
        assert_eq!((first_label, said[0].severity), (49, Severity::High));
    }

    #[test]
    fn a_flood_of_domains_drives_no_tunnel_out() {
        let (mut domains, mut told) = (Domains { domains: Memory::new(200) }, Vec::new());
        let mut observe = |record: &Questions| {
            domains.observe("gnb-1", record, 0, &SETTINGS, &mut |it| told.push(it));
        };
        for n in 0..100 {
            observe(&asked("evil.example", n..n + 2, 8, hours(0.1)));
            for m in 0..300 {
                observe(&asked(&format!("{n}-{m}.example"), m..m + 1, 8, hours(0.1)));
            }
        }
        assert_eq!(told.iter().map(names).collect::<Vec<_>>(), [100, 100]);
    }

    #[test]
    fn a_clock_that_was_far_ahead_keeps_no_name_for_ever() {
        let ahead = (0..60).map(|n| asked("evil.example", n..n + 1, 8, hours(9_000.0)));
        let later = (60..110).map(|n| asked("evil.example", n..n + 1, 8, hours(40.0)));
        assert_eq!(
            told(ahead.chain(later)).len(),
            11,
            "they count as if asked for when it came back"
        );
        let ahead = (0..60).map(|n| asked("evil.example", n..n + 1, 8, hours(9_000.0)));
        let back = [asked("evil.example", 60..61, 8, hours(1.0))];
        let later = (61..130).map(|n| asked("evil.example", n..n + 1, 8, hours(30.0)));
        assert_eq!(told(ahead.chain(back).chain(later)), []);
    }

    #[test]
    fn zones_end_at_dots() {
        assert!(is_excused("3gppnetwork.org") && is_excused("d1.cloudfront.net"));
        assert!(!is_excused("evil3gppnetwork.org") && !is_excused("cloudfront.net.evil.example"));
        assert!(!is_excused("") && is_within("a.b.example", "b.example"));
    }
}
