//! Which metrics, labels and values an expression names.

use std::collections::BTreeSet;

/// Labels that a scrape or a rule gives, not Weir.
const GIVEN: [&str; 6] = ["site", "instance", "job", "input", "class", "alertstate"];

/// A selector: a metric of Weir's, and what its labels must be.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    /// Label and value; each alternative of a regular expression for itself.
    pub(crate) labels: Vec<(String, String)>,
}

/// Every selector of an expression. Recorded series, whose names have a colon, are none.
pub(crate) fn selectors(expr: &str) -> BTreeSet<Selector> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    let mut found = BTreeSet::new();
    let mut rest = expr;
    while let Some(at) = rest.find(is_name) {
        let end = rest[at..].find(|letter| !is_name(letter)).map_or(rest.len(), |end| at + end);
        let name = &rest[at..end];
        let (metric, labels) = (name.to_owned(), labels(&rest[end..]));
        rest = &rest[end..];
        if name.starts_with("weir_") {
            found.insert(Selector { metric, labels });
        }
    }
    found
}

fn labels(behind: &str) -> Vec<(String, String)> {
    let Some((inside, _)) = behind.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return Vec::new();
    };
    let matchers = inside.split(',').filter_map(|matcher| {
        let end = matcher.find(['=', '!'])?;
        let value = matcher[end..].trim_start_matches(['=', '!', '~']).trim_matches('"');
        Some((&matcher[..end], value))
    });
    let own = matchers.filter(|(label, _)| !GIVEN.contains(label));
    own.filter(|(_, value)| !value.contains(['$', '*']))
        .flat_map(|(label, values)| values.split('|').map(move |value| (label, value)))
        .map(|(label, value)| (label.to_owned(), value.to_owned()))
        .collect()
}

impl Selector {
    /// Whether `/metrics` has it; where it asks for several labels, each somewhere.
    pub(crate) fn is_in(&self, exposition: &str) -> bool {
        let of_metric = |line: &&str| {
            let rest = line.strip_prefix(self.metric.as_str());
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        let has = |label: &str, value: &str| {
            let pair = format!("{label}=\"{value}\"");
            exposition.lines().filter(of_metric).any(|line| line.contains(&pair))
        };
        exposition.lines().any(|line| of_metric(&line))
            && self.labels.iter().all(|(label, value)| has(label, value))
    }
}

#[test]
fn selectors_are_found_with_what_they_ask_for() {
    let found = selectors(
        "sum(rate(weir_a_total{reason=~\"x|y\",site=~\"$site\"}[5m])) / instance:weir_b:ratio5m > weir_c",
    );
    let [a, c] = &Vec::from_iter(found)[..] else { panic!("two selectors") };
    assert_eq!((a.metric.as_str(), c.metric.as_str()), ("weir_a_total", "weir_c"));
    assert_eq!(a.labels, [("reason".into(), "x".into()), ("reason".into(), "y".into())]);
    let exposition = "weir_a_total{reason=\"x\"} 0\nweir_c 1\n";
    assert!(c.is_in(exposition) && !a.is_in(exposition));
}
