//! Requests with the owner's address and a number that fits: what the owner does next
//! tells them from its own.

mod lab;

use lab::n4::*;
use weir_engine::contract::verdict::Fact;
use weir_engine::detect::PFCP_PEER;

const REFUSED: u8 = 73;

fn one_session() -> Machine {
    let mut machine = Machine::new();
    machine.sequence = 100;
    machine.establish(SMF, 1, 2, 100);
    machine.now += SECOND;
    machine
}

fn far_of(id: u32, members: &[Vec<u8>]) -> Vec<u8> {
    group(10, &[&[ie(108, &id.to_be_bytes())][..], members].concat())
}

fn buffers() -> Vec<u8> {
    far_of(1, &[ie(44, &[4])])
}

/// Contradictions that were told of, and whatever else.
fn contradictions(machine: &mut Machine) -> usize {
    let (found, _) = machine.signalling.accusations();
    for it in &found {
        assert_eq!((it.detection, it.fact), (PFCP_PEER, Fact::Contradiction));
        assert_eq!(it.n4.session.as_ref().map(|session| session.up_seid), Some(2));
    }
    found.len()
}

#[test]
fn two_requests_under_one_number_have_two_senders() {
    let mut machine = one_session();
    let moved = downlink_far(10, 1, &outer(0xbad));
    machine.agree(52, [2, 1], &[moved], &[cause(1)]);
    machine.now += SECOND;
    assert_eq!(contradictions(&mut machine), 0);
    // The owner has not heard of that one, and counts on.
    machine.sequence -= 1;
    machine.agree(52, [2, 1], &[buffers()], &[cause(1)]);
    assert_eq!(contradictions(&mut machine), 1);
}

#[test]
fn a_request_again_or_of_another_session_or_much_later_is_its_owner_s() {
    let mut machine = one_session();
    machine.establish(SMF, 3, 4, 200);
    let request = message(52, 2, 200, &[buffers()], false);
    machine.say(SMF, UPF, &request);
    machine.now += SECOND;
    machine.say(SMF, UPF, &request);
    machine.say(UPF, SMF, &message(53, 1, 200, &[cause(1)], false));
    machine.say(SMF, UPF, &message(52, 4, 200, &[buffers()], false));
    machine.say(UPF, SMF, &message(53, 3, 200, &[cause(1)], false));
    machine.wait(20 * SECOND);
    machine.say(SMF, UPF, &message(52, 4, 200, &[far_of(1, &[ie(44, &[2])])], false));
    assert_eq!(contradictions(&mut machine), 0);
}

#[test]
fn a_number_that_comes_again_after_a_restart_is_of_another_session() {
    let mut machine = one_session();
    machine.agree(52, [2, 1], &[buffers()], &[cause(1)]);
    machine.now += SECOND;
    // The SMF counts anew, and the UPF gives the SEID again.
    machine.sequence = 100;
    machine.establish(SMF, 1, 2, 300);
    machine.now += SECOND;
    machine.agree(52, [2, 1], &[far_of(1, &[ie(44, &[2])])], &[cause(1)]);
    assert_eq!(machine.sequence, 102);
    assert_eq!(contradictions(&mut machine), 0);
}

/// A request and its answer again, under the number that they had.
fn again(machine: &mut Machine, kind: u8, asked: &[Vec<u8>], after: u64) {
    machine.now += after;
    machine.sequence -= 1;
    machine.agree(kind, [2, 1], asked, &[cause(1)]);
}

#[test]
fn an_owner_may_delete_again_what_it_repeated_in_vain() {
    const CONTEXT_NOT_FOUND: u8 = 65;
    // Whoever repeats in haste, or long before, has not waited for an answer.
    for (repeated_after, wait, kind, told) in [
        (Some(SECOND), SECOND, 54, 0),
        (None, SECOND, 54, 1),
        (Some(SECOND), SECOND, 52, 1),
        (Some(MILLI), SECOND, 54, 1),
        (Some(SECOND), 3 * SECOND, 54, 0),
        (Some(SECOND), 6 * SECOND, 54, 1),
    ] {
        let mut machine = one_session();
        machine.agree(54, [2, 1], &[], &[cause(1)]);
        if let Some(after) = repeated_after {
            again(&mut machine, 54, &[], after);
        }
        machine.now += wait;
        machine.agree(kind, [2, 0], &[], &[cause(CONTEXT_NOT_FOUND)]);
        assert_eq!(contradictions(&mut machine), told, "{repeated_after:?} {wait} {kind}");
    }
}

/// Another session's modification, of which the tap sees the request alone, and a third one's answer.
fn miss_halves(machine: &mut Machine) {
    machine.establish(SMF, 5, 6, 500);
    machine.say(SMF, UPF, &message(52, 6, 4_000, &[buffers()], false));
    machine.say(UPF, SMF, &message(53, 7, 4_001, &[cause(1)], false));
    machine.wait(30 * SECOND);
}

