//! COV-TIME: NTP with servers that nobody listed, in modes or lengths that clients have no need of, or
//! far too often; PTP with elements that its profiles do not ask for.

use crate::Nanos;
use crate::contract::fact::TimeOddity;
use crate::detect::Detection;

/// The detection.
pub const DETECTION: Detection = Detection {
    id: "COV-TIME",
    signature_id: 5_290_011,
    signature: "Time synchronisation carries what it need not",
    category: "Potential Corporate Privacy Violation",
    rank: 2,
    technique: &["T1095", "T1001.003"],
    restricted: false,
};

/// NTP's port.
pub(crate) const NTP: u16 = 123;
/// What a client sends.
pub(crate) const CLIENT: u8 = 3;
/// What a server answers.
pub(crate) const SERVER: u8 = 4;

/// An NTP packet's mode and length.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ntp {
    /// The mode (RFC 5905 §7.3).
    pub mode: u8,
    /// Octets of the packet.
    pub octets: u16,
}

impl Ntp {
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let first = payload.first()?;
        Some(Self { mode: first & 7, octets: payload.len().min(u16::MAX.into()) as u16 })
    }

    /// What is wrong with it by itself.
    pub(crate) fn oddity(self) -> Option<TimeOddity> {
        match self {
            Self { mode: CLIENT | SERVER, octets: 48 } => None,
            Self { mode: CLIENT | SERVER, octets } => Some(TimeOddity::Length(octets)),
            Self { mode, .. } => Some(TimeOddity::Mode(mode)),
        }
    }

    /// Whether its length is that of a header with a key's number and digest: none (crypto-NAK), MD5,
    /// SHA-1, SHA-256, SHA-512, or AES-CMAC as long as MD5.
    pub(crate) fn may_be_authenticated(self) -> bool {
        matches!(self.octets, 52 | 68 | 72 | 84 | 116)
    }
}

/// Whether a PTP element is part of the profiles that networks use (IEEE 1588-2019 §14, G.8275): those
/// of unicast negotiation, path trace, alternate time offset, and layer-1 synchronisation; in messages of
/// management, what they are about.
pub(crate) const fn is_usual(message: u8, element: u16) -> bool {
    match element {
        0x0001 | 0x0002 => message == 0xd,
        0x0004..=0x0009 | 0x8001 => true,
        _ => false,
    }
}

/// Questions beyond the rate that are no matter: eight of a start (iburst), and some of a bad network.
const BURST: u64 = 32;

/// How much more often than it may one node asks another, as a debt of time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    debt: Nanos,
    last: Nanos,
    asked: u64,
}

impl Rate {
    /// What is given up last: who owes most.
    pub(crate) fn rank(&self) -> Nanos {
        self.debt
    }

    /// Adds a question, of which there may be one each `pause`; gives how many there were since it
    /// was calm, if that went on for too long.
    pub(crate) fn ask(&mut self, at: Nanos, pause: Nanos) -> Option<u64> {
        let owed = self.debt.since(at.since(self.last));
        if owed == Nanos(0) {
            self.asked = 0;
        }
        (self.debt, self.last, self.asked) = (owed.plus(pause), at, self.asked + 1);
        (self.debt.0 > pause.0.saturating_mul(BURST)).then_some(self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it is first told, of questions that come each so many seconds.
    fn told(every: f64, count: u64) -> Option<u64> {
        let mut rate = Rate::default();
        let pause = Nanos::from_secs(16);
        let at = |n: u64| Nanos::from_secs(1_000_000).plus(Nanos((n as f64 * every * 1e9) as u64));
        (0..count).find(|n| rate.ask(at(*n), pause).is_some())
    }

    #[test]
    fn bursts_and_the_fastest_usual_rate_are_silent_and_more_is_not() {
        assert_eq!(told(16.0, 10_000), None);
        assert_eq!(told(2.0, 32), None, "a start, several times");
        assert!(told(8.0, 100).is_some_and(|n| n < 70));
        assert!(told(1.0, 100).is_some_and(|n| n < 40));
        // A clock that stands still or goes back owes nobody anything for ever.
        let mut rate = Rate::default();
        for n in 0..1_000 {
            let _ = rate.ask(Nanos::from_secs(5_000 - n), Nanos::from_secs(16));
        }
        assert_eq!(rate.ask(Nanos::from_secs(50_000), Nanos::from_secs(16)), None);
    }

    #[test]
    fn lengths_and_modes_are_told_apart() {
        let odd = |first: u8, octets: usize| {
            let mut payload = vec![0; octets];
            payload[0] = first;
            Ntp::parse(&payload).unwrap().oddity()
        };
        assert_eq!([odd(0x23, 48), odd(0xe4, 48)], [None, None]);
        assert_eq!(odd(0x23, 68), Some(TimeOddity::Length(68)));
        assert_eq!(odd(0x17, 8), Some(TimeOddity::Mode(7)));
        assert!(is_usual(0xc, 4) && !is_usual(0xb, 3) && is_usual(0xd, 1) && !is_usual(0, 1));
    }
}
