//! The session machine, rule by rule (TS 29.244; docs/sessions.md).

mod n4;

use n4::*;
use weir_engine::contract::session::SessionState;
use weir_engine::signalling::LAB_KEY;
use weir_engine::tunnels::usage::Packet;
use weir_engine::tunnels::{FTeid, Found, QosFlows, Sender};
use weir_wire::Address;

#[test]
fn a_session_is_what_its_request_ordered_and_its_answer_accepted() {
    let mut n4 = N4::new();
    n4.establish(1.0, 1);
    n4.move_to(1.1, 2, (70, GNB));
    assert!(n4.has(1.2, 7, N3) && n4.has(1.2, 70, GNB));
    assert!(!n4.has(1.2, 7, GNB) && !n4.has(0.5, 7, N3), "not before it was asked for");
    let [known] = n4.sessions().try_into().unwrap();
    let record = known.record;
    assert_eq!((record.cp_seid, record.up_seid, record.generation), (0xc1, 0xd1, 1));
    assert_eq!((record.cp, record.up), (Some(ip(SMF)), Some(ip(UPF))));
    assert_eq!((record.state, record.modifications), (SessionState::Active, 1));
    assert_eq!(*record.ue, [ip([10, 60, 0, 1])]);
    assert_eq!(record.network_instance.as_deref(), Some("internet"));
    assert_eq!((record.uplink[0].teid, record.uplink[0].addr), (7, ip(N3)));
    assert_eq!((record.downlink[0].teid, record.downlink[0].addr), (70, ip(GNB)));
    assert_eq!(known.pdrs.iter().map(|pdr| pdr.id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(known.fars[0].rule.to.unwrap().addr, ip(GNB));
}

#[test]
fn what_is_rejected_or_not_answered_changes_nothing() {
    let mut n4 = N4::new();
    n4.down(1.0, &establishment(1));
    n4.up(1.1, &message(ESTABLISH + 1, Some(0xc1), 1, &[cause(64)]));
    n4.down(2.0, &establishment(2));
    assert!(!n4.has(2.5, 7, N3));
    n4.establish(3.0, 3);
    n4.down(4.0, &message(MODIFY, Some(0xd1), 4, &[far(10, Some((71, GNB)))]));
    n4.up(4.1, &message(MODIFY + 1, Some(0xc1), 4, &[cause(73)]));
    assert!(!n4.has(4.5, 71, GNB));
    let words = n4.words();
    assert_eq!(words.sessions_established, 1);
    let counted = |code| words.pfcp_causes[weir_wire::pfcp_ie::Cause(code).counter()];
    assert_eq!((counted(1), counted(64), counted(73)), (1, 1, 1));
    assert_eq!(n4.sessions().len(), 1);
}

#[test]
fn an_old_answer_under_a_new_requests_number_agrees_to_nothing() {
    let mut n4 = N4::new();
    n4.establish(1.0, 1);
    // Another session under the same number; the old answer comes again.
    let other = message(ESTABLISH, Some(0), 1, &[f_seid(0xc2, SMF), far(3, None)]);
    n4.down(1.5, &other);
    n4.up(1.6, &established(1));
    assert_eq!(n4.words().sessions_established, 1);
    n4.up(1.7, &message(ESTABLISH + 1, Some(0xc2), 1, &[cause(1), f_seid(0xd2, UPF)]));
    assert_eq!(n4.words().sessions_established, 2);
}

#[test]
fn the_same_request_again_is_applied_once_and_another_one_under_its_number_too() {
    let mut n4 = N4::new();
    n4.establish(1.0, 1);
    let moving = message(MODIFY, Some(0xd1), 2, &[far(10, Some((70, GNB)))]);
    let accepted = message(MODIFY + 1, Some(0xc1), 2, &[cause(1)]);
    for seconds in [2.0, 2.3, 5.0] {
        n4.down(seconds, &moving);
        n4.up(seconds + 0.1, &accepted);
    }
    assert_eq!(n4.words().n4_repeated, 4);
    n4.down(6.0, &message(MODIFY, Some(0xd1), 2, &[far(10, Some((72, GNB)))]));
    n4.up(6.1, &accepted);
    assert!(n4.has(6.2, 72, GNB));
    assert_eq!(n4.sessions()[0].record.modifications, 2);
}

#[test]
fn an_answer_may_overtake_its_request() {
    let mut n4 = N4::new();
    n4.up(1.0, &established(1));
    n4.down(1.2, &establishment(1));
    assert!(n4.has(1.3, 7, N3));
    let words = n4.words();
    assert_eq!((words.sessions_established, words.n4_whole), (1, 1));
    let [known] = n4.sessions().try_into().unwrap();
    assert_eq!((known.record.state, known.record.generation), (SessionState::Active, 1));
}

#[test]
fn an_answer_alone_makes_a_session_that_is_known_in_part() {
    let mut n4 = N4::new();
    let created = group(8, &[ie(56, &[0, 1]), f_teid(9, N3)]);
    let answer = message(ESTABLISH + 1, Some(0xc1), 1, &[cause(1), f_seid(0xd1, UPF), created]);
    n4.up(1.0, &answer);
    assert!(n4.has(1.1, 9, N3), "at once");
    n4.move_to(1.2, 2, (70, GNB));
    assert!(n4.has(1.3, 70, GNB));
    n4.machine.advance(at(5.0));
    assert_eq!(n4.words().n4_unasked, 1);
    assert_eq!(n4.sessions()[0].record.state, SessionState::Partial);
}

#[test]
fn the_up_function_chooses_and_one_choice_serves_all_with_its_number() {
    let mut n4 = N4::new();
    let second = group(1, &[ie(56, &[0, 3]), group(2, &[ie(20, &[0]), choose(4)])]);
    let elements =
        [f_seid(0xc1, SMF), uplink(choose(4), &[]), second, downlink(ue4([10, 60, 0, 1]))];
    n4.down(1.0, &message(ESTABLISH, Some(0), 1, &elements));
    let created = group(8, &[ie(56, &[0, 1]), f_teid(11, N3)]);
    n4.up(1.1, &message(ESTABLISH + 1, Some(0xc1), 1, &[cause(1), f_seid(0xd1, UPF), created]));
    assert!(n4.has(1.2, 11, N3));
    // Without the PDR that the answer named the end stays, for the other has it too.
    n4.down(2.0, &message(MODIFY, Some(0xd1), 2, &[group(15, &[ie(56, &[0, 1])])]));
    n4.up(2.1, &message(MODIFY + 1, Some(0xc1), 2, &[cause(1)]));
    assert!(n4.has(2.2, 11, N3));
}

#[test]
fn an_end_may_be_told_in_a_modifications_answer_only() {
    let mut n4 = N4::new();
    let elements = [f_seid(0xc1, SMF), uplink(choose(1), &[]), far(3, None)];
    n4.down(1.0, &message(ESTABLISH, Some(0), 1, &elements));
    n4.up(1.1, &established(1));
    n4.down(2.0, &message(MODIFY, Some(0xd1), 2, &[far(10, Some((70, GNB)))]));
    let created = group(8, &[ie(56, &[0, 1]), f_teid(12, N3)]);
    n4.up(2.1, &message(MODIFY + 1, Some(0xc1), 2, &[cause(1), created]));
    assert!(n4.has(2.2, 12, N3) && n4.has(2.2, 70, GNB));
}

#[test]
fn traffic_endpoints_hold_the_ends_of_pdrs() {
    let mut n4 = N4::new();
    let endpoint = group(127, &[ie(131, &[5]), choose(9), ue4([10, 60, 0, 1])]);
    let pdr = group(1, &[ie(56, &[0, 1]), group(2, &[ie(20, &[0]), ie(131, &[5])])]);
    n4.down(1.0, &message(ESTABLISH, Some(0), 1, &[f_seid(0xc1, SMF), endpoint, pdr]));
    let created = group(128, &[ie(131, &[5]), f_teid(13, N3)]);
    n4.up(1.1, &message(ESTABLISH + 1, Some(0xc1), 1, &[cause(1), f_seid(0xd1, UPF), created]));
    assert!(n4.has(1.2, 13, N3));
    assert_eq!(*n4.sessions()[0].record.ue, [ip([10, 60, 0, 1])]);
}

#[test]
fn a_handover_opens_one_tunnel_and_leaves_the_other_to_its_tail() {
    let mut n4 = N4::new();
    n4.establish(1.0, 1);
    n4.move_to(2.0, 2, (70, GNB));
    n4.move_to(5.0, 3, (80, [10, 0, 0, 2]));
    assert!(n4.has(6.0, 80, [10, 0, 0, 2]) && !n4.has(6.0, 70, GNB));
    assert!(n4.has(3.0, 70, GNB), "what was sent before was its own");
    n4.machine.advance(at(30.0));
    assert!(!n4.has(3.0, 70, GNB), "and is forgotten in the end");
}

#[test]
fn an_update_replaces_only_what_it_carries_and_an_empty_target_moves_nothing() {
    let mut n4 = N4::new();
    n4.establish(1.0, 1);
    n4.move_to(2.0, 2, (70, GNB));
    let buffering = group(10, &[ie(108, &[0, 0, 0, 2]), ie(44, &[12])]);
    let nowhere = group(10, &[ie(108, &[0, 0, 0, 2]), group(11, &[ie(84, &[])])]);
    let cut = group(10, &[ie(108, &[0, 0, 0, 2]), group(11, &[ie(84, &[1, 0, 0])])]);
    for (sequence, order) in [(3, buffering), (4, nowhere), (5, cut)] {
        n4.down(2.0 + f64::from(sequence), &message(MODIFY, Some(0xd1), sequence, &[order]));
        n4.up(2.1 + f64::from(sequence), &message(MODIFY + 1, Some(0xc1), sequence, &[cause(1)]));
    }
    assert!(n4.has(9.0, 70, GNB));
    let known = &n4.sessions()[0];
    assert_eq!((known.fars[0].rule.apply, known.record.modifications), (12, 4));
}

#[test]
fn a_deletion_commits_with_its_answer_and_seids_are_used_again() {
    let mut n4 = N4::new();
    n4.establish(1.0, 1);
    n4.down(2.0, &message(DELETE, Some(0xd1), 2, &[]));
    assert!(n4.has(2.1, 7, N3));
    n4.up(2.2, &message(DELETE + 1, Some(0xc1), 2, &[cause(1)]));
    assert!(!n4.has(2.3, 7, N3));
    n4.establish(2.5, 3);
    assert!(n4.has(2.6, 7, N3));
    let sessions = n4.sessions();
    let seen: Vec<_> =
        sessions.iter().map(|known| (known.record.state, known.record.generation)).collect();
    assert_eq!(seen, [(SessionState::Deleted, 1), (SessionState::Active, 2)]);
    assert_eq!(sessions[0].record.ended, Some(at(2.2)));
}

#[test]
fn a_session_is_known_by_its_f_seids_whatever_address_and_port_speaks() {
    let mut n4 = N4::new();
    let (other_smf, other_upf) = ([10, 0, 2, 2], [10, 0, 2, 10]);
    n4.send(1.0, (other_smf, 14_601), (UPF, 8805), &establishment(1));
    n4.send(1.1, (UPF, 8805), (other_smf, 14_601), &established(1));
    // Reports come to the address and SEID of the CP F-SEID.
    let report = message(REPORT, Some(0xc1), 9, &[ie(39, &[1])]);
    n4.send(2.0, (other_upf, 8805), (SMF, 14_601), &report);
    n4.down(3.0, &message(MODIFY, Some(0xd1), 2, &[far(10, Some((70, GNB)))]));
    n4.up(3.1, &message(MODIFY + 1, Some(0xc1), 2, &[cause(1)]));
    assert!(n4.has(3.2, 70, GNB));
    let record = &n4.sessions()[0].record;
    assert_eq!((record.reports, record.modifications), (1, 1));
}

#[test]
fn a_later_time_stamp_of_an_answer_is_a_restart_and_a_requests_is_none() {
    let mut n4 = N4::new();
    let beat = |n4: &mut N4, seconds, sequence, asked, answered| {
        n4.down(seconds, &message(HEARTBEAT, None, sequence, &[recovery(asked)]));
        n4.up(seconds + 0.01, &message(HEARTBEAT + 1, None, sequence, &[recovery(answered)]));
    };
    beat(&mut n4, 0.0, 1, 1000, 500);
    n4.establish(1.0, 2);
    beat(&mut n4, 5.0, 3, 1005, 500);
    beat(&mut n4, 6.0, 4, 1006, 0);
    assert_eq!(n4.words().sessions[SessionState::Active as usize], 1);
    beat(&mut n4, 10.0, 5, 1010, 510);
    assert_eq!(n4.words().sessions[SessionState::Stale as usize], 1);
    assert!(n4.has(11.0, 7, N3), "stale, not gone");
    // It is set up again, with the same end.
    n4.establish(12.0, 6);
    let states: Vec<_> = n4.sessions().iter().map(|known| known.record.state).collect();
    assert_eq!(states, [SessionState::Stale, SessionState::Active], "nobody deleted it");
}

#[test]
fn associations_and_sets_end_their_sessions() {
    let csid = ie(65, &[&[0x01][..], &SMF, &[0, 42]].concat());
    let mut n4 = N4::new();
    let mut elements = vec![f_seid(0xc1, SMF), uplink(f_teid(7, N3), &[]), far(3, None)];
    elements.push(csid.clone());
    n4.down(1.0, &message(ESTABLISH, Some(0), 1, &elements));
    n4.up(1.1, &established(1));
    n4.down(2.0, &message(ESTABLISH, Some(0), 2, &[f_seid(0xc2, SMF)]));
    n4.up(2.1, &message(ESTABLISH + 1, Some(0xc2), 2, &[cause(1), f_seid(0xd2, UPF)]));
    n4.down(3.0, &message(SET_DELETION, None, 3, &[csid]));
    n4.up(3.1, &message(SET_DELETION + 1, None, 3, &[cause(1)]));
    assert!(!n4.has(3.2, 7, N3));
    assert_eq!(n4.words().sessions_deleted, 1);
    n4.down(4.0, &message(RELEASE, None, 4, &[]));
    n4.up(4.1, &message(RELEASE + 1, None, 4, &[cause(1)]));
    assert_eq!(n4.words().sessions_deleted, 2);
}

#[test]
fn a_path_without_answers_makes_its_sessions_stale() {
    let mut n4 = N4::new();
    n4.establish(1.0, 1);
    for beat in 0..4 {
        n4.down(5.0 + f64::from(beat) * 5.0, &message(HEARTBEAT, None, 100 + beat, &[recovery(9)]));
    }
    n4.machine.advance(at(60.0));
    assert_eq!(n4.words().sessions[SessionState::Stale as usize], 1);
}

#[test]
fn a_repeated_cp_f_seid_replaces_its_session() {
    let mut n4 = N4::new();
    n4.establish(1.0, 1);
    let again = message(ESTABLISH, Some(0), 2, &[f_seid(0xc1, SMF), uplink(f_teid(8, N3), &[])]);
    n4.down(2.0, &again);
    n4.up(2.1, &message(ESTABLISH + 1, Some(0xc1), 2, &[cause(1), f_seid(0xd9, UPF)]));
    assert!(n4.has(2.2, 8, N3) && !n4.has(2.2, 7, N3));
    assert_eq!(n4.words().sessions_deleted, 0);
    let [old, new] = n4.sessions().try_into().unwrap();
    assert_eq!((old.record.state, old.record.ended), (SessionState::Stale, Some(at(2.0))));
    assert_eq!((new.record.state, new.record.generation), (SessionState::Active, 2));
}

#[test]
fn an_unspecified_address_is_none_until_the_real_one_comes() {
    let mut n4 = N4::new();
    let elements = [f_seid(0xc1, SMF), uplink(f_teid(7, N3), &[ue6([0; 16])])];
    n4.down(1.0, &message(ESTABLISH, Some(0), 1, &elements));
    n4.up(1.1, &established(1));
    let mut prefix = [0; 16];
    prefix[..8].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0x60, 0, 1]);
    prefix[15] = 9;
    let pdi = group(2, &[ie(20, &[0]), f_teid(7, N3), ue6(prefix)]);
    let update = group(9, &[ie(56, &[0, 1]), pdi]);
    n4.down(2.0, &message(MODIFY, Some(0xd1), 2, &[update]));
    n4.up(2.1, &message(MODIFY + 1, Some(0xc1), 2, &[cause(1)]));
    prefix[15] = 0;
    assert_eq!(*n4.sessions()[0].record.ue, [std::net::IpAddr::from(prefix)], "its /64");
}

