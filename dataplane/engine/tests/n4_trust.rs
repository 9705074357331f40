//! Who changes a session: a declared peer whose request its UPF accepts, and nobody else.

mod lab;

use lab::n4::*;
use weir_engine::contract::session::SessionState;

/// One session of the declared SMF, with its two tunnels.
fn one_session() -> Machine {
    let mut machine = Machine::new();
    machine.sequence = 1;
    machine.establish(SMF, 1, 2, 100);
    machine.now += SECOND;
    machine
}

fn stands(mut machine: Machine) {
    machine.wait(10 * SECOND);
    let words = machine.words();
    assert_eq!(
        (words.sessions_established, words.sessions_deleted, words.tunnels),
        (1, 0, 2),
        "established, deleted, tunnels"
    );
    assert_eq!(machine.of_state(SessionState::Active), 1);
    let shown = machine.list();
    assert_eq!((shown.len(), shown[0].up_seid, shown[0].cp_seid), (1, 2, 1));
}

#[test]
fn an_answer_alone_ends_no_session() {
    let mut machine = one_session();
    machine.say(UPF, SMF, &message(55, 1, 900, &[cause(1)], false));
    machine.wait(2 * SECOND);
    assert_eq!(machine.words().n4_unasked, 1);
    stands(machine);
}

#[test]
fn an_answer_alone_takes_no_session_s_place() {
    let mut machine = one_session();
    let created = group(8, &[ie(56, &[0, 1]), ie(21, &[1, 0, 0, 9, 9, 10, 0, 1, 1])]);
    let answer = message(51, 1, 901, &[cause(1), f_seid(2, UPF), created], false);
    machine.say(UPF, SMF, &answer);
    stands(machine);
}

#[test]
fn what_a_stranger_agrees_on_with_the_upf_changes_no_session() {
    let mut machine = one_session();
    machine.agree_as(STRANGER, 54, [2, 1], &[], &[cause(1)]);
    let moved = downlink_far(10, 1, &outer(0xbad));
    machine.agree_as(STRANGER, 52, [2, 1], &[moved], &[cause(1)]);
    machine.establish(STRANGER, 77, 78, 200);
    // Nor does its association tell of a restart.
    let stamp = |seconds: u32| ie(96, &seconds.to_be_bytes());
    for seconds in [1000, 2000] {
        machine.agree_as(STRANGER, 5, [0, 0], &[stamp(seconds)], &[cause(1), stamp(seconds)]);
    }
    stands(machine);
}

#[test]
fn the_declared_smf_still_ends_its_session() {
    let mut machine = one_session();
    machine.agree(54, [2, 1], &[], &[cause(1)]);
    assert_eq!(machine.of_state(SessionState::Deleted), 1);
}

#[test]
fn a_session_of_ever_more_rules_is_bounded() {
    let mut machine = one_session();
    for batch in 0..20_u16 {
        let pdrs: Vec<Vec<u8>> = (0..100)
            .map(|number| {
                let id = 2 + batch * 100 + number;
                uplink_pdr(id, 0x10_0000 + u32::from(id), [10, 60, 0, 100])
            })
            .collect();
        machine.agree(52, [2, 1], &pdrs, &[cause(1)]);
    }
    let [refused, ..] = machine.signalling.evictions();
    assert_eq!(refused, 1 + 2000 - 512, "PDRs beyond 512 are refused, and counted");
    assert_eq!(machine.of_state(SessionState::Active), 1);
}
