//! What equipment calls the addresses that it talks to: the questions of its
//! DNS answers.

use simple_dns::Packet;
use simple_dns::rdata::RData;
use weir_wire::Address;

use crate::contract::verdict::MAX_NAME;
use crate::judge::bounded::Bounded;
use crate::rules::EquipmentId;

/// Names that are kept at a time.
const NAMES: usize = 1 << 16;

/// Names by (who asked, address).
#[derive(Debug)]
pub(crate) struct Names {
    names: Bounded<(EquipmentId, Address), String>,
}

impl Default for Names {
    fn default() -> Self {
        Self { names: Bounded::new(NAMES) }
    }
}

impl Names {
    /// Learns the addresses of a DNS answer under the name that was asked for.
    /// What is no DNS teaches nothing.
    pub(crate) fn learn(&mut self, client: EquipmentId, message: &[u8]) {
        let Ok(packet) = Packet::parse(message) else { return };
        let Some(question) = packet.questions.first() else { return };
        let asked = printable(&question.qname.to_string());
        for answer in &packet.answers {
            let address = match &answer.rdata {
                RData::A(a) => Address::v4(a.address.to_be_bytes()),
                RData::AAAA(aaaa) => Address(aaaa.address),
                _ => continue,
            };
            let name = self.names.entry((client, address), String::new);
            asked.clone_into(name);
        }
    }

    /// What `client` calls `address`.
    pub(crate) fn find(&self, client: EquipmentId, address: Address) -> Option<&str> {
        self.names.find(&(client, address)).map(String::as_str)
    }

    /// Forgets all names.
    pub(crate) fn forget(&mut self) {
        self.names.clear();
    }

    /// Names given up for others so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.names.evictions()
    }
}

/// A name as events carry it: lower case, bounded, and nothing in it that a
/// terminal, a log or a browser could take for a command.
fn printable(name: &str) -> String {
    name.chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '-' | '_' | '.') => c,
            _ => '?',
        })
        .take(MAX_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Evil.Example" asked for A: a CNAME that leads to 192.0.2.7.
    const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\
        \x04Evil\x07Example\0\0\x01\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x11\
        \xc0\x2a\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";

    #[test]
    fn an_address_is_called_as_it_was_asked_for() {
        let mut names = Names::default();
        names.learn(EquipmentId(3), ANSWER);
        let address = Address::v4([192, 0, 2, 7]);
        assert_eq!(names.find(EquipmentId(3), address), Some("evil.example"));
        assert_eq!(names.find(EquipmentId(4), address), None);
    }

    #[test]
    fn hostile_answers_teach_nothing_and_hostile_names_are_defused() {
        let mut names = Names::default();
        for end in 0..ANSWER.len() - 1 {
            names.learn(EquipmentId(1), &ANSWER[..end]);
        }
        assert_eq!(names.find(EquipmentId(1), Address::v4([192, 0, 2, 7])), None);
        assert_eq!(printable("<script>\u{1b}[2J"), "?script???2j");
        assert_eq!(printable(&"x".repeat(500)).len(), MAX_NAME);
    }
}