#[test]
fn a_tap_that_misses_messages_may_have_missed_the_last_repetition() {
    for (is_lossy, wait, told) in [(false, 4, 1), (true, 4, 0), (true, 5, 0), (true, 6, 1)] {
        let mut machine = one_session();
        if is_lossy {
            miss_halves(&mut machine);
        }
        machine.agree(54, [2, 1], &[], &[cause(1)]);
        again(&mut machine, 54, &[], 600 * MILLI);
        machine.now += wait * SECOND;
        machine.agree(54, [2, 0], &[], &[cause(65)]);
        assert_eq!(contradictions(&mut machine), told, "{is_lossy} {wait}");
    }
}

#[test]
fn an_answer_that_comes_again_tells_of_a_request_that_the_tap_missed() {
    for (is_answered_again, told) in [(true, 0), (false, 1)] {
        let mut machine = one_session();
        machine.agree(54, [2, 1], &[], &[cause(1)]);
        machine.now += SECOND;
        if is_answered_again {
            machine.say(UPF, SMF, &message(55, 1, machine.sequence, &[cause(1)], false));
        }
        machine.now += SECOND;
        machine.agree(54, [2, 0], &[], &[cause(65)]);
        assert_eq!(contradictions(&mut machine), told);
    }
}

fn removal(id: u32) -> Vec<u8> {
    group(16, &[ie(108, &id.to_be_bytes())])
}

#[test]
fn an_owner_that_heard_of_no_removal_may_update_the_rule() {
    let mut machine = one_session();
    machine.agree(52, [2, 1], &[removal(1)], &[cause(1)]);
    again(&mut machine, 52, &[removal(1)], SECOND);
    machine.now += SECOND;
    machine.agree(52, [2, 1], &[buffers()], &[cause(REFUSED)]);
    assert_eq!(contradictions(&mut machine), 0);
}

#[test]
fn only_a_refusal_for_the_rule_s_sake_tells() {
    const PARTLY: u8 = 3;
    const CONGESTED: u8 = 74;
    let failed = |id: u8| ie(114, &[1, 0, 0, 0, id]);
    for (answer, told) in [
        (vec![cause(REFUSED)], 1),
        (vec![cause(REFUSED), failed(1)], 1),
        (vec![cause(REFUSED), failed(2)], 0),
        (vec![cause(PARTLY), failed(1)], 1),
        (vec![cause(PARTLY)], 0),
        (vec![cause(CONGESTED)], 0),
    ] {
        let mut machine = one_session();
        machine.agree(52, [2, 1], &[removal(1)], &[cause(1)]);
        machine.now += SECOND;
        machine.agree(52, [2, 1], &[buffers()], &answer);
        assert_eq!(contradictions(&mut machine), told, "{answer:?}");
    }
}

#[test]
fn removals_of_rules_that_never_were_push_none_out() {
    let mut machine = one_session();
    machine.establish(SMF, 3, 4, 200);
    machine.agree(52, [2, 1], &[removal(1)], &[cause(1)]);
    machine.now += SECOND;
    let invented: Vec<Vec<u8>> = (1_000..4_000).map(removal).collect();
    for _ in 0..30 {
        machine.agree(52, [4, 3], &invented, &[cause(1)]);
    }
    machine.agree(52, [2, 1], &[buffers()], &[cause(REFUSED)]);
    assert_eq!(contradictions(&mut machine), 1);
}

#[test]
fn a_request_that_comes_again_without_the_one_bundled_behind_it_is_the_same() {
    let mut machine = one_session();
    let one = |followed| message(52, 2, 200, &[buffers()], followed);
    let bundle = [one(true), message(52, 2, 201, &[removal(9)], false)].concat();
    machine.say(SMF, UPF, &bundle);
    machine.now += SECOND;
    machine.say(SMF, UPF, &one(false));
    assert_eq!(contradictions(&mut machine), 0);
    assert_eq!(machine.words().n4_repeated, 1);
}

#[test]
fn an_owner_updates_no_rule_that_it_removed() {
    for (wait, told) in [(SECOND, 1), (20 * SECOND, 0)] {
        let mut machine = one_session();
        machine.agree(52, [2, 1], &[removal(1)], &[cause(1)]);
        machine.now += wait;
        machine.agree(52, [2, 1], &[buffers()], &[cause(REFUSED)]);
        assert_eq!(contradictions(&mut machine), told, "{wait}");
    }
    // Removed again, since the answer was lost; created again; another rule.
    let mut machine = one_session();
    machine.agree(52, [2, 1], &[removal(1)], &[cause(1)]);
    machine.now += SECOND;
    machine.agree(52, [2, 1], &[removal(1)], &[cause(REFUSED)]);
    machine.agree(52, [2, 1], &[far_of(9, &[ie(44, &[4])])], &[cause(REFUSED)]);
    machine.agree(52, [2, 1], &[downlink_far(3, 1, &outer(7))], &[cause(1)]);
    machine.now += SECOND;
    machine.agree(52, [2, 1], &[buffers()], &[cause(REFUSED)]);
    assert_eq!(contradictions(&mut machine), 0);
}
