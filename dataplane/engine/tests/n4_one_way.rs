//! Sessions whose packets go one way, for minutes, amid those whose packets go both.

mod lab;

use lab::n4::*;
use lab::{Script, alerts, g_pdu, judge, rule_set};
use weir_engine::contract::verdict::{Fact, Oddity, Verdict};
use weir_engine::detect::PFCP_GHOST;
use weir_engine::rules::Link;

const ENDS: [&str; 2] = ["10.0.2.1:8805", "10.0.1.1:8805"];
const GNB_END: &str = "10.0.0.1:2152";
const UPF_END: &str = "10.0.1.1:2152";

/// Twenty minutes of two sessions that are answered, and of a third that sends up a packet every so
/// many seconds and is answered or not.
fn minutes(every: f64, is_answered: bool, heartbeats: bool) -> Script {
    let mut script = Script::default();
    let mut sequence = 0;
    let mut agree =
        |script: &mut Script, kind: u8, seids: [u64; 2], ask: &[Vec<u8>], answer: &[Vec<u8>]| {
            sequence += 1;
            script.udp(ENDS[0], ENDS[1], &message(kind, seids[0], sequence, ask, false));
            script.udp(ENDS[1], ENDS[0], &message(kind + 1, seids[1], sequence, answer, false));
        };
    for n in 1..=3_u32 {
        let ask = [
            f_seid(n.into(), SMF),
            uplink_pdr(1, n, [10, 60, 0, n as u8]),
            downlink_far(3, 1, &outer(n | 1 << 24)),
        ];
        let answer = [cause(1), f_seid(u64::from(n) + 100, UPF)];
        agree(&mut script, 50, [0, n.into()], &ask, &answer);
    }
    let (mut due, mut beat) = (0.0, 0.0);
    for second in 0..1_200 {
        let now = f64::from(second);
        if heartbeats && now >= beat {
            let stamp = ie(96, &[0, 0, 0, 9]);
            agree(&mut script, 54, [101, 1], &[], &[cause(1), stamp]);
            beat += 20.0;
        }
        if second % 10 == 0 {
            for n in 1..=2 {
                script.udp(GNB_END, UPF_END, &g_pdu(n));
                script.udp(UPF_END, GNB_END, &g_pdu(n | 1 << 24));
            }
        }
        while due <= now {
            script.udp(GNB_END, UPF_END, &g_pdu(3));
            if is_answered {
                script.udp(UPF_END, GNB_END, &g_pdu(3 | 1 << 24));
            }
            due += every;
        }
        script.wait(1.0);
    }
    script
}

fn ghosts(script: &Script) -> Vec<(Fact, u64)> {
    let all = alerts(&script.shots, Link::Mixed, rule_set());
    let of = all.into_iter().filter(|alert| alert.detection == PFCP_GHOST);
    of.map(|alert| (alert.fact, alert.packets)).collect()
}

#[test]
fn a_stream_that_nobody_answers_is_told_of_once_it_has_lasted() {
    let script = minutes(0.5, false, true);
    let found = ghosts(&script);
    let [(Fact::Ghost(Oddity::OneWay), packets)] = found[..] else { panic!("{found:?}") };
    // Two a second for ten minutes, and for the minute until it is looked at.
    assert!((1_200..1_450).contains(&packets), "{packets}");
    let with = |workers| -> Vec<Verdict> {
        let said = judge(&script.shots, Link::Mixed, rule_set(), workers);
        said.into_iter().filter(|it| matches!(it, Verdict::Alert(_))).collect()
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn what_is_answered_what_is_no_stream_and_what_n4_does_not_cover_is_silent() {
    assert_eq!(ghosts(&minutes(0.5, true, true)), []);
    assert_eq!(ghosts(&minutes(5.0, false, true)), [], "a machine that reports");
    assert_eq!(ghosts(&minutes(0.5, false, false)), [], "nobody knows whether it still is one");
}
