//! Whether Weir sees, how much, and where alerts stand: what a page shows at a glance.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};
use weir_engine::contract::session::SessionState;

use super::Api;
use super::answer::Failure;
use crate::cases::status::Status;
use crate::counts::Counts;
use crate::eve::timestamp;
use crate::live::{Live, Load, lock, now};
use crate::rulebook::hex;

/// The state as it is now.
pub(super) async fn state(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Json<Value>, Failure> {
    api.person(&headers).await?;
    Ok(Json(api.state().await?))
}

impl Api {
    /// The state for everybody: nothing in it depends on what is restricted.
    pub(super) async fn state(&self) -> Result<Value, Failure> {
        let live = self.live.clone();
        self.ask(move |reader| {
            let standing = reader.counts()?;
            let mut live = lock(&live);
            live.refresh();
            let mut state = seen(&live);
            let counts = Status::ALL.into_iter().zip(standing);
            let counts = counts.map(|(status, count)| (status.name().to_owned(), count.into()));
            state["alerts"] = Value::Object(counts.collect::<Map<_, _>>());
            Ok(state)
        })
        .await
    }
}

/// The part of it that the sensor tells.
fn seen(live: &Live) -> Value {
    let Counts { judge, lost, .. } = &live.counts;
    let totals = live.counts.totals();
    let busy = |loads: &[Load]| -> Value {
        loads.iter().map(|load| json!({ "busy": load.ratio })).collect()
    };
    let n4 = judge.n4_whole + judge.n4_unanswered + judge.n4_unasked;
    let coverage = (n4 > 0).then(|| (judge.n4_coverage_ppm as f64 / 1e6).min(1.0));
    let own: u64 = live.tally.lost.iter().sum();
    let policy = live.policy.map(
        |(version, sha256)| json!({ "version": version, "sha256": sha256.map(|hash| hex(&hash)) }),
    );
    json!({
        "time": timestamp(now()),
        "site": live.greeting.as_ref().map(|greeting| greeting.site.as_str()),
        "up": live.up,
        "reason": live.unready(),
        "replay": live.greeting.as_ref().is_some_and(|greeting| greeting.replay),
        "packets_per_second": live.rates.packets,
        "bits_per_second": live.rates.bits,
        "not_inspected_per_second": live.rates.not_inspected,
        "not_inspected": totals.not_inspected,
        "received": totals.frames,
        "inspected": totals.inspected,
        "workers": busy(&live.busy),
        "receivers": busy(&live.receiving),
        "sessions": judge.sessions[SessionState::Active as usize],
        "tunnels": judge.tunnels,
        "flows": judge.flows,
        "n4_coverage": coverage,
        "events_lost": lost.total().saturating_add(own),
        "latency_ms": {
            "p50": quantile(&judge.latency, 0.5),
            "p99": quantile(&judge.latency, 0.99),
        },
        "policy": policy,
        "journal": live.journal,
    })
}

/// The upper bound, in milliseconds, of the bucket that holds a quantile of times; none if there
/// are no times, or it lies above all bounds. Buckets end at 2^(10+i) nanoseconds.
fn quantile(buckets: &[u64], quantile: f64) -> Option<f64> {
    let all: u64 = buckets.iter().sum();
    let rank = (all as f64 * quantile).ceil().max(1.0) as u64;
    let mut below = 0;
    let bounded = buckets.split_last()?.1;
    let holding = bounded.iter().position(|count| {
        below += count;
        below >= rank
    });
    holding.map(|index| (1u64 << (10 + index)) as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_bound_that_so_many_are_under() {
        let mut buckets = [0; 26];
        assert_eq!(quantile(&buckets, 0.5), None);
        (buckets[0], buckets[10], buckets[25]) = (50, 49, 1);
        assert_eq!(quantile(&buckets, 0.5), Some(0.001_024));
        assert_eq!(quantile(&buckets, 0.99), Some(1.048_576));
        assert_eq!(quantile(&buckets, 1.0), None, "above all bounds");
    }

    #[test]
    fn without_a_sensor_there_is_a_reason_and_no_made_up_number() {
        let state = seen(&Live::default());
        assert_eq!((&state["up"], &state["site"]), (&json!(false), &Value::Null));
        assert_eq!(state["reason"], "no sensor is attached");
        assert_eq!((&state["n4_coverage"], &state["policy"]), (&Value::Null, &Value::Null));
        assert_eq!(state["latency_ms"], json!({ "p50": null, "p99": null }));
    }
}
