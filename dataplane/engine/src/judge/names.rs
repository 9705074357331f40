//! What equipment calls the addresses that it talks to: the questions of its
//! DNS answers, else the server names of its TLS hellos (SNI, RFC 6066 §3).
//!
//! A DNS name goes first. That it leads to the address is what a resolver says;
//! a server name is what the equipment itself claims, and a stolen secret may as
//! well be carried out under the name of a bank. It is told all the same, since
//! mostly it is the truth, and where it is not, it is what to search logs for.

use std::net::IpAddr;

use simple_dns::rdata::RData;
use simple_dns::{Packet, header_buffer};
use tls_parser::{
    SNIType, TlsExtension, TlsExtensionType, TlsHandshakeType, TlsRecordType,
    parse_tls_extension_sni_content, parse_tls_handshake_client_hello, parse_tls_record_header,
};
use weir_wire::Address;

use crate::contract::verdict::MAX_NAME;
use crate::judge::bounded::Bounded;
use crate::rules::EquipmentId;

/// Names of either origin that are kept at a time.
const NAMES: usize = 1 << 16;

/// Answers that are read of a DNS message.
const ANSWERS: u16 = 32;

/// Answers × compression pointers of a DNS message beyond which it is not read.
/// Each name may lead its parser along every pointer; a hundred answers that each
/// point to the question come to 3,200.
const WAYS: usize = 4096;

/// Names by (which equipment uses it, address). Of hellos there may be as many as
/// equipment likes, so they have a table of their own and push no answer out.
#[derive(Debug)]
pub(crate) struct Names {
    asked: Bounded<(EquipmentId, Address), String>,
    claimed: Bounded<(EquipmentId, Address), String>,
}

impl Default for Names {
    fn default() -> Self {
        Self { asked: Bounded::new(NAMES), claimed: Bounded::new(NAMES) }
    }
}

impl Names {
    /// Learns the addresses of a DNS answer under the name that was asked for.
    /// What is no DNS teaches nothing.
    pub(crate) fn learn_answer(&mut self, client: EquipmentId, message: &[u8]) {
        let Some(message) = bounded(message) else { return };
        let Ok(packet) = Packet::parse(&message) else { return };
        let Some(question) = packet.questions.first() else { return };
        let asked = printable(&question.qname.to_string());
        for answer in &packet.answers {
            let address = match &answer.rdata {
                RData::A(a) => Address::v4(a.address.to_be_bytes()),
                RData::AAAA(aaaa) => Address(aaaa.address),
                _ => continue,
            };
            let name = self.asked.entry((client, address), String::new);
            asked.clone_into(name);
        }
    }

    /// Learns the name by which a ClientHello, of which `segment` has at least the
    /// beginning, calls its server. What is no hello, or names nobody, teaches nothing.
    pub(crate) fn learn_hello(&mut self, client: EquipmentId, server: Address, segment: &[u8]) {
        if let Some(name) = host_name(&handshake(segment)) {
            *self.claimed.entry((client, server), String::new) = name;
        }
    }

    /// What `client` calls `address`.
    pub(crate) fn find(&self, client: EquipmentId, address: Address) -> Option<&str> {
        let key = (client, address);
        self.asked.find(&key).or_else(|| self.claimed.find(&key)).map(String::as_str)
    }

    /// Forgets all names.
    pub(crate) fn forget(&mut self) {
        self.asked.clear();
        self.claimed.clear();
    }

    /// Names given up for others so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.asked.evictions() + self.claimed.evictions()
    }
}

/// The labels of the name that a DNS message asks for, which may be cut behind its question. None if
/// it has not one question.
pub(super) fn asked(message: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut message = bounded(message)?;
    message.get_mut(6..8)?.fill(0);
    let packet = Packet::parse(&message).ok()?;
    Some(packet.questions.first()?.qname.as_bytes().map(<[u8]>::to_vec).collect())
}

/// A label as events carry it, in which no octet stands for the end of another.
pub(super) fn defused(label: &[u8]) -> String {
    printable(&String::from_utf8_lossy(label)).replace('.', "?")
}

