//! Sessions, tunnels and the transactions of N4.

use weir_engine::contract::session::SessionState;
use weir_engine::contract::words::{
    Attribution, JudgeWords, N4_LATENCY_BUCKETS, N4_REQUESTS, N4Loss,
};
use weir_wire::pfcp;
use weir_wire::pfcp_ie::Cause;

use super::{Families, Values};

/// Sessions, what they own, and what of the users' packets belongs to them.
pub(super) fn sessions(judge: &JudgeWords, families: &mut Families) {
    let remembered = judge.sessions[SessionState::Deleted as usize];
    let all: u64 = judge.sessions.iter().sum();
    families.gauge(
        "weir_sessions",
        "PFCP sessions in the table that are not deleted.",
        [(vec![], all.saturating_sub(remembered) as f64)],
    );
    for state in SessionState::ALL {
        let (name, help) = match state {
            SessionState::Pending => {
                ("weir_sessions_pending", "Sessions that are asked for and not answered.")
            }
            SessionState::Active => ("weir_sessions_active", "Sessions that are agreed."),
            SessionState::Partial => {
                ("weir_sessions_partial", "Sessions that are known by an answer alone.")
            }
            SessionState::Stale => {
                ("weir_sessions_stale", "Sessions whose node restarted or whose association ended.")
            }
            SessionState::Deleted => {
                ("weir_sessions_remembered", "Deleted sessions that are remembered for stragglers.")
            }
        };
        families.gauge(name, help, [(vec![], judge.sessions[state as usize] as f64)]);
    }
    families.counter(
        "weir_sessions_established_total",
        "Sessions ever agreed.",
        [(vec![], judge.sessions_established)],
    );
    families.counter(
        "weir_sessions_deleted_total",
        "Sessions ended by their deletion.",
        [(vec![], judge.sessions_deleted)],
    );
    families.gauge(
        "weir_tunnels",
        "Tunnels of sessions in the table.",
        [(vec![], judge.tunnels as f64)],
    );
    families.counter(
        "weir_gpdu_attribution_total",
        "G-PDUs by what their tunnel was known as.",
        Attribution::ALL.into_iter().map(|attribution| {
            (vec![("kind", attribution.name())], judge.attribution[attribution as usize])
        }),
    );
    families.counter(
        "weir_usage_reports_total",
        "Usage reports of UPFs that were compared with what was seen.",
        [(vec![], judge.usage_reports)],
    );
    families.counter(
        "weir_usage_mismatches_total",
        "Usage reports that do not agree with what was seen.",
        [(vec![], judge.usage_mismatches)],
    );
}

/// Requests and their answers.
pub(super) fn transactions(judge: &JudgeWords, families: &mut Families) {
    families.counter(
        "weir_pfcp_responses_total",
        "PFCP answers by cause.",
        judge
            .pfcp_causes
            .iter()
            .enumerate()
            .map(|(index, count)| (vec![("cause", Cause::counter_name(index))], *count)),
    );
    families.histogram(
        "weir_pfcp_response_seconds",
        "Time from a PFCP request to its answer, by request.",
        judge
            .n4_latency
            .chunks_exact(N4_LATENCY_BUCKETS)
            .zip(judge.n4_latency_sum_ns)
            .zip(N4_REQUESTS)
            .map(|((buckets, sum_ns), request)| {
                let name = pfcp::Message::counter_name(pfcp::Message(request).counter());
                (vec![("message", name)], Values::of_times(buckets, sum_ns))
            }),
    );
    families.gauge(
        "weir_n4_coverage_ratio",
        "Share of N4's transactions of the last minute that were seen whole.",
        [(vec![], judge.n4_coverage_ppm as f64 / 1e6)],
    );
    families.counter(
        "weir_n4_transactions_total",
        "PFCP transactions by what was seen of them.",
        [
            ("repeated", judge.n4_repeated),
            ("unanswered", judge.n4_unanswered),
            ("unasked", judge.n4_unasked),
            ("whole", judge.n4_whole),
        ]
        .map(|(kind, count)| (vec![("kind", kind)], count)),
    );
    families.counter(
        "weir_n4_dropped_datagrams_total",
        "N4 datagrams that found no room on the way to the session machine.",
        N4Loss::ALL
            .into_iter()
            .map(|loss| (vec![("reason", loss.name())], judge.n4_dropped[loss as usize])),
    );
}
