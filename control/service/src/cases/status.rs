//! Where an alert stands in the hands of people.

use serde::{Deserialize, Serialize};

/// Where an alert stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Status {
    /// Nobody has looked at it, or it went on after somebody had.
    New,
    /// Somebody works on it.
    Acknowledged,
    /// The policy or a suppression silences it.
    Suppressed,
    /// Somebody is done with it.
    Closed,
}

impl Status {
    /// Every status, by its number in the store.
    pub const ALL: [Status; 4] =
        [Status::New, Status::Acknowledged, Status::Suppressed, Status::Closed];

    /// As events and the interface name it.
    pub const fn name(self) -> &'static str {
        match self {
            Status::New => "new",
            Status::Acknowledged => "acknowledged",
            Status::Suppressed => "suppressed",
            Status::Closed => "closed",
        }
    }

    /// The status with this number.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Where an alert stands that is said, as its day's last word or not, after it was told how
    /// grave it is. What goes on though somebody was done with it, or silenced it until now, is new
    /// again; so is what somebody works on if it has become graver.
    pub fn said(self, is_final: bool, is_graver: bool) -> Self {
        match self {
            Status::Suppressed | Status::Closed if !is_final => Status::New,
            Status::Acknowledged if is_graver => Status::New,
            other => other,
        }
    }

    /// Whether people may put an alert there by hand. Only a suppression with reason and end
    /// silences.
    pub const fn is_by_hand(self) -> bool {
        !matches!(self, Status::Suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_new_again_and_a_last_word_changes_nothing() {
        use Status::{Acknowledged, Closed, New, Suppressed};
        for (before, is_final, is_graver, after) in [
            (New, false, false, New),
            (Acknowledged, false, false, Acknowledged),
            (Acknowledged, false, true, New),
            (Closed, false, false, New),
            (Closed, true, false, Closed),
            (Suppressed, false, false, New),
            (Acknowledged, true, false, Acknowledged),
        ] {
            assert_eq!(
                before.said(is_final, is_graver),
                after,
                "{before:?} {is_final} {is_graver}"
            );
        }
    }

    #[test]
    fn numbers_in_the_store_mean_what_they_meant() {
        let names = Status::ALL.map(Status::name);
        assert_eq!(names, ["new", "acknowledged", "suppressed", "closed"]);
        assert!((0..4).all(|number| Status::of(number).unwrap() as u8 == number));
        assert_eq!(Status::of(4), None);
    }
}
