//! A capture with attacks in it, replayed past a real sensor, a real control, the real Prometheus and the real Alertmanager.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::Value;
use weir_tests::*;

use crate::dashboards::{DASHBOARDS, dashboard, expressions, list};
use crate::files::{read, runbook_queries};
use crate::names::selectors;
use crate::servers::{Alertmanager, Prometheus, is_installed};
use crate::webhook::Webhook;

fn start(what: &str, config: &str) -> Running {
    Running::start(weir(&[what, "--config", config]).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Grafana's variables, as they are with all chosen and a scrape each second.
fn substituted(expr: &str) -> String {
    let values = [
        ("$__rate_interval", "10s"),
        ("$__range", "10m"),
        ("$site", ".*"),
        ("$instance", ".*"),
        ("$detection", ".*"),
    ];
    let expr = values.iter().fold(expr.to_owned(), |expr, (name, value)| expr.replace(name, value));
    // `$1` is label_replace's.
    let left = expr.replace("$1", "");
    assert!(!left.contains('$'), "{left}");
    expr
}

/// Every panel's query, by dashboard and panel.
fn queries() -> Vec<(String, String)> {
    let of_dashboard = |name: &&str| {
        let queries = expressions(&dashboard(name)).into_iter();
        let name = (*name).to_owned();
        queries.map(move |(panel, expr)| (format!("{name}, {panel}"), substituted(&expr)))
    };
    DASHBOARDS.iter().flat_map(of_dashboard).collect()
}

fn has_a_number(series: &[Value]) -> bool {
    let values = series.iter().filter_map(|one| one["value"][1].as_str()?.parse::<f64>().ok());
    values.into_iter().any(|value| !value.is_nan())
}

/// That a rule is as every rule must be; its expression.
fn checked(rule: &Value) -> String {
    let name = &rule["name"];
    if rule["type"] == "alerting" {
        let (labels, annotations) = (&rule["labels"], &rule["annotations"]);
        let severities = ["critical", "high", "medium"].map(Value::from);
        assert!(severities.contains(&labels["severity"]), "{name}: {labels}");
        assert!(["detection", "health"].map(Value::from).contains(&labels["area"]), "{name}");
        for part in ["summary", "description", "runbook_url"] {
            assert!(annotations[part].as_str().is_some_and(|text| text.len() > 10), "{name}");
        }
    }
    rule["query"].as_str().expect("a rule has an expression").to_owned()
}

#[test]
fn an_attack_is_delivered_and_every_panel_shows_something() {
    if !["prometheus", "prometheus-alertmanager"].into_iter().all(is_installed) {
        return;
    }
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [site, prometheus, alertmanager] = directories.each_ref().map(|one| one.path());
    let listen = free_address();
    let config = small_site(site, &listen, "");
    let config = text(&config);
    let webhook = Webhook::open();
    let alertmanager = Alertmanager::start(alertmanager, &webhook.address);
    let prometheus = Prometheus::start(prometheus, &listen, &alertmanager.address);
    let _control = start("control", config);
    await_that("control is scraped", || {
        let up = prometheus.query("up{job=\"weir\"} == 1").ok()?;
        up.first().filter(|target| target["metric"]["site"] == "north").cloned()
    });
    let before = get(&listen, "/metrics").expect("control answers").1;

    // At its recorded speed the capture takes half a minute.
    let _sensor = start("sensor", config);
    let mut pending = queries();
    assert!(pending.len() > 60, "{} queries", pending.len());
    let mut last = String::new();
    await_that("every panel has shown something", || {
        pending.retain(|(panel, expr)| {
            let answer = prometheus.query(expr);
            let series = answer.unwrap_or_else(|error| panic!("{panel}: {expr}: {error}"));
            !has_a_number(&series)
        });
        let names: Vec<&str> = pending.iter().map(|(panel, _)| panel.as_str()).collect();
        if names.join("; ") != last {
            last = names.join("; ");
            eprintln!("still empty: {last}");
        }
        pending.is_empty().then_some(())
    });

    let is_of = |detection: &'static str| {
        move |alert: &Value| {
            alert["status"] == "firing" && alert["labels"]["detection"] == detection
        }
    };
    let paged = await_that("somebody is paged", || webhook.find("/pager", is_of("GTP-PEER")));
    let labels = &paged["labels"];
    assert_eq!(labels["alertname"], "WeirAlertHigh");
    assert_eq!((&labels["severity"], &labels["site"]), (&"high".into(), &"north".into()));
    assert_eq!(labels["instance"], Value::from(listen.as_str()));
    let description = paged["annotations"]["description"].as_str().unwrap();
    assert!(description.contains("raised 1 alert(s) of GTP-PEER"), "{description}");
    let runbook = paged["annotations"]["runbook_url"].as_str().unwrap();
    assert!(runbook.ends_with("/alert-high.md"), "{runbook}");
    let ticket = await_that("a ticket is made", || webhook.find("/tickets", is_of("INV-UNKNOWN")));
    assert_eq!(ticket["labels"]["alertname"], "WeirAlertMedium");
    assert_eq!(webhook.find("/pager", is_of("INV-UNKNOWN")), None);

    // Series that are there before any sensor, and those that come with one.
    let exposition = before + &get(&listen, "/metrics").expect("control answers").1;
    let rules = await_that("every rule was evaluated", || {
        prometheus.rules().filter(|rules| {
            let failed = rules.iter().find(|rule| rule["health"] == "err");
            assert_eq!(failed, None);
            rules.iter().all(|rule| rule["health"] == "ok")
        })
    });
    assert!(rules.len() > 40, "{} rules", rules.len());
    let mut exprs: Vec<String> = rules.iter().map(checked).collect();
    exprs.extend(queries().into_iter().map(|(_, expr)| expr));
    let of_pages = runbook_queries();
    assert!(of_pages.len() > 40, "{} queries", of_pages.len());
    for (page, expr) in of_pages {
        prometheus.query(&expr).unwrap_or_else(|error| panic!("{page}: {expr}: {error}"));
        exprs.push(expr);
    }
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        for note in list(&dashboard["annotations"], "list") {
            let expr = substituted(note["expr"].as_str().expect("it is an expression"));
            prometheus.query(&expr).expect("it can be asked");
            exprs.push(expr);
        }
        for variable in list(&dashboard["templating"], "list").skip(1) {
            exprs.push(substituted(variable["query"]["query"].as_str().expect("it is a query")));
        }
    }
    let all: BTreeSet<_> = exprs.iter().flat_map(|expr| selectors(expr)).collect();
    assert!(all.len() > 60, "{} selectors", all.len());
    let unknown: BTreeSet<_> =
        all.iter().filter(|one| !one.is_in(&exposition)).map(|one| one.metric.as_str()).collect();
    // There are no receive threads here, and no TLS. That docs/metrics.md lists what is exported,
    // control's own tests see to.
    let elsewhere = [
        ("weir_control_certificate_expiry_timestamp_seconds", ""),
        ("weir_receiver_busy_ratio", "{receiver}"),
    ];
    assert_eq!(unknown, BTreeSet::from(elsewhere.map(|(metric, _)| metric)));
    for (metric, labels) in elsewhere {
        assert!(read("docs/metrics.md").contains(&format!("| `{metric}{labels}` |")));
    }
}