/// A DNS message cut down to its question and first answers, so that its parser,
/// which follows every name of every section, has little to do whoever wrote it.
/// None if it has not one question, or is a maze of compression pointers.
fn bounded(message: &[u8]) -> Option<Vec<u8>> {
    if header_buffer::questions(message).ok()? != 1 {
        return None;
    }
    let answers = header_buffer::answers(message).ok()?.min(ANSWERS);
    if usize::from(answers) * pointers(message) > WAYS {
        return None;
    }
    let mut message = message.to_vec();
    message.get_mut(6..8)?.copy_from_slice(&answers.to_be_bytes());
    // The numbers of name servers and additional records.
    message.get_mut(8..12)?.fill(0);
    Some(message)
}

/// What could be a compression pointer in a message: only backward ones are followed.
fn pointers(message: &[u8]) -> usize {
    let is_pointer = |(at, pair): (usize, &[u8])| match pair {
        &[high @ 0xc0..=0xff, low] => usize::from(u16::from_be_bytes([high & 0x3f, low])) < at,
        _ => false,
    };
    message.windows(2).enumerate().filter(|pair| is_pointer(*pair)).count()
}

/// The handshake messages at the beginning of a TLS stream, out of their records:
/// some clients spread a hello over many so that observers miss the name in it.
pub(super) fn handshake(mut segment: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    while let Ok((rest, header)) = parse_tls_record_header(segment)
        && header.record_type == TlsRecordType::Handshake
    {
        let (fragment, rest) = rest.split_at(rest.len().min(header.len.into()));
        messages.extend_from_slice(fragment);
        segment = rest;
    }
    messages
}

/// The first host name of a ClientHello, if it is there in full; what may be cut
/// off behind it does not matter. An address, which RFC 6066 forbids, is no name.
pub(super) fn host_name(message: &[u8]) -> Option<String> {
    let names = extension_of(message, TlsExtensionType::ServerName)?;
    let (_, TlsExtension::SNI(names)) = parse_tls_extension_sni_content(&names).ok()? else {
        return None;
    };
    let (_, name) = names.into_iter().find(|(kind, _)| *kind == SNIType::HostName)?;
    let name = String::from_utf8_lossy(name);
    let is_name = !name.is_empty() && name.parse::<IpAddr>().is_err();
    is_name.then(|| printable(&name))
}

/// What a ClientHello says of application protocols.
pub(super) fn alpn(message: &[u8]) -> Option<Vec<u8>> {
    extension_of(message, TlsExtensionType::ApplicationLayerProtocolNegotiation)
}

/// The content of a ClientHello's first extension of a type, if it is there in full.
fn extension_of(message: &[u8], wanted: TlsExtensionType) -> Option<Vec<u8>> {
    let (&[kind, a, b, c], body) = message.split_first_chunk()?;
    if kind != u8::from(TlsHandshakeType::ClientHello) {
        return None;
    }
    let len = u32::from_be_bytes([0, a, b, c]) as usize;
    let body = body.get(..len).unwrap_or(body);
    let (cut, hello) = parse_tls_handshake_client_hello(body).ok()?;
    // Of extensions that are not all there the parser leaves everything, behind
    // their common length.
    let extensions = hello.ext.or_else(|| cut.get(2..))?;
    extension(extensions, wanted).map(<[u8]>::to_vec)
}

/// A name as events carry it, of at most so many characters.
pub(super) fn defused_to(name: &[u8], most: usize) -> String {
    printable(&String::from_utf8_lossy(name)).chars().take(most).collect()
}

