//! EGR-LONGCONN: a flow that the policy does not allow and that lasts for hours.
//!
//! Each spell of activity says when its flow began, hence nothing needs to be remembered.

use weir_engine::Nanos;
use weir_engine::contract::verdict::{Fact, Severity};
use weir_engine::detect::EGR_LONGCONN;

use crate::{Finding, Spell};

/// Says that the flow of a spell has lasted longer than `longest`; of two equipment, who opened it
/// is told of.
pub fn observe(spell: &Spell<'_>, longest: Nanos, say: &mut impl FnMut(Finding)) {
    let activity = spell.activity;
    let lasted = activity.last.since(activity.opened);
    let is_others = activity.source.is_some() && !spell.may_have_opened;
    if activity.allowed || is_others || lasted <= longest {
        return;
    }
    say(Finding {
        detection: EGR_LONGCONN,
        day: spell.context.day,
        severity: Severity::Medium,
        is_degraded: false,
        fact: Fact::Lasting { lasted },
        peer: Some(spell.peer),
        instance: activity.flow_id,
        packets: activity.total.0,
        bytes: activity.total.1,
        first: activity.opened,
        last: activity.last,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_spells::{activity, hours, spell};

    #[test]
    fn only_what_is_not_allowed_and_lasts_is_told() {
        let told = |allowed, last| {
            let activity = weir_engine::contract::verdict::Activity {
                allowed,
                last,
                total: (70, 9_000),
                ..activity(hours(0.0))
            };
            let mut told = Vec::new();
            observe(&spell(&activity), hours(4.0), &mut |it| told.push(it));
            told
        };
        assert_eq!(told(false, hours(4.0)), []);
        assert_eq!(told(true, hours(400.0)), []);
        let [finding] = told(false, hours(5.0))[..] else { panic!("one finding") };
        assert_eq!(finding.fact, Fact::Lasting { lasted: hours(5.0) });
        assert_eq!((finding.packets, finding.bytes, finding.first), (70, 9_000, hours(0.0)));
    }
}
