//! The table: what people read first, and what stands in the documentation.

use std::fmt::Write;

use crate::intensity::Intensity;
use crate::interval::Estimate;
use crate::report::Results;

/// A share with its interval.
pub(super) fn share(estimate: Option<Estimate>) -> String {
    estimate.map_or("–".into(), |it| format!("{:.2} ({:.2}–{:.2})", it.value, it.low, it.high))
}

/// A time for people.
pub(super) fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".into(),
        Some(it) if it < 120.0 => format!("{it:.1} s"),
        Some(it) if it < 7_200.0 => format!("{:.0} min", it / 60.0),
        Some(it) if it < 172_800.0 => format!("{:.1} h", it / 3_600.0),
        Some(it) => format!("{:.1} d", it / 86_400.0),
    }
}

/// An amount for people.
pub(super) fn amount(bytes: Option<f64>) -> String {
    match bytes {
        None => "–".into(),
        Some(it) if it < 10_000.0 => format!("{it:.0} B"),
        Some(it) if it < 10_000_000.0 => format!("{:.0} kB", it / 1e3),
        Some(it) => format!("{:.0} MB", it / 1e6),
    }
}

/// Writing to a String can't fail, so that nobody looks at what `write!` gives.
macro_rules! line {
    ($text:ident, $($what:tt)*) => {
        let _ = writeln!($text, $($what)*);
    };
}

pub(super) fn markdown(results: &Results) -> String {
    let score = &results.score;
    let mut text = String::new();
    line!(text, "`{}`\n", results.command);
    line!(text, "| | |\n|---|---|");
    line!(text, "| macro F1 | {} |", share(Some(score.macro_f1_interval)));
    for intensity in Intensity::ALL {
        let recall = score.recall_interval.get(intensity.name()).copied();
        line!(text, "| recall, {} | {} |", intensity.name(), share(recall));
    }
    for (loss, recall) in &score.recall_by_loss {
        line!(text, "| recall, moderate, {loss} % of frames lost | {} |", share(Some(*recall)));
    }
    line!(
        text,
        "| false alarms a day and 1,000 equipment | {} |",
        share(score.false_positives_interval)
    );
    for (loss, rate) in &score.false_positives_by_loss {
        line!(text, "| the same where {loss} % of frames were lost | {} |", share(Some(*rate)));
    }
    line!(text, "| equipment-days | {:.0} |", score.equipment_days);
    line!(text, "| the right equipment named | {} |", share(score.names_equipment));
    let latency = [score.latency_seconds_p50, score.latency_seconds_p95].map(time);
    line!(text, "| latency p50, p95 | {}, {} |", latency[0], latency[1]);
    line!(text, "| bytes before the alert, p50 | {} |", amount(score.bytes_before_alert_p50));
    let alerts = score.alerts_per_incident.map_or("–".into(), |it| format!("{it:.1}"));
    line!(text, "| alerts a theft | {alerts} |\n");

    line!(
        text,
        "| detection | F1 | precision | recall | found | false | latency p50, p95 | bytes before p50 \
         | right equipment |\n|---|---|---|---|---|---|---|---|---|"
    );
    for (detection, of) in &score.per_detection {
        line!(
            text,
            "| {detection} | {:.2} | {} | {} | {} of {} | {} | {}, {} | {} | {} |",
            of.f1,
            share(of.precision),
            share(of.recall),
            of.found,
            of.thefts,
            of.false_alarms,
            time(of.latency_seconds_p50),
            time(of.latency_seconds_p95),
            amount(of.bytes_before_alert_p50),
            of.names_equipment.map_or("–".into(), |it| format!("{:.2}", it.value)),
        );
    }

    peers(&mut text, results);

    line!(text, "\n| family | loud | moderate | threshold | evasive |\n|---|---|---|---|---|");
    for (family, of) in &score.per_family {
        let cells = Intensity::ALL.map(|intensity| {
            of.get(intensity.name())
                .map_or("–".into(), |(found, made)| format!("{found} of {made}"))
        });
        line!(text, "| {family} | {} |", cells.join(" | "));
    }

    if !results.ablation.is_empty() {
        line!(text, "\n| switched off | lost | exactly its own |\n|---|---|---|");
        for row in &results.ablation {
            let lost = row.lost.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let exact = if row.is_exact() { "yes" } else { "no" };
            line!(text, "| {} | {lost} | {exact} |", row.detection);
        }
    }
    text
}

/// What a peer found of what it could have spoken of; apart what it has no words for.
pub(super) fn said(of: Option<&crate::peers::OfDetection>) -> String {
    match of {
        None => "–".into(),
        Some(of) if of.found + of.missed == 0 => "can't express".into(),
        Some(of) => format!("{} of {}", of.found, of.found + of.missed),
    }
}

fn peers(text: &mut String, results: &Results) {
    if results.peers.is_empty() {
        return;
    }
    let names: Vec<&str> = results.peers.keys().map(|peer| peer.name()).collect();
    line!(
        text,
        "\n| found | Weir | {} |\n|---|---{}|",
        names.join(" | "),
        "|---".repeat(names.len())
    );
    for (detection, of) in &results.score.per_detection {
        let peers = results.peers.values();
        let cells: Vec<String> =
            peers.map(|score| said(score.per_detection.get(detection.as_str()))).collect();
        line!(text, "| {detection} | {} of {} | {} |", of.found, of.thefts, cells.join(" | "));
    }
    let rates = results.peers.values().map(|score| match &score.skipped {
        Some(why) => format!("skipped: {why}"),
        None => share(score.false_positives_per_day_per_1000),
    });
    line!(
        text,
        "| false alarms a day and 1,000 equipment | {} | {} |",
        share(results.score.false_positives_interval),
        rates.collect::<Vec<_>>().join(" | ")
    );
}
