//! Figures of a flood of alerts.

use crate::alert_flood;
use crate::extent::Extent;
use crate::machine::program_beside;
use crate::outcome::Outcome;

/// Alerts of the flood.
const ALERTS: u32 = 1_000_000;

/// How fast a million alerts are stored, and how long people wait for an answer among them.
///
/// # Errors
/// When the program fails.
pub fn flood(extent: &Extent, outcome: &mut Outcome) -> anyhow::Result<()> {
    outcome.section("A flood of alerts");
    let Some(control) = program_beside("weir-control") else {
        outcome.absent("weir-control", "build it, as `make bench` does");
        return Ok(());
    };
    let alerts = if extent.is_quick { 20_000 } else { ALERTS };
    eprintln!("weir-bench: {alerts} alerts into weir-control");
    let measured = alert_flood::measure(&control, alerts)?;
    let rate = f64::from(alerts) / measured.seconds;
    let each = |bytes: u64| bytes as f64 / f64::from(alerts);
    outcome.figure("alerts_per_second", rate);
    outcome.figure("alerts_memory_mib", measured.memory as f64 / (1 << 20) as f64);
    outcome.figure("alert_disk_bytes", each(measured.disk));
    outcome.line(format!(
        "{alerts} alerts, each of another peer, stored in {:.0} s: {rate:.0} a second; at most {:.0} MiB of memory, {:.0} bytes on the \
         disk an alert (events, journal and database)",
        measured.seconds,
        measured.memory as f64 / (1 << 20) as f64,
        each(measured.disk),
    ));
    for (place, (what, took)) in measured.answers.iter().enumerate() {
        say(outcome, &format!("alerts_answer_{place}_ms"), what, took);
    }
    let [answered, silenced] = measured.silence;
    outcome.figure("alerts_silence_answer_ms", answered * 1e3);
    outcome.figure("alerts_silence_seconds", silenced);
    outcome.line(format!(
        "a suppression of all of them: in force after {:.0} ms, the last one silenced after {silenced:.1} s",
        answered * 1e3
    ));
    match measured.views {
        Some(views) => {
            for (place, (view, took)) in views.iter().enumerate() {
                say(
                    outcome,
                    &format!("alerts_view_{place}_ms"),
                    &format!("the page: {view}"),
                    took,
                );
            }
        }
        None => outcome.absent("Chromium and its driver", "deploy/setup.sh test installs them"),
    }
    Ok(())
}

/// Seconds in order of length.
fn say(outcome: &mut Outcome, figure: &str, what: &str, took: &[f64]) {
    let (median, most) = (took[took.len() / 2] * 1e3, took[took.len() - 1] * 1e3);
    outcome.figure(figure, median);
    outcome.line(format!("{what}: {median:.1} ms, at most {most:.1} ms"));
}
