//! HASSH of an SSH key exchange (RFC 4253 §7.1), as Salesforce publishes it: the MD5 of what a side
//! offers to exchange keys, encrypt, authenticate and compress by.

use md5::{Digest, Md5};

/// SSH_MSG_KEXINIT.
const KEXINIT: u8 = 20;

/// Whether an SSH banner, or a packet of a key exchange, begins a segment.
pub(crate) fn begins(segment: &[u8]) -> bool {
    segment.starts_with(b"SSH-") || packet(segment).is_some()
}

/// The payload of a packet of a key exchange, of which at least the beginning is there.
fn packet(bytes: &[u8]) -> Option<&[u8]> {
    let (&[a, b, c, d, padding, KEXINIT], rest) = bytes.split_first_chunk()? else { return None };
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    ((64..=35_000).contains(&len) && usize::from(padding) < len).then_some(rest)
}

/// Of the side that asked for the connection, or of the other, what it offers.
pub(super) fn hassh(segment: &[u8], is_client: bool) -> Option<[u8; 16]> {
    let mut bytes = segment;
    if segment.starts_with(b"SSH-") {
        let end = segment.iter().position(|octet| *octet == b'\n')?;
        bytes = segment.get(end + 1..)?;
    }
    let mut rest = packet(bytes)?.get(16..)?;
    let mut lists = Vec::new();
    // Key exchange, host keys; encryption, authentication, compression, each both ways.
    while lists.len() < 8 {
        let (len, behind) = rest.split_first_chunk()?;
        let (list, behind) = behind.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        if !list.iter().all(|octet| octet.is_ascii_graphic()) {
            return None;
        }
        lists.push(list);
        rest = behind;
    }
    let way = usize::from(!is_client);
    let offered = [lists[0], lists[2 + way], lists[4 + way], lists[6 + way]].join(&b';');
    Some(Md5::digest(offered).into())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A packet that offers these.
    pub(in crate::judge) fn kexinit(lists: [&str; 8]) -> Vec<u8> {
        let mut payload = vec![KEXINIT];
        payload.extend([0x5e; 16]);
        for list in lists.iter().chain(&["", ""]) {
            payload.extend((list.len() as u32).to_be_bytes());
            payload.extend(list.as_bytes());
        }
        payload.extend([0; 5]);
        let mut packet = (payload.len() as u32 + 5).to_be_bytes().to_vec();
        packet.push(4);
        packet.extend(payload);
        packet.extend([0; 4]);
        packet
    }

    const EXCHANGE: &str = "curve25519-sha256@libssh.org,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp521,\
        ecdh-sha2-nistp384,ecdh-sha2-nistp256,diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1,\
        diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,diffie-hellman-group15-sha512,\
        diffie-hellman-group16-sha512,diffie-hellman-group17-sha512,diffie-hellman-group18-sha512,\
        diffie-hellman-group14-sha256@ssh.com,diffie-hellman-group15-sha256,diffie-hellman-group15-sha256@ssh.com,\
        diffie-hellman-group15-sha384@ssh.com,diffie-hellman-group16-sha256,diffie-hellman-group16-sha384@ssh.com,\
        diffie-hellman-group16-sha512@ssh.com,diffie-hellman-group18-sha512@ssh.com";
    const ENCRYPTION: &str = "aes128-cbc,aes128-ctr,aes192-cbc,aes192-ctr,aes256-cbc,aes256-ctr,blowfish-cbc,\
        blowfish-ctr,cast128-cbc,cast128-ctr,idea-cbc,idea-ctr,serpent128-cbc,serpent128-ctr,serpent192-cbc,\
        serpent192-ctr,serpent256-cbc,serpent256-ctr,3des-cbc,3des-ctr,twofish128-cbc,twofish128-ctr,\
        twofish192-cbc,twofish192-ctr,twofish256-cbc,twofish256-ctr,twofish-cbc,arcfour,arcfour128,arcfour256";
    const MACS: &str = "hmac-sha1,hmac-sha1-96,hmac-md5,hmac-md5-96,hmac-sha2-256,hmac-sha2-512";
    const COMPRESSION: &str = "zlib@openssh.com,zlib,none";

    /// Cyberduck 6.7.1, the example of HASSH's description.
    fn cyberduck() -> Vec<u8> {
        kexinit([EXCHANGE, "ssh-rsa", ENCRYPTION, "x", MACS, "y", COMPRESSION, "z"])
    }

    fn hex(digest: Option<[u8; 16]>) -> String {
        digest.unwrap().iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[test]
    fn the_published_example_has_its_published_fingerprint() {
        let packet = cyberduck();
        assert_eq!(hex(hassh(&packet, true)), "8a8ae540028bf433cd68356c1b9e8d5b");
        let behind_banner = [b"SSH-2.0-Cyberduck/6.7.1\r\n", &packet[..]].concat();
        assert_eq!(hassh(&behind_banner, true), hassh(&packet, true));
        assert_ne!(hassh(&packet, false), hassh(&packet, true));
        assert!(begins(&packet) && begins(b"SSH-2.0-x"));
    }

    #[test]
    fn what_is_cut_or_lies_has_none() {
        let packet = cyberduck();
        let needed = packet.len() - 4 - 5 - 8;
        for end in 0..packet.len() {
            assert_eq!(hassh(&packet[..end], true).is_some(), end >= needed, "{end}");
        }
        for at in 0..6 {
            let mut lie = packet.clone();
            lie[at] = 0xff;
            let _ = hassh(&lie, true);
        }
        assert_eq!(hassh(b"SSH-2.0-no end", true), None);
        assert_eq!(hassh(&kexinit(["a b", "", "", "", "", "", "", ""]), true), None);
        assert!(!begins(b"\0\0\0\x0a\x02\x14") && !begins(b"GET / HTTP/1.1\r\n"));
    }
}
