//! What names equipment asks the DNS for: gathered by equipment and registered domain, and told
//! some seconds later, so that neither a tunnel nor a flood of names costs a record each.

use std::collections::{BTreeMap, HashMap, VecDeque};

use sha2::{Digest, Sha256};

use super::Judge;
use super::names::{asked, defused};
use crate::Nanos;
use crate::contract::content::{AskedName, MAX_ASKED, Questions};
use crate::contract::verdict::{MAX_NAME, Verdict};
use crate::report::{Seen, Speech};
use crate::rules::EquipmentId;

/// How long names are gathered before they are told.
const GATHERED: Nanos = Nanos::from_secs(10);
/// A row that has no room for another name is told no sooner than this.
const SOONEST: Nanos = Nanos::from_secs(1);
/// Domains that an equipment may ask under at a time; further ones share one row.
const DOMAINS: u32 = 512;
/// Rows at a time, besides one for each equipment that asks under too many domains.
const ROWS: usize = 1 << 14;

/// A name that was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Name {
    domain: String,
    /// The whole, defused.
    text: String,
    asked: AskedName,
    first_label: u8,
}

impl Name {
    /// The name of the only question of a DNS message, be it cut behind it.
    fn of(message: &[u8]) -> Option<Self> {
        let labels = asked(message)?;
        let text = labels.iter().map(|label| defused(label)).collect::<Vec<_>>().join(".");
        let domain = psl::domain_str(&text).unwrap_or(&text).to_owned();
        let own = labels.len().saturating_sub(domain.split('.').count());
        let before: Vec<u8> = labels.iter().take(own).flatten().copied().collect();
        let mut hash = Sha256::new();
        for label in &labels {
            hash.update([label.len() as u8]);
            hash.update(label.to_ascii_lowercase());
        }
        let mut digest = [0; 8];
        digest.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        let first_label = labels.first().map_or(0, Vec::len).min(u8::MAX.into()) as u8;
        let asked = AskedName { digest, bits: information(&before) };
        Some(Self { domain, text, asked, first_label })
    }
}

/// The bits that octets carry, if each were drawn by how often it is among them.
pub(crate) fn information(octets: &[u8]) -> u16 {
    (octets.len() as f64 * entropy(octets)).round() as u16
}

/// Bits an octet.
pub(crate) fn entropy(octets: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    octets.iter().for_each(|octet| counts[usize::from(*octet)] += 1);
    let all = octets.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / all);
    shares.map(|share| -share * share.log2()).sum()
}

type Key = (EquipmentId, String);

#[derive(Debug)]
struct Row {
    seen: Seen,
    last: Nanos,
    text: String,
    names: Vec<AskedName>,
    folded: u64,
    total: (u64, u64),
    first_label: u8,
}

/// The rows, and when each is due.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    rows: BTreeMap<Key, Row>,
    domains: HashMap<EquipmentId, u32>,
    due: VecDeque<(Nanos, Key)>,
    /// When to look for them again.
    next: Nanos,
    /// Questions that had to share a row.
    shared: u64,
}

impl Asked {
    /// Adds a question.
    fn add(&mut self, seen: &Seen, name: Name) {
        let mut key = (seen.client, name.domain);
        // The root, of which nobody is the owner, takes the shared row and no room of a domain.
        if !key.1.is_empty() && !self.rows.contains_key(&key) {
            let domains = self.domains.entry(seen.client).or_default();
            if *domains >= DOMAINS || self.rows.len() >= ROWS {
                key.1 = String::new();
                self.shared += 1;
            } else {
                *domains += 1;
            }
        }
        let row = self.rows.entry(key).or_insert_with_key(|key| {
            self.due.push_back((seen.time, key.clone()));
            Row {
                seen: *seen,
                last: seen.time,
                text: String::new(),
                names: Vec::new(),
                folded: 0,
                total: (0, 0),
                first_label: 0,
            }
        });
        row.last = row.last.max(seen.time);
        row.total = (row.total.0 + 1, row.total.1 + u64::from(seen.bytes));
        row.first_label = row.first_label.max(name.first_label);
        if name.text.len() > row.text.len() {
            row.text = name.text;
        }
        if row.names.iter().any(|known| known.digest == name.asked.digest) {
            return;
        }
        if row.names.len() < MAX_ASKED {
            row.names.push(name.asked);
        } else {
            row.folded += 1;
        }
    }

    /// Whether the row that waits longest is to be told at `now`.
    fn is_due(&self, (since, key): &(Nanos, Key), now: Nanos) -> bool {
        let is_full = self.rows.get(key).is_some_and(|row| row.names.len() >= MAX_ASKED);
        // Of a clock that was set back nobody waits for the time that was.
        now >= since.plus(if is_full { SOONEST } else { GATHERED }) || now.plus(GATHERED) < *since
    }

    /// Takes the rows that are due.
    fn take(&mut self, now: Nanos) -> Vec<(Key, Row)> {
        let mut taken = Vec::new();
        let is_soon = now < self.next && self.next <= now.plus(SOONEST);
        if is_soon || self.due.is_empty() {
            return taken;
        }
        self.next = now.plus(SOONEST);
        let mut waiting = VecDeque::with_capacity(self.due.len());
        while let Some(next) = self.due.pop_front() {
            // Those behind began later, but may be full.
            if !self.is_due(&next, now) {
                waiting.push_back(next);
                continue;
            }
            if let Some(row) = self.rows.remove(&next.1) {
                if !next.1.1.is_empty()
                    && let Some(domains) = self.domains.get_mut(&next.1.0)
                {
                    *domains -= 1;
                }
                taken.push((next.1, row));
            }
        }
        self.due = waiting;
        taken
    }

    /// Questions that shared a row for lack of room so far.
    pub(crate) fn shared(&self) -> u64 {
        self.shared
    }
}

impl Judge {
    /// Notes the name of a question, or of an answer's question.
    pub(super) fn note_question(&mut self, seen: &Seen, speech: Speech, message: &[u8]) {
        // The asker's way.
        let upward = seen.upward == (speech == Speech::DnsQuestion);
        let resolver = if upward { seen.flow.high } else { seen.flow.low };
        // Where copies go is told of in confidence only.
        if self.is_confidential(resolver) {
            return;
        }
        if let Some(name) = Name::of(message) {
            self.asked.add(&Seen { upward, ..*seen }, name);
        }
    }

    /// Tells of the names that were gathered long enough.
    pub(super) fn say_questions(&mut self, now: Nanos, say: &mut impl FnMut(Verdict)) {
        for ((equipment, domain), row) in self.asked.take(now) {
            let cut = |text: &str| text.chars().take(MAX_NAME).collect::<String>();
            say(Verdict::Questions(Box::new(Questions {
                equipment,
                domain: cut(&domain),
                name: cut(&row.text),
                names: row.names,
                folded: row.folded,
                total: row.total,
                first_label: row.first_label,
                tuple: row.seen.flow.tuple(row.seen.upward),
                first: row.seen.time,
                last: row.last,
                tap: row.seen.tap.0,
                link: row.seen.link,
                policy: self.words.policy_version,
            })));
        }
    }
}
