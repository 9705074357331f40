//! What hides subscribers in the store: their addresses are sealed, and looked up by keyed hashes.
//!
//! The key is a file of its own in the state directory, mode 0600, made at the first start. A copy
//! of the database without it reveals nobody; with it removed nobody is revealed ever again.

use std::fs::{self, File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::cipher::Array;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher24Wide};

/// The key's file.
pub const FILE: &str = "subscribers.key";
/// Octets of the key, and of a cipher's tag.
const KEY: usize = 32;
const TAG: usize = 16;

/// Why the key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The system says so.
    #[error("{0}")]
    System(#[from] io::Error),
    /// Others could reveal subscribers.
    #[error("the key of subscribers' addresses has mode {0:04o}")]
    Open(u32),
    /// It is none.
    #[error("the key of subscribers' addresses has not {KEY} octets")]
    Malformed,
}

/// What a keyed hash is of, so that equal octets of different kinds have different ones.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    Address = 1,
    Supi = 2,
    Teid = 3,
    Session = 4,
}

/// The key at work.
pub struct Seal {
    cipher: Aes256Gcm,
    hashes: [u8; 16],
    nonces: [u8; 16],
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// The key of a state directory; a new one if it has none.
    ///
    /// # Errors
    /// That others may read it, that it is none, or what the system says.
    pub fn open(directory: &Path) -> Result<Self, SealError> {
        let path = directory.join(FILE);
        match File::open(&path) {
            Ok(file) => Self::read(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = make(directory, &path)?;
                Self::of(&key)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn read(file: File) -> Result<Self, SealError> {
        let mode = file.metadata()?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SealError::Open(mode));
        }
        let mut key = Vec::new();
        file.take(KEY as u64 + 1).read_to_end(&mut key)?;
        Self::of(&key.try_into().map_err(|_| SealError::Malformed)?)
    }

    fn of(key: &[u8; KEY]) -> Result<Self, SealError> {
        let parts = Hkdf::<Sha256>::new(None, key);
        let (mut cipher, mut hashes, mut nonces) = ([0; 32], [0; 16], [0; 16]);
        for (purpose, part) in [
            (&b"weir addresses"[..], &mut cipher[..]),
            (b"weir hashes", &mut hashes),
            (b"weir nonces", &mut nonces),
        ] {
            parts.expand(purpose, part).map_err(|_| SealError::Malformed)?;
        }
        Ok(Self { cipher: Aes256Gcm::new(&cipher.into()), hashes, nonces })
    }

    /// The keyed hash of octets, as SQLite holds it.
    pub fn hash(&self, kind: Kind, octets: &[u8]) -> i64 {
        let mut hasher = SipHasher24::new_with_key(&self.hashes);
        hasher.write_u8(kind as u8);
        hasher.write(octets);
        hasher.finish() as i64
    }

    /// The pseudonym of a subscriber's address. A subscriber has the whole of an IPv6 prefix of 64 bits, so
    /// that all its addresses have one.
    pub fn pseudonym(&self, address: IpAddr) -> i64 {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.hash(Kind::Address, &v4.octets()),
            IpAddr::V6(v6) => self.hash(Kind::Address, &v6.octets()[..8]),
        }
    }

    /// Addresses of a session, sealed: whoever opens them must name the session. Equal ones of one
    /// session are sealed alike, so that no nonce is needed twice however many sessions there are.
    pub fn seal(&self, session: i64, addresses: &[IpAddr]) -> Vec<u8> {
        let mut sealed: Vec<u8> = Vec::with_capacity(12 + addresses.len() * 16 + TAG);
        let mut nonce = SipHasher24Wide::new_with_key(&self.nonces);
        nonce.write(&session.to_be_bytes());
        for address in addresses {
            nonce.write(&octets(*address));
        }
        sealed.extend(&nonce.finish128().as_bytes()[..12]);
        addresses.iter().for_each(|address| sealed.extend(octets(*address)));
        let (nonce, text) = sealed.split_at_mut(12);
        let Some(nonce) = Array::<u8, U12>::try_from(&*nonce).ok() else { return Vec::new() };
        let tag = self.cipher.encrypt_inout_detached(
            &nonce,
            &session.to_be_bytes(),
            InOutBuf::from(text),
        );
        match tag {
            Ok(tag) => sealed.extend(tag),
            // Too long a text alone is refused. What is not sealed is not kept.
            Err(_) => sealed.clear(),
        }
        sealed
    }

