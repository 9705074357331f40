//! What the release build of `weir-bench` says: instructions per packet are no more than were
//! written down, and a run measures everything that it is asked for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// The program, built as it is measured.
static BENCH: LazyLock<PathBuf> = LazyLock::new(|| {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet", "--message-format=json"])
        .args(["-p", "weir-benches", "--bin", "weir-bench"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo that runs the tests also builds");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "weir-bench can't be built: {said}");
    let messages = String::from_utf8(built.stdout).expect("cargo's messages are text");
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.expect("a program was built")
});

#[test]
fn instructions_are_not_many_more_than_were_written_down() {
    let output = Command::new(&*BENCH).arg("gate").output().expect("it was just built");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Figures that every machine has.
const ALWAYS: [&str; 19] = [
    "engine_ns_per_packet",
    "engine_to_parse_ratio",
    "engine_small_ns_per_packet",
    "engine_real_ns_per_packet",
    "growth_1k_to_10m",
    "gpdu_rate_with_n4",
    "reshard_rx_ns_per_packet",
    "allocations_per_packet",
    "file_source_mpps",
    "n4_ns_per_message",
    "session_bytes",
    "bad_input_errors_to_common",
    "bad_input_outer_fragments_to_common",
    "bad_input_orphans_to_common",
    "bad_input_sizes_to_common",
    "bad_input_aimed_flows_to_common",
    "sizing_small_1k_ns",
    "sizing_real_10m_ns",
    "flow_bytes",
];

#[test]
fn a_quick_run_has_every_figure() {
    let folder = tempfile::tempdir().expect("there is room for figures");
    let json = folder.path().join("bench.json");
    let output =
        Command::new(&*BENCH).arg("--quick").arg("--out").arg(&json).output().expect("it is built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |path: &Path| std::fs::read_to_string(path).expect("a run writes its files");
    let figures: Value = serde_json::from_str(&read(&json)).expect("figures are JSON");
    let mut wanted = ALWAYS.to_vec();
    let cores = figures["machine"]["cores"].as_u64().unwrap_or(0);
    let given = [
        (
            cores > 1,
            "two or more cores",
            &[
                "two_worker_scaling_to_parse",
                "shed_to_inspected_ratio",
                "detection_latency_ms_p99",
                "throughput_mfps",
            ][..],
        ),
        (
            has("valgrind"),
            "valgrind",
            &["engine_instructions_per_packet", "n4_instructions_per_message"],
        ),
        (
            has("dpdk-testpmd"),
            "dpdk-testpmd",
            &[
                "dpdk_to_testpmd_ratio_1k",
                "dpdk_to_testpmd_ratio_64k",
                "dpdk_to_testpmd_ratio_64k_n4",
            ],
        ),
        (has("ndpiReader"), "ndpiReader", &["ndpireader_ns_per_packet"]),
        (has("tcpdump"), "tcpdump", &["tcpdump_ns_per_packet"]),
        (has("nfpcapd"), "nfpcapd", &["nfpcapd_ns_per_packet"]),
    ];
    for (is_there, what, keys) in given {
        if is_there {
            wanted.extend(keys);
        } else {
            println!("skipped: {keys:?}, for want of {what}");
        }
    }
    let absent: Vec<_> = wanted.iter().filter(|key| !figures[**key].is_number()).collect();
    assert!(absent.is_empty(), "no number at {absent:?} in {figures:#}");
    assert_eq!(figures["allocations_per_packet"], 0.0);
    if cores > 1 {
        assert_eq!(figures["overload_unaccounted"], 0.0);
    }
    assert!(read(&json.with_file_name("sizing.md")).contains("| 100 GbE |"));
    assert!(read(&json.with_extension("md")).contains("| engine, IMIX |"));
    assert!(read(&json.with_extension("svg")).ends_with("</svg>\n"));
}
