//! The page: the table's numbers with plots, in one file that needs nothing else.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::table::{amount, said, share, time};
use super::{Results, plot};
use crate::intensity::Intensity;
use crate::interval::Estimate;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: left; border-bottom: 1px solid #8885; }
.wide { overflow-x: auto; }
figure { margin: 1rem 0; background: #fff; overflow-x: auto; }
code { background: #8882; padding: .1rem .3rem; }
.no { color: #b3261e; font-weight: 600; }
";

fn figure(svg: Option<String>, caption: &str) -> Markup {
    html! {
        @if let Some(svg) = svg {
            figure {
                (PreEscaped(svg))
                figcaption { (caption) }
            }
        }
    }
}

pub(super) fn html(results: &Results) -> String {
    let score = &results.score;
    let mut headline = vec![("macro F1".to_owned(), score.macro_f1_interval)];
    for (name, recall) in &score.recall_interval {
        headline.push((format!("recall, {name}"), *recall));
    }
    for (loss, recall) in &score.recall_by_loss {
        headline.push((format!("recall, {loss} % lost"), *recall));
    }
    let recalls: Vec<(String, Estimate)> = score
        .per_detection
        .iter()
        .filter_map(|(detection, of)| Some((detection.clone(), of.recall?)))
        .collect();
    let latencies: Vec<(String, [f64; 2])> = score
        .per_detection
        .iter()
        .filter_map(|(detection, of)| {
            Some((detection.clone(), [of.latency_seconds_p50?, of.latency_seconds_p95?]))
        })
        .collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Weir: what the laboratory says" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "What the laboratory says" }
                p { "Made by " code { (results.command) } "." }
                (headlines(results))
                (figure(plot::shares(&headline), "Shares with their intervals of 95 %."))
                h2 { "By detection" }
                (detections(results))
                (figure(plot::shares(&recalls), "Recall by detection, evasive attacks left out."))
                (figure(
                    plot::latencies(&latencies),
                    "From a theft's first packet to its alert: the median, and to the 95th percentile.",
                ))
                (peers(results))
                h2 { "By family" }
                (families(results))
                (ablation(results))
            }
        }
    };
    page.into_string()
}

fn headlines(results: &Results) -> Markup {
    let score = &results.score;
    let alerts = score.alerts_per_incident.map_or("–".into(), |it| format!("{it:.1}"));
    let rows = [
        ("False alarms a day and 1,000 equipment", share(score.false_positives_interval)),
        ("Equipment-days watched", format!("{:.0}", score.equipment_days)),
        ("The right equipment named", share(score.names_equipment)),
        ("Latency, median", time(score.latency_seconds_p50)),
        ("Latency, 95th percentile", time(score.latency_seconds_p95)),
        ("Bytes before the alert, median", amount(score.bytes_before_alert_p50)),
        ("Alerts a theft", alerts),
    ];
    html! {
        table {
            @for (what, value) in rows {
                tr { th scope="row" { (what) } td { (value) } }
            }
        }
    }
}

fn detections(results: &Results) -> Markup {
    let heads = ["detection", "F1", "precision", "recall", "found", "false alarms", "bytes before"];
    html! {
        div class="wide" {
            table {
                tr { @for head in heads { th scope="col" { (head) } } }
                @for (detection, of) in &results.score.per_detection {
                    tr {
                        th scope="row" { (detection) }
                        td { (format!("{:.2}", of.f1)) }
                        td { (share(of.precision)) }
                        td { (share(of.recall)) }
                        td { (of.found) " of " (of.thefts) }
                        td { (of.false_alarms) }
                        td { (amount(of.bytes_before_alert_p50)) }
                    }
                }
            }
        }
    }
}

fn peers(results: &Results) -> Markup {
    html! {
        @if !results.peers.is_empty() {
            h2 { "Peers on the same scenarios" }
            div class="wide" {
                table {
                    tr {
                        th scope="col" { "found" }
                        th scope="col" { "Weir" }
                        @for peer in results.peers.keys() { th scope="col" { (peer.name()) } }
                    }
                    @for (detection, of) in &results.score.per_detection {
                        tr {
                            th scope="row" { (detection) }
                            td { (of.found) " of " (of.thefts) }
                            @for score in results.peers.values() {
                                td { (said(score.per_detection.get(detection.as_str()))) }
                            }
                        }
                    }
                    tr {
                        th scope="row" { "false alarms a day and 1,000 equipment" }
                        td { (share(results.score.false_positives_interval)) }
                        @for score in results.peers.values() {
                            @match &score.skipped {
                                Some(why) => { td { "skipped: " (why) } }
                                None => { td { (share(score.false_positives_per_day_per_1000)) } }
                            }
                        }
                    }
                }
            }
            ul {
                @for peer in results.peers.keys() { li { (peer.name()) ": " (peer.says()) "." } }
            }
        }
    }
}

fn families(results: &Results) -> Markup {
    html! {
        div class="wide" {
            table {
                tr {
                    th scope="col" { "family" }
                    @for intensity in Intensity::ALL { th scope="col" { (intensity.name()) } }
                }
                @for (family, of) in &results.score.per_family {
                    tr {
                        th scope="row" { (family) }
                        @for intensity in Intensity::ALL {
                            @match of.get(intensity.name()) {
                                Some((found, made)) => {
                                    td class=[(found < made).then_some("no")] {
                                        (found) " of " (made)
                                    }
                                }
                                None => { td { "–" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn ablation(results: &Results) -> Markup {
    html! {
        @if !results.ablation.is_empty() {
            h2 { "What is lost when a detection is switched off" }
            div class="wide" {
                table {
                    tr {
                        th scope="col" { "switched off" }
                        th scope="col" { "lost" }
                        th scope="col" { "exactly its own" }
                    }
                    @for row in &results.ablation {
                        tr {
                            th scope="row" { (row.detection) }
                            td { (row.lost.iter().map(String::as_str).collect::<Vec<_>>().join(", ")) }
                            td class=[(!row.is_exact()).then_some("no")] {
                                (if row.is_exact() { "yes" } else { "no" })
                            }
                        }
                    }
                }
            }
        }
    }
}
