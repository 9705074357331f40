//! Where an oracle is known to be wrong or silent, one by one, with the reason.
//!
//! A limit is asked only about a field on which the two disagree, and speaks of as few frames as it
//! can. What it explains is counted and shown.

use crate::field::Field::{self, *};
use crate::field::{ALL, GTPU, INNER, OUTER, PFCP};
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
        oracle: Oracle::Tshark,
        reason: "puts a user's fragments together, which Weir leaves to the user",
        fields: &[&[InnerSourcePort, InnerDestinationPort]],
        applies: |case| case.theirs.user_fragment,
    },
    Limit {
        oracle: Oracle::Tshark,
        reason: "4.0 does not know Tunnel Status (TS 29.281 of Release 16)",
        fields: &[&[Carries], GTPU],
        applies: |case| case.ours.reading.of(GtpuType) == Some("253"),
    },
    Limit {
        oracle: Oracle::Tshark,
        reason: "4.0 does not know Ethernet PDUs",
        fields: &[INNER, &[Vlan, Mpls]],
        applies: |case| behind_gtpu(case) == Some("eth"),
    },
    Limit {
        oracle: Oracle::Tshark,
        reason: "goes into Geneve and L2TP, of which Weir only says that they are there",
        fields: &[ALL],
        applies: |case| {
            let mut layers = case.theirs.layers.split(':');
            case.ours.layers().last() == Some(&"other")
                && layers.any(|layer| matches!(layer, "geneve" | "l2tp"))
        },
    },
    Limit {
        oracle: Oracle::Tshark,
        reason: "goes on where Weir's bounds end the walk: 4 VLAN tags, 16 extension headers, 16 \
                 levels of elements",
        fields: &[ALL],
        applies: |case| case.ours.error().is_some_and(|(_, kind)| kind == "depth"),
    },
    Limit {
        oracle: Oracle::Tshark,
        reason: "puts IPv6 fragments together that overlap (against RFC 5722)",
        fields: &[ALL],
        applies: |case| case.ours.error() == Some(("ipv6", "overlap")),
    },
    Limit {
        oracle: Oracle::Tshark,
        reason: "reads no vendor's element that is too short for an enterprise number",
        fields: &[&[VendorElements]],
        applies: |case| case.ours.error() == Some(("pfcp", "length")),
    },
    Limit {
        oracle: Oracle::Tshark,
        reason: "takes what follows a message without FO for another message",
        fields: &[PFCP],
        applies: |case| reads_on(case, PfcpSequence),
    },
    Limit {
        oracle: Oracle::Tshark,
        reason: "takes a user's bytes on port 8805 for PFCP, be the type unknown or the length beyond the frame",
        fields: &[PFCP],
        applies: users_own,
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "reads elements nested a hundred deep without end",
        fields: &[ALL],
        applies: |case| {
            case.theirs.layers == "gave up" && case.ours.error() == Some(("pfcp", "depth"))
        },
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "takes a user's bytes on port 8805 for PFCP, be the type unknown or the length beyond the frame",
        fields: &[PFCP],
        applies: users_own,
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
        oracle: Oracle::Scapy,
        reason: "reads a container only where it is the first extension header",
        fields: &[&[ContainerType, Qfi, Rqi, Ppp, Ppi, Qmp, Snp]],
        applies: |case| {
            case.ours.reading.of(Extensions).is_some_and(|types| !types.starts_with("133"))
        },
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "reads no container with fields of Release 17, padding, or less than its flags say",
        fields: &[&[Extensions, ExtensionLengths], INNER],
        applies: |case| {
            let container = &case.ours.line["gtpu"]["ext"][0];
            let measured = |key: &str| container[key] == true;
            container["len"].as_u64().is_some_and(|len| len > 4)
                || measured("qmp")
                || measured("snp")
        },
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "expects an extension header wherever E is set",
        fields: &[INNER],
        applies: |case| {
            case.ours.reading.of(Extensions).is_none()
                && case.theirs.layers.ends_with("GTP_U_Header:Raw")
        },
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "does not know Ethernet PDUs",
        fields: &[INNER],
        applies: |case| behind_gtpu(case) == Some("eth"),
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "does not read the frames in ERSPAN, nor AH in IPv6",
        fields: &[&[Carries], GTPU, INNER],
        applies: |case| {
            let raw = case.theirs.layers.ends_with("GRE:Raw")
                || case.theirs.layers.ends_with("IPv6:AH:Raw");
            raw && case.ours.layers().iter().any(|layer| matches!(*layer, "erspan" | "ah"))
        },
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "reads the first message of a datagram, and what follows it as its elements",
        fields: &[PFCP],
        applies: |case| bundled(case) || reads_on(case, PfcpElements),
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "reads no elements of a message that is cut",
        fields: &[&[PfcpElements, StandardElements, VendorElements]],
        applies: |case| case.ours.error().is_some_and(|(layer, _)| layer == "pfcp"),
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "reads no elements of a message that it does not know, 17 (of Release 17) among them",
        fields: &[&[PfcpElements, StandardElements, VendorElements]],
        applies: |case| {
            let kind = case.ours.reading.of(PfcpType).and_then(|kind| kind.parse().ok());
            kind.is_some_and(|kind: u8| !matches!(kind, 1..=16 | 50..=57))
        },
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "reads no header that is cut",
        fields: &[&[Carries], OUTER, GTPU, PFCP],
        applies: |case| matches!(case.ours.error(), Some(("gtpu" | "pfcp", "truncated"))),
    },
    Limit {
        oracle: Oracle::Scapy,
        reason: "does not ask whether a length can be",
        fields: &[GTPU, INNER, PFCP],
        applies: |case| matches!(case.ours.error(), Some(("gtpu" | "pfcp", "length"))),
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
    Limit {
        oracle: Oracle::Etherparse,
        reason: "takes an authentication header for part of the IP header",
        fields: &[&[OuterProtocol]],
        applies: |case| case.ours.reading.of(OuterProtocol) == Some("51"),
    },
    Limit {
        oracle: Oracle::Etherparse,
        reason: "reads up to three VLAN tags",
        fields: &[&[Vlan], OUTER],
        applies: |case| case.ours.line["vlan"].as_array().is_some_and(|vlans| vlans.len() > 3),
    },
];