    /// The addresses of a session; none where they were sealed with another key.
    pub fn unseal(&self, session: i64, sealed: &[u8]) -> Option<Vec<IpAddr>> {
        let (nonce, rest) = sealed.split_at_checked(12)?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let nonce = Array::<u8, U12>::try_from(nonce).ok()?;
        let tag = Array::<u8, U16>::try_from(tag).ok()?;
        let mut text = text.to_vec();
        let buffer = InOutBuf::from(text.as_mut_slice());
        self.cipher.decrypt_inout_detached(&nonce, &session.to_be_bytes(), buffer, &tag).ok()?;
        let (addresses, []) = text.as_chunks::<16>() else { return None };
        Some(addresses.iter().map(|octets| Ipv6Addr::from(*octets).to_canonical()).collect())
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// A new key, on the disk before anything is sealed with it.
fn make(directory: &Path, path: &Path) -> Result<[u8; KEY], SealError> {
    let mut key = [0; KEY];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    let next = path.with_extension("new");
    let _ = fs::remove_file(&next);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    File::open(directory)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn addresses() -> Vec<IpAddr> {
        ["10.60.0.1", "2001:db8:1:2::1"].map(|it| it.parse().unwrap()).into()
    }

    #[test]
    fn addresses_come_back_for_their_session_and_key_alone() {
        let directory = tempfile::tempdir().unwrap();
        let seal = Seal::open(directory.path()).unwrap();
        let sealed = seal.seal(7, &addresses());
        assert_eq!(seal.unseal(7, &sealed), Some(addresses()));
        assert_eq!(seal.unseal(8, &sealed), None);
        let plain = [octets(addresses()[0]), octets(addresses()[1])];
        assert!(plain.iter().all(|plain| !sealed.windows(4).any(|part| part == &plain[12..])));
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert_eq!(seal.unseal(7, &broken), None, "octet {at}");
            assert_eq!(seal.unseal(7, &sealed[..at]), None);
        }
        // The same key is there after a restart; another one opens nothing.
        let again = Seal::open(directory.path()).unwrap();
        assert_eq!(again.unseal(7, &sealed), Some(addresses()));
        assert_eq!(again.pseudonym(addresses()[0]), seal.pseudonym(addresses()[0]));
        fs::remove_file(directory.path().join(FILE)).unwrap();
        let other = Seal::open(directory.path()).unwrap();
        assert_eq!(other.unseal(7, &sealed), None);
        assert_ne!(other.pseudonym(addresses()[0]), seal.pseudonym(addresses()[0]));
    }

    #[test]
    fn a_subscribers_ipv6_addresses_have_one_pseudonym_and_kinds_have_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let seal = Seal::open(directory.path()).unwrap();
        let of = |address: &str| seal.pseudonym(address.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:3::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("10.60.0.1"), of("::ffff:10.60.0.1"));
        assert_ne!(of("10.60.0.1"), of("10.60.0.2"));
        assert_ne!(of("10.60.0.1"), seal.hash(Kind::Teid, &[10, 60, 0, 1]));
    }

    #[test]
    fn the_key_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        Seal::open(directory.path()).unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Seal::open(directory.path()).unwrap_err().to_string();
        assert!(refused.contains("mode 0640"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for wrong in [&[0; 31][..], &[0; 33], &[]] {
            fs::write(&path, wrong).unwrap();
            assert!(matches!(Seal::open(directory.path()), Err(SealError::Malformed)));
        }
    }
}
