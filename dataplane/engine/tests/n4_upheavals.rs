//! Sessions in upheaval, message by message: what replays have shown to go wrong.

mod lab;

use lab::n4::*;
use weir_engine::Nanos;
use weir_engine::contract::session::SessionState;
use weir_engine::contract::verdict::Fact;
use weir_engine::detect::PFCP_REDIR;

/// Another SMF of the set goes on with a session under a CP F-SEID of its own; the UPF answers under
/// the new one, or still under the old.
#[test]
fn a_session_goes_over_to_the_f_seid_that_its_next_smf_gives_it() {
    for answered_under in [1, 7] {
        let mut machine = Machine::new();
        machine.establish(SMF, 1, 2, 100);
        machine.agree(52, [2, answered_under], &[f_seid(7, SMF)], &[cause(1)]);
        machine.now += 10 * SECOND;
        machine.agree(54, [2, 7], &[], &[cause(1)]);
        let words = machine.words();
        assert_eq!((words.n4_whole, words.sessions_deleted), (3, 1), "SEID {answered_under}");
        let shown = machine.list();
        let only = (shown.len(), shown[0].cp_seid, shown[0].state, shown[0].modifications);
        assert_eq!(only, (1, 7, SessionState::Deleted, 1), "SEID {answered_under}");
    }
}

/// Heartbeats of which the second says that the UPF has restarted.
fn restart(machine: &mut Machine) {
    for stamp in [0xe000_0000_u32, 0xe000_0100] {
        machine.sequence += 1;
        let stamp = ie(96, &stamp.to_be_bytes());
        let heartbeat = |kind: u8, sequence: u32| {
            let mut bytes = vec![0x20, kind, 0, 12];
            bytes.extend(&sequence.to_be_bytes()[1..]);
            bytes.push(0);
            bytes.extend(&stamp);
            bytes
        };
        let [ask, answer] = [1, 2].map(|kind| heartbeat(kind, machine.sequence));
        machine.say(SMF, UPF, &ask);
        machine.now += MILLI;
        machine.say(UPF, SMF, &answer);
        machine.now += 30 * SECOND;
    }
}

#[test]
fn a_restart_makes_sessions_stale_that_are_known_in_part() {
    let mut machine = Machine::new();
    machine.establish(SMF, 1, 2, 100);
    // The answer alone.
    let answer = message(51, 3, 4_000, &[cause(1), f_seid(4, UPF)], false);
    machine.say(UPF, SMF, &answer);
    machine.wait(5 * SECOND);
    assert_eq!(machine.of_state(SessionState::Partial), 1);
    restart(&mut machine);
    let states: Vec<SessionState> = machine.list().iter().map(|record| record.state).collect();
    assert_eq!(states, [SessionState::Stale; 2]);
}

/// Whether a second session's claim on the F-TEID of a live one is told of. In between the F-TEID may
/// have been another session's, that ended in doubt: somebody had forged orders about it.
fn theft_is_told(forged_before: bool) -> bool {
    let mut machine = Machine::new();
    let (number, contested) = (100, 4_000);
    machine.establish(SMF, 1, 11, number);
    for _ in 0..10 {
        machine.agree(52, [11, 1], &[downlink_far(10, 1, &outer(900))], &[cause(1)]);
        machine.now += 200 * MILLI;
    }
    if forged_before {
        // A second space of sequence numbers amid the SMF's own.
        for turn in 0..6 {
            let change = [downlink_far(10, 1, &outer(contested + turn))];
            let forged = message(52, 11, 0x50_0000 + turn, &change, false);
            machine.say(SMF, UPF, &forged);
            machine.now += MILLI;
            machine.say(UPF, SMF, &message(53, 1, 0x50_0000 + turn, &[cause(1)], false));
            machine.now += 200 * MILLI;
            machine.agree(52, [11, 1], &[downlink_far(10, 1, &outer(900))], &[cause(1)]);
            machine.now += 200 * MILLI;
        }
    }
    machine.agree(54, [11, 1], &[], &[cause(1)]);
    machine.wait(20 * SECOND);
    // The number is given to the next, and 12 s later a third session claims it too.
    machine.establish(SMF, 2, 12, number);
    machine.wait(12 * SECOND);
    machine.signalling.accusations();
    machine.establish(SMF, 3, 13, number);
    for _ in 0..30 {
        // The owner goes on using it, and N4 stays covered.
        machine.agree(52, [12, 2], &[downlink_far(10, 1, &outer(901))], &[cause(1)]);
        machine.wait(3 * SECOND);
        let now = machine.now;
        machine.signalling.settle(&[], Nanos(lab::START * SECOND + now));
    }
    let (said, _) = machine.signalling.accusations();
    said.iter()
        .any(|it| it.detection == PFCP_REDIR && matches!(it.fact, Fact::TunnelClaimed { .. }))
}

#[test]
fn a_tunnel_that_is_claimed_twice_is_told_of() {
    assert!(theft_is_told(false));
}

#[test]
fn a_session_that_ended_in_doubt_does_not_cover_for_whoever_claims_its_tunnel_next() {
    assert!(theft_is_told(true));
}