/// Whether the other sees PFCP in a G-PDU that can't be.
fn users_own(case: &Case<'_>) -> bool {
    let theirs = |field| case.theirs.reading.of(field).and_then(|text| text.parse::<u64>().ok());
    let known = matches!(theirs(PfcpType), Some(1..=17 | 50..=57));
    let fits = theirs(PfcpLength) <= case.ours.line["caplen"].as_u64();
    case.ours.reading.of(Carries) == Some("gtpu")
        && case.ours.reading.of(PfcpType).is_none()
        && !(known && fits)
}

/// Whether a datagram has several messages.
fn bundled(case: &Case<'_>) -> bool {
    case.ours.reading.of(PfcpType).is_some_and(|types| types.contains(','))
}

/// Whether the other read the list that Weir read, and then went on.
fn reads_on(case: &Case<'_>, list: Field) -> bool {
    let (ours, theirs) = (case.ours.reading.of(list), case.theirs.reading.of(list));
    ours.zip(theirs)
        .and_then(|(ours, theirs)| theirs.strip_prefix(ours))
        .is_some_and(|more| more.starts_with(','))
}

/// The layer in the first G-PDU.
fn behind_gtpu<'a>(case: &Case<'a>) -> Option<&'a str> {
    let layers = case.ours.layers();
    let gtpu = layers.iter().position(|layer| *layer == "gtpu")?;
    layers.get(gtpu + 1).copied()
}

fn not_version_1(case: &Case<'_>) -> bool {
    case.ours.reading.of(Carries) == Some("neither")
        && case.theirs.versions.first().is_some_and(|version| *version != 1)
}

fn fragment<'a>(case: &Case<'a>) -> Option<&'a str> {
    case.ours.reading.of(Fragment)
}