/// The content of the first extension of a type. The others are stepped over, not
/// parsed: one that the server overlooks shall not hide the one that it reads.
fn extension(mut extensions: &[u8], wanted: TlsExtensionType) -> Option<&[u8]> {
    loop {
        let (&[a, b, c, d], rest) = extensions.split_first_chunk()?;
        let (content, rest) = rest.split_at_checked(u16::from_be_bytes([c, d]).into())?;
        if u16::from_be_bytes([a, b]) == wanted.0 {
            return Some(content);
        }
        extensions = rest;
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

    const CLIENT: EquipmentId = EquipmentId(3);
    const SERVER: Address = Address::v4([192, 0, 2, 7]);

    /// "Evil.Example" asked for A: a CNAME that leads to 192.0.2.7.
    const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\
        \x04Evil\x07Example\0\0\x01\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x11\
        \xc0\x2a\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";

    #[test]
    fn an_address_is_called_as_it_was_asked_for() {
        let mut names = Names::default();
        names.learn_answer(CLIENT, ANSWER);
        assert_eq!(names.find(CLIENT, SERVER), Some("evil.example"));
        assert_eq!(names.find(EquipmentId(4), SERVER), None);
    }

    #[test]
    fn hostile_answers_teach_nothing_and_hostile_names_are_defused() {
        let mut names = Names::default();
        for end in 0..ANSWER.len() - 1 {
            names.learn_answer(CLIENT, &ANSWER[..end]);
        }
        assert_eq!(names.find(CLIENT, SERVER), None);
        assert_eq!(printable("<script>\u{1b}[2J"), "?script???2j");
        assert_eq!(printable(&"x".repeat(500)).len(), MAX_NAME);
    }

    /// A DNS header with these counts of questions and answers.
    fn header(questions: u16, answers: u16) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 0x81, 0x80];
        for count in [questions, answers, 0, 0] {
            message.extend(count.to_be_bytes());
        }
        message
    }

    /// Where a compression pointer leads.
    fn pointer(to: usize) -> [u8; 2] {
        (0xc000 | to as u16).to_be_bytes()
    }

    #[test]
    fn compression_that_loops_ends() {
        let mut names = Names::default();
        let a_record = b"\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";
        // Onto itself, onto the next, and backwards onto a label that leads here again.
        for qname in [&b"\xc0\x0c"[..], b"\xc0\x0e\xc0\x0c", b"\x01a\xc0\x0c", b"\xff\xff"] {
            let mut message = header(1, 1);
            message.extend(qname);
            message.extend(b"\0\x01\0\x01");
            message.extend(pointer(12));
            message.extend(a_record);
            assert!(Packet::parse(&message).is_err(), "{qname:?}");
            names.learn_answer(CLIENT, &message);
        }
        assert_eq!(names.find(CLIENT, SERVER), None);
    }

    #[test]
    fn a_maze_of_pointers_is_not_entered() {
        // A NULL record with a chain of pointers in it, and A records named by its end.
        let maze = |hops: usize| {
            let mut message = header(1, ANSWERS);
            message.extend(b"\x04evil\0\0\x01\0\x01");
            message.extend(b"\0\0\x0a\0\x01\0\0\0\0");
            message.extend((2 * hops as u16).to_be_bytes());
            for hop in 0..hops {
                let last = message.len() - 2;
                message.extend(pointer(if hop == 0 { 12 } else { last }));
            }
            let last = message.len() - 2;
            for _ in 1..ANSWERS {
                message.extend(pointer(last));
                message.extend(b"\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07");
            }
            message
        };
        let mut names = Names::default();
        // Each A record counts twice: its address could be a pointer too.
        let widest = WAYS / usize::from(ANSWERS) - 2 * usize::from(ANSWERS);
        assert!(Packet::parse(&maze(widest + 1000)).is_ok(), "the parser would enter");
        names.learn_answer(CLIENT, &maze(widest + 1000));
        assert_eq!(names.find(CLIENT, SERVER), None);
        names.learn_answer(CLIENT, &maze(widest));
        assert_eq!(names.find(CLIENT, SERVER), Some("evil"));
        assert_eq!((pointers(ANSWER), pointers(b""), pointers(b"\xc0")), (4, 0, 0));
    }

    #[test]
    fn only_the_question_and_the_first_answers_are_read() {
        let answer = |records: u16| {
            let mut message = header(1, records);
            message.extend(b"\x04evil\0\0\x01\0\x01");
            for n in 0..records {
                message.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02");
                message.push(n as u8);
            }
            message
        };
        let known = |message: &[u8]| {
            let mut names = Names::default();
            names.learn_answer(CLIENT, message);
            let is_known =
                |n: &u8| names.find(CLIENT, Address::v4([192, 0, 2, *n])) == Some("evil");
            (0..=255).filter(is_known).count()
        };
        assert_eq!([known(&answer(3)), known(&answer(ANSWERS + 5))], [3, ANSWERS.into()]);
        // Counts that lie: of questions, answers, name servers, additional records.
        let lies = [4, 6, 8, 10].map(|at| {
            let mut lie = answer(2);
            lie[at] = 0xff;
            known(&lie)
        });
        assert_eq!(lies, [0, 0, 2, 2]);
    }

    /// An extension.
    fn extension_of(kind: u16, content: &[u8]) -> Vec<u8> {
        let mut extension = kind.to_be_bytes().to_vec();
        extension.extend((content.len() as u16).to_be_bytes());
        extension.extend(content);
        extension
    }

    /// A server name extension with these (type, name).
    fn sni(names: &[(u8, &[u8])]) -> Vec<u8> {
        let mut list = Vec::new();
        for (kind, name) in names {
            list.push(*kind);
            list.extend((name.len() as u16).to_be_bytes());
            list.extend(*name);
        }
        let mut content = (list.len() as u16).to_be_bytes().to_vec();
        content.extend(list);
        extension_of(0, &content)
    }

    /// A ClientHello with these extensions, as a handshake message.
    fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([0x5e; 32]);
        body.extend(b"\x02id\0\x04\x13\x01\x13\x02\x01\0");
        body.extend((extensions.concat().len() as u16).to_be_bytes());
        body.extend(extensions.concat());
        let mut message = vec![1];
        message.extend(&(body.len() as u32).to_be_bytes()[1..]);
        message.extend(body);
        message
    }

    /// Handshake bytes in records of at most `size` bytes.
    fn in_records(message: &[u8], size: usize) -> Vec<u8> {
        let mut stream = Vec::new();
        for fragment in message.chunks(size) {
            stream.extend([0x16, 3, 1]);
            stream.extend((fragment.len() as u16).to_be_bytes());
            stream.extend(fragment);
        }
        stream
    }

    /// What a segment makes equipment call its peer.
    fn learnt(segment: &[u8]) -> Option<String> {
        let mut names = Names::default();
        names.learn_hello(CLIENT, SERVER, segment);
        assert_eq!(names.find(EquipmentId(4), SERVER), None);
        names.find(CLIENT, SERVER).map(str::to_owned)
    }

    fn named(names: &[(u8, &[u8])]) -> Option<String> {
        learnt(&in_records(&hello(&[sni(names)]), 16_384))
    }

    const EVIL: &[u8] = b"Evil.Example";

    /// Grease and a status request that no parser likes, the name, a key share.
    fn full_hello() -> Vec<u8> {
        let before = [extension_of(0x0a0a, b""), extension_of(5, b"\x01")];
        let after = [extension_of(51, &[7; 1200])];
        hello(&[&before[..], &[sni(&[(0, EVIL)])], &after].concat())
    }

    #[test]
    fn a_server_is_called_by_the_name_of_the_hello_unless_dns_had_one() {
        let segment = in_records(&full_hello(), 16_384);
        assert_eq!(learnt(&segment).as_deref(), Some("evil.example"));
        let bank = in_records(&hello(&[sni(&[(0, b"bank.example")])]), 16_384);
        for answer_first in [true, false] {
            let mut names = Names::default();
            if answer_first {
                names.learn_answer(CLIENT, ANSWER);
            }
            names.learn_hello(CLIENT, SERVER, &bank);
            names.learn_answer(CLIENT, ANSWER);
            assert_eq!(names.find(CLIENT, SERVER), Some("evil.example"));
            names.forget();
            assert_eq!(names.find(CLIENT, SERVER), None);
        }
    }

    #[test]
    fn a_hello_split_at_any_byte_gives_the_name_once_it_is_whole() {
        let message = full_hello();
        let at = message.windows(EVIL.len()).position(|bytes| bytes == EVIL).unwrap();
        let whole = at + EVIL.len();
        for size in [1, 2, 3, 5, 64, 16_384] {
            let segment = in_records(&message, size);
            let enough = whole + 5 * whole.div_ceil(size);
            for end in 0..=segment.len() {
                let expected = (end >= enough).then_some("evil.example");
                let told = learnt(&segment[..end]);
                assert_eq!(told.as_deref(), expected, "{end} bytes, records of {size}");
            }
        }
    }

    #[test]
    fn bytes_between_the_records_of_other_types_end_the_hello() {
        let message = hello(&[sni(&[(0, EVIL)])]);
        let mut segment = in_records(&message[..20], 20);
        segment.extend(b"\x15\x03\x01\0\x02\x01\0");
        segment.extend(in_records(&message[20..], 16_384));
        assert_eq!(learnt(&segment), None);
        let mut server_hello = in_records(&message, 16_384);
        server_hello[5] = 2;
        assert_eq!(learnt(&server_hello), None);
    }

    #[test]
    fn names_that_are_none_teach_nothing_and_others_are_defused() {
        assert_eq!(named(&[]), None);
        assert_eq!(named(&[(0, b"")]), None);
        assert_eq!(named(&[(0, b"198.51.100.7")]), None);
        assert_eq!(named(&[(0, b"2001:db8::1")]), None);
        assert_eq!(named(&[(1, EVIL)]), None);
        assert_eq!(named(&[(1, b"x"), (0, EVIL), (0, b"two")]).as_deref(), Some("evil.example"));
        assert_eq!(named(&[(0, "\u{e4}.<b>".as_bytes())]).as_deref(), Some("?.?b?"));
        assert_eq!(named(&[(0, b"\xff\x1b[2J\0")]).as_deref(), Some("???2j?"));
        assert_eq!(named(&[(0, &[b'x'; 1500])]), Some("x".repeat(MAX_NAME)));
        let two = hello(&[sni(&[(0, EVIL)]), sni(&[(0, b"two")])]);
        assert_eq!(learnt(&in_records(&two, 16_384)).as_deref(), Some("evil.example"));
        // What is left of 64 KiB in the part that is kept.
        let long = in_records(&hello(&[sni(&[(0, &[b'x'; 65_500])])]), 16_384);
        assert_eq!(learnt(&long[..2048]), None);
    }

    #[test]
    fn lengths_that_lie_and_noise_give_no_other_name() {
        let segment = in_records(&full_hello(), 16_384);
        let name = segment.windows(EVIL.len()).position(|bytes| bytes == EVIL).unwrap();
        // Every byte before the name, among them every length.
        for at in 0..name {
            for value in 0..=255 {
                let mut lie = segment.clone();
                lie[at] = value;
                let Some(told) = learnt(&lie) else { continue };
                assert!("evil.example".starts_with(&told), "{told:?}: byte {at} is {value}");
            }
        }
        let mut noise = 0x5eed_0003_u64;
        for len in 0..2048 {
            let mut bytes = vec![0x16, 3, 1, 8, 0, 1, 0, 7, 0xff];
            for _ in 0..len {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                bytes.push(noise as u8);
            }
            learnt(&bytes);
            learnt(&bytes[9..]);
        }
    }

    #[test]
    fn claims_push_no_answer_out() {
        let mut names = Names::default();
        names.learn_answer(CLIENT, ANSWER);
        let segment = in_records(&hello(&[sni(&[(0, b"flood")])]), 16_384);
        for n in 0..=NAMES as u128 {
            names.learn_hello(CLIENT, Address(n), &segment);
        }
        assert_eq!(names.find(CLIENT, SERVER), Some("evil.example"));
        assert_eq!((names.find(CLIENT, Address(0)), names.evictions()), (None, 1));
        assert_eq!(names.find(CLIENT, Address(1)), Some("flood"));
    }
}
