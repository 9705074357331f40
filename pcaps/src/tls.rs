//! TLS 1.3 records as they look on the wire (RFC 8446 §4.1, §5): real hellos, opaque data.

use serde::Deserialize;

use crate::chance::Chance;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const X25519: [u8; 2] = [0, 29];

/// Who makes hellos: each offers its own, by which it is known.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Library {
    /// What the equipment came with.
    #[default]
    Own,
    /// Another one, with more suites and extensions in another order.
    Other,
}

/// A ClientHello that names the server.
pub(crate) fn client_hello(server_name: &str, library: Library, chance: &mut Chance) -> Vec<u8> {
    let name = server_name.as_bytes();
    let host = [&[0][..], &short(name)].concat();
    let server = extension(0, &short(&host));
    let groups = extension(10, &short(&X25519));
    let protocols = extension(16, &short(b"\x02h2\x08http/1.1"));
    let share = extension(51, &short(&key_share(chance)));
    let random = chance.bytes(32);
    let session = chance.bytes(32);
    let (suites, extensions) = match library {
        Library::Own => (
            short(&[0x13, 1, 0x13, 2, 0x13, 3]),
            [
                server,
                groups,
                extension(13, &short(&[4, 3, 8, 4, 4, 1])),
                protocols,
                extension(43, &[2, 3, 4]),
                share,
            ]
            .concat(),
        ),
        Library::Other => (
            short(&[0x13, 2, 0x13, 3, 0x13, 1, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9]),
            [
                extension(23, &[]),
                extension(0xff01, &[0]),
                extension(13, &short(&[4, 3, 5, 3, 8, 4, 8, 5, 8, 6])),
                share,
                extension(43, &[4, 3, 4, 3, 3]),
                extension(11, &[1, 0]),
                groups,
                protocols,
                server,
            ]
            .concat(),
        ),
    };
    let mut body = vec![3, 3];
    body.extend(random);
    body.push(32);
    body.extend(session);
    body.extend(suites);
    body.extend([1, 0]);
    body.extend(short(&extensions));
    handshake(1, &body)
}

/// What a server answers with: ServerHello, ChangeCipherSpec and its encrypted certificate.
pub(crate) fn server_flight(certificate_bytes: usize, chance: &mut Chance) -> Vec<u8> {
    let extensions = [extension(43, &[3, 4]), extension(51, &key_share(chance))].concat();
    let mut body = vec![3, 3];
    body.extend(chance.bytes(32));
    body.push(32);
    body.extend(chance.bytes(32));
    body.extend([0x13, 1, 0]);
    body.extend(short(&extensions));
    [
        handshake(2, &body),
        record(CHANGE_CIPHER_SPEC, &[1]),
        application_data(certificate_bytes, chance),
    ]
    .concat()
}

/// A record of encrypted data; `bytes` are of the record's content, at most 16 KiB.
pub(crate) fn application_data(bytes: usize, chance: &mut Chance) -> Vec<u8> {
    record(APPLICATION_DATA, &chance.bytes(bytes))
}

fn key_share(chance: &mut Chance) -> Vec<u8> {
    [&X25519[..], &short(&chance.bytes(32))].concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    record(HANDSHAKE, &[&[kind][..], &length[1..], body].concat())
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &short(content)].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &short(content)].concat()
}

/// A vector behind its length in two octets.
fn short(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}
