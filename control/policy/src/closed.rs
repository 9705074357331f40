//! The closed lists of names: links, roles, directions. Each has a stable number for the wire and
//! for shared memory.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Mistake;
use crate::nearest::{quoted, remedy};

macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident ($what:literal) {
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
        )]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every member, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in configuration files, events and metric labels.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The stable number: the position in the published list, from 0.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The member with this number.
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = Mistake;

            fn from_str(text: &str) -> Result<Self, Mistake> {
                Self::ALL.iter().copied().find(|member| member.name() == text).ok_or_else(|| {
                    Mistake::new(
                        format!(concat!("unknown ", $what, " {}"), quoted(text)),
                        remedy(text, Self::ALL.iter().map(|member| member.name())),
                    )
                })
            }
        }
    };
}

closed_list! {
    /// The reference point (TS 23.501 §4.2.7) or other kind of link that a tap or an address
    /// belongs to.
    Link ("link") {
        /// gNB–AMF.
        N2 = "n2",
        /// gNB–UPF.
        N3 = "n3",
        /// SMF–UPF.
        N4 = "n4",
        /// UPF–data network.
        N6 = "n6",
        /// UPF–UPF.
        N9 = "n9",
        /// gNB–gNB.
        Xn = "xn",
        /// DU–CU.
        F1 = "f1",
        /// eNB–S-GW of a 4G core.
        S1u = "s1u",
        /// Towards the service-based interfaces of the core.
        Sbi = "sbi",
        /// Operation and maintenance.
        Oam = "oam",
        /// Several of them on one tap, or not known.
        Mixed = "mixed",
    }
}

closed_list! {
    /// What a piece of equipment is for.
    Role ("role") {
        /// 5G base station.
        Gnb = "gnb",
        /// Its central unit.
        Cu = "cu",
        /// Its distributed unit.
        Du = "du",
        /// User plane function.
        Upf = "upf",
        /// Session management function.
        Smf = "smf",
        /// Access and mobility management function.
        Amf = "amf",
        /// Router or switch.
        Router = "router",
        /// Security gateway.
        Secgw = "secgw",
        /// Operation and maintenance system.
        Oam = "oam",
        /// Name server.
        Dns = "dns",
        /// Time server.
        Ntp = "ntp",
        /// Log server.
        Syslog = "syslog",
        /// Mediation function of lawful interception.
        Mediation = "mediation",
        /// Anything else.
        Other = "other",
    }
}

closed_list! {
    /// What a packet broker wraps a tap's frames in; it is taken off.
    Wrapper ("wrapper") {
        /// GRE.
        Gre = "gre",
        /// ERSPAN, types I to III.
        Erspan = "erspan",
        /// VXLAN.
        Vxlan = "vxlan",
    }
}

closed_list! {
    /// What carries events to a collector.
    Transport ("transport") {
        /// A datagram an event: RFC 5426, RFC 7011 §10.3.
        Udp = "udp",
        /// A stream: RFC 6587, RFC 7011 §10.4.
        Tcp = "tcp",
        /// A stream that nobody else can read or forge: RFC 5425.
        Tls = "tls",
    }
}

closed_list! {
    /// What stands in a syslog message.
    EventFormat ("format") {
        /// The event as it stands in the event file.
        Eve = "eve",
        /// ArcSight's Common Event Format.
        Cef = "cef",
    }
}

closed_list! {
    /// The types of events.
    EventType ("event type") {
        /// A finding.
        Alert = "alert",
        /// An equipment flow.
        Flow = "flow",
        /// A PFCP session.
        Session = "session",
        /// The counters.
        Stats = "stats",
        /// A change of Weir's own health.
        Health = "health",
        /// A policy that came into force or was refused.
        Policy = "policy",
        /// What somebody did.
        Audit = "audit",
    }
}

closed_list! {
    /// The directions that a tap delivers.
    Direction ("direction") {
        /// Uplink: from the subscriber.
        Ul = "ul",
        /// Downlink: to the subscriber.
        Dl = "dl",
        /// Both.
        Both = "both",
    }
}

/// A set of [`Role`]s: bit `n` is the role with code `n`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct RoleSet(u32);

impl RoleSet {
    /// The set with these bits; `None` if one of them is no role.
    pub fn from_bits(bits: u32) -> Option<Self> {
        (bits >> Role::ALL.len() == 0).then_some(Self(bits))
    }

    /// The bits of the set.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether `role` is in the set.
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role.code()) != 0
    }

    /// Whether no role is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles in the set, in the order of their codes.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.iter().copied().filter(move |role| self.contains(*role))
    }
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | 1 << role.code()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_roles_keep_their_published_numbers() {
        let names =
            |list: &[Link]| list.iter().map(|link| link.name()).collect::<Vec<_>>().join(" ");
        assert_eq!(names(Link::ALL), "n2 n3 n4 n6 n9 xn f1 s1u sbi oam mixed");
        assert_eq!((Link::N2.code(), Link::Mixed.code()), (0, 10));
        let roles = Role::ALL.iter().map(|role| role.name()).collect::<Vec<_>>().join(" ");
        assert_eq!(roles, "gnb cu du upf smf amf router secgw oam dns ntp syslog mediation other");
        assert_eq!((Role::Gnb.code(), Role::Other.code()), (0, 13));
        for link in Link::ALL {
            assert_eq!(Link::from_code(link.code()), Some(*link));
            assert_eq!(link.name().parse(), Ok(*link));
            let json = serde_json::to_string(link).unwrap();
            assert_eq!(json, format!("\"{link}\""), "serde and Display agree");
        }
        assert_eq!(Link::from_code(11), None);
    }

    #[test]
    fn an_unknown_name_names_the_nearest_or_the_whole_list() {
        let near = "routr".parse::<Role>().unwrap_err();
        assert_eq!(near.to_string(), "unknown role `routr`; did you mean `router`?");
        let far = "sideways".parse::<Direction>().unwrap_err();
        assert_eq!(far.remedy, "use one of: ul, dl, both");
    }

    #[test]
    fn a_role_set_refuses_bits_that_are_no_role() {
        assert_eq!(RoleSet::from_bits(1 << 14), None);
        assert_eq!(RoleSet::from_bits(u32::MAX), None);
        let set: RoleSet = [Role::Upf, Role::Other].into_iter().collect();
        assert_eq!(set.bits(), 1 << 3 | 1 << 13);
        assert_eq!(RoleSet::from_bits(set.bits()), Some(set));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Role::Upf, Role::Other]);
    }
}
