//! What the detections are told: a spell of activity, from the side of one equipment.

use std::net::IpAddr;

use weir_engine::contract::verdict::Activity;

use crate::number_of;

/// A side of a flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Who opened it, as far as that is known.
    First,
    /// The other.
    Second,
}

/// A set of equals that an equipment belongs to, and whom to hold against it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cohort {
    /// Stands for its vendor.
    pub vendor: u64,
    /// Stands for its vendor, model and build.
    pub build: u64,
    /// How many of the build are installed.
    pub installed: u32,
    /// Whom to hold against it.
    pub contrast: Contrast,
    /// How many of these are installed.
    pub others: u32,
}

/// Whom to hold against a build.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Contrast {
    /// Equipment of other vendors.
    OtherVendors,
    /// Where there is one vendor only: equipment of its other builds.
    OtherBuilds,
}

impl Cohort {
    /// The cohort of a vendor's build. `same_build`, `of_vendor` and `all` are how many are
    /// installed.
    pub fn of([vendor, model, build]: [&str; 3], [same_build, of_vendor, all]: [u32; 3]) -> Self {
        let (contrast, others) = match all.saturating_sub(of_vendor) {
            0 => (Contrast::OtherBuilds, of_vendor.saturating_sub(same_build)),
            others => (Contrast::OtherVendors, others),
        };
        let build = number_of(&[vendor, model, build]);
        Self { vendor: number_of(&vendor), build, installed: same_build, contrast, others }
    }

    /// Whether an equipment of this vendor and build is one to hold against it.
    pub fn is_contrast(&self, vendor: u64, build: u64) -> bool {
        match self.contrast {
            Contrast::OtherVendors => vendor != self.vendor,
            Contrast::OtherBuilds => build != self.build,
        }
    }
}

/// What is known of a spell's equipment at its time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// The UTC day on which alerts count the spell.
    pub day: u32,
    /// Whether work on the equipment is declared for that time.
    pub is_in_window: bool,
    /// Its equals, if its entry names a build.
    pub cohort: Option<Cohort>,
}

/// A spell of activity, from the side of the equipment whose doing it is.
#[derive(Clone, Copy, Debug)]
pub struct Spell<'a> {
    /// The equipment's id, which outlives the numbers of a policy.
    pub equipment: &'a str,
    /// The record.
    pub activity: &'a Activity,
    /// What is known of the equipment.
    pub context: Context,
    /// The other side.
    pub peer: IpAddr,
    /// Whether that is equipment too.
    pub is_peer_equipment: bool,
    /// Whether the equipment is who opened the flow, as far as that is known.
    pub may_have_opened: bool,
    /// Packets and bytes that the equipment sent.
    pub sent: (u64, u64),
    /// Packets and bytes that it received.
    pub received: (u64, u64),
}

impl<'a> Spell<'a> {
    /// The spell as the doing of the equipment on one side.
    pub fn of(equipment: &'a str, activity: &'a Activity, side: Side, context: Context) -> Self {
        let Activity { tuple, to_server, to_client, .. } = activity;
        match side {
            Side::First => Self {
                equipment,
                activity,
                context,
                peer: tuple.destination,
                is_peer_equipment: activity.destination.is_some(),
                may_have_opened: true,
                sent: *to_server,
                received: *to_client,
            },
            Side::Second => Self {
                equipment,
                activity,
                context,
                peer: tuple.source,
                is_peer_equipment: activity.source.is_some(),
                may_have_opened: !activity.initiator_known && activity.source.is_none(),
                sent: *to_client,
                received: *to_server,
            },
        }
    }

    /// Whether it is on one of these services, a protocol and the responder's port: either one
    /// while it is not known who opened the flow.
    pub fn is_on(&self, services: &[(u8, u16)]) -> bool {
        let tuple = &self.activity.tuple;
        let may_respond = !self.activity.initiator_known;
        services.contains(&(tuple.protocol, tuple.destination_port))
            || may_respond && services.contains(&(tuple.protocol, tuple.source_port))
    }

    /// Packets both ways.
    pub fn packets(&self) -> u64 {
        self.sent.0 + self.received.0
    }

    /// Bytes both ways.
    pub fn bytes(&self) -> u64 {
        self.sent.1 + self.received.1
    }

    /// The /24 or /48 of the other side.
    pub fn network(&self) -> IpAddr {
        weir_wire::Address::from(self.peer).neighbourhood().into()
    }
}
