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

#[test]
fn an_owner_may_delete_again_what_it_repeated_in_vain() {
    const CONTEXT_NOT_FOUND: u8 = 65;
    for (repeats, again, told) in [(1, 54, 0), (0, 54, 1), (1, 52, 1)] {
        let mut machine = one_session();
        machine.agree(54, [2, 1], &[], &[cause(1)]);
        for _ in 0..repeats {
            machine.now += SECOND;
            machine.sequence -= 1;
            machine.agree(54, [2, 1], &[], &[cause(1)]);
        }
        machine.now += SECOND;
        machine.agree(again, [2, 0], &[], &[cause(CONTEXT_NOT_FOUND)]);
        assert_eq!(contradictions(&mut machine), told, "{repeats} {again}");
    }
}

#[test]
fn an_owner_updates_no_rule_that_it_removed() {
    let removal = |id: u32| group(16, &[ie(108, &id.to_be_bytes())]);
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
