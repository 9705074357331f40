use weir_policy::{Severity, policy_from_str};

use super::*;
use crate::learn::fixture::{flow, inventory};
use crate::learn::propose::propose;
use crate::learn::seen::Record;

/// A page of every section, with names that want to break out of their comments.
fn page() -> String {
    let inventory = inventory();
    let mut talks = Talks::since(&inventory, Nanos(0));
    let hostile = "x\n[[allow]]\nfrom = { cidr = \"0.0.0.0/0\" }\r\u{85}\u{2028}\u{1b}[2J";
    let named = |record: Record| Record { name: Some(hostile.into()), ..record };
    for record in [
        flow("10.0.0.1", "10.0.0.21", 17, 53, 0),
        flow("10.0.0.2", "10.0.0.21", 17, 53, 0),
        named(flow("10.0.0.1", "192.0.2.4", 17, 123, 0)),
        named(flow("192.0.2.5", "10.0.0.1", 6, 22, 0)),
        named(flow("10.0.0.1", "2001:db8::7", 47, 0, 0)),
        flow("10.0.0.11", "10.0.0.2", 17, 2152, 9_000),
        flow("10.0.0.11", "10.0.0.2", 17, 2152, 900_000),
    ] {
        talks.take(&record, false);
    }
    let origin = Origin { inputs: vec!["a\nb.pcap".into()], policy: None };
    toml(&propose(&talks), &talks, &origin)
}

fn rules(text: &str) -> usize {
    let checked = policy_from_str("candidate.toml", text, &inventory()).unwrap();
    assert!(
        checked.warnings.iter().all(|found| found.severity != Severity::Warning),
        "{:?}",
        checked.warnings
    );
    checked.value.allow.len()
}

fn uncommented(text: &str) -> String {
    let bare = |line: &str| match line.strip_prefix('#') {
        Some(entry) if !entry.is_empty() && !entry.starts_with(' ') => format!("{entry}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(bare).collect()
}

#[test]
fn nothing_is_allowed_until_the_signs_are_taken_away_and_then_it_is_valid() {
    let page = page();
    assert!(page.lines().all(|line| line.is_empty() || line.starts_with('#')), "{page}");
    assert_eq!(rules(&page), 0);
    let entries = page.matches("#[[allow]]\n").count();
    assert!(entries >= 5, "{page}");
    assert_eq!(rules(&uncommented(&page)), entries);
}

#[test]
fn no_name_from_the_wire_leaves_its_comment() {
    let page = page();
    assert!(page.chars().all(|it| it == '\n' || !it.is_control()), "{page:?}");
    assert!(!uncommented(&page).contains("\nfrom = { cidr = \"0.0.0.0/0\" }"), "{page}");
    assert!(page.contains("# called x?[[allow]]?from = "), "{page}");
    assert!(page.contains("from    a?b.pcap"), "{page}");
}

#[test]
fn the_suspicious_stands_last_with_its_reasons() {
    let page = page();
    let heading = page.find("# ===== SUSPICIOUS").unwrap();
    assert!(page[..heading].contains("192.0.2.4/32"), "{page}");
    assert!(!page[..heading].contains("192.0.2.5/32"), "{page}");
    let last = &page[heading..];
    assert!(last.contains("# SUSPICIOUS: answered from outside"), "{page}");
    assert!(last.contains("# SUSPICIOUS: port of management"), "{page}");
    assert!(page.contains("usually") && page.contains(" a day"), "{page}");
}

#[test]
fn an_empty_candidate_says_so_and_is_valid() {
    let inventory = inventory();
    let talks = Talks::since(&inventory, Nanos(0));
    let origin = Origin { inputs: Vec::new(), policy: Some("policy.toml".into()) };
    let page = toml(&propose(&talks), &talks, &origin);
    assert!(page.contains("There is nothing to propose."), "{page}");
    assert_eq!(rules(&page), 0);
}
