//! Readers of the PFCP information elements that carry state or evidence
//! (TS 29.244 §8.2, releases 15 to 18).
//!
//! A reader takes an element's value, checks its length once and borrows from
//! it. What a later release appends is passed over, codes that nobody knows are
//! kept, and a value that ends before its own flags say so is an error: half an
//! F-TEID must not become state. Grouped elements have no reader; their value
//! goes to [`Elements`](crate::pfcp::Elements).

mod cause;
mod cursor;
mod element_name;
mod endpoint;
mod flags;
mod identity;
pub mod kind;
mod name;
mod node;
mod rule;
mod subscriber;
mod usage;

#[cfg(test)]
mod sound;

pub use cause::Cause;
pub use element_name::name_of;
pub use endpoint::{
    FTeid, FramedRoute, OuterHeaderCreation, OuterHeaderRemoval, RemoteGtpuPeer, UeIp, UpIpResource,
};
pub use flags::{
    ApplyAction, AssociationReleaseFlags, AssociationResponseFlags, CpFeatures, MeasurementMethod,
    NodeReportType, ReportType, ReportingTriggers, SeReqFlags, SmReqFlags, SrReqFlags, UpFeatures,
    UsageReportTrigger,
};
pub use identity::{FSeid, NodeId, SNssai, TimeStamp};
pub use name::Name;
pub use node::{
    AlternativeSmfIp, EntityAddress, FqCsid, FqCsidNode, GroupId, RecoveryTimeStamp, SmfSetId,
};
pub use rule::{
    BarId, FailedRuleId, FarId, Interface, OffendingIe, PdnType, PdrId, Precedence, QerId, Qfi,
    RedirectInformation, SdfFilter, TgppInterface, TrafficEndpointId, UrrId,
};
pub use subscriber::UserId;
pub use usage::{DurationMeasurement, UrSeqn, VolumeMeasurement};

use crate::WireError;
use crate::pfcp::Element;

/// Reads an element with the reader of its type and forgets what it says; none
/// if the type has no reader. An error is evidence: a peer wrote a value that
/// its receiver may take for another.
pub fn check(element: &Element<'_>) -> Option<Result<(), WireError>> {
    if element.enterprise.is_some() {
        return None;
    }
    let value = element.value;
    Some(match element.kind {
        kind::CAUSE => Cause::parse(value).map(drop),
        kind::SOURCE_INTERFACE | kind::DESTINATION_INTERFACE => Interface::parse(value).map(drop),
        kind::F_TEID => FTeid::parse(value).map(drop),
        kind::NETWORK_INSTANCE | kind::APN_DNN => Name::parse(value).map(drop),
        kind::SDF_FILTER => SdfFilter::parse(value).map(drop),
        kind::PRECEDENCE => Precedence::parse(value).map(drop),
        kind::REPORTING_TRIGGERS => ReportingTriggers::parse(value).map(drop),
        kind::REDIRECT_INFORMATION => RedirectInformation::parse(value).map(drop),
        kind::REPORT_TYPE => ReportType::parse(value).map(drop),
        kind::OFFENDING_IE => OffendingIe::parse(value).map(drop),
        kind::UP_FUNCTION_FEATURES => UpFeatures::parse(value).map(drop),
        kind::APPLY_ACTION => ApplyAction::parse(value).map(drop),
        kind::SMREQ_FLAGS => SmReqFlags::parse(value).map(drop),
        kind::PDR_ID => PdrId::parse(value).map(drop),
        kind::F_SEID => FSeid::parse(value).map(drop),
        kind::NODE_ID => NodeId::parse(value).map(drop),
        kind::MEASUREMENT_METHOD => MeasurementMethod::parse(value).map(drop),
        kind::USAGE_REPORT_TRIGGER => UsageReportTrigger::parse(value).map(drop),
        kind::FQ_CSID => FqCsid::parse(value).map(drop),
        kind::VOLUME_MEASUREMENT => VolumeMeasurement::parse(value).map(drop),
        kind::DURATION_MEASUREMENT => DurationMeasurement::parse(value).map(drop),
        kind::TIME_OF_FIRST_PACKET
        | kind::TIME_OF_LAST_PACKET
        | kind::START_TIME
        | kind::END_TIME => TimeStamp::parse(value).map(drop),
        kind::URR_ID | kind::LINKED_URR_ID => UrrId::parse(value).map(drop),
        kind::OUTER_HEADER_CREATION => OuterHeaderCreation::parse(value).map(drop),
        kind::BAR_ID => BarId::parse(value).map(drop),
        kind::CP_FUNCTION_FEATURES => CpFeatures::parse(value).map(drop),
        kind::UE_IP_ADDRESS => UeIp::parse(value).map(drop),
        kind::OUTER_HEADER_REMOVAL => OuterHeaderRemoval::parse(value).map(drop),
        kind::RECOVERY_TIME_STAMP => RecoveryTimeStamp::parse(value).map(drop),
        kind::NODE_REPORT_TYPE => NodeReportType::parse(value).map(drop),
        kind::REMOTE_GTP_U_PEER => RemoteGtpuPeer::parse(value).map(drop),
        kind::UR_SEQN => UrSeqn::parse(value).map(drop),
        kind::FAR_ID => FarId::parse(value).map(drop),
        kind::QER_ID => QerId::parse(value).map(drop),
        kind::ASSOCIATION_RELEASE_REQUEST => AssociationReleaseFlags::parse(value).map(drop),
        kind::PDN_TYPE => PdnType::parse(value).map(drop),
        kind::FAILED_RULE_ID => FailedRuleId::parse(value).map(drop),
        kind::UP_IP_RESOURCE => UpIpResource::parse(value).map(drop),
        kind::QFI => Qfi::parse(value).map(drop),
        kind::TRAFFIC_ENDPOINT_ID => TrafficEndpointId::parse(value).map(drop),
        kind::USER_ID => UserId::parse(value).map(drop),
        kind::FRAMED_ROUTE | kind::FRAMED_IPV6_ROUTE => FramedRoute::parse(value).map(drop),
        kind::TGPP_INTERFACE_TYPE => TgppInterface::parse(value).map(drop),
        kind::SRREQ_FLAGS => SrReqFlags::parse(value).map(drop),
        kind::ALTERNATIVE_SMF_IP => AlternativeSmfIp::parse(value).map(drop),
        kind::SMF_SET_ID => SmfSetId::parse(value).map(drop),
        kind::ASRSP_FLAGS => AssociationResponseFlags::parse(value).map(drop),
        kind::CP_PFCP_ENTITY_IP | kind::CP_IP_ADDRESS => EntityAddress::parse(value).map(drop),
        kind::SEREQ_FLAGS => SeReqFlags::parse(value).map(drop),
        kind::S_NSSAI => SNssai::parse(value).map(drop),
        kind::GROUP_ID => GroupId::parse(value).map(drop),
        _ => return None,
    })
}
