//! Flows as IPFIX (RFC 7011): messages, their sequence, and templates again and again where nothing
//! says that they came. What stands in a record is [`record`]'s.

mod header;
mod record;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{BufMut, BytesMut};
use weir_policy::{IpfixConfig, Transport};

use super::Failure;
use super::queue::Item;

pub use record::Flows;

/// RFC 7011 §3.1.
const VERSION: u16 = 10;
const MESSAGE_HEADER: usize = 16;
const SET_HEADER: usize = 4;
/// The set of templates (RFC 7011 §3.3.2).
const TEMPLATES: u16 = 2;
/// What fits the smallest path of IPv6 (1,280 octets) behind its header and UDP's: nobody has to
/// know the path (RFC 7011 §10.3.3).
const DATAGRAM: usize = 1232;
/// A message of a stream.
const MESSAGE: usize = 16 << 10;
/// How often templates are told again over UDP: collectors forget them after half an hour or more.
const AGAIN: Duration = Duration::from_secs(60);

/// What makes messages of records.
pub(super) struct Exporter {
    is_datagram: bool,
    domain: u32,
    enterprise: u32,
    /// Data records told in this transport session (RFC 7011 §3.1).
    sequence: u32,
    /// When templates were told last.
    told: Option<Instant>,
    /// Records of the last message.
    last: u64,
}

impl Exporter {
    pub(super) fn of(config: &IpfixConfig) -> Self {
        Self {
            is_datagram: config.transport == Transport::Udp,
            domain: config.observation_domain,
            enterprise: config.enterprise,
            sequence: 0,
            told: None,
            last: 0,
        }
    }

    /// A new transport session: nothing was told in it.
    pub(super) fn begin(&mut self) {
        (self.sequence, self.told, self.last) = (0, None, 0);
    }

    /// Records of the last message.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Tells the templates if it is time to.
    pub(super) fn refresh(
        &mut self,
        send: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let is_due = self.told.is_none_or(|told| self.is_datagram && told.elapsed() >= AGAIN);
        if !is_due {
            return Ok(());
        }
        let mut templates = record::templates(self.enterprise).into_iter().peekable();
        while templates.peek().is_some() {
            let mut set = BytesMut::new();
            while let Some(template) =
                templates.next_if(|next| self.fits(SET_HEADER + set.len() + next.len()))
            {
                set.put_slice(&template);
            }
            let mut message = self.message();
            put_set(TEMPLATES, &set, &mut message);
            send(&finished(message))?;
        }
        self.last = 0;
        self.told = Some(Instant::now());
        Ok(())
    }

    /// Sends a message of the first records, as many as fit; how many they were. At least one does.
    pub(super) fn pack(
        &mut self,
        records: &[Item],
        send: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let mut message = self.message();
        let mut packed = 0;
        while let Some(first) = records.get(packed) {
            let mut set = BytesMut::new();
            let before = message.len() - MESSAGE_HEADER + SET_HEADER;
            let alike = records[packed..].iter().take_while(|record| record.tag == first.tag);
            let start = packed;
            for record in alike {
                if packed > 0 && !self.fits(before + set.len() + record.bytes.len()) {
                    break;
                }
                set.put_slice(&record.bytes);
                packed += 1;
            }
            if packed == start {
                break;
            }
            put_set(first.tag, &set, &mut message);
        }
        send(&finished(message))?;
        self.sequence = self.sequence.wrapping_add(packed as u32);
        self.last = packed as u64;
        Ok(packed)
    }

    fn fits(&self, content: usize) -> bool {
        MESSAGE_HEADER + content <= if self.is_datagram { DATAGRAM } else { MESSAGE }
    }

    /// A message without its sets; the length is put in at the end.
    fn message(&self) -> BytesMut {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut message = BytesMut::with_capacity(DATAGRAM);
        message.put_u16(VERSION);
        message.put_u16(0);
        // 32 bits last until 2106, and RFC 7011 has no more.
        message.put_u32(seconds as u32);
        message.put_u32(self.sequence);
        message.put_u32(self.domain);
        message
    }
}

