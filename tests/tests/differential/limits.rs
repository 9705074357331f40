//! Where an oracle is known to be wrong or silent, one by one, with the reason.
//!
//! A limit is asked only about a field on which the two disagree, and speaks of as few frames as it
//! can. What it explains is counted and shown.

use crate::field::Field::{self, *};
use crate::field::{ALL, INNER, OUTER, PFCP};
use crate::oracle::{Oracle, Theirs};
use crate::ours::Ours;

/// A frame on which the two disagree.
pub(crate) struct Case<'a> {
    pub(crate) ours: &'a Ours,
    pub(crate) theirs: &'a Theirs,
}

/// What an oracle can't be asked about.
pub(crate) struct Limit {
    pub(crate) oracle: Oracle,
    pub(crate) reason: &'static str,
    fields: &'static [&'static [Field]],
    applies: fn(&Case<'_>) -> bool,
}

impl Limit {
    /// Whether it explains that the two disagree about a field.
    pub(crate) fn explains(&self, oracle: Oracle, field: Field, case: &Case<'_>) -> bool {
        self.oracle == oracle
            && self.fields.iter().any(|group| group.contains(&field))
            && (self.applies)(case)
    }
}

/// All of them.
pub(crate) const LIMITS: &[Limit] = &[
    Limit {
        oracle: Oracle::Tshark,
        reason: "takes what is on port 8805 for PFCP, of any version",
        fields: &[&[Carries], PFCP],
        applies: not_version_1,
    },
    Limit {
        oracle: Oracle::Tshark,
        reason: "keeps a first fragment back and does not show its ports",
        fields: &[&[OuterSourcePort, OuterDestinationPort]],
        applies: |case| fragment(case) == Some("first"),
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "takes what is on port 8805 for PFCP, of any version",
        fields: &[&[Carries], PFCP, OUTER],
        applies: not_version_1,
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "reads the fragments of a datagram one by one",
        fields: &[ALL],
        applies: |case| fragment(case) != Some("none"),
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "goes no further than an extension header that is no PDU Session Container, or \
                 than the first that is",
        fields: &[&[Extensions, ExtensionLengths], INNER],
        applies: |case| !matches!(case.ours.reading.of(Extensions), None | Some("133")),
    },
    Limit {
        oracle: Oracle::Etherparse,
        reason: "does not know SCTP",
        fields: &[&[OuterSourcePort, OuterDestinationPort]],
        applies: |case| case.ours.reading.of(OuterProtocol) == Some("132"),
    },
    Limit {
        oracle: Oracle::Etherparse,
        reason: "reads the fragments of a datagram one by one",
        fields: &[&[Fragment, OuterSourcePort, OuterDestinationPort]],
        applies: |case| fragment(case) == Some("reassembled"),
    },
];

fn not_version_1(case: &Case<'_>) -> bool {
    case.ours.reading.of(Carries) == Some("neither")
        && case.theirs.versions.first().is_some_and(|version| *version != 1)
}

fn fragment<'a>(case: &Case<'a>) -> Option<&'a str> {
    case.ours.reading.of(Fragment)
}
