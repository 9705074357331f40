//! Sessions in upheaval, message by message: what replays have shown to go wrong.

mod lab;

use lab::n4::*;
use lab::{Script, alerts, g_pdu, rule_set};
use weir_engine::Nanos;
use weir_engine::contract::session::SessionState;
use weir_engine::contract::verdict::Fact;
use weir_engine::detect::{GTP_TEIDCLONE, PFCP_PEER, PFCP_REDIR};
use weir_engine::rules::Link;

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

/// What becomes of a tunnel's number before another sender uses it.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// Nothing: it is the first session's.
    Nothing,
    /// The UPF gives it, and the UP SEID, to a second session at the other gNB.
    Given,
    /// The first session is deleted, then the same.
    DeletedAndGiven,
}

/// Whether two gNBs on one number are told of as a clone. The second one's packet comes in the time
/// slice of the answer that gives the number away.
fn clone_is_told(before: Before) -> bool {
    const ENDS: [&str; 2] = ["10.0.2.1:8805", "10.0.1.1:8805"];
    let mut script = Script::default();
    let agree = |script: &mut Script, kind, seids: [u64; 2], ask: &[_], answer: &[_]| {
        let sequence = script.shots.len() as u32 + 1;
        script.udp(ENDS[0], ENDS[1], &message(kind, seids[0], sequence, ask, false));
        script.udp(ENDS[1], ENDS[0], &message(kind + 1, seids[1], sequence, answer, false));
    };
    let set_up = |cp_seid, number: u8| {
        let target = [&[1, 0][..], &[0, 0, 9, number], &[10, 0, 0, number]].concat();
        [f_seid(cp_seid, SMF), uplink_pdr(1, 100, [10, 60, 0, number]), downlink_far(3, 1, &target)]
    };
    let accepted = [cause(1), f_seid(7, UPF)];
    agree(&mut script, 50, [0, 1], &set_up(1, 2), &accepted);
    for seconds in [1.0, 2.0, 3.0] {
        script.now = seconds;
        script.udp("10.0.0.2:2152", "10.0.1.1:2152", &g_pdu(100));
    }
    script.now = 4.5;
    if before == Before::DeletedAndGiven {
        agree(&mut script, 54, [7, 1], &[], &accepted[..1]);
    }
    script.now = 6.0;
    if before != Before::Nothing {
        agree(&mut script, 50, [0, 2], &set_up(2, 1), &accepted);
    }
    for _ in 0..12 {
        script.udp("10.0.0.1:2152", "10.0.1.1:2152", &g_pdu(100)).wait(1.0);
    }
    let said = alerts(&script.shots, Link::Mixed, rule_set());
    said.iter().any(|alert| alert.detection == GTP_TEIDCLONE)
}

#[test]
fn a_second_sender_on_a_live_tunnel_is_told_of() {
    assert!(clone_is_told(Before::Nothing));
}

#[test]
fn a_number_that_is_given_away_is_no_clone() {
    assert!(!clone_is_told(Before::DeletedAndGiven), "after its deletion");
    assert!(!clone_is_told(Before::Given), "without its deletion");
}

/// The same change under a number, and its answer.
fn exchange(machine: &mut Machine, sequence: u32) {
    let change = [downlink_far(10, 1, &outer(900))];
    machine.say(SMF, UPF, &message(52, 2, sequence, &change, false));
    machine.now += MILLI;
    machine.say(UPF, SMF, &message(53, 1, sequence, &[cause(1)], false));
}

/// An SMF that numbers a hundred requests a second. The first copy of one was lost before the tap; it
/// comes again after so many milliseconds, when the SMF has counted on.
fn late_copy_is_told(after_milliseconds: u64) -> bool {
    let mut machine = Machine::new();
    machine.establish(SMF, 1, 2, 100);
    let lost = 500;
    let again = lost + (after_milliseconds / 10) as u32;
    for sequence in 2..2_000 {
        if sequence != lost {
            exchange(&mut machine, sequence);
        }
        if sequence == again {
            exchange(&mut machine, lost);
        }
        machine.wait(9 * MILLI);
    }
    let (said, _) = machine.signalling.accusations();
    said.iter().any(|it| it.detection == PFCP_PEER)
}

#[test]
fn a_request_of_which_the_tap_saw_a_later_copy_alone_is_its_senders_own() {
    for after in [300, 600, 700, 1_000, 3_000] {
        assert!(!late_copy_is_told(after), "sent again after {after} ms");
    }
}

/// Packets of an SMF with one counter for many UPFs that are held against it: at one of them its
/// numbers leap, and every so many pairs come in the other order.
fn leaps_are_told(leap: u32, turned: u32) -> u64 {
    let mut machine = Machine::new();
    machine.establish(SMF, 1, 2, 100);
    let mut noise = 0x5eed_u32;
    let mut sequence = 1;
    for turn in 1..=2_000 {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let next = (sequence + 1 + (noise >> 16) % leap) & 0xff_ffff;
        let after = (next + 1 + (noise >> 8) % leap) & 0xff_ffff;
        let is_turned = turned > 0 && turn % turned == 0;
        let pair = if is_turned { [after, next] } else { [next, after] };
        pair.into_iter().for_each(|sequence| exchange(&mut machine, sequence));
        sequence = after;
        machine.wait(20 * MILLI);
    }
    let (said, _) = machine.signalling.accusations();
    said.iter().filter(|it| it.detection == PFCP_PEER).map(|it| it.packets).sum()
}

#[test]
fn numbers_that_leap_since_they_count_for_many_upfs_are_one_series() {
    for leap in [100, 900, 3_000, 20_000] {
        assert_eq!(leaps_are_told(leap, 0), 0, "by up to {leap}");
    }
}

#[test]
fn numbers_that_leap_and_change_places_are_one_series() {
    for leap in [30, 100, 900] {
        assert_eq!(leaps_are_told(leap, 50), 0, "by up to {leap}");
    }
}
