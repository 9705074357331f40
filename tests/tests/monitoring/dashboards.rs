//! The dashboards as files: what Grafana's own model says of them, and what it does not say.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use weir_tests::{kept_apart, said, text};

use crate::files::{read, repository};

pub(crate) const DASHBOARDS: [&str; 4] =
    ["weir-overview", "weir-health", "weir-detections", "weir-sessions"];

/// Units by Grafana's names for them, of those that its list has (and its model does not).
const UNITS: [&str; 8] = ["none", "short", "percentunit", "s", "pps", "bps", "cps", "mps"];

/// A panel's columns and the rows of one screen.
const WIDTH: u64 = 24;
const SCREEN: u64 = 21;

/// Debian's Python, which every program of ours asks.
const PYTHON: &str = "/usr/bin/python3";

pub(crate) fn dashboard(name: &str) -> Value {
    serde_json::from_str(&read(&format!("deploy/grafana/{name}.json"))).expect("it is JSON")
}

pub(crate) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().unwrap_or_else(|| panic!("no list of {key}")).iter()
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The expressions of a dashboard's panels, each with the panel's title.
pub(crate) fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let of_panel = |panel: &Value| {
        let title = word(panel, "title").to_owned();
        let exprs = list(panel, "targets").map(|target| word(target, "expr").to_owned());
        exprs.map(|expr| (title.clone(), expr)).collect::<Vec<_>>()
    };
    list(dashboard, "panels").flat_map(of_panel).collect()
}

#[test]
fn what_is_committed_is_what_the_generator_writes() {
    let directory = tempfile::tempdir().unwrap();
    let generator = repository("deploy/grafana/generate.py");
    let Ok(output) = Command::new(PYTHON).arg(generator).arg(directory.path()).output() else {
        eprintln!("skipped: {PYTHON} is not installed");
        return;
    };
    assert!(output.status.success(), "{}", said(&output));
    let mut written = BTreeSet::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let committed = read(&format!("deploy/grafana/{name}.json"));
        assert!(std::fs::read_to_string(&path).unwrap() == committed, "{name} differs");
        written.insert(name);
    }
    assert_eq!(written, DASHBOARDS.map(str::to_owned).into());
}

#[test]
fn panels_have_words_units_and_places_of_their_own() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        assert_eq!(word(&dashboard, "uid"), name);
        assert_eq!(dashboard["tags"], serde_json::json!(["weir"]));
        let links: Vec<&Value> = list(&dashboard, "links").collect();
        assert!(links.iter().any(|link| link["tags"] == dashboard["tags"]), "{name}: no links");
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        let mut taken = BTreeSet::new();
        for panel in list(&dashboard, "panels") {
            let title = word(panel, "title");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}, {title}: its id twice");
            assert!(titles.insert(title), "{name}: {title} twice");
            assert!(word(panel, "description").ends_with('.'), "{name}, {title}: no description");
            let unit = word(&panel["fieldConfig"]["defaults"], "unit");
            assert!(UNITS.contains(&unit), "{name}, {title}: unit {unit:?}");
            for changed in list(&panel["fieldConfig"], "overrides") {
                for property in list(changed, "properties").filter(|one| one["id"] == "unit") {
                    assert!(UNITS.contains(&word(property, "value")), "{name}, {title}");
                }
            }
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            assert!(x + w <= WIDTH && y + h <= SCREEN, "{name}, {title}: off the screen");
            for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(place), "{name}, {title} lies on another panel");
            }
        }
        assert!(ids.len() >= 10, "{name}");
    }
}

#[test]
fn queries_go_to_the_chosen_data_source_sites_and_instances() {
    let chosen = |value: &Value| word(value, "uid") == "${datasource}";
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        let variables: Vec<&str> =
            list(&dashboard["templating"], "list").map(|one| word(one, "name")).collect();
        assert_eq!(variables[..3], ["datasource", "site", "instance"], "{name}");
        for variable in list(&dashboard["templating"], "list").skip(1) {
            assert!(chosen(&variable["datasource"]), "{name}: {variable}");
        }
        for panel in list(&dashboard, "panels") {
            let title = word(panel, "title");
            assert!(chosen(&panel["datasource"]), "{name}, {title}");
            let mut refs = BTreeSet::new();
            for target in list(panel, "targets") {
                assert!(chosen(&target["datasource"]), "{name}, {title}");
                assert!(refs.insert(word(target, "refId")), "{name}, {title}: a refId twice");
                let expr = word(target, "expr");
                let narrowed = expr.matches("site=~\"$site\",instance=~\"$instance\"").count();
                let metrics = expr.matches('{').count();
                assert!(metrics > 0 && narrowed == metrics, "{name}, {title}: {expr}");
                for part in expr.split('$').skip(1) {
                    let end = part.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
                    let variable = &part[..end.unwrap_or(part.len())];
                    let is_group = variable == "1";
                    let known = variable.starts_with("__") || variables.contains(&variable);
                    let known = known || is_group && expr.contains("label_replace");
                    assert!(known, "{name}, {title}: ${variable}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_lost_in_grafanas_own_model() {
    let Some(python) = kept_apart("grafana-11.6", "python") else { return };
    let script = repository("tests/tests/monitoring/model.py");
    let check = |path: &str| {
        let run = Command::new(&python).args([text(&script), path]).output();
        said(&run.expect("Python runs"))
    };
    for name in DASHBOARDS {
        let path = repository(&format!("deploy/grafana/{name}.json"));
        assert_eq!(check(text(&path)), "", "{name}");
    }
    // What it is good for: words that Grafana does not know are found.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wrong.json");
    let wrong = read("deploy/grafana/weir-health.json");
    for (right, wrong_word) in
        [("\"gridPos\"", "\"gridPosition\""), ("\"fillOpacity\"", "\"fill\"")]
    {
        std::fs::write(&path, wrong.replace(right, wrong_word)).unwrap();
        assert!(check(text(&path)).contains(wrong_word.trim_matches('"')), "{wrong_word}");
    }
}
