//! What is shown, in words and numbers: the same on the dashboard and on the page of `--once`.

use super::told::{Latency, State};

/// How well Weir sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sight {
    /// Everything that comes.
    Whole,
    /// Something is missing.
    Partial,
    /// Nothing.
    None,
    /// The capture is at its end.
    Over,
}

/// Whether everything is seen: the heading and the sentence below it.
pub(super) fn sight(state: &State) -> (Sight, String, String) {
    let reason = state.reason.as_ref().map(|reason| capital(reason.as_str()));
    let frames = || {
        let (inspected, received) = (count(state.inspected), count(state.received));
        format!("{inspected} of {received} frames were inspected since the sensor's start.")
    };
    if !state.up && state.replay {
        return (Sight::Over, "The replay has ended".into(), frames());
    }
    if !state.up {
        let why = reason.unwrap_or_else(|| "It gives no sign of life".into());
        let advice =
            format!("{why}. Nothing is inspected. Look at it: systemctl status weir-sensor");
        return (Sight::None, "The sensor is away".into(), advice);
    }
    let missed = state.not_inspected_per_second.unwrap_or(0.0);
    if missed > 0.0 {
        let share = missed / (missed + state.packets_per_second.unwrap_or(0.0).max(0.0));
        let heading = format!("{} of frames are not inspected", percent(Some(share)));
        let advice = "What is in them nobody knows. docs/overload.md says what helps.";
        return (Sight::Partial, heading, advice.into());
    }
    if let Some(reason) = reason {
        return (Sight::Partial, "Not ready".into(), format!("{reason}."));
    }
    if state.n4_coverage.is_some_and(|share| share < 0.9) {
        let advice = "What rests on sessions is degraded. Look whether all paths of N4 are tapped.";
        return (Sight::Partial, "N4 is seen in part only".into(), advice.into());
    }
    let heading = if state.replay { "Replaying a capture" } else { "Seeing everything" };
    (Sight::Whole, heading.into(), frames())
}

fn capital(text: &str) -> String {
    let mut signs = text.chars();
    signs.next().map_or_else(String::new, |first| first.to_uppercase().chain(signs).collect())
}

/// Reasons that are named.
const REASONS: usize = 12;

/// Frames that were not inspected, by reason, the most first.
pub(super) fn missed(state: &State) -> String {
    let reasons = state.not_inspected.iter().flatten();
    let mut reasons: Vec<_> = reasons
        .filter_map(|(reason, total)| Some((total.filter(|&total| total > 0)?, reason)))
        .collect();
    reasons.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    let text = |(total, reason): (u64, _)| format!("{reason} {}", count(Some(total)));
    if reasons.is_empty() {
        return "none so far".into();
    }
    reasons.into_iter().take(REASONS).map(text).collect::<Vec<_>>().join(", ")
}

/// The times from a frame to its alert.
pub(super) fn latency(state: &State) -> String {
    let Latency { p50, p99 } = state.latency_ms.unwrap_or_default();
    format!("p50 {}, p99 {}", milliseconds(p50), milliseconds(p99))
}

/// What N4 and the equipment keep up.
pub(super) fn sessions(state: &State) -> String {
    let State { sessions, tunnels, flows, .. } = state;
    format!("{}, tunnels {}, flows {}", count(*sessions), count(*tunnels), count(*flows))
}

/// How many alerts stand where.
pub(super) fn standing(state: &State) -> String {
    let alerts = state.alerts.unwrap_or_default();
    let named = [
        (alerts.new, "new"),
        (alerts.acknowledged, "acknowledged"),
        (alerts.suppressed, "suppressed"),
        (alerts.closed, "closed"),
    ];
    named.map(|(number, name)| format!("{} {name}", count(number))).join(", ")
}

/// The version of the policy, and the beginning of its hash.
pub(super) fn policy(state: &State) -> String {
    let Some(policy) = &state.policy else { return "none".into() };
    match &policy.sha256 {
        Some(hash) => {
            format!("{} ({})", policy.version, hash.as_str().chars().take(8).collect::<String>())
        }
        None => format!("{} (not of this control)", policy.version),
    }
}

