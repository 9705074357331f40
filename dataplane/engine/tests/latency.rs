//! How long alerts take is counted once for each, from the frame that made it be raised: not from its
//! flow's first packet, nor from the last one that the slice tells of, nor while it was held back.

mod lab;

use std::sync::Arc;

use lab::*;
use weir_engine::contract::verdict::{Alert, Verdict};
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::rules::{Link, Rules};
use weir_engine::time::LIVE_SLICE;
use weir_engine::worker::Setup;
use weir_engine::{Frame, Judge, Nanos, Report, RxMeta, Worker};

const SYN: u8 = 2;
const ACK: u8 = 16;
const PSH_ACK: u8 = 24;
const UPF_IP: &str = "10.0.1.1";
const MS: u64 = 1_000_000;

/// One worker and its judge on a live tap.
struct Live {
    rules: Arc<Rules>,
    worker: Worker,
    judge: Judge,
    slice: u64,
}

impl Live {
    fn new() -> Self {
        let setup = Setup { links: vec![Link::Mixed], live: true, ..Setup::default() };
        let mut signalling = signalling();
        let rules = Arc::new(Rules::compile(rule_set()).unwrap());
        let mut worker = Worker::new(setup, signalling.enlist().unwrap()).unwrap();
        worker.set_rules(Some(rules.clone()));
        let mut judge = Judge::new([], signalling);
        judge.set_rules(rules.clone(), at(0.0), &mut |_| {});
        Self { rules, worker, judge, slice: at(0.0).slice(LIVE_SLICE) }
    }

    /// What the worker sees in the open slice: frames, each so many milliseconds after its beginning.
    fn see(&mut self, frames: &[(u64, Vec<u8>)]) -> Report {
        let begin = self.slice * LIVE_SLICE.0;
        for (after, bytes) in frames {
            let meta = RxMeta {
                time: Nanos(begin + after * MS),
                wire_len: bytes.len() as u32,
                ..RxMeta::default()
            };
            self.worker.burst(&[Frame { bytes, meta }]);
        }
        let end = Nanos(begin + LIVE_SLICE.0);
        let report = self.worker.close(self.slice, end, false, Report::with_room());
        assert_eq!(report.policy, self.rules.identity());
        self.slice += 1;
        report
    }

    /// Judges what was seen up to now as the slice before the open one, a millisecond after its end.
    fn judge(&mut self, reports: &[Report]) -> Vec<Alert> {
        let end = Nanos(self.slice * LIVE_SLICE.0);
        let begin = Nanos(end.0 - LIVE_SLICE.0);
        let vitals = Vitals { live: true, ..Vitals::default() };
        let mut alerts = Vec::new();
        self.judge.slice(begin, end, reports, &vitals, &mut |verdict| {
            if let Verdict::Alert(alert) = verdict {
                alerts.push(*alert);
            }
        });
        for alert in &alerts {
            self.judge.readable(alert, Nanos(end.0 + MS));
        }
        alerts
    }

    fn pass(&mut self, frames: &[(u64, Vec<u8>)]) -> Vec<Alert> {
        let report = self.see(frames);
        self.judge(&[report])
    }

    /// How many alerts were counted, and the milliseconds that they took together.
    fn counted(&self) -> (u64, u64) {
        let words = self.judge.words();
        (words.latency.iter().sum(), words.latency_sum_ns / MS)
    }
}

fn theft() -> Vec<u8> {
    udp("10.0.1.1:40000", "172.19.41.9:4433", b"x")
}

#[test]
fn a_new_alert_counts_from_its_first_frame_and_its_updates_count_nothing() {
    let mut live = Live::new();
    let several = [(5, theft()), (9, theft()), (19, theft())];
    assert_eq!(live.pass(&several).len(), 1);
    assert_eq!(live.counted(), (1, 16));
    let many: Vec<_> = (0..40).map(|_| (3, theft())).collect();
    assert_eq!(live.pass(&many).len(), 1, "it has grown tenfold");
    assert_eq!(live.counted(), (1, 16));
}

#[test]
fn a_flow_that_turns_bad_counts_from_the_slice_that_shows_it() {
    let (intruder, upf) = ("172.19.41.9:50000", "10.0.1.1:4444");
    let mut live = Live::new();
    assert!(live.pass(&[(1, tcp(intruder, upf, SYN, 0, b""))]).is_empty());
    assert!(live.pass(&[(1, tcp(upf, intruder, SYN | ACK, 1, b""))]).is_empty());
    (0..20).for_each(|_| assert!(live.pass(&[]).is_empty()));
    let alerts = live.pass(&[(12, tcp(upf, intruder, PSH_ACK, 4, b"bin etc\n"))]);
    assert_eq!(alerts.len(), 1);
    assert!(alerts[0].last.since(alerts[0].first) > Nanos(400 * MS));
    assert_eq!(live.counted(), (1, 9));
}

#[test]
fn while_it_is_held_back_no_time_counts() {
    let mut live = Live::new();
    let maybe_gtp = udp(&format!("{UPF_IP}:40000"), "172.19.41.9:2152", b"no GTP at all");
    assert!(live.pass(&[(7, maybe_gtp)]).is_empty());
    let mut slices = 1;
    while live.pass(&[]).is_empty() {
        slices += 1;
        assert!(slices < 200, "it never comes");
    }
    // It may be said from 2,007 ms on, and is in the slice that begins at 2,020 and ends at 2,040.
    assert_eq!((slices, live.counted()), (101, (1, 34)));
}

#[test]
fn what_a_worker_was_late_with_counts_from_its_own_time() {
    let mut live = Live::new();
    let late = live.see(&[(4, theft())]);
    // Fifteen slices were judged without it.
    (0..15).for_each(|_| assert!(live.pass(&[]).is_empty()));
    let now = live.see(&[]);
    assert_eq!(live.judge(&[late, now]).len(), 1);
    assert_eq!(live.counted(), (1, 17 * 20 + 1 - 4));
}

#[test]
fn blindness_is_made_by_no_frame() {
    let mut live = Live::new();
    let begin = Nanos(live.slice * LIVE_SLICE.0);
    let vitals = Vitals { live: true, received: 1_000, lost: 900, ..Vitals::default() };
    let mut alerts = Vec::new();
    for n in 0..2_000 {
        let from = begin.plus(Nanos(n * LIVE_SLICE.0));
        let lost = Vitals { received: 1_000 * n, lost: 900 * n, ..vitals };
        live.judge.slice(from, from.plus(LIVE_SLICE), &[], &lost, &mut |verdict| {
            if let Verdict::Alert(alert) = verdict {
                alerts.push(*alert);
            }
        });
        alerts.iter().for_each(|alert| live.judge.readable(alert, from.plus(LIVE_SLICE)));
    }
    assert!(!alerts.is_empty());
    assert_eq!(live.counted(), (0, 0));
}
