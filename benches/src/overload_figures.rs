//! Figures of overload and of the rates up to which nothing is lost, each measured in a process of its
//! own, since EAL starts once in one: this program again.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::extent::Extent;
use crate::outcome::Outcome;

/// Per cent of what a worker can inspect.
const OVERLOAD: &str = "300";
const ORDINARY: &str = "80";

/// Overload at three times what a worker can inspect, latency at four fifths of it, and the search.
///
/// # Errors
/// When such a process fails.
pub fn overload(extent: &Extent, outcome: &mut Outcome) -> anyhow::Result<()> {
    outcome.section("Overload");
    if !extent.has_two_cores() {
        outcome.absent("overload", "a generator needs a core beside the worker's");
        return Ok(());
    }
    let seconds = if extent.is_quick { "0.5" } else { "3" };
    let over = itself(&["overload", "--load", OVERLOAD, "--seconds", seconds])?;
    let shed = number(&over, "/shed_to_inspected_ratio");
    outcome.figure("shed_to_inspected_ratio", shed);
    outcome.figure("overload_unaccounted", number(&over, "/n4_apart/all/unaccounted"));
    outcome.line(format!(
        "at {:.0} % load {:.1} % of users' packets were left out, each for {shed:.2} of the cost of \
         inspection; {} of {} alerts of equipment came; of N4 with a ring of its own {} frames were lost; {} \
         frames unaccounted for",
        number(&over, "/n4_apart/load") * 100.0,
        number(&over, "/n4_apart/shed_share_of_users") * 100.0,
        number(&over, "/n4_apart/alerts"),
        number(&over, "/n4_apart/alerts_expected"),
        number(&over, "/n4_apart/n4/missed"),
        number(&over, "/n4_apart/all/unaccounted"),
    ));
    let ordinary = itself(&["overload", "--load", ORDINARY, "--seconds", seconds])?;
    let latency = |quantile| number(&ordinary, &format!("/n4_among_users/{quantile}")) * 1e3;
    let [median, most] =
        ["detection_latency_seconds_p50", "detection_latency_seconds_p99"].map(latency);
    outcome.figure("detection_latency_ms_p99", most);
    outcome.line(format!(
        "at {:.0} % load alerts came after {median:.1} ms in the median, 99 % within {most:.1} ms",
        number(&ordinary, "/n4_among_users/load") * 100.0
    ));
    let trial = if extent.is_quick { "100" } else { "500" };
    let found = itself(&["search", "--trial-ms", trial])?;
    for (name, what, place) in [
        ("throughput_mfps", "no frame", "/throughput"),
        ("rate_at_loss_mfps", "0.1 % of the frames", "/rate_at_loss"),
    ] {
        let rate = number(&found, &format!("{place}/rate_fps")) / 1e6;
        let limit = found.pointer(&format!("{place}/limited_by")).and_then(Value::as_str);
        outcome.figure(name, rate);
        outcome.line(format!(
            "{what} lost up to {rate:.2} Mfps through a net_ring, where the {} was the limit",
            limit.unwrap_or("search")
        ));
    }
    Ok(())
}

fn itself(arguments: &[&str]) -> anyhow::Result<Value> {
    eprintln!("weir-bench: {}", arguments.join(" "));
    let output = Command::new(std::env::current_exe()?)
        .args(arguments)
        .arg("--json")
        .stderr(Stdio::inherit())
        .output()
        .context("can't start this program again")?;
    if !output.status.success() {
        bail!("weir-bench {} ended with {}", arguments.join(" "), output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A number in a process's words, none if it is not there.
fn number(words: &Value, place: &str) -> f64 {
    words.pointer(place).and_then(Value::as_f64).unwrap_or(f64::NAN)
}