#[test]
fn bundled_messages_are_all_heard() {
    let mut n4 = N4::new();
    let mut bundle = establishment(1);
    bundle[0] |= 0x04;
    bundle.extend(message(ESTABLISH, Some(0), 2, &[f_seid(0xc2, SMF)]));
    n4.down(1.0, &bundle);
    let mut answers = established(1);
    answers[0] |= 0x04;
    answers.extend(message(ESTABLISH + 1, Some(0xc2), 2, &[cause(1), f_seid(0xd2, UPF)]));
    n4.up(1.1, &answers);
    assert_eq!(n4.words().sessions_established, 2);
}

#[test]
fn a_message_that_is_cut_is_read_as_far_as_it_goes() {
    let mut n4 = N4::new();
    n4.establish(1.0, 1);
    let whole = message(MODIFY, Some(0xd1), 2, &[far(10, Some((70, GNB))), ie(49, &[0; 40])]);
    n4.down(2.0, &whole[..whole.len() - 30]);
    n4.up(2.1, &message(MODIFY + 1, Some(0xc1), 2, &[cause(1)]));
    assert!(n4.has(2.2, 70, GNB));
}

#[test]
fn a_modification_without_an_answer_is_taken_to_hold_and_lowers_the_coverage() {
    let mut n4 = N4::new();
    n4.establish(1.0, 1);
    n4.down(2.0, &message(MODIFY, Some(0xd1), 2, &[far(10, Some((70, GNB)))]));
    n4.machine.advance(at(4.0));
    assert!(!n4.has(4.0, 70, GNB));
    n4.machine.advance(at(6.0));
    assert!(n4.has(6.0, 70, GNB));
    assert_eq!(n4.machine.coverage(), (1, 2));
    // The answer comes late after all: nothing is applied twice.
    n4.up(7.0, &message(MODIFY + 1, Some(0xc1), 2, &[cause(1)]));
    assert_eq!(n4.machine.coverage(), (2, 2));
    assert_eq!(n4.sessions()[0].record.modifications, 1);
}

