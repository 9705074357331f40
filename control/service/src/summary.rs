//! The summary of a replay.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};

use serde::Serialize;
use weir_engine::vendor_elements::VendorElement;

use crate::counts::{Counts, Sessions, Totals};
use crate::options::Destination;

/// What a replay came to. The keys are a contract.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Summary {
    pub frames: u64,
    pub bytes: u64,
    pub inspected: u64,
    pub not_inspected: BTreeMap<&'static str, u64>,
    pub gtpu_messages: u64,
    pub pfcp_messages: u64,
    pub errors: BTreeMap<String, u64>,
    pub sessions: Sessions,
    pub flows: u64,
    pub alerts: BTreeMap<&'static str, u64>,
    pub wall_seconds: f64,
    pub mpps: f64,
    pub gbps: f64,
    pub workers: usize,
    pub ns_per_packet: f64,
    pub unaccounted: i128,
    pub events_lost: u64,
    pub fragments: BTreeMap<&'static str, u64>,
    pub reassembly: BTreeMap<&'static str, u64>,
    pub vendor_elements: Vec<VendorElements>,
    pub vendor_elements_other: u64,
}

/// Vendors' PFCP elements of one kind; without an enterprise number if they are too short for one.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct VendorElements {
    pub enterprise: Option<u16>,
    #[serde(rename = "type")]
    pub kind: u16,
    pub length: u16,
    pub count: u64,
}

impl VendorElements {
    fn new((element, count): (VendorElement, u64)) -> Self {
        let VendorElement { enterprise, kind, length } = element;
        Self { enterprise, kind, length, count }
    }
}

impl Summary {
    /// From the sensor's counters, the alerts by id, and the events that
    /// control itself lost.
    pub fn new(counts: &Counts, alerts: BTreeMap<&'static str, u64>, lost: u64) -> Self {
        let totals = counts.totals();
        let unaccounted = totals.unaccounted();
        let wall = counts.workers.iter().map(|worker| worker.total_ns).max().unwrap_or(0);
        let busy: u64 = counts.workers.iter().map(|worker| worker.busy_ns).sum();
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let Totals {
            frames,
            bytes,
            inspected,
            not_inspected,
            gtpu_messages,
            pfcp_messages,
            errors,
            sessions,
            flows,
            fragments,
            reassembly,
        } = totals;
        Self {
            frames,
            bytes,
            inspected,
            not_inspected,
            gtpu_messages,
            pfcp_messages,
            errors,
            sessions,
            flows,
            alerts,
            wall_seconds: wall as f64 / 1e9,
            mpps: ratio(frames as f64 * 1e3, wall as f64),
            gbps: ratio(bytes as f64 * 8.0, wall as f64),
            workers: counts.workers.len(),
            ns_per_packet: ratio(busy as f64, inspected as f64),
            unaccounted,
            events_lost: counts.lost.total().saturating_add(lost),
            fragments,
            reassembly,
            vendor_elements: counts.judge.vendors().into_iter().map(VendorElements::new).collect(),
            vendor_elements_other: counts.judge.vendor_other,
        }
    }

    /// Writes it as one line of JSON.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, destination: &Destination) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        match destination {
            Destination::Stdout => io::stdout().lock().write_all(&line),
            Destination::File(path) => fs::write(path, line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::contract::words::{JudgeWords, LaneWords, WorkerWords};

    #[test]
    fn rates_are_those_of_the_workers_time() {
        let counts = Counts {
            lanes: vec![LaneWords {
                received_packets: 1_000_000,
                received_bytes: 500_000_000,
                inspected_packets: 1_000_000,
                ..LaneWords::default()
            }],
            workers: vec![WorkerWords {
                busy_ns: 500_000_000,
                total_ns: 2_000_000_000,
                ..WorkerWords::default()
            }],
            ..Counts::default()
        };
        let summary = Summary::new(&counts, BTreeMap::new(), 3);
        assert_eq!((summary.wall_seconds, summary.mpps, summary.gbps), (2.0, 0.5, 2.0));
        assert_eq!((summary.ns_per_packet, summary.events_lost), (500.0, 3));
    }

    #[test]
    fn vendors_elements_are_listed_in_their_order() {
        let mut judge = JudgeWords { vendor_other: 7, ..JudgeWords::default() };
        for (n, (enterprise, length)) in
            [(10_415, 9), (10_415, 4), (311, 6)].into_iter().enumerate()
        {
            let element = VendorElement { enterprise: Some(enterprise), kind: 32_770, length };
            (judge.vendor_elements[n], judge.vendor_counts[n]) = (element.word(), 10 + n as u64);
        }
        let counts = Counts { judge, ..Counts::default() };
        let summary = serde_json::to_value(Summary::new(&counts, BTreeMap::new(), 0)).unwrap();
        assert_eq!(
            summary["vendor_elements"],
            serde_json::json!([
                {"enterprise": 311, "type": 32_770, "length": 6, "count": 12},
                {"enterprise": 10_415, "type": 32_770, "length": 4, "count": 11},
                {"enterprise": 10_415, "type": 32_770, "length": 9, "count": 10},
            ])
        );
        assert_eq!(summary["vendor_elements_other"], 7);
    }

    #[test]
    fn sessions_are_those_of_the_judge() {
        let judge = JudgeWords {
            sessions: [1, 5, 1, 1, 1],
            sessions_established: 9,
            sessions_deleted: 2,
            ..JudgeWords::default()
        };
        let counts = Counts { judge, ..Counts::default() };
        let summary = serde_json::to_value(Summary::new(&counts, BTreeMap::new(), 0)).unwrap();
        let sessions = serde_json::json!({"established": 9, "deleted": 2, "active": 5});
        assert_eq!(summary["sessions"], sessions);
        // Stats events tell the same.
        assert_eq!(serde_json::to_value(counts.totals()).unwrap()["sessions"], sessions);
    }

    #[test]
    fn no_input_is_no_division_by_zero() {
        let empty = serde_json::to_value(Summary::new(&Counts::default(), BTreeMap::new(), 0));
        assert_eq!(empty.unwrap()["mpps"], 0.0);
    }
}
