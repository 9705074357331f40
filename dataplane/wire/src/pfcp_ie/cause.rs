//! Cause (§8.2.1): what became of a request.

use super::cursor::Cursor;
use crate::WireError;

/// The causes that have a name, with it as metric label.
const NAMES: [(u8, &str); 32] = [
    (1, "request_accepted"),
    (2, "more_usage_report_to_send"),
    (3, "request_partially_accepted"),
    (64, "request_rejected"),
    (65, "session_context_not_found"),
    (66, "mandatory_ie_missing"),
    (67, "conditional_ie_missing"),
    (68, "invalid_length"),
    (69, "mandatory_ie_incorrect"),
    (70, "invalid_forwarding_policy"),
    (71, "invalid_f_teid_allocation_option"),
    (72, "no_established_pfcp_association"),
    (73, "rule_creation_modification_failure"),
    (74, "pfcp_entity_in_congestion"),
    (75, "no_resources_available"),
    (76, "service_not_supported"),
    (77, "system_failure"),
    (78, "redirection_requested"),
    (79, "all_dynamic_addresses_are_occupied"),
    (80, "unknown_predefined_rule"),
    (81, "unknown_application_id"),
    (82, "l2tp_tunnel_establishment_failure"),
    (83, "l2tp_session_establishment_failure"),
    (84, "l2tp_tunnel_release"),
    (85, "l2tp_session_release"),
    (86, "pfcp_session_restoration_failure"),
    (87, "l2tp_tunnel_authentication_failure"),
    (88, "l2tp_session_authentication_failure"),
    (89, "lns_not_reachable"),
    (90, "pfd_contents_syntax_error"),
    (91, "pfd_contents_semantics_error"),
    (92, "pfd_application_id_unknown"),
];

/// The cause of a response (Table 8.2.1-1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Cause(pub u8);

impl Cause {
    /// The number of counters that [`Cause::counter`] indexes.
    pub const COUNTERS: usize = NAMES.len() + 1;

    /// Reads the value of a Cause.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        Cursor(value).octet().map(Self)
    }

    /// Whether all of the request holds. That more usage reports follow is said
    /// by a cause of its own (2), which is an acceptance too.
    pub const fn is_accepted(self) -> bool {
        matches!(self.0, 1 | 2)
    }

    /// Whether a part of the request holds (3, release 17): all but the rules
    /// that Partial Failure Information names.
    pub const fn is_partly_accepted(self) -> bool {
        self.0 == 3
    }

    /// The name of a counter, in the metric label `cause`.
    pub const fn counter_name(counter: usize) -> &'static str {
        if counter < NAMES.len() { NAMES[counter].1 } else { "unknown" }
    }

    /// The index of this cause's counter; causes without a name share the last.
    pub const fn counter(self) -> usize {
        match self.0 {
            1..=3 => self.0 as usize - 1,
            64..=92 => self.0 as usize - 64 + 3,
            _ => NAMES.len(),
        }
    }

    /// The name of this cause.
    pub const fn name(self) -> &'static str {
        Self::counter_name(self.counter())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sound::sound;
    use super::*;

    #[test]
    fn counters_and_names_agree() {
        for (counter, (code, name)) in NAMES.into_iter().enumerate() {
            assert_eq!((Cause(code).counter(), Cause(code).name()), (counter, name));
        }
        for code in [0, 4, 63, 93, 255] {
            assert_eq!(Cause(code).name(), "unknown");
            assert_eq!(Cause(code).counter(), Cause::COUNTERS - 1);
        }
    }

    #[test]
    fn a_request_is_accepted_in_part_or_rejected() {
        sound(&[1], Cause::parse, Cause(1));
        assert!(Cause(1).is_accepted() && Cause(2).is_accepted() && !Cause(3).is_accepted());
        assert!(Cause(3).is_partly_accepted() && !Cause(2).is_partly_accepted());
        assert!(!Cause(64).is_accepted() && !Cause(65).is_partly_accepted());
    }
}
