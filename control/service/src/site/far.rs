//! Who the other end of a conversation is, as far as it is told: an entry of the inventory, a
//! network, or subscribers, of whom nothing else is kept.

use std::net::IpAddr;

use crate::cases::neighbourhood;
use crate::rulebook::Rulebook;

/// The other end.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Far {
    /// A /24 or a /48.
    Network(String),
    /// An entry of the inventory, by its id.
    Equipment(String),
    /// Subscribers, whoever they are.
    Subscribers,
    /// Whoever found no room of its own.
    Other,
}

impl Far {
    /// Who holds an address that the sensor took for no equipment.
    pub fn stranger(address: IpAddr, rulebook: Option<&Rulebook>) -> Self {
        if rulebook.is_some_and(|book| book.is_subscribers(address)) {
            Self::Subscribers
        } else {
            Self::Network(neighbourhood(address))
        }
    }

    /// Who holds an address.
    pub fn of(address: IpAddr, rulebook: Option<&Rulebook>) -> Self {
        match rulebook.and_then(|book| book.holder(address)) {
            Some(id) => Self::Equipment(id.to_owned()),
            None => Self::stranger(address, rulebook),
        }
    }

    /// Its number and text in the store.
    pub fn parts(&self) -> (u8, &str) {
        match self {
            Self::Network(net) => (0, net),
            Self::Equipment(id) => (1, id),
            Self::Subscribers => (2, ""),
            Self::Other => (3, ""),
        }
    }

    /// From these.
    pub fn restore(kind: u8, text: String) -> Self {
        match kind {
            0 => Self::Network(text),
            1 => Self::Equipment(text),
            2 => Self::Subscribers,
            _ => Self::Other,
        }
    }

    /// The id, if it is equipment.
    pub fn equipment(&self) -> Option<&str> {
        if let Self::Equipment(id) = self { Some(id) } else { None }
    }

    /// As lists name it.
    pub fn name(&self) -> &str {
        match self {
            Self::Network(text) | Self::Equipment(text) => text,
            Self::Subscribers => "subscribers",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rulebook::Texts;

    #[test]
    fn equipment_is_named_and_subscribers_are_not() {
        let texts = Texts {
            inventory: "[[equipment]]\nid = \"dns-1\"\nroles = [\"dns\"]\naddresses = [\"10.60.0.53\"]\n".into(),
            policy: "ue_pools = [\"10.60.0.0/16\"]\n[[nat]]\nlink = \"n6\"\naddresses = [\"203.0.113.0/28\"]\n".into(),
            ..Texts::default()
        };
        let rulebook = Rulebook::restore(1, texts).unwrap();
        let far = |address: [u8; 4]| Far::of(address.into(), Some(&rulebook));
        assert_eq!(far([10, 60, 0, 53]), Far::Equipment("dns-1".into()));
        assert_eq!(
            (far([10, 60, 0, 54]), far([203, 0, 113, 5])),
            (Far::Subscribers, Far::Subscribers)
        );
        assert_eq!(far([203, 0, 113, 77]), Far::Network("203.0.113.0/24".into()));
        let all =
            [Far::Equipment("a".into()), Far::Network("b".into()), Far::Subscribers, Far::Other];
        for far in all {
            let (kind, text) = far.parts();
            assert_eq!(Far::restore(kind, text.to_owned()), far);
        }
    }
}
