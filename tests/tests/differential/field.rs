//! What is compared: the keys of `weir decode`, one value of text each.

use std::collections::BTreeMap;

/// A key of a line of `weir decode`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Field {
    /// Which of GTP-U and PFCP the frame carries first; always there.
    Carries,
    Vlan,
    Mpls,
    OuterSource,
    OuterDestination,
    OuterProtocol,
    OuterSourcePort,
    OuterDestinationPort,
    Fragment,
    GtpuType,
    GtpuTeid,
    GtpuLength,
    GtpuSequence,
    GtpuNPdu,
    /// The types of the extension headers.
    Extensions,
    ExtensionLengths,
    ContainerType,
    Qfi,
    Rqi,
    Ppp,
    Ppi,
    Qmp,
    Snp,
    InnerSource,
    InnerDestination,
    InnerProtocol,
    InnerSourcePort,
    InnerDestinationPort,
    /// The types of all messages of a datagram; the same for what follows.
    PfcpType,
    PfcpSeid,
    PfcpSequence,
    PfcpLength,
    /// All elements, in their order.
    PfcpElements,
    /// Those that TS 29.244 defines.
    StandardElements,
    VendorElements,
}

use Field::*;

/// All fields, in the order in which they are shown.
pub(crate) const ALL: &[Field] = &[
    Carries,
    Vlan,
    Mpls,
    OuterSource,
    OuterDestination,
    OuterProtocol,
    OuterSourcePort,
    OuterDestinationPort,
    Fragment,
    GtpuType,
    GtpuTeid,
    GtpuLength,
    GtpuSequence,
    GtpuNPdu,
    Extensions,
    ExtensionLengths,
    ContainerType,
    Qfi,
    Rqi,
    Ppp,
    Ppi,
    Qmp,
    Snp,
    InnerSource,
    InnerDestination,
    InnerProtocol,
    InnerSourcePort,
    InnerDestinationPort,
    PfcpType,
    PfcpSeid,
    PfcpSequence,
    PfcpLength,
    PfcpElements,
    StandardElements,
    VendorElements,
];

/// What the IP packet says that carries the tunnel.
pub(crate) const OUTER: &[Field] = &[
    OuterSource,
    OuterDestination,
    OuterProtocol,
    OuterSourcePort,
    OuterDestinationPort,
    Fragment,
];

/// What the user's packet says.
pub(crate) const INNER: &[Field] =
    &[InnerSource, InnerDestination, InnerProtocol, InnerSourcePort, InnerDestinationPort];

/// What PFCP messages say.
pub(crate) const PFCP: &[Field] =
    &[PfcpType, PfcpSeid, PfcpSequence, PfcpLength, PfcpElements, StandardElements, VendorElements];

/// What a GTP-U header and its extension headers say.
pub(crate) const GTPU: &[Field] = &[
    GtpuType,
    GtpuTeid,
    GtpuLength,
    GtpuSequence,
    GtpuNPdu,
    Extensions,
    ExtensionLengths,
    ContainerType,
    Qfi,
    Rqi,
    Ppp,
    Ppi,
    Qmp,
    Snp,
];

impl Field {
    /// The key, as it stands in a line or nearly so.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Carries => "carries",
            Vlan => "vlan",
            Mpls => "mpls",
            OuterSource => "outer.src",
            OuterDestination => "outer.dst",
            OuterProtocol => "outer.proto",
            OuterSourcePort => "outer.sport",
            OuterDestinationPort => "outer.dport",
            Fragment => "outer.frag",
            GtpuType => "gtpu.type",
            GtpuTeid => "gtpu.teid",
            GtpuLength => "gtpu.length",
            GtpuSequence => "gtpu.seq",
            GtpuNPdu => "gtpu.npdu",
            Extensions => "gtpu.ext.type",
            ExtensionLengths => "gtpu.ext.len",
            ContainerType => "gtpu.ext.pdu_type",
            Qfi => "gtpu.ext.qfi",
            Rqi => "gtpu.ext.rqi",
            Ppp => "gtpu.ext.ppp",
            Ppi => "gtpu.ext.ppi",
            Qmp => "gtpu.ext.qmp",
            Snp => "gtpu.ext.snp",
            InnerSource => "inner.src",
            InnerDestination => "inner.dst",
            InnerProtocol => "inner.proto",
            InnerSourcePort => "inner.sport",
            InnerDestinationPort => "inner.dport",
            PfcpType => "pfcp.type",
            PfcpSeid => "pfcp.seid",
            PfcpSequence => "pfcp.seq",
            PfcpLength => "pfcp.length",
            PfcpElements => "pfcp.ie",
            StandardElements => "pfcp.ie (3GPP's)",
            VendorElements => "pfcp.ie (vendors')",
        }
    }
}

/// What somebody read in a frame. A field that is not there was not seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading(BTreeMap<Field, String>);

impl Reading {
    /// Notes a value.
    pub(crate) fn put(&mut self, field: Field, value: impl ToString) {
        self.0.insert(field, value.to_string());
    }

    /// Notes a value that may be absent.
    pub(crate) fn put_some(&mut self, field: Field, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.put(field, value);
        }
    }

    /// Notes a list, unless it is empty.
    pub(crate) fn put_list(
        &mut self,
        field: Field,
        values: impl IntoIterator<Item = impl ToString>,
    ) {
        let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        if !values.is_empty() {
            self.put(field, values.join(","));
        }
    }

    /// Notes the types of elements.
    pub(crate) fn put_elements(&mut self, all: &[u64]) {
        let (vendors, standard): (Vec<u64>, Vec<u64>) =
            all.iter().partition(|kind| **kind >= 0x8000);
        self.put_list(PfcpElements, all);
        self.put_list(StandardElements, standard);
        self.put_list(VendorElements, vendors);
    }

    /// The value of a field.
    pub(crate) fn of(&self, field: Field) -> Option<&str> {
        self.0.get(&field).map(String::as_str)
    }
}