/// A rate with three digits and a prefix, as in `1.25 Mbit/s`.
pub(super) fn rate(value: Option<f64>, unit: &str) -> String {
    const PREFIXES: [&str; 6] = ["", "k", "M", "G", "T", "P"];
    let Some(value) = value else { return "-".into() };
    let (mut left, mut at) = (value.max(0.0), 0);
    while left >= 999.5 && at + 1 < PREFIXES.len() {
        (left, at) = (left / 1e3, at + 1);
    }
    format!("{} {}{unit}", digits(left, at == 0 && left.fract() == 0.0), PREFIXES[at])
}

fn digits(value: f64, is_whole: bool) -> String {
    match value {
        _ if is_whole => format!("{value:.0}"),
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn milliseconds(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value < 1.0 => format!("{} us", digits(value * 1e3, false)),
        Some(value) if value < 1e3 => format!("{} ms", digits(value, false)),
        Some(value) => format!("{} s", digits(value / 1e3, false)),
    }
}

/// A share of 1 in percent; small ones with two digits more, so that a little is not nothing.
pub(super) fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".into(),
        Some(share) if share > 0.0 && share < 0.1 => format!("{:.2} %", share * 100.0),
        Some(share) => format!("{:.0} %", share * 100.0),
    }
}

/// A share of 1 in whole percent.
pub(super) fn percent_whole(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.0} %", share * 100.0))
}

/// The share of N4 that was seen, rounded down: only all of it is 100 %.
pub(super) fn coverage(state: &State) -> String {
    match state.n4_coverage {
        Some(share) if state.up => format!("{:.1} %", (share * 1e3).floor() / 10.0),
        _ => "-".into(),
    }
}

/// A whole number in groups of three.
pub(super) fn count(number: Option<u64>) -> String {
    let Some(number) = number else { return "-".into() };
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(json: &str) -> State {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_have_three_digits_and_the_unit_that_fits() {
        assert_eq!(rate(Some(0.0), "/s"), "0 /s");
        assert_eq!(rate(Some(12.0), "/s"), "12 /s");
        assert_eq!(rate(Some(999.7), "/s"), "1.00 k/s");
        assert_eq!(rate(Some(9_812_000_000.0), "bit/s"), "9.81 Gbit/s");
        assert_eq!(rate(None, "/s"), "-");
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(|it| count(Some(it))).join(" "),
            "0 999 1,000 1,234,567"
        );
        assert_eq!(percent(Some(0.0004)), "0.04 %");
        assert_eq!(milliseconds(Some(0.001_024)), "1.02 us");
        assert_eq!(milliseconds(Some(1_048.576)), "1.05 s");
    }

    #[test]
    fn it_is_said_whether_everything_is_seen_and_why_not() {
        let said = |json: &str| {
            let (sight, heading, _) = sight(&state(json));
            (sight, heading)
        };
        let heading = |sight, text: &str| (sight, text.to_owned());
        assert_eq!(said(r#"{"up":true}"#), heading(Sight::Whole, "Seeing everything"));
        assert_eq!(said(r#"{"up":false}"#), heading(Sight::None, "The sensor is away"));
        assert_eq!(
            said(r#"{"up":false,"replay":true}"#),
            heading(Sight::Over, "The replay has ended")
        );
        assert_eq!(
            said(r#"{"up":true,"not_inspected_per_second":1.0,"packets_per_second":3.0}"#),
            heading(Sight::Partial, "25 % of frames are not inspected")
        );
        assert_eq!(
            said(r#"{"up":true,"n4_coverage":0.5}"#),
            heading(Sight::Partial, "N4 is seen in part only")
        );
        let (.., sentence) = sight(&state(r#"{"up":true,"reason":"the policy is not in force"}"#));
        assert_eq!(sentence, "The policy is not in force.");
    }

    #[test]
    fn reasons_stand_the_most_first_and_those_of_nothing_do_not_stand() {
        let missed = missed(&state(r#"{"not_inspected":{"a":0,"b":2,"c":1234,"d":null}}"#));
        assert_eq!(missed, "c 1,234, b 2");
    }
}
