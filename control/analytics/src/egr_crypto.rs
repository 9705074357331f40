//! EGR-CRYPTO: an equipment's encrypted conversations are not those that it is known for. Its first
//! weeks say which names, TLS libraries and SSH offers are its own; what comes later is told, unless
//! the policy lists it or work is declared. Clear text that is none, and DNS over HTTPS, are told at once.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::content::{Feature, Features};
use weir_engine::contract::verdict::{CryptoNews, Fact, Severity};
use weir_engine::detect::EGR_CRYPTO;

use crate::memory::{Kind, Memory, Row};
use crate::told::{Size, Subject, Told};
use crate::{Finding, LATE, number_of};

/// What equipment is known for, at a time.
const TRAITS: usize = 1 << 16;

/// `[detections.EGR-CRYPTO]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// `learning_days`, as a time.
    pub learning: Nanos,
    /// `min_entropy_bits`, in hundredths.
    pub min_entropy: u16,
    /// `entropy_bytes`.
    pub octets: u16,
}

/// Resolvers that answer DNS over HTTPS for everybody: their names (a zone and what lies in it), and their
/// addresses, at which a client may say no name.
const RESOLVERS: [&str; 16] = [
    "dns.google",
    "cloudflare-dns.com",
    "one.one.one.one",
    "quad9.net",
    "doh.opendns.com",
    "dns.umbrella.com",
    "adguard-dns.com",
    "dns.adguard.com",
    "nextdns.io",
    "cleanbrowsing.org",
    "mullvad.net",
    "controld.com",
    "dns.sb",
    "doh.pub",
    "dns.alidns.com",
    "doh.360.cn",
];
const RESOLVERS_AT: [[u8; 4]; 14] = [
    [8, 8, 8, 8],
    [8, 8, 4, 4],
    [1, 1, 1, 1],
    [1, 0, 0, 1],
    [1, 1, 1, 2],
    [1, 0, 0, 2],
    [9, 9, 9, 9],
    [149, 112, 112, 112],
    [208, 67, 222, 222],
    [208, 67, 220, 220],
    [94, 140, 14, 14],
    [94, 140, 15, 15],
    [223, 5, 5, 5],
    [223, 6, 6, 6],
];

/// Whether a hello is to a resolver: by its name, by its address on the port of HTTPS, or because it
/// offers HTTP/2 or 3 to a name that begins with dns or doh.
fn is_resolver(name: Option<&str>, protocol: Option<&str>, peer: IpAddr, port: u16) -> bool {
    let is_known = |name: &str| RESOLVERS.iter().any(|zone| crate::cov_dns::is_within(name, zone));
    let is_called = |name: &str| {
        let first = name.split('.').next().unwrap_or_default();
        let rest = first.strip_prefix("dns").or(first.strip_prefix("doh"));
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
            && matches!(protocol, Some("h2" | "h3"))
    };
    name.is_some_and(|name| is_known(name) || is_called(name))
        || port == 443 && RESOLVERS_AT.iter().any(|known| peer == IpAddr::from(*known))
}

/// What an equipment may be known for.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
enum Trait {
    /// When it began to be known.
    Since,
    /// A server's name.
    Name(String),
    /// A JA4.
    Ja4(String),
    /// A HASSH.
    Ssh([u8; 16]),
    /// Clear text that is none, to a service.
    Clear(u8, u16),
    /// DNS over HTTPS.
    Doh,
}

#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct TraitKey {
    equipment: String,
    shows: Trait,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Known {
    /// Whether it is the equipment's own.
    is_own: bool,
    /// Whether it says since when the equipment is known, without which all of it would be
    /// learnt anew: it goes last.
    is_since: bool,
    first: Nanos,
    last: Nanos,
    told: Option<Told>,
}

impl Row for Known {
    const KIND: Kind = Kind::Trait;
    const BOUND: usize = TRAITS;
    type Rank = (bool, bool, bool, Nanos);

    fn rank(&self) -> Self::Rank {
        (self.is_since, self.is_own, self.told.is_some(), self.last)
    }

    fn told(&mut self) -> Option<&mut Told> {
        self.told.as_mut()
    }
}

/// An equipment's features, and what is known of it at their time.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The equipment's id.
    pub equipment: &'a str,
    /// The record.
    pub features: &'a Features,
    /// The UTC day on which alerts count it.
    pub day: u32,
    /// Whether work on the equipment is declared for that time.
    pub is_in_window: bool,
    /// What the policy lists: `sni `, `ja4 ` or `hassh `, and the value.
    pub listed: &'a [String],
}

impl Opening<'_> {
    fn is_listed(&self, kind: &str, value: &str) -> bool {
        let is = |one: &String| {
            one.strip_prefix(kind).is_some_and(|known| match kind {
                "sni " => crate::cov_dns::is_within(value, known),
                _ => known == value,
            })
        };
        self.listed.iter().any(is)
    }
}

/// The detection's memory.
#[derive(Debug, Default)]
pub struct Crypto {
    pub(crate) traits: Memory<TraitKey, Known>,
}