#[test]
fn who_a_session_is_for_is_known_by_a_pseudonym_alone() {
    let mut n4 = N4::new();
    // IMSI 262019876543210 in TBCD, and its MSISDN.
    let imsi = [0x62, 0x02, 0x91, 0x78, 0x56, 0x34, 0x12, 0xf0];
    let user =
        ie(141, &[&[0b101, 8][..], &imsi, &[6], &[0x94, 0x71, 0x21, 0x43, 0x65, 0x87]].concat());
    for (n, seid) in [(1, 0xc1), (2, 0xc2)] {
        n4.down(f64::from(n), &message(ESTABLISH, Some(0), n, &[f_seid(seid, SMF), user.clone()]));
        let answer = [cause(1), f_seid(seid + 16, UPF)];
        n4.up(f64::from(n) + 0.1, &message(ESTABLISH + 1, Some(seid), n, &answer));
    }
    let sessions = n4.sessions();
    let supi = sessions[0].record.supi.unwrap();
    assert_eq!(sessions[1].record.supi, Some(supi), "the same user, the same pseudonym");
    let text = format!("{sessions:?}");
    assert!(!text.contains("262019876543210") && !text.contains("98, 2, 145"));
    assert_ne!(LAB_KEY, &[0; 32]);
}

#[test]
fn associations_tell_of_restarts_as_well() {
    let mut n4 = N4::new();
    let node = ie(60, &[&[0][..], &SMF].concat());
    let associate = |n4: &mut N4, seconds, sequence, stamp| {
        let asked = [node.clone(), recovery(stamp)];
        n4.down(seconds, &message(ASSOCIATION, None, sequence, &asked));
        let answered = [cause(1), recovery(77)];
        n4.up(seconds + 0.01, &message(ASSOCIATION + 1, None, sequence, &answered));
    };
    associate(&mut n4, 0.0, 1, 100);
    n4.establish(1.0, 2);
    associate(&mut n4, 50.0, 3, 150);
    assert_eq!(n4.words().sessions[SessionState::Stale as usize], 1);
}

