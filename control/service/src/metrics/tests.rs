//! What is exported, and that all of it is documented.

use super::*;
use weir_engine::contract::spreading::{N4Way, Spreading};
use weir_engine::contract::words::{
    Attribution, JudgeWords, LATENCY_BUCKETS, N4_LATENCY_BUCKETS, N4Loss,
};
use weir_engine::frame::BURST;

#[test]
fn known_series_are_there_before_any_sensor() {
    let text = Exposition::of(Shared::default()).text().unwrap();
    for line in [
        "weir_sensor_up 0",
        "weir_alerts_total{detection=\"GTP-PEER\",severity=\"critical\"} 0",
        "weir_decode_errors_total{kind=\"truncated\",layer=\"gtpu\"} 0",
        "weir_gtpu_packets_total{message=\"end_marker\"} 0",
        "weir_events_lost_total{reason=\"full\"} 0",
        "weir_events_lost_total{reason=\"event_file\"} 0",
        "weir_table_evictions_total{table=\"dns_names\"} 0",
        "weir_table_evictions_total{table=\"fragment_trails\"} 0",
        "weir_table_evictions_total{table=\"pfcp_datagrams\"} 0",
        "weir_fragments_total{kind=\"unknown\"} 0",
        "weir_reassembly_total{kind=\"completed\"} 0",
        "weir_pfcp_vendor_elements_total 0",
        "weir_table_evictions_total{table=\"vendor_elements\"} 0",
        "weir_reassembly_total{kind=\"timed_out\"} 0",
        "weir_policy_info{version=\"0\"} 1",
        "weir_sessions 0",
        "weir_sessions_stale 0",
        "weir_sessions_established_total 0",
        "weir_tunnels 0",
        "weir_pfcp_responses_total{cause=\"request_accepted\"} 0",
        "weir_pfcp_responses_total{cause=\"unknown\"} 0",
        "weir_pfcp_response_seconds_count{message=\"session_report_request\"} 0",
        "weir_n4_coverage_ratio 0",
        "weir_n4_transactions_total{kind=\"unanswered\"} 0",
        "weir_n4_dropped_datagrams_total{reason=\"declared_peer\"} 0",
        "weir_gpdu_attribution_total{kind=\"late\"} 0",
        "weir_usage_reports_total 0",
        "weir_usage_mismatches_total 0",
        "weir_table_evictions_total{table=\"pfcp_transactions\"} 0",
        "weir_alerts_total{detection=\"PFCP-REDIR\",severity=\"critical\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn no_series_shows_who_is_intercepted() {
    let shared = Shared::default();
    let detection = weir_engine::detect::PFCP_DUPL;
    {
        let mut live = lock(&shared);
        live.tally.alerts.insert((detection, Severity::Critical), 5);
        live.tally.suppressed.insert(detection, 5);
    }
    let text = Exposition::of(shared).text().unwrap();
    assert!(!text.contains("DUPL") && !text.contains(" 5\n"), "{text}");
}

#[test]
fn n4_is_counted_by_what_became_of_it() {
    let shared = Shared::default();
    {
        let judge: &mut JudgeWords = &mut lock(&shared).counts.judge;
        // Pending, active, partial, stale, deleted.
        judge.sessions = [1, 20, 300, 4_000, 50_000];
        (judge.sessions_established, judge.sessions_deleted, judge.tunnels) = (7, 6, 40);
        judge.pfcp_causes[weir_wire::pfcp_ie::Cause(65).counter()] = 3;
        (judge.n4_whole, judge.n4_unanswered, judge.n4_unasked, judge.n4_repeated) = (90, 4, 5, 6);
        judge.n4_coverage_ppm = 909_090;
        judge.n4_dropped[N4Loss::Undeclared as usize] = 8;
        judge.attribution[Attribution::Ended as usize] = 9;
        (judge.usage_reports, judge.usage_mismatches) = (12, 2);
        // Of establishments (the ninth kind of request) two within 2 µs, one never bounded.
        let first = 8 * N4_LATENCY_BUCKETS;
        judge.n4_latency[first + 1] = 2;
        judge.n4_latency[first + N4_LATENCY_BUCKETS - 1] = 1;
        judge.n4_latency_sum_ns[8] = 9_000_000_000;
    }
    let text = Exposition::of(shared).text().unwrap();
    let response = "message=\"session_establishment_request\"";
    for line in [
        "weir_sessions 4321",
        "weir_sessions_pending 1",
        "weir_sessions_active 20",
        "weir_sessions_partial 300",
        "weir_sessions_stale 4000",
        "weir_sessions_remembered 50000",
        "weir_sessions_established_total 7",
        "weir_sessions_deleted_total 6",
        "weir_tunnels 40",
        "weir_pfcp_responses_total{cause=\"session_context_not_found\"} 3",
        "weir_n4_transactions_total{kind=\"whole\"} 90",
        "weir_n4_transactions_total{kind=\"unasked\"} 5",
        "weir_n4_transactions_total{kind=\"repeated\"} 6",
        "weir_n4_coverage_ratio 0.90909",
        "weir_n4_dropped_datagrams_total{reason=\"undeclared_peer\"} 8",
        "weir_gpdu_attribution_total{kind=\"ended\"} 9",
        "weir_usage_reports_total 12",
        "weir_usage_mismatches_total 2",
        &format!("weir_pfcp_response_seconds_bucket{{{response},le=\"0.000001024\"}} 0"),
        &format!("weir_pfcp_response_seconds_bucket{{{response},le=\"0.000002048\"}} 2"),
        &format!("weir_pfcp_response_seconds_bucket{{{response},le=\"+Inf\"}} 3"),
        &format!("weir_pfcp_response_seconds_sum{{{response}}} 9"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
const INDEX: &str = "## Index\n";

/// WEIR_WRITE_DOCS=1 writes it.
#[test]
fn the_index_says_what_the_code_says() {
    let page = std::fs::read_to_string(REFERENCE).unwrap();
    let (explained, _) = page.split_once(INDEX).unwrap();
    let mut families = families(&Live::default());
    families.sort_by(|one, other| one.name().cmp(other.name()));
    let rows = families.iter().map(|family| {
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        format!("| `{}` | {kind} | {} |\n", family.name(), family.help().replace('|', "\\|"))
    });
    let introduction = "\nEvery metric, its type, and what `/metrics` says of it in `# HELP`; made from the code.\n\n\
                        | metric | type | help |\n|---|---|---|\n";
    let made = format!("{explained}{INDEX}{introduction}{}", rows.collect::<String>());
    if std::env::var_os("WEIR_WRITE_DOCS").is_some() {
        std::fs::write(REFERENCE, &made).unwrap();
        return;
    }
    assert!(
        made == page,
        "docs/metrics.md is older than the code: WEIR_WRITE_DOCS=1 cargo test -p weir-control index"
    );
}

#[test]
fn every_family_is_documented() {
    let page = std::fs::read_to_string(REFERENCE).unwrap();
    let (page, _) = page.split_once(INDEX).unwrap();
    let families = families(&Live::default());
    for family in &families {
        let row = format!("| `{}", family.name());
        let named = page
            .lines()
            .find(|line| line.strip_prefix(&row).is_some_and(|rest| rest.starts_with(['`', '{'])));
        assert!(named.is_some(), "{} is not in docs/metrics.md", family.name());
    }
    let rows = page.lines().filter(|line| line.starts_with("| `weir_")).count();
    assert_eq!(rows, families.len(), "a family is documented that is not there");
}

#[test]
fn every_detection_has_its_row_and_its_page() {
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/detections");
    let read = |name: &str| std::fs::read_to_string(format!("{pages}/{name}.md")).unwrap();
    let table = read("README");
    for detection in &CATALOGUE {
        let row = format!("| {} | {} |", detection.id, detection.signature_id);
        let row = table.lines().find(|line| line.starts_with(&row)).unwrap();
        assert_eq!(row.contains("restricted"), detection.restricted, "{row}");
        let page = read(&detection.id.to_lowercase());
        let techniques = format!("ATT&CK {}.", detection.technique.join(", "));
        assert!(page.contains(&techniques), "{} {techniques}", detection.id);
        assert!(!page.contains("signature_id") || page.contains(detection.signature));
    }
}

#[test]
fn spreading_rings_and_loads_are_told_by_port_and_thread() {
    let shared = Shared::default();
    {
        let mut live = lock(&shared);
        live.greeting = Some(Arc::new(weir_engine::contract::greeting::Greeting {
            version: String::new(),
            site: String::new(),
            replay: false,
            taps: Vec::new(),
            ports: vec!["net_fake0".into()],
            lanes: Vec::new(),
            workers: 1,
            receivers: 1,
            policy: None,
        }));
        let ports = weir_engine::contract::words::PortWords {
            spreading: Spreading::Innermost as u64,
            n4_way: N4Way::Queue as u64,
            ..Default::default()
        };
        live.counts.ports = vec![ports];
        let mut worker = weir_engine::contract::words::WorkerWords::default();
        // N4's ring was always empty; users' once empty, twice up to a quarter full, once full.
        (worker.ring_fills[0], worker.ring_fills[7], worker.ring_fills[10]) = (4, 1, 2);
        worker.ring_fills[13] = 1;
        (worker.shed_share, worker.overloads) = (64, 2);
        live.counts.workers = vec![worker];
        let mut receiver = weir_engine::contract::words::ReceiverWords::default();
        receiver.bursts[BURST] = 3;
        live.counts.receivers = vec![receiver];
        live.busy.push(crate::live::Load::default());
        live.receiving.push(crate::live::Load::default());
        (live.busy[0].ratio, live.receiving[0].ratio) = (0.25, 0.5);
    }
    let text = Exposition::of(shared).text().unwrap();
    for line in [
        "weir_port_spreading_info{n4=\"queue\",port=\"net_fake0\",spreading=\"innermost\"} 1",
        "weir_worker_busy_ratio{worker=\"0\"} 0.25",
        "weir_shed_ratio{worker=\"0\"} 0.25",
        "weir_overloads_total{worker=\"0\"} 2",
        "weir_receiver_busy_ratio{receiver=\"0\"} 0.5",
        "weir_receiver_burst_packets_sum 192",
        "weir_ring_fill_ratio_bucket{ring=\"n4\",worker=\"0\",le=\"0\"} 4",
        "weir_ring_fill_ratio_bucket{ring=\"users\",worker=\"0\",le=\"0.0625\"} 1",
        "weir_ring_fill_ratio_bucket{ring=\"users\",worker=\"0\",le=\"0.25\"} 3",
        "weir_ring_fill_ratio_bucket{ring=\"users\",worker=\"0\",le=\"1\"} 4",
        "weir_ring_fill_ratio_count{ring=\"users\",worker=\"0\"} 4",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn histograms_are_cumulative_and_whole() {
    let shared = Shared::default();
    {
        let mut live = lock(&shared);
        let mut worker = weir_engine::contract::words::WorkerWords::default();
        (worker.bursts[0], worker.bursts[3], worker.bursts[BURST]) = (5, 2, 1);
        live.counts.workers = vec![worker];
        live.counts.judge.latency[0] = 4;
        live.counts.judge.latency[LATENCY_BUCKETS - 1] = 1;
    }
    let text = Exposition::of(shared).text().unwrap();
    for line in [
        "weir_burst_packets_bucket{le=\"0\"} 5",
        "weir_burst_packets_bucket{le=\"2\"} 5",
        "weir_burst_packets_bucket{le=\"4\"} 7",
        "weir_burst_packets_bucket{le=\"64\"} 8",
        "weir_burst_packets_sum 70",
        "weir_burst_packets_count 8",
        "weir_detection_latency_seconds_bucket{le=\"0.000001024\"} 4",
        "weir_detection_latency_seconds_bucket{le=\"+Inf\"} 5",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
