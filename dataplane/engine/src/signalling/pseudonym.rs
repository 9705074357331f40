//! Pseudonyms of subscribers. An identity is hashed as it is read and nothing else
//! of it is kept, so that no state, event or dump holds it.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use weir_wire::pfcp_ie::UserId;

use super::session::Identity;

/// What turns identities into pseudonyms: a keyed pseudorandom function, since there
/// are too few IMSIs for a plain hash to hide one.
#[derive(Clone)]
pub(crate) struct Pseudonyms {
    key: [u8; 16],
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms")
    }
}

/// The secret by which a site's sensors choose users' packets for proof: drawn from the
/// site's key, of which it tells nothing.
pub fn sample_key(site_key: &[u8; 32]) -> u64 {
    Pseudonyms::new(site_key).hash(4, Some(b"sample"))
}

impl Pseudonyms {
    /// Under a site's key.
    pub(crate) fn new(site_key: &[u8; 32]) -> Self {
        let mut key = [0; 16];
        for (i, octet) in site_key.iter().enumerate() {
            key[i % 16] ^= octet;
        }
        Self { key }
    }

    /// The pseudonyms of a User ID (TS 29.244 §8.2.101).
    pub(crate) fn of(&self, user: &UserId<'_>) -> Identity {
        Identity {
            supi: self.hash(1, user.imsi.or(user.supi)),
            gpsi: self.hash(2, user.msisdn.or(user.gpsi)),
            pei: self.hash(3, user.imei.or(user.pei)),
        }
    }

    /// 0 for none; the kind keeps equal digits of different kinds apart.
    fn hash(&self, kind: u8, identity: Option<&[u8]>) -> u64 {
        let Some(identity) = identity else { return 0 };
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u8(kind);
        hasher.write(identity);
        hasher.finish().max(1)
    }
}
