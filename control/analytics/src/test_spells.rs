//! Spells for tests.

use weir_engine::Nanos;
use weir_engine::contract::verdict::{Activity, Tuple};
use weir_engine::rules::{EquipmentId, Link};

use crate::{Context, Side, Spell};

pub(crate) fn hours(hours: f64) -> Nanos {
    Nanos((hours * 3.6e12) as u64)
}

/// A packet of gnb-1 to a stranger's HTTPS port, which the policy does not allow.
pub(crate) fn activity(at: Nanos) -> Activity {
    Activity {
        flow_id: 7,
        tuple: Tuple {
            source: [10, 0, 0, 1].into(),
            destination: [198, 51, 100, 7].into(),
            source_port: 40_000,
            destination_port: 443,
            protocol: 6,
        },
        initiator_known: true,
        source: Some(EquipmentId(0)),
        destination: None,
        to_server: (3, 400),
        to_client: (3, 300),
        total: (6, 700),
        opened: at,
        first: at,
        last: at,
        continues: false,
        allowed: false,
        periodic: false,
        name: None,
        tap: 0,
        link: Link::Oam,
        policy: 1,
        evidence: None,
    }
}

/// It as the doing of gnb-1, or of whichever side is equipment.
pub(crate) fn spell(activity: &Activity) -> Spell<'_> {
    let side = if activity.source.is_some() { Side::First } else { Side::Second };
    let context = Context { day: activity.last.day(), ..Context::default() };
    Spell::of("gnb-1", activity, side, context)
}
