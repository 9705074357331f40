//! Elements that are sets of flags, of as many octets as their release has:
//! the first octet is the lowest, so that a flag keeps its value whatever the
//! width, and flags without a name are kept.

use super::cursor::TRUNCATED;
use crate::WireError;

macro_rules! flags {
    ($(#[$doc:meta])* $type:ident($word:ty), at_least $least:literal {
        $($flag:ident $bit:literal $name:literal $meaning:literal)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
        pub struct $type(pub $word);

        impl $type {
            $(#[doc = $meaning] pub const $flag: $word = 1 << $bit;)*

            const NAMES: &'static [($word, &'static str)] = &[$((Self::$flag, $name)),*];

            /// Reads the value of the element.
            pub fn parse(value: &[u8]) -> Result<Self, WireError> {
                if value.len() < $least {
                    return Err(TRUNCATED);
                }
                let octets = value.iter().take(size_of::<$word>()).rev();
                Ok(Self(octets.fold(0, |all, octet| {
                    // The shift of a single octet's word would be its whole width.
                    all.checked_shl(8).unwrap_or(0) | <$word>::from(*octet)
                })))
            }

            /// Whether any of these flags is set.
            pub const fn has(self, flags: $word) -> bool {
                self.0 & flags != 0
            }

            /// The names of the flags that are set, lowest first; unknown ones have none.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::NAMES.iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, name)| *name)
            }
        }
    };
}

flags! {
    /// Apply Action (§8.2.26): what a FAR does with packets. One octet, two since release 16.
    ApplyAction(u16), at_least 1 {
        DROP 0 "drop" "Packets are dropped."
        FORW 1 "FORW" "Packets are forwarded."
        BUFF 2 "BUFF" "Packets are buffered."
        NOCP 3 "NOCP" "The CP function is told of the first packet that is buffered."
        DUPL 4 "DUPL" "Packets are duplicated: lawful interception, or theft."
        IPMA 5 "IPMA" "A user may join an IP multicast."
        IPMD 6 "IPMD" "A user may not join an IP multicast."
        DFRT 7 "DFRT" "Packets are duplicated for redundant transmission."
        EDRT 8 "EDRT" "Duplicates of redundant transmission are eliminated."
        BDPN 9 "BDPN" "The CP function is told of the first packet buffered."
        DDPN 10 "DDPN" "The CP function is told of the first packet discarded."
        FSSM 11 "FSSM" "Packets are forwarded to a multicast tunnel."
        MBSU 12 "MBSU" "Multicast packets are replicated to unicast tunnels."
    }
}

flags! {
    /// PFCPSMReq-Flags (§8.2.32) of a session modification request.
    SmReqFlags(u8), at_least 1 {
        DROBU 0 "drobu" "Buffered packets are dropped."
        SNDEM 1 "sndem" "End Markers are sent to the old end of the tunnel."
        QAURR 2 "qaurr" "Usage of every URR is reported."
        SUMPC 3 "sumpc" "Measurement stops while charging pauses."
        RUMUC 4 "rumuc" "Measurement goes on."
        DETEID 5 "deteid" "Downlink tunnels of a multicast session are deleted."
    }
}

flags! {
    /// PFCPSRReq-Flags (§8.2.110) of a session report request.
    SrReqFlags(u8), at_least 1 {
        PSDBU 0 "psdbu" "The UP function has deleted the session."
    }
}

flags! {
    /// PFCPSEReq-Flags (§8.2.139) of a session establishment request.
    SeReqFlags(u8), at_least 1 {
        RESTI 0 "resti" "The session is a restored one."
        SUMPC 1 "sumpc" "Measurement stops while charging pauses."
    }
}

impl SeReqFlags {
    /// Whether the session takes the place of one that was lost.
    pub const fn restores(self) -> bool {
        self.has(Self::RESTI)
    }
}

flags! {
    /// PFCP Association Release Request (§8.2.77).
    AssociationReleaseFlags(u8), at_least 1 {
        SARR 0 "sarr" "The UP function asks that the association be released."
        URSS 1 "urss" "All usage of the sessions has been reported."
    }
}

flags! {
    /// PFCPASRsp-Flags (§8.2.138) of an association setup response.
    AssociationResponseFlags(u8), at_least 1 {
        PSREI 0 "psrei" "The sessions of before are retained."
        UUPSI 1 "uupsi" "The UPF is set up for inter-operator security (IPUPS)."
    }
}

