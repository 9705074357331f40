//! The types of information elements (§8.1.2) that this module reads, that group
//! others, or that carry state. [`super::name_of`] names all of them.

/// Create PDR.
pub const CREATE_PDR: u16 = 1;
/// PDI.
pub const PDI: u16 = 2;
/// Create FAR.
pub const CREATE_FAR: u16 = 3;
/// Forwarding Parameters.
pub const FORWARDING_PARAMETERS: u16 = 4;
/// Duplicating Parameters.
pub const DUPLICATING_PARAMETERS: u16 = 5;
/// Create URR.
pub const CREATE_URR: u16 = 6;
/// Create QER.
pub const CREATE_QER: u16 = 7;
/// Created PDR.
pub const CREATED_PDR: u16 = 8;
/// Update PDR.
pub const UPDATE_PDR: u16 = 9;
/// Update FAR.
pub const UPDATE_FAR: u16 = 10;
/// Update Forwarding Parameters.
pub const UPDATE_FORWARDING_PARAMETERS: u16 = 11;
/// Update BAR (PFCP Session Report Response).
pub const UPDATE_BAR_REPORT: u16 = 12;
/// Update URR.
pub const UPDATE_URR: u16 = 13;
/// Update QER.
pub const UPDATE_QER: u16 = 14;
/// Remove PDR.
pub const REMOVE_PDR: u16 = 15;
/// Remove FAR.
pub const REMOVE_FAR: u16 = 16;
/// Remove URR.
pub const REMOVE_URR: u16 = 17;
/// Remove QER.
pub const REMOVE_QER: u16 = 18;
/// Cause.
pub const CAUSE: u16 = 19;
/// Source Interface.
pub const SOURCE_INTERFACE: u16 = 20;
/// F-TEID.
pub const F_TEID: u16 = 21;
/// Network Instance.
pub const NETWORK_INSTANCE: u16 = 22;
/// SDF Filter.
pub const SDF_FILTER: u16 = 23;
/// Application ID.
pub const APPLICATION_ID: u16 = 24;
/// Gate Status.
pub const GATE_STATUS: u16 = 25;
/// Precedence.
pub const PRECEDENCE: u16 = 29;
/// Volume Threshold.
pub const VOLUME_THRESHOLD: u16 = 31;
/// Reporting Triggers.
pub const REPORTING_TRIGGERS: u16 = 37;
/// Redirect Information.
pub const REDIRECT_INFORMATION: u16 = 38;
/// Report Type.
pub const REPORT_TYPE: u16 = 39;
/// Offending IE.
pub const OFFENDING_IE: u16 = 40;
/// Forwarding Policy.
pub const FORWARDING_POLICY: u16 = 41;
/// Destination Interface.
pub const DESTINATION_INTERFACE: u16 = 42;
/// UP Function Features.
pub const UP_FUNCTION_FEATURES: u16 = 43;
/// Apply Action.
pub const APPLY_ACTION: u16 = 44;
/// PFCPSMReq-Flags.
pub const SMREQ_FLAGS: u16 = 49;
/// Load Control Information.
pub const LOAD_CONTROL_INFORMATION: u16 = 51;
/// Overload Control Information.
pub const OVERLOAD_CONTROL_INFORMATION: u16 = 54;
/// PDR ID.
pub const PDR_ID: u16 = 56;
/// F-SEID.
pub const F_SEID: u16 = 57;
/// Application ID's PFDs.
pub const APPLICATION_PFDS: u16 = 58;
/// PFD context.
pub const PFD_CONTEXT: u16 = 59;
/// Node ID.
pub const NODE_ID: u16 = 60;
/// PFD contents.
pub const PFD_CONTENTS: u16 = 61;
/// Measurement Method.
pub const MEASUREMENT_METHOD: u16 = 62;
/// Usage Report Trigger.
pub const USAGE_REPORT_TRIGGER: u16 = 63;
/// FQ-CSID.
pub const FQ_CSID: u16 = 65;
/// Volume Measurement.
pub const VOLUME_MEASUREMENT: u16 = 66;
/// Duration Measurement.
pub const DURATION_MEASUREMENT: u16 = 67;
/// Application Detection Information.
pub const APPLICATION_DETECTION: u16 = 68;
/// Time of First Packet.
pub const TIME_OF_FIRST_PACKET: u16 = 69;
/// Time of Last Packet.
pub const TIME_OF_LAST_PACKET: u16 = 70;
/// Volume Quota.
pub const VOLUME_QUOTA: u16 = 73;
/// Start Time.
pub const START_TIME: u16 = 75;
/// End Time.
pub const END_TIME: u16 = 76;
/// Query URR.
pub const QUERY_URR: u16 = 77;
/// Usage Report (Session Modification Response).
pub const USAGE_REPORT_MODIFICATION: u16 = 78;
/// Usage Report (Session Deletion Response).
pub const USAGE_REPORT_DELETION: u16 = 79;
/// Usage Report (Session Report Request).
pub const USAGE_REPORT: u16 = 80;
/// URR ID.
pub const URR_ID: u16 = 81;
/// Linked URR ID.
pub const LINKED_URR_ID: u16 = 82;
/// Downlink Data Report.
pub const DOWNLINK_DATA_REPORT: u16 = 83;
/// Outer Header Creation.
pub const OUTER_HEADER_CREATION: u16 = 84;
/// Create BAR.
pub const CREATE_BAR: u16 = 85;
/// Update BAR (Session Modification Request).
pub const UPDATE_BAR: u16 = 86;
/// Remove BAR.
pub const REMOVE_BAR: u16 = 87;
/// BAR ID.
pub const BAR_ID: u16 = 88;
/// CP Function Features.
pub const CP_FUNCTION_FEATURES: u16 = 89;
/// UE IP Address.
pub const UE_IP_ADDRESS: u16 = 93;
/// Packet Rate.
pub const PACKET_RATE: u16 = 94;
/// Outer Header Removal.
pub const OUTER_HEADER_REMOVAL: u16 = 95;
/// Recovery Time Stamp.
pub const RECOVERY_TIME_STAMP: u16 = 96;
/// Error Indication Report.
pub const ERROR_INDICATION_REPORT: u16 = 99;
/// Node Report Type.
pub const NODE_REPORT_TYPE: u16 = 101;
/// User Plane Path Failure Report.
pub const USER_PLANE_PATH_FAILURE_REPORT: u16 = 102;
/// Remote GTP-U Peer.
pub const REMOTE_GTP_U_PEER: u16 = 103;
/// UR-SEQN.
pub const UR_SEQN: u16 = 104;
/// Update Duplicating Parameters.
pub const UPDATE_DUPLICATING_PARAMETERS: u16 = 105;
/// Activate Predefined Rules.
pub const ACTIVATE_PREDEFINED_RULES: u16 = 106;
/// Deactivate Predefined Rules.
pub const DEACTIVATE_PREDEFINED_RULES: u16 = 107;
/// FAR ID.
pub const FAR_ID: u16 = 108;
/// QER ID.
pub const QER_ID: u16 = 109;
/// PFCP Association Release Request.
pub const ASSOCIATION_RELEASE_REQUEST: u16 = 111;
/// Graceful Release Period.
pub const GRACEFUL_RELEASE_PERIOD: u16 = 112;
/// PDN Type.
pub const PDN_TYPE: u16 = 113;
/// Failed Rule ID.
pub const FAILED_RULE_ID: u16 = 114;
/// User Plane IP Resource Information (removed in Rel 16.3).
pub const UP_IP_RESOURCE: u16 = 116;
/// User Plane Inactivity Timer.
pub const USER_PLANE_INACTIVITY_TIMER: u16 = 117;
/// Aggregated URRs.
pub const AGGREGATED_URRS: u16 = 118;
/// QFI.
pub const QFI: u16 = 124;
/// Create Traffic Endpoint.
pub const CREATE_TRAFFIC_ENDPOINT: u16 = 127;
/// Created Traffic Endpoint.
pub const CREATED_TRAFFIC_ENDPOINT: u16 = 128;
/// Update Traffic Endpoint.
pub const UPDATE_TRAFFIC_ENDPOINT: u16 = 129;
/// Remove Traffic Endpoint.
pub const REMOVE_TRAFFIC_ENDPOINT: u16 = 130;
/// Traffic Endpoint ID.
pub const TRAFFIC_ENDPOINT_ID: u16 = 131;
/// Ethernet Packet Filter.
pub const ETHERNET_PACKET_FILTER: u16 = 132;
/// User ID.
pub const USER_ID: u16 = 141;
/// Ethernet Traffic Information.
pub const ETHERNET_TRAFFIC_INFORMATION: u16 = 143;
/// Framed-Route.
pub const FRAMED_ROUTE: u16 = 153;
/// Framed-Routing.
pub const FRAMED_ROUTING: u16 = 154;
/// Framed-IPv6-Route.
pub const FRAMED_IPV6_ROUTE: u16 = 155;
/// APN/DNN.
pub const APN_DNN: u16 = 159;
/// 3GPP Interface Type.
pub const TGPP_INTERFACE_TYPE: u16 = 160;
/// PFCPSRReq-Flags.
pub const SRREQ_FLAGS: u16 = 161;
/// Create MAR.
pub const CREATE_MAR: u16 = 165;
/// Remove MAR.
pub const REMOVE_MAR: u16 = 168;
/// Update MAR.
pub const UPDATE_MAR: u16 = 169;
/// Alternative SMF IP Address.
pub const ALTERNATIVE_SMF_IP: u16 = 178;
/// SMF Set ID.
pub const SMF_SET_ID: u16 = 180;
/// PFCP Session Retention Information (within PFCP Association Setup Request).
pub const SESSION_RETENTION_INFORMATION: u16 = 183;
/// PFCPASRsp-Flags.
pub const ASRSP_FLAGS: u16 = 184;
/// CP PFCP Entity IP Address.
pub const CP_PFCP_ENTITY_IP: u16 = 185;
/// PFCPSEReq-Flags.
pub const SEREQ_FLAGS: u16 = 186;
/// User Plane Path Recovery Report.
pub const USER_PLANE_PATH_RECOVERY_REPORT: u16 = 187;
/// Remove SRR.
pub const REMOVE_SRR: u16 = 211;
/// Create SRR.
pub const CREATE_SRR: u16 = 212;
/// Update SRR.
pub const UPDATE_SRR: u16 = 213;
/// Session Report.
pub const SESSION_REPORT: u16 = 214;
/// NF Instance ID.
pub const NF_INSTANCE_ID: u16 = 253;
/// Redundant Transmission Detection Parameters IE in PDI.
pub const REDUNDANT_TRANSMISSION_DETECTION: u16 = 255;
/// Updated PDR.
pub const UPDATED_PDR: u16 = 256;
/// S-NSSAI.
pub const S_NSSAI: u16 = 257;
/// Redundant Transmission Forwarding Parameters.
pub const REDUNDANT_TRANSMISSION_PARAMETERS: u16 = 270;
/// Partial Failure Information.
pub const PARTIAL_FAILURE_INFORMATION: u16 = 272;
/// PFCP Session Change Info.
pub const PFCP_SESSION_CHANGE_INFO: u16 = 290;
/// Group ID.
pub const GROUP_ID: u16 = 291;
/// CP IP Address.
pub const CP_IP_ADDRESS: u16 = 292;
/// Peer UP Restart Report IE within PFCP Node Report Request.
pub const PEER_UP_RESTART_REPORT: u16 = 315;
