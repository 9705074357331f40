//! Another policy comes into force in the middle: flows are judged anew, and
//! nobody is called by a number of the inventory before.

mod lab;

use std::sync::Arc;

use lab::*;
use weir_engine::contract::verdict::{Alert, InputEnd, Verdict};
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::rules::{Authorised, EquipmentId, Link, RuleSet, Rules};
use weir_engine::time::REPLAY_SLICE;
use weir_engine::worker::Setup;
use weir_engine::{Frame, Judge, Nanos, Report, RxMeta, Worker};

struct Bench {
    worker: Worker,
    judge: Judge,
    slice: u64,
    said: Vec<Verdict>,
}

impl Bench {
    fn new() -> Self {
        let setup = Setup { links: vec![Link::Mixed], ..Setup::default() };
        let mut signalling = signalling();
        let worker = Worker::new(setup, signalling.enlist().unwrap()).unwrap();
        Self { worker, judge: Judge::new([], signalling), slice: 1, said: vec![] }
    }

    fn adopt(&mut self, rules: &Arc<Rules>) {
        let said = &mut self.said;
        self.judge.set_rules(rules.clone(), Nanos(0), &mut |verdict| said.push(verdict));
    }

    /// One packet in a slice of its own; the worker may be behind the judge.
    fn packet(&mut self, bytes: &[u8], worker_has: &Arc<Rules>) {
        self.worker.set_rules(Some(worker_has.clone()));
        let begin = Nanos(self.slice * REPLAY_SLICE.0);
        let meta = RxMeta { time: begin, wire_len: bytes.len() as u32, ..RxMeta::default() };
        self.worker.burst(&[Frame { bytes, meta }]);
        let report = self.worker.close(self.slice, begin, false, Report::with_room());
        let said = &mut self.said;
        self.judge.slice(
            begin,
            begin.plus(REPLAY_SLICE),
            &[report],
            &Vitals::default(),
            &mut |v| {
                said.push(v);
            },
        );
        self.slice += 1;
    }

    fn alerts(&self) -> Vec<&Alert> {
        self.said
            .iter()
            .filter_map(|verdict| match verdict {
                Verdict::Alert(alert) => Some(&**alert),
                _ => None,
            })
            .collect()
    }
}

/// The laboratory's rules, and the same with the inventory turned round.
fn both() -> (Arc<Rules>, Arc<Rules>) {
    let before = Rules::compile(rule_set()).unwrap();
    let mut turned = rule_set();
    turned.version = 2;
    turned.equipment.reverse();
    turned.allow.clear();
    (Arc::new(before), Arc::new(Rules::compile(turned).unwrap()))
}

#[test]
fn a_flow_is_judged_by_the_new_policy_and_named_by_its_numbers() {
    let (before, after) = both();
    let mut bench = Bench::new();
    bench.adopt(&before);
    let allowed = tcp("10.0.0.1:50000", "192.0.2.10:443", 2, 0, b"");
    bench.packet(&allowed, &before);
    assert_eq!(bench.alerts().len(), 0);
    bench.adopt(&after);
    // The worker has not noticed yet: its report still speaks for the old policy.
    bench.packet(&allowed, &before);
    let alerts = bench.alerts();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].equipment, alerts[0].policy), (Some(EquipmentId(4)), 2));
    assert_eq!(alerts[0].packets, 2);
}

#[test]
fn alerts_of_the_old_policy_end_and_begin_again_under_the_new_one() {
    let (before, after) = both();
    let mut bench = Bench::new();
    bench.adopt(&before);
    let theft = tcp("10.0.1.1:34034", "172.19.41.9:5555", 2, 0, b"");
    bench.packet(&theft, &before);
    bench.adopt(&after);
    bench.packet(&theft, &after);
    let told: Vec<_> = bench
        .alerts()
        .iter()
        .map(|alert| (alert.policy, alert.last_word, alert.equipment, alert.packets))
        .collect();
    let upf = Some(EquipmentId(2));
    assert_eq!(told, [(1, false, upf, 1), (1, true, upf, 1), (2, false, upf, 1)]);
}

#[test]
fn sightings_of_a_worker_behind_the_judge_name_nobody() {
    let (before, after) = both();
    let mut bench = Bench::new();
    bench.adopt(&before);
    bench.adopt(&after);
    // gnb-2 lists a MAC address, and this is another one.
    bench.packet(&udp("10.0.0.2:1000", "10.0.3.53:53", b"?"), &before);
    assert!(bench.alerts().iter().all(|alert| alert.equipment != Some(EquipmentId(1))));
}

#[test]
fn what_was_sent_while_a_file_named_its_place_is_told_of_neither_then_nor_later() {
    let function: std::net::IpAddr = "10.9.9.9".parse().unwrap();
    let order = Authorised { upf: None, to: function.into(), sessions: 9 };
    let named = RuleSet { authorised: Some(vec![order]), ..rule_set() };
    let over = RuleSet { authorised: Some(Vec::new()), version: 2, ..rule_set() };
    let [named, over] = [named, over].map(|set| Arc::new(Rules::compile(set).unwrap()));
    let copy = udp("10.0.1.1:2152", "10.9.9.9:2152", &g_pdu(7));
    let mut bench = Bench::new();
    bench.adopt(&named);
    for _ in 0..5 {
        bench.packet(&copy, &named);
    }
    bench.adopt(&over);
    bench.packet(&copy, &over);
    bench.packet(&copy, &over);
    let said = &mut bench.said;
    let last = Nanos(bench.slice * REPLAY_SLICE.0);
    bench.judge.finish(InputEnd { last }, &mut |verdict| said.push(verdict));
    let alerts = bench.alerts();
    let about = |alert: &&&Alert| alert.peer == Some(function);
    let alert = alerts.iter().rfind(about).unwrap();
    // From the sixth slice on.
    assert_eq!((alert.packets, alert.first), (2, Nanos(6 * REPLAY_SLICE.0)));
    assert!(!bench.said.iter().any(|verdict| matches!(verdict, Verdict::Flow(_))));
}
