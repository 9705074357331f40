//! What the door counts: connections and requests that were refused, each under one reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection or a request came to nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Refused {
    /// So many connections are open.
    Connections,
    /// So many are open from one address.
    ConnectionsOfAddress,
    /// TLS was not agreed on, or not in time.
    Handshake,
    /// The client has no certificate, or one that is over or of somebody else.
    ClientCertificate,
    /// The head of a request did not come in time.
    HeadTime,
    /// It is too long, or has too many fields.
    HeadSize,
    /// It is none.
    Malformed,
    /// The body of a request did not come in time.
    BodyTime,
    /// It is too long.
    BodySize,
    /// Nobody took an answer in time.
    WriteTime,
    /// Too many requests came from one address.
    RateOfAddress,
    /// Too many requests came with one token.
    RateOfToken,
    /// Too many wrong tokens came from one address.
    WrongTokens,
}

impl Refused {
    /// Every reason, in the order of its counter.
    pub const ALL: [Refused; 13] = [
        Refused::Connections,
        Refused::ConnectionsOfAddress,
        Refused::Handshake,
        Refused::ClientCertificate,
        Refused::HeadTime,
        Refused::HeadSize,
        Refused::Malformed,
        Refused::BodyTime,
        Refused::BodySize,
        Refused::WriteTime,
        Refused::RateOfAddress,
        Refused::RateOfToken,
        Refused::WrongTokens,
    ];

    /// The metric label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Refused::Connections => "connections",
            Refused::ConnectionsOfAddress => "connections_of_address",
            Refused::Handshake => "handshake",
            Refused::ClientCertificate => "client_certificate",
            Refused::HeadTime => "head_time",
            Refused::HeadSize => "head_size",
            Refused::Malformed => "malformed",
            Refused::BodyTime => "body_time",
            Refused::BodySize => "body_size",
            Refused::WriteTime => "write_time",
            Refused::RateOfAddress => "rate_of_address",
            Refused::RateOfToken => "rate_of_token",
            Refused::WrongTokens => "wrong_tokens",
        }
    }
}

/// The counters.
#[derive(Debug, Default)]
pub struct Meter([AtomicU64; Refused::ALL.len()]);

impl Meter {
    /// Counts one.
    pub fn refuse(&self, reason: Refused) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn refused(&self, reason: Refused) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter_and_name() {
        let meter = Meter::default();
        let mut names = std::collections::HashSet::new();
        for (position, reason) in Refused::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, position);
            assert!(names.insert(reason.name()));
            meter.refuse(reason);
        }
        assert!(Refused::ALL.into_iter().all(|reason| meter.refused(reason) == 1));
    }
}
