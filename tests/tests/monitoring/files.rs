//! The rules file, what tests it, and the pages that its alerts lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use weir_tests::{said, text};

/// Where a rule's runbook is said to be, until an operator puts an address of his own there.
const BASE: &str = "https://weir.example/runbooks/";

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Its text.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a program says, if it is installed.
fn output(program: &str, arguments: &[&str]) -> Option<Output> {
    let output = Command::new(program).args(arguments).output().ok();
    if output.is_none() {
        eprintln!("skipped: {program} is not installed");
    }
    output
}

/// Alerts of the rules file with the address of their runbook.
fn alerts() -> BTreeMap<String, String> {
    let rules = read("deploy/prometheus/weir.rules.yml");
    let blocks = rules.split("- alert: ").skip(1);
    let alerts = blocks.map(|block| {
        let name = block.lines().next().expect("an alert has a name").to_owned();
        let url = block.lines().find_map(|line| line.trim().strip_prefix("runbook_url: "));
        (name, url.expect("an alert has a runbook").to_owned())
    });
    alerts.collect()
}

/// `WeirN4CoverageLow` is told of in `n4-coverage-low.md`.
fn page(alert: &str) -> String {
    let words = alert.strip_prefix("Weir").expect("an alert's name begins with Weir");
    let mut page = String::new();
    for letter in words.chars() {
        if letter.is_ascii_uppercase() && !page.is_empty() {
            page.push('-');
        }
        page.push(letter.to_ascii_lowercase());
    }
    page + ".md"
}

/// Every query of a runbook, with the page's name.
pub(crate) fn runbook_queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for alert in alerts().into_keys() {
        let page = page(&alert);
        let text = read(&format!("docs/runbooks/{page}"));
        for block in text.split("```promql\n").skip(1) {
            let (block, _) = block.split_once("\n```").expect("a block ends");
            let lines =
                block.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
            queries.extend(lines.map(|line| (page.clone(), line.to_owned())));
        }
    }
    queries
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let alerts = alerts();
    assert!(alerts.len() > 20, "{} alerts", alerts.len());
    let index = read("docs/runbooks/README.md");
    for (alert, url) in &alerts {
        assert_eq!(*url, format!("{BASE}{}", page(alert)));
        let text = read(&format!("docs/runbooks/{}", page(alert)));
        assert!(text.starts_with(&format!("# {alert}\n")), "{alert}: another title");
        for part in ["## Meanwhile", "## Look first", "## Mend", "## Harmless when"] {
            assert!(text.contains(&format!("\n{part}\n")), "{alert}: no {part:?}");
        }
        let look = text.split("## Look first").nth(1).and_then(|rest| rest.split("## Mend").next());
        assert!(look.is_some_and(|part| part.contains("```")), "{alert}: no query or command");
        let row = format!("| [{alert}]({}) |", page(alert));
        assert!(index.contains(&row), "{alert} is not in the index");
    }
    let pages: BTreeSet<String> = alerts.keys().map(|alert| page(alert)).collect();
    let folder = std::fs::read_dir(repository("docs/runbooks")).unwrap();
    let found: BTreeSet<String> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(found, pages);
    assert_eq!(index.matches("| [Weir").count(), pages.len());
}

#[test]
fn every_alert_is_tested_to_fire_and_to_be_silent() {
    let tests = read("deploy/prometheus/weir.test.yml");
    let mut tested = BTreeMap::<&str, BTreeSet<bool>>::new();
    for block in tests.split("- alertname: ").skip(1) {
        let name = block.lines().next().expect("an alert has a name");
        let expected = block.lines().find(|line| line.contains("exp_alerts:"));
        let fires = !expected.expect("a test expects").trim_end().ends_with("[]");
        tested.entry(name).or_default().insert(fires);
    }
    let names: Vec<String> = alerts().into_keys().collect();
    assert_eq!(tested.keys().copied().collect::<Vec<_>>(), names);
    for (alert, cases) in tested {
        assert_eq!(cases, BTreeSet::from([false, true]), "{alert}");
    }
}

#[test]
fn every_recorded_series_has_an_expected_value() {
    let (rules, tests) =
        (read("deploy/prometheus/weir.rules.yml"), read("deploy/prometheus/weir.test.yml"));
    let recorded: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    assert!(recorded.len() > 10);
    let tested: Vec<&str> = tests.lines().filter(|line| line.contains("- expr: ")).collect();
    for record in recorded {
        assert!(tested.iter().any(|line| line.contains(record)), "{record} has no expected value");
    }
}

#[test]
fn promtool_takes_rules_tests_and_the_example() {
    let (rules, tests, example) = (
        repository("deploy/prometheus/weir.rules.yml"),
        repository("deploy/prometheus/weir.test.yml"),
        repository("deploy/prometheus/prometheus.example.yml"),
    );
    let runs = [
        ["check", "rules", text(&rules)],
        ["test", "rules", text(&tests)],
        ["check", "config", text(&example)],
    ];
    for arguments in runs {
        let Some(output) = output("promtool", &arguments) else { return };
        let said = said(&output);
        assert!(output.status.success() && said.contains("SUCCESS"), "{arguments:?}: {said}");
    }
}

#[test]
fn alertmanager_takes_the_example_and_tells_the_right_people() {
    let example = repository("deploy/alertmanager/alertmanager.example.yml");
    let Some(checked) = output("amtool", &["check-config", text(&example)]) else { return };
    assert!(checked.status.success(), "{}", said(&checked));
    let file = format!("--config.file={}", text(&example));
    let routes = [
        (["area=detection", "severity=critical"], "pager"),
        (["area=detection", "severity=high"], "pager"),
        (["area=detection", "severity=medium"], "tickets"),
        (["area=health", "severity=critical"], "pager"),
        (["area=health", "severity=high"], "pager"),
        (["area=health", "severity=medium"], "tickets"),
    ];
    for (labels, receiver) in routes {
        let mut arguments = vec!["config", "routes", "test", &file];
        arguments.extend(labels);
        let Some(output) = output("amtool", &arguments) else { return };
        // Beside it stands a warning where the package configures amtool.
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(told.trim(), receiver, "{labels:?}: {}", said(&output));
    }
    // An inhibition of an alert that is not there would silence nobody.
    let known = alerts();
    let words = read("deploy/alertmanager/alertmanager.example.yml");
    for word in words.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        let is_alert = word.len() > 4 && word.starts_with("Weir");
        assert!(!is_alert || known.contains_key(word), "{word} is no alert");
    }
}
