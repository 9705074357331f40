//! Two gNBs in one tunnel, wherever the workers sit that see them.

mod lab;

use lab::n4::*;
use lab::{Script, alerts, g_pdu, judge_spread, rule_set};
use weir_engine::contract::verdict::Verdict;
use weir_engine::detect::GTP_TEIDCLONE;
use weir_engine::rules::{Link, RuleSet};

const ENDS: [&str; 2] = ["10.0.2.1:8805", "10.0.1.1:8805"];
const NODES: [&str; 2] = ["10.0.0.1:2152", "10.0.0.2:2152"];
const UPLINK: &str = "10.0.1.1:2152";

fn target(gnb: u8) -> Vec<u8> {
    [&[1, 0, 0, 0, 9, gnb][..], &[10, 0, 0, gnb]].concat()
}

/// A session at gNB 1, or at none that N4 tells of.
fn one_session() -> Script {
    let mut script = Script::default();
    let ask = [f_seid(1, SMF), uplink_pdr(1, 100, [10, 60, 0, 7]), downlink_far(3, 1, &target(1))];
    agree(&mut script, 50, [0, 1], &ask, &[cause(1), f_seid(7, UPF)]);
    script.wait(1.0);
    script
}

fn agree(script: &mut Script, kind: u8, seids: [u64; 2], ask: &[Vec<u8>], answer: &[Vec<u8>]) {
    let sequence = script.shots.len() as u32 + 1;
    script.udp(ENDS[0], ENDS[1], &message(kind, seids[0], sequence, ask, false));
    script.udp(ENDS[1], ENDS[0], &message(kind + 1, seids[1], sequence, answer, false));
}

fn moves_to_gnb_2(script: &mut Script) {
    agree(script, 52, [7, 1], &[downlink_far(10, 1, &target(2))], &[cause(1)]);
}

fn send(script: &mut Script, gnb: usize) {
    script.udp(NODES[gnb - 1], UPLINK, &g_pdu(100));
}

/// Packets that the alert counts, if there is one: with one worker for all, and with one for each
/// gNB.
fn clones(script: &Script, set: &RuleSet) -> [Option<u64>; 2] {
    let together = alerts(&script.shots, Link::Mixed, set.clone());
    let together: Vec<_> =
        together.into_iter().filter(|alert| alert.detection == GTP_TEIDCLONE).collect();
    let by_source = |frame: &weir_engine::Frame<'_>| usize::from(frame.bytes[29] == 2);
    let apart = judge_spread(&script.shots, Link::Mixed, set.clone(), 2, by_source);
    let apart = apart.into_iter().filter_map(|verdict| match verdict {
        Verdict::Alert(alert) if alert.last_word => Some(*alert),
        _ => None,
    });
    let apart: Vec<_> = apart.filter(|alert| alert.detection == GTP_TEIDCLONE).collect();
    assert!(together.len() < 2 && apart.len() < 2);
    [together, apart].map(|found| found.first().map(|alert| alert.packets))
}

#[test]
fn two_gnbs_that_send_in_turn_are_one_too_many() {
    let mut script = one_session();
    for _ in 0..20 {
        send(&mut script, 1);
        send(&mut script, 2);
        script.wait(0.5);
    }
    let [together, apart] = clones(&script, &rule_set());
    // Only in the slice in which it begins does it matter who sees what.
    assert_eq!(together, Some(20));
    assert!(apart.is_some_and(|packets| packets >= 19), "{apart:?}");
}

#[test]
fn one_that_comes_back_while_the_other_sends_is_seen() {
    let mut script = one_session();
    send(&mut script, 1);
    script.wait(100.0);
    for _ in 0..3 {
        send(&mut script, 2);
        script.wait(0.5);
    }
    send(&mut script, 1);
    for _ in 0..3 {
        send(&mut script, 2);
        script.wait(0.5);
    }
    let [together, apart] = clones(&script, &rule_set());
    assert!(together.is_some() && apart.is_some(), "{together:?} {apart:?}");
}

#[test]
fn a_handover_explains_only_the_time_around_it() {
    for goes_on in [false, true] {
        let mut script = one_session();
        for _ in 0..10 {
            send(&mut script, 1);
            script.wait(0.3);
        }
        moves_to_gnb_2(&mut script);
        send(&mut script, 2);
        for _ in 0..60 {
            if goes_on {
                send(&mut script, 1);
            }
            send(&mut script, 2);
            script.wait(0.3);
        }
        for found in clones(&script, &rule_set()) {
            assert_eq!(found.is_some(), goes_on);
        }
    }
}

#[test]
fn so_many_pieces_of_equipment_as_the_policy_says() {
    let mut set = rule_set();
    set.settings.clone_min_equipment = 3;
    let mut script = one_session();
    for _ in 0..20 {
        send(&mut script, 1);
        send(&mut script, 2);
        script.wait(0.5);
    }
    assert_eq!(clones(&script, &set), [None, None]);
}