flags! {
    /// Report Type (§8.2.21) of a session report request.
    ReportType(u8), at_least 1 {
        DLDR 0 "dldr" "Downlink data waits."
        USAR 1 "usar" "Usage is reported."
        ERIR 2 "erir" "A peer answered with an Error Indication."
        UPIR 3 "upir" "The session is inactive."
        TMIR 4 "tmir" "Time-sensitive management information is reported."
        SESR 5 "sesr" "A measurement of the session is reported."
        UISR 6 "uisr" "The UP function asks for a change of the session."
    }
}

flags! {
    /// Node Report Type (§8.2.68).
    NodeReportType(u8), at_least 1 {
        UPFR 0 "upfr" "A user plane path failed."
        UPRR 1 "uprr" "A user plane path recovered."
        CKDR 2 "ckdr" "A clock drifted."
        GPQR 3 "gpqr" "Quality of a GTP-U path is reported."
        PURR 4 "purr" "A GTP-U peer restarted."
        VSR 5 "vsr" "A vendor's own report."
    }
}

flags! {
    /// Measurement Method (§8.2.40) of a URR.
    MeasurementMethod(u8), at_least 1 {
        DURAT 0 "durat" "Duration is measured."
        VOLUM 1 "volum" "Volume is measured."
        EVENT 2 "event" "Events are measured."
    }
}

impl MeasurementMethod {
    /// Whether octets are counted.
    pub const fn volume(self) -> bool {
        self.has(Self::VOLUM)
    }
}

flags! {
    /// Reporting Triggers (§8.2.19) of a URR. Two octets, three since release 16.
    ReportingTriggers(u32), at_least 2 {
        PERIO 0 "perio" "Periodic."
        VOLTH 1 "volth" "Volume threshold."
        TIMTH 2 "timth" "Time threshold."
        QUHTI 3 "quhti" "Quota holding time."
        START 4 "start" "Start of traffic."
        STOPT 5 "stopt" "Stop of traffic."
        DROTH 6 "droth" "Dropped downlink traffic threshold."
        LIUSA 7 "liusa" "Linked usage reporting."
        VOLQU 8 "volqu" "Volume quota."
        TIMQU 9 "timqu" "Time quota."
        ENVCL 10 "envcl" "Envelope closure."
        MACAR 11 "macar" "MAC addresses."
        EVETH 12 "eveth" "Event threshold."
        EVEQU 13 "evequ" "Event quota."
        IPMJL 14 "ipmjl" "IP multicast join or leave."
        QUVTI 15 "quvti" "Quota validity time."
        REEMR 16 "reemr" "Reception of an End Marker."
        UPINT 17 "upint" "User plane inactivity."
    }
}

flags! {
    /// Usage Report Trigger (§8.2.41). Two octets, three since release 15.
    UsageReportTrigger(u32), at_least 2 {
        PERIO 0 "perio" "Periodic."
        VOLTH 1 "volth" "Volume threshold."
        TIMTH 2 "timth" "Time threshold."
        QUHTI 3 "quhti" "Quota holding time."
        START 4 "start" "Start of traffic."
        STOPT 5 "stopt" "Stop of traffic."
        DROTH 6 "droth" "Dropped downlink traffic threshold."
        IMMER 7 "immer" "Immediate, on demand."
        VOLQU 8 "volqu" "Volume quota."
        TIMQU 9 "timqu" "Time quota."
        LIUSA 10 "liusa" "Linked usage reporting."
        TERMR 11 "termr" "Termination of the session or its URR."
        MONIT 12 "monit" "Monitoring time."
        ENVCL 13 "envcl" "Envelope closure."
        MACAR 14 "macar" "MAC addresses."
        EVETH 15 "eveth" "Event threshold."
        EVEQU 16 "evequ" "Event quota."
        TEBUR 17 "tebur" "Termination by the UP function."
        IPMJL 18 "ipmjl" "IP multicast join or leave."
        QUVTI 19 "quvti" "Quota validity time."
        EMRRE 20 "emrre" "Reception of an End Marker."
        UPINT 21 "upint" "User plane inactivity."
    }
}