impl Crypto {
    /// Takes features in, and says which of them are none of the equipment's.
    pub fn observe(
        &mut self,
        opening: &Opening<'_>,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        let features = opening.features;
        match &features.shows {
            Feature::Tls { name, protocol, ja4 } => {
                let (peer, port) = (features.tuple.destination, features.tuple.destination_port);
                let is_listed = name.as_ref().is_some_and(|name| opening.is_listed("sni ", name));
                if is_resolver(name.as_deref(), protocol.as_deref(), peer, port) && !is_listed {
                    say(self.tell(opening, Trait::Doh, CryptoNews::Doh));
                }
                if let Some(name) = name {
                    let shows = Trait::Name(name.clone());
                    if self.is_news(opening, &shows, is_listed, settings) {
                        say(self.tell(opening, shows, CryptoNews::Name));
                    }
                }
                if let Some(ja4) = ja4 {
                    let (shows, is_listed) =
                        (Trait::Ja4(ja4.clone()), opening.is_listed("ja4 ", ja4));
                    if self.is_news(opening, &shows, is_listed, settings) {
                        say(self.tell(opening, shows, CryptoNews::ja4(ja4)));
                    }
                }
            }
            Feature::Ssh(hassh) => {
                let text: String = hassh.iter().map(|octet| format!("{octet:02x}")).collect();
                let (shows, is_listed) = (Trait::Ssh(*hassh), opening.is_listed("hassh ", &text));
                if self.is_news(opening, &shows, is_listed, settings) {
                    say(self.tell(opening, shows, CryptoNews::Ssh(*hassh)));
                }
            }
            Feature::Clear(hundredths) if *hundredths >= settings.min_entropy => {
                if !opening.is_in_window {
                    let tuple = &features.tuple;
                    let port = tuple.destination_port.min(tuple.source_port);
                    let (hundredths, octets) = (*hundredths, settings.octets);
                    let shows = Trait::Clear(tuple.protocol, port);
                    say(self.tell(opening, shows, CryptoNews::Entropy { hundredths, octets }));
                }
            }
            Feature::Clear(_) | Feature::Http(_) => {}
        }
    }

    /// Whether a trait is none of the equipment's own. What it shows in its first weeks, within a
    /// change window, or as the policy lists, is.
    fn is_news(
        &mut self,
        opening: &Opening<'_>,
        shows: &Trait,
        is_listed: bool,
        settings: &Settings,
    ) -> bool {
        let at = opening.features.at;
        let fresh = || Known { is_own: true, first: at, ..Known::default() };
        let since = self.traits.entry(key(opening, Trait::Since), fresh);
        if since.first.since(at) > LATE {
            // A clock that was ahead has come back.
            since.first = at;
        }
        (since.is_since, since.last) = (true, at);
        let is_learning = at.since(since.first) < settings.learning;
        let known = self.traits.entry(key(opening, shows.clone()), Known::default);
        known.is_own |= is_learning || is_listed || opening.is_in_window;
        known.last = at;
        !known.is_own
    }

    fn tell(&mut self, opening: &Opening<'_>, shows: Trait, news: CryptoNews) -> Finding {
        let (features, day) = (opening.features, opening.day);
        let key = key(opening, shows);
        let instance = number_of(&key);
        let known = self.traits.entry(key, Known::default);
        known.last = features.at;
        known.told = known.told.filter(|told| told.covers(day));
        let told =
            known.told.get_or_insert_with(|| Told::new(day, Fact::Crypto(news), features.at));
        let peer = Some(features.tuple.destination);
        let subject = Subject { detection: EGR_CRYPTO, severity: Severity::Medium, peer, instance };
        told.grow_by(Size { packets: 1, bytes: features.bytes, last: features.at }, subject)
    }
}

fn key(opening: &Opening<'_>, shows: Trait) -> TraitKey {
    TraitKey { equipment: opening.equipment.to_owned(), shows }
}

#[cfg(test)]
mod tests {
    use weir_engine::rules::{EquipmentId, Link};

    use super::*;
    use crate::test_spells::{activity, hours};

    const SETTINGS: Settings =
        Settings { learning: Nanos(14 * 86_400_000_000_000), min_entropy: 730, octets: 512 };
    const DAY: f64 = 24.0;
    const JA4: &str = "t13d1516h2_8daaf6152771_e5627efa2ab1";

    fn tls(name: &str, ja4: &str) -> Feature {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Feature::Tls { name: some(name), protocol: some("h2"), ja4: some(ja4) }
    }

    #[derive(Default)]
    struct Site {
        crypto: Crypto,
        listed: Vec<String>,
        is_in_window: bool,
        peer: Option<[u8; 4]>,
        equipment: Option<&'static str>,
    }