/// Session 0xc1 with URR 5 on both ways; what a worker saw go up and down, and what the UP
/// function reports of it.
fn reported(seen: [u64; 2], said: [u64; 2]) -> (u64, u64, bool) {
    let mut n4 = N4::new();
    let mut access = n4.machine.enlist().unwrap();
    let urr = || ie(81, &[0, 0, 0, 5]);
    let pdr = |id, source, more: Vec<u8>| {
        let pdi = group(2, &[ie(20, &[source]), more]);
        group(1, &[ie(56, &[0, id]), pdi, urr(), ie(108, &[0, 0, 0, 2])])
    };
    let elements = [
        f_seid(0xc1, SMF),
        pdr(1, 0, f_teid(7, N3)),
        pdr(2, 1, ue4([10, 60, 0, 1])),
        far(3, Some((70, GNB))),
        group(6, &[urr(), ie(62, &[2])]),
    ];
    n4.down(1.0, &message(ESTABLISH, Some(0), 1, &elements));
    n4.up(1.1, &established(1));
    for (end, bytes) in [((7, N3), seen[0]), ((70, GNB), seen[1])] {
        let end = FTeid { teid: end.0, address: Address::v4(end.1) };
        let (probe, flow) = (access.table.probe(&end), QosFlows::of(Some(9)));
        let Found::Live(slot, row) = access.table.find(&end, probe, at(2.0)) else { panic!() };
        let packet = Packet { packets: 1, bytes, time: at(2.0), sender: Sender::default(), flow };
        access.usage.count(slot, row.flags.generation(), &packet);
    }
    let volume = [&[0b110][..], &said[0].to_be_bytes(), &said[1].to_be_bytes()].concat();
    let report = group(80, &[urr(), ie(104, &[0, 0, 0, 0]), ie(63, &[0, 1]), ie(66, &volume)]);
    n4.up(3.0, &message(REPORT, Some(0xc1), 9, &[ie(39, &[2]), report]));
    n4.down(3.1, &message(REPORT + 1, Some(0xd1), 9, &[cause(1)]));
    let words = n4.words();
    let record = &n4.sessions()[0].record;
    assert_eq!(record.reported, Some((said[0], said[1])));
    assert!(record.qfi.iter().all(|flows| **flows == [9]));
    assert_eq!((record.usage.uplink_bytes, record.usage.downlink_bytes), (seen[0], seen[1]));
    (words.usage_reports, words.usage_mismatches, record.usage_mismatch)
}