flags! {
    /// CP Function Features (§8.2.58).
    CpFeatures(u32), at_least 1 {
        LOAD 0 "load" "Load control."
        OVRL 1 "ovrl" "Overload control."
        EPFAR 2 "epfar" "Enhanced association release."
        SSET 3 "sset" "Sessions may be taken over by another SMF of the set."
        BUNDL 4 "bundl" "Several messages in one datagram."
        MPAS 5 "mpas" "Several associations between an SMF set and a UPF."
        ARDR 6 "ardr" "Additional usage reports in deletion responses."
        UIAUR 7 "uiaur" "Use of UE addresses is reported."
        PSUCC 8 "psucc" "Requests may be accepted in part."
        RPGUR 9 "rpgur" "Restarts of GTP-U peers are reported."
    }
}

flags! {
    /// UP Function Features (§8.2.25). Two octets, as many as seven in later releases.
    UpFeatures(u128), at_least 2 {
        BUCP 0 "bucp" "Buffering in the CP function."
        DDND 1 "ddnd" "Delay of downlink data notifications."
        DLBD 2 "dlbd" "Duration of downlink buffering."
        TRST 3 "trst" "Traffic steering."
        FTUP 4 "ftup" "The UP function allots F-TEIDs."
        PFDM 5 "pfdm" "Management of packet flow descriptions."
        HEEU 6 "heeu" "Header enrichment uplink."
        TREU 7 "treu" "Traffic redirection uplink."
        EMPU 8 "empu" "End Markers are made by the UP function."
        PDIU 9 "pdiu" "PDI optimisation: traffic endpoints."
        UDBC 10 "udbc" "Uplink and downlink buffering control."
        QUOAC 11 "quoac" "Action when a quota is used up."
        TRACE 12 "trace" "Tracing."
        FRRT 13 "frrt" "Framed routes."
        PFDE 14 "pfde" "Enhanced packet flow descriptions."
        EPFAR 15 "epfar" "Enhanced association release."
        DPDRA 16 "dpdra" "Deferred activation of PDRs."
        ADPDP 17 "adpdp" "Activation of predefined PDRs."
        UEIP 18 "ueip" "The UP function allots UE addresses."
        SSET 19 "sset" "Sessions may be taken over by another SMF of the set."
        MNOP 20 "mnop" "Packets are counted beside octets."
        MTE_N4 21 "mte_n4" "Several traffic endpoints in a PDI."
        BUNDL 22 "bundl" "Several messages in one datagram."
        GCOM 23 "gcom" "5G LAN group communication."
        MPAS 24 "mpas" "Several associations between an SMF set and a UPF."
        RTTL 25 "rttl" "Redundant transmission at the transport layer."
        VTIME 26 "vtime" "Quota validity time."
        NORP 27 "norp" "Number of reports."
        IPTV 28 "iptv" "IP multicast for television."
        IP6PL 29 "ip6pl" "IPv6 prefixes of other lengths than 64."
        TSCU 30 "tscu" "Time-sensitive communication."
        MPTCP 31 "mptcp" "Multipath TCP."
        ATSSS_LL 32 "atsss_ll" "Steering below IP."
        QFQM 33 "qfqm" "Monitoring of a QoS flow's quality."
        GPQM 34 "gpqm" "Monitoring of a GTP-U path's quality."
        MT_EDT 35 "mt_edt" "Early data transmission to the user."
        CIOT 36 "ciot" "Features for small devices."
        ETHAR 37 "ethar" "Ethernet address resolution."
        DDDS 38 "ddds" "Downlink data delivery status."
        RDS 39 "rds" "Reliable data service."
        RTTWP 40 "rttwp" "Round trip time towards the steering peer."
        QUASF 41 "quasf" "Quota action is a specific FAR."
        NSPOC 42 "nspoc" "Notifications of start or pause of charging."
        L2TP 43 "l2tp" "L2TP towards the data network."
        UPBER 44 "upber" "Uplink packets are buffered while an edge server moves."
        RESPS 45 "resps" "Sessions are restored by group, CP function or address."
        IPREP 46 "iprep" "Addresses and ports are replaced."
        DNSTS 47 "dnsts" "Traffic steering by DNS."
        DRQOS 48 "drqos" "Quality is reported to an application directly."
        MBSN4 49 "mbsn4" "Multicast and broadcast over N4."
        PSUPRM 50 "psuprm" "Per-slice resource management."
        EPPI 51 "eppi" "Enhanced paging policy."
        RATP 52 "ratp" "Redirection to several addresses and ports."
        UPIDP 53 "upidp" "User plane inactivity per PDR."
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::sound::sound;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn an_apply_action_of_one_octet_or_two() {
        assert_eq!(ApplyAction::parse(&[]), Err(TRUNCATED));
        let old = ApplyAction::parse(&[0x0c]).unwrap();
        assert_eq!(old, ApplyAction(ApplyAction::BUFF | ApplyAction::NOCP));
        assert_eq!(old.names().collect::<Vec<_>>(), ["BUFF", "NOCP"]);
        let new = ApplyAction::parse(&[0x12, 0x10]).unwrap();
        assert_eq!(new.names().collect::<Vec<_>>(), ["FORW", "DUPL", "MBSU"]);
        // What a third octet means nobody knows; a flag without a name stays.
        let unknown = ApplyAction::parse(&[0, 0x80, 0xff]).unwrap();
        assert_eq!((unknown.0, unknown.names().count()), (0x8000, 0));
    }

    #[test]
    fn triggers_of_two_octets_or_three() {
        assert_eq!(UsageReportTrigger::parse(&[0]), Err(TRUNCATED));
        assert_eq!(ReportingTriggers::parse(&[0]), Err(TRUNCATED));
        let two = UsageReportTrigger::parse(&[0x00, 0x08]).unwrap();
        let three = UsageReportTrigger::parse(&[0x00, 0x08, 0x00]).unwrap();
        assert_eq!(two, three);
        assert!(three.has(UsageReportTrigger::TERMR) && !three.has(UsageReportTrigger::IMMER));
        let marker = ReportingTriggers::parse(&[2, 1, 1]).unwrap();
        assert_eq!(marker.names().collect::<Vec<_>>(), ["volth", "volqu", "reemr"]);
    }

    #[test]
    fn single_octets_pass_over_what_is_behind() {
        sound(&[0x41], ReportType::parse, ReportType(0x41));
        sound(&[0x12], NodeReportType::parse, NodeReportType(0x12));
        sound(&[3], MeasurementMethod::parse, MeasurementMethod(3));
        sound(&[0x22], SmReqFlags::parse, SmReqFlags(0x22));
        sound(&[1], SrReqFlags::parse, SrReqFlags(1));
        sound(&[1], SeReqFlags::parse, SeReqFlags(1));
        sound(&[1], AssociationReleaseFlags::parse, AssociationReleaseFlags(1));
        sound(&[1], AssociationResponseFlags::parse, AssociationResponseFlags(1));
        assert!(SeReqFlags(1).restores() && !SeReqFlags(2).restores());
        assert!(MeasurementMethod(2).volume() && !MeasurementMethod(5).volume());
    }

    #[test]
    fn features_are_counted_from_the_first_octet() {
        assert_eq!(UpFeatures::parse(&[0x10]), Err(TRUNCATED));
        let up = UpFeatures::parse(&[0x10, 0x02, 0x08, 0x01]).unwrap();
        assert_eq!(up.names().collect::<Vec<_>>(), ["ftup", "pdiu", "sset", "mpas"]);
        // Longer than any release's: what does not fit is unknown to everybody.
        let long = UpFeatures::parse(&[0xff; 20]).unwrap();
        assert_eq!((long.0, long.names().count()), (u128::MAX, 54));
        let cp = CpFeatures::parse(&[0x28, 0x02]).unwrap();
        assert_eq!(cp.names().collect::<Vec<_>>(), ["sset", "mpas", "rpgur"]);
    }

    #[test]
    fn no_two_flags_are_one_bit() {
        for names in [UpFeatures::NAMES, &[]] {
            let bits: u128 = names.iter().map(|(bit, _)| bit).sum();
            assert_eq!(bits.count_ones() as usize, names.len());
        }
        for names in [UsageReportTrigger::NAMES, ReportingTriggers::NAMES, CpFeatures::NAMES] {
            let bits: u32 = names.iter().map(|(bit, _)| bit).sum();
            assert_eq!(bits, (1 << names.len()) - 1);
        }
    }
}