fn put_set(id: u16, content: &[u8], message: &mut BytesMut) {
    message.put_u16(id);
    // A set is no larger than its message, which has 16 bits of length.
    message.put_u16((SET_HEADER + content.len()) as u16);
    message.put_slice(content);
}

fn finished(mut message: BytesMut) -> BytesMut {
    let length = message.len() as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exporter(is_datagram: bool) -> Exporter {
        Exporter { is_datagram, domain: 9, enterprise: 32473, sequence: 0, told: None, last: 0 }
    }

    fn sent(mut what: impl FnMut(&mut dyn FnMut(&[u8]) -> Result<(), Failure>)) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        what(&mut |message| {
            messages.push(message.to_vec());
            Ok(())
        });
        messages
    }

    /// The sets of a message: id and content.
    fn sets(message: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let word = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        assert_eq!((word(0), usize::from(word(2))), (10, message.len()));
        assert_eq!(message[12..16], [0, 0, 0, 9]);
        let mut sets = Vec::new();
        let mut at = MESSAGE_HEADER;
        while at < message.len() {
            let length = usize::from(word(at + 2));
            sets.push((word(at), message[at + SET_HEADER..at + length].to_vec()));
            at += length;
        }
        sets
    }

    fn sequence(message: &[u8]) -> u32 {
        u32::from_be_bytes(message[8..12].try_into().unwrap())
    }

    fn record(tag: u16, length: usize) -> Item {
        Item { is_grave: false, tag, bytes: vec![tag as u8; length] }
    }

    #[test]
    fn templates_come_first_fit_datagrams_and_come_again_over_udp_alone() {
        for is_datagram in [true, false] {
            let mut exporter = exporter(is_datagram);
            let first = sent(|mut send| exporter.refresh(&mut send).unwrap());
            let told: Vec<u8> = first.iter().flat_map(|it| sets(it).remove(0).1).collect();
            assert_eq!(told, record::templates(32473).concat());
            assert!(first.iter().all(|message| sequence(message) == 0));
            let limit = if is_datagram { DATAGRAM } else { MESSAGE };
            assert!(first.iter().all(|message| message.len() <= limit));
            assert!(sent(|mut send| exporter.refresh(&mut send).unwrap()).is_empty());
            exporter.told = Instant::now().checked_sub(AGAIN);
            let again = sent(|mut send| exporter.refresh(&mut send).unwrap());
            assert_eq!(!again.is_empty(), is_datagram);
        }
    }

    #[test]
    fn records_are_counted_and_what_is_alike_shares_a_set() {
        let mut exporter = exporter(true);
        let records = [record(256, 10), record(256, 10), record(257, 20), record(256, 10)];
        let messages = sent(|mut send| {
            assert_eq!(exporter.pack(&records, &mut send).unwrap(), 4);
            assert_eq!(exporter.pack(&records[..1], &mut send).unwrap(), 1);
        });
        let ids: Vec<_> = sets(&messages[0]).iter().map(|(id, it)| (*id, it.len())).collect();
        assert_eq!(ids, [(256, 20), (257, 20), (256, 10)]);
        assert_eq!((sequence(&messages[0]), sequence(&messages[1])), (0, 4));
        assert_eq!(exporter.last(), 1);
        exporter.begin();
        let anew = sent(|mut send| assert!(exporter.pack(&records[..1], &mut send).is_ok()));
        assert_eq!(sequence(&anew[0]), 0, "each transport session counts for itself");
    }

    #[test]
    fn no_datagram_is_larger_than_the_smallest_path() {
        let mut exporter = exporter(true);
        let records: Vec<_> = (0..100).map(|number| record(256 + number % 2, 100)).collect();
        let mut rest = &records[..];
        let messages = sent(|mut send| {
            while !rest.is_empty() {
                rest = &rest[exporter.pack(rest, &mut send).unwrap()..];
            }
        });
        assert!(messages.iter().all(|message| message.len() <= DATAGRAM));
        let told: usize = messages.iter().map(|message| sets(message).len()).sum();
        assert_eq!((told, exporter.sequence), (100, 100));
        let failed = exporter.pack(&records, &mut |_| Err(Failure::Send));
        assert_eq!((failed, exporter.sequence), (Err(Failure::Send), 100));
    }
}