    impl Site {
        fn show(&mut self, at: f64, shows: Feature) -> Vec<Fact> {
            let spell = activity(hours(at));
            let mut tuple = spell.tuple;
            tuple.destination = self.peer.map_or(tuple.destination, IpAddr::from);
            let features = Features {
                equipment: EquipmentId(0),
                peer_equipment: None,
                tuple,
                flow_id: 7,
                shows,
                folded: 0,
                bytes: 600,
                at: hours(at),
                allowed: true,
                tap: 0,
                link: Link::Oam,
                policy: 1,
            };
            let opening = Opening {
                equipment: self.equipment.unwrap_or("gnb-1"),
                features: &features,
                day: hours(at).day(),
                is_in_window: self.is_in_window,
                listed: &self.listed,
            };
            let mut told = Vec::new();
            self.crypto.observe(&opening, &SETTINGS, &mut |it| told.push(it.fact));
            told
        }
    }

    #[test]
    fn names_libraries_and_offers_of_the_first_weeks_are_its_own_and_later_ones_are_told() {
        let mut site = Site::default();
        assert_eq!(site.show(DAY, tls("update.vendor.example", JA4)), []);
        assert_eq!(site.show(14.9 * DAY, Feature::Ssh([1; 16])), []);
        assert_eq!(site.show(30.0 * DAY, tls("update.vendor.example", JA4)), []);
        assert_eq!(site.show(30.0 * DAY, Feature::Ssh([1; 16])), []);
        let news = |news| vec![Fact::Crypto(news)];
        assert_eq!(site.show(31.0 * DAY, tls("evil.example", JA4)), news(CryptoNews::Name));
        let other = JA4.replace('8', "9");
        let told = site.show(31.0 * DAY, tls("update.vendor.example", &other));
        assert_eq!(told, news(CryptoNews::ja4(&other)));
        assert_eq!(site.show(31.0 * DAY, Feature::Ssh([2; 16])), news(CryptoNews::Ssh([2; 16])));
        assert_eq!(site.show(90.0 * DAY, tls("evil.example", "")).len(), 1, "it stays news");
    }

    #[test]
    fn what_the_policy_lists_and_what_a_change_window_brings_is_its_own() {
        let mut site = Site::default();
        site.show(0.0, tls("a.example", ""));
        let listed = ["sni vendor.example", "ja4 x", "hassh 02020202020202020202020202020202"];
        site.listed = listed.map(str::to_owned).to_vec();
        for shows in [tls("new.vendor.example", "x"), Feature::Ssh([2; 16])] {
            assert_eq!(site.show(20.0 * DAY, shows), []);
        }
        site.is_in_window = true;
        assert_eq!(site.show(21.0 * DAY, tls("upgraded.example", "y")), []);
        site.is_in_window = false;
        assert_eq!(site.show(22.0 * DAY, tls("upgraded.example", "y")), []);
        assert_eq!(site.show(22.0 * DAY, tls("other.example", "y")).len(), 1);
    }

    #[test]
    fn dns_over_https_and_sealed_clear_text_are_told_at_once() {
        let doh = vec![Fact::Crypto(CryptoNews::Doh)];
        for name in ["dns.google", "chrome.cloudflare-dns.com", "doh.evil.example", "dns-2.example"]
        {
            assert_eq!(Site::default().show(0.0, tls(name, "")), doh, "{name}");
        }
        for name in ["dnsmasq.example", "evildns.google.example", "www.example"] {
            assert_eq!(Site::default().show(0.0, tls(name, "")), [], "{name}");
        }
        let mut bare = Site { peer: Some([1, 1, 1, 1]), ..Site::default() };
        assert_eq!(bare.show(0.0, tls("", JA4)), doh);
        let mut wanted = Site { listed: vec!["sni dns.google".into()], ..Site::default() };
        assert_eq!(wanted.show(0.0, tls("dns.google", "")), []);
        let mut site = Site::default();
        assert_eq!(site.show(0.0, Feature::Clear(729)), []);
        let sealed = CryptoNews::Entropy { hundredths: 741, octets: 512 };
        assert_eq!(site.show(0.0, Feature::Clear(741)), [Fact::Crypto(sealed)]);
        site.is_in_window = true;
        assert_eq!(site.show(0.0, Feature::Clear(741)), []);
    }

    #[test]
    fn a_flood_of_new_names_drives_nothing_out_that_is_known() {
        let mut site = Site { crypto: Crypto { traits: Memory::new(100) }, ..Site::default() };
        site.show(0.0, tls("own.example", JA4));
        for n in 0..1_000 {
            site.show(20.0 * DAY, tls(&format!("{n}.evil.example"), ""));
        }
        assert_eq!(site.show(21.0 * DAY, tls("own.example", JA4)), []);
    }

    #[test]
    fn a_flood_while_one_node_is_learnt_lets_no_other_be_learnt_anew() {
        let mut site = Site { crypto: Crypto { traits: Memory::new(100) }, ..Site::default() };
        site.show(0.0, tls("own.example", JA4));
        site.equipment = Some("gnb-2");
        for n in 0..1_000 {
            site.show(20.0 * DAY, tls(&format!("{n}.example"), ""));
        }
        site.equipment = None;
        let told = site.show(21.0 * DAY, tls("evil.example", ""));
        assert_eq!(told, [Fact::Crypto(CryptoNews::Name)]);
    }
}
