//! Passes over the same captures: what each of them adds to what identifies tunnels, sessions,
//! requests and users.

use weir_engine::decode::Ports;
use weir_engine::{Frame, Nanos};
use weir_wire::Address;

use crate::Survey;
use crate::rewrite::{Scratch, rewrite};

/// What a pass adds to a SEID, as to a TEID.
const SEIDS: u64 = 0x6a09_e667_f3bc_c909;

/// How often captures are played, and what is new each time.
#[derive(Clone, Debug)]
pub struct Passes {
    survey: Survey,
    ports: Ports,
}

impl Passes {
    /// Passes over the captures of this survey; GTP-U and PFCP are looked for on these ports.
    pub fn new(survey: Survey, ports: Ports) -> Self {
        Self { survey, ports }
    }

    /// What the captures were found to hold.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// How much later a pass is than the first, whose number is 0.
    pub fn shift(&self, pass: u32) -> Nanos {
        self.survey.shift(pass)
    }

    /// Makes of a frame what it is in a pass. `to` holds a copy of it, whose length stays; the first
    /// pass changes nothing.
    ///
    /// TEIDs, SEIDs, sequence numbers of PFCP and users' addresses are mapped, each by a permutation
    /// of its own, wherever the decoder finds them; checksums are mended by what changed. Equipment
    /// keeps its addresses, and tunnels and users of which the captures' N4 does not tell stay what
    /// they are, unless there is no N4. Of a datagram in fragments the first one is rewritten, where it is
    /// GTP-U; PFCP in fragments stays as it is ([`Survey::shortcomings`]).
    pub fn rewrite(&self, pass: u32, frame: &Frame<'_>, to: &mut [u8], scratch: &mut Scratch) {
        if pass > 0 && to.len() == frame.bytes.len() {
            rewrite(&Pass { number: pass, survey: &self.survey }, &self.ports, frame, to, scratch);
        }
    }
}

/// One pass: its permutations.
pub(crate) struct Pass<'a> {
    number: u32,
    survey: &'a Survey,
}

impl Pass<'_> {
    /// Of a tunnel that was set up in the captures: its TEID in this pass.
    pub(crate) fn teid(&self, teid: u32) -> u32 {
        self.survey.tunnels.moved(teid, self.number)
    }

    /// Zero is no session's.
    pub(crate) fn seid(&self, seid: u64) -> u64 {
        let step = u128::from(SEIDS) * u128::from(self.number);
        match seid.checked_sub(1) {
            Some(from) => ((u128::from(from) + step) % u128::from(u64::MAX)) as u64 + 1,
            None => 0,
        }
    }

    /// The sequence number of a request of `sender`, or of its answer: counting goes on.
    pub(crate) fn sequence(&self, sequence: u32, sender: Address) -> u32 {
        if sequence == 0 {
            return 0;
        }
        let step = self.survey.span(sender).wrapping_mul(self.number);
        sequence.wrapping_add(step) & 0xff_ffff
    }

    /// A user's address; none if it is nobody's.
    pub(crate) fn user(&self, address: Address) -> Option<Address> {
        self.survey.users.moved(address, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn sessions_stay_apart_pass_after_pass_and_zero_stays_none() {
        let survey = Survey::default();
        let mut seids = HashSet::new();
        for number in 0..1_000 {
            let pass = Pass { number, survey: &survey };
            assert_eq!(pass.seid(0), 0);
            assert!((1..=500).all(|seid| seids.insert(pass.seid(seid))), "{number}");
            assert_ne!(pass.seid(u64::MAX), 0);
        }
    }
}