#[test]
fn a_report_that_differs_from_what_was_seen_beyond_the_tolerance_is_a_mismatch() {
    assert_eq!(reported([1 << 20, 9 << 20], [1 << 20, 9 << 20]), (1, 0, false));
    // A tenth, and 64 KiB, are tolerated.
    assert_eq!(reported([1 << 20, 9 << 20], [1_000_000, 9_000_000]), (1, 0, false));
    assert_eq!(reported([1_000, 2_000], [60_000, 2_000]), (1, 0, false));
    assert_eq!(reported([1 << 20, 9 << 20], [2 << 20, 9 << 20]), (1, 1, true));
    assert_eq!(reported([1 << 20, 9 << 20], [1 << 20, 3 << 20]), (1, 1, true));
}

#[test]
fn the_data_network_s_side_names_the_instance_whichever_rule_comes_first() {
    let ue = || ie(93, &[2, 10, 60, 0, 1]);
    let access = uplink(f_teid(7, N3), &[instance("access"), ue()]);
    let core = downlink(ue());
    for rules in [[access.clone(), core.clone()], [core, access]] {
        let mut n4 = N4::new();
        let asked = [vec![f_seid(0xc1, SMF)], rules.to_vec()].concat();
        n4.down(1.0, &message(ESTABLISH, Some(0), 1, &asked));
        n4.up(1.1, &message(ESTABLISH + 1, Some(0xc1), 1, &[cause(1), f_seid(0xd1, UPF)]));
        let [known] = n4.sessions().try_into().unwrap();
        assert_eq!(known.record.network_instance.as_deref(), Some("internet"));
    }
}
