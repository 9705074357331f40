//! Names of networks: few in a network, and in many sessions.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use weir_wire::pfcp_ie::Name;

use super::keyed::KeyedHasher;
use crate::contract::session::MAX_SESSION_NAME;

/// Names that are kept; a peer that invents more gets them written as one.
const NAMES: usize = 4096;

/// Coded names that are looked for first.
const LATEST: usize = 4;

/// A name by its number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct NameId(u16);

impl NameId {
    /// No name.
    pub(crate) const NONE: NameId = NameId(0);

    /// Whether it stands for all names beyond those that are kept.
    pub(crate) fn is_other(self) -> bool {
        usize::from(self.0) == NAMES
    }
}

/// The names, by number and by spelling.
#[derive(Debug)]
pub(crate) struct Names {
    spellings: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u16, BuildHasherDefault<KeyedHasher>>,
    /// The names that came last, as they were coded: messages repeat few.
    latest: [(Vec<u8>, NameId); LATEST],
    turn: usize,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            spellings: vec!["".into()],
            numbers: HashMap::default(),
            latest: std::array::from_fn(|_| (Vec::new(), NameId::NONE)),
            turn: 0,
        }
    }
}

impl Names {
    /// The number of a name, in lower case.
    pub(crate) fn number(&mut self, name: &Name<'_>) -> NameId {
        let coded = name.octets();
        if let Some((_, id)) = self.latest.iter().find(|(of, _)| of == coded) {
            return *id;
        }
        let id = self.number_of(name);
        let (last, its) = &mut self.latest[self.turn];
        last.clear();
        last.extend_from_slice(coded);
        *its = id;
        self.turn = (self.turn + 1) % LATEST;
        id
    }

    fn number_of(&mut self, name: &Name<'_>) -> NameId {
        let mut space = [0; 100];
        let text = name.write(&mut space);
        let mut lower = [0; MAX_SESSION_NAME];
        let mut len = 0;
        for (to, from) in lower.iter_mut().zip(text.bytes().filter(u8::is_ascii)) {
            *to = from.to_ascii_lowercase();
            len += 1;
        }
        let spelling = std::str::from_utf8(&lower[..len]).unwrap_or_default();
        if let Some(number) = self.numbers.get(spelling) {
            return NameId(*number);
        }
        if self.spellings.len() > NAMES {
            return NameId(NAMES as u16);
        }
        let spelling: Box<str> =
            if self.spellings.len() == NAMES { "(other)" } else { spelling }.into();
        let number = self.spellings.len() as u16;
        self.spellings.push(spelling.clone());
        self.numbers.insert(spelling, number);
        NameId(number)
    }

    /// A name's spelling.
    pub(crate) fn spelling(&self, id: NameId) -> Option<&str> {
        self.spellings.get(usize::from(id.0)).map(|name| &**name).filter(|name| !name.is_empty())
    }
}
