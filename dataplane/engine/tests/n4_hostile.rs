//! Bad N4: what nobody answers, what contradicts itself, what is cut, and who floods. State stays
//! bounded and what is agreed between declared peers stands.

mod lab;

use std::net::IpAddr;
use std::sync::Arc;

use lab::n4::*;
use lab::{Noise, g_pdu, prefix, rule_set, udp};
use weir_engine::contract::session::SessionState;
use weir_engine::contract::words::{Attribution, JudgeWords, N4Loss};
use weir_engine::rules::{Link, RuleSet, Rules};
use weir_engine::signalling::{N4Datagram, Pouch, Room};
use weir_engine::time::REPLAY_SLICE;
use weir_engine::{Frame, Nanos, Report, RxMeta, Worker};
use weir_pcaps::n4_load;

#[test]
fn requests_that_nobody_answers_leave_nothing_behind() {
    let mut machine = Machine::new();
    let asked = 10_000;
    for number in 0..asked {
        let kind = [50, 52, 54, 1][number as usize % 4];
        let request = message(kind, 7, number, &[f_seid(number.into(), SMF)], false);
        machine.say(SMF, UPF, &request);
        machine.wait(5 * MILLI);
    }
    machine.wait(60 * SECOND);
    let words = machine.words();
    assert_eq!((words.n4_unanswered, words.n4_whole), (asked.into(), 0));
    assert_eq!((words.sessions_established, words.tunnels), (0, 0));
    assert_eq!(machine.signalling.evictions(), [0; 5]);
    assert!(machine.list().is_empty());
}

#[test]
fn a_million_half_open_transactions_are_bounded_and_the_next_one_is_read() {
    let mut machine = Machine::new();
    let asked: u32 = 1_000_000;
    for number in 0..asked {
        let request = message(50, 0, number, &[f_seid(u64::from(number) + 1, SMF)], false);
        machine.say(SMF, UPF, &request);
        machine.now += 1_000;
    }
    machine.sequence = asked;
    machine.establish(SMF, 1 << 40, 9, 9);
    assert_eq!(machine.words().sessions_established, 1);
    machine.wait(60 * SECOND);
    let [sessions, _, transactions, ..] = machine.signalling.evictions();
    assert_eq!(sessions, 0);
    assert!(transactions > 0, "they all found room");
    // Given up for others, or for want of an answer: none is lost.
    assert_eq!(machine.words().n4_unanswered + transactions, u64::from(asked));
    assert_eq!(machine.list().len(), 1);
}

#[test]
fn a_million_requests_of_strangers_do_not_cost_a_declared_one_its_answer() {
    let mut machine = Machine::new();
    machine.sequence = 77;
    let ask = [f_seid(5, SMF), uplink_pdr(1, 5, [10, 60, 0, 5])];
    machine.say(SMF, UPF, &message(50, 0, 77, &ask, false));
    for number in 0..1_000_000_u32 {
        let [_, b, c, d] = number.to_be_bytes();
        let from = [198, 18 + (b & 1), c, d];
        let request = message(50, 0, number, &[f_seid(number.into(), from)], false);
        machine.say(from, UPF, &request);
        machine.now += 1_000;
    }
    machine.say(UPF, SMF, &message(51, 5, 77, &[cause(1), f_seid(6, UPF)], false));
    let words = machine.words();
    assert_eq!((words.sessions_established, words.n4_whole), (1, 1));
    let [sessions, _, transactions, _, nodes] = machine.signalling.evictions();
    assert_eq!(sessions, 0);
    assert!(transactions > 900_000 && nodes > 100_000, "{transactions} and {nodes}");
    let left = machine.list();
    assert_eq!((left.len(), left[0].up_seid), (1, 6));
}

/// A session that comes and goes so often under the same numbers, half a millisecond apart, and then
/// stays: it has its tunnels.
fn used_again(times: u64) {
    let mut machine = Machine::new();
    for _ in 0..times {
        machine.establish(SMF, 1, 2, 100);
        machine.agree(54, [2, 1], &[], &[cause(1)]);
        machine.now += MILLI / 2;
    }
    machine.establish(SMF, 1, 2, 100);
    let words = machine.words();
    assert_eq!((words.sessions_established, words.sessions_deleted), (times + 1, times));
    assert_eq!(machine.of_state(SessionState::Active), 1);
    let refused = machine.signalling.evictions()[1];
    machine.wait(700 * SECOND);
    assert_eq!(machine.words().tunnels, 2, "{refused} tunnels were refused");
    let shown = machine.list();
    assert_eq!(shown.len() as u64, times + 1);
    let last = shown.last().unwrap();
    assert_eq!((last.generation, last.state), (times as u32 + 1, SessionState::Active));
}

#[test]
fn seids_and_teids_that_are_used_again_within_milliseconds() {
    used_again(5);
}

#[test]
fn seids_and_teids_that_are_used_again_a_thousand_times_in_two_seconds() {
    used_again(1_000);
}

#[test]
fn a_cp_f_seid_that_is_given_again_replaces() {
    let mut machine = Machine::new();
    for number in 1..=500 {
        machine.establish(SMF, 1, number, number as u32);
        assert_eq!(machine.of_state(SessionState::Active), 1, "{number}");
    }
    machine.wait(700 * SECOND);
    assert_eq!(machine.words().tunnels, 2);
    let active = machine.list().into_iter().filter(|it| it.state == SessionState::Active).count();
    assert_eq!(active, 1);
}

/// A SEID at the address that a packet came from, where the F-SEID names another address.
#[test]
fn a_number_of_a_session_that_is_gone_names_nobody() {
    let mut set = rule_set();
    let elsewhere = [10, 0, 1, 201];
    set.equipment[lab::UPF.0 as usize].prefixes.push(prefix("10.0.1.201"));
    let mut machine = Machine::with(set);
    let set_up = |machine: &mut Machine, cp_seid: u64, up_seid: u64, number: u32| {
        let ask = [f_seid(cp_seid, SMF), uplink_pdr(1, number, [10, 60, 0, number as u8])];
        machine.agree(50, [0, cp_seid], &ask, &[cause(1), f_seid(up_seid, elsewhere)]);
    };
    set_up(&mut machine, 1, 21, 1);
    machine.agree(54, [21, 1], &[], &[cause(1)]);
    machine.wait(700 * SECOND);
    assert_eq!(machine.words().sessions, [0; SessionState::ALL.len()]);
    // Another session is where the first was; it has other numbers.
    set_up(&mut machine, 2, 22, 2);
    assert_eq!(machine.of_state(SessionState::Active), 1);
    machine.agree(54, [21, 2], &[], &[cause(1)]);
    assert_eq!(machine.of_state(SessionState::Active), 1, "SEID 21 has ended the session of 22");
    let shown = machine.list();
    let last = shown.last().unwrap();
    assert_eq!((last.up_seid, last.state), (22, SessionState::Active));
}

#[test]
fn a_rule_that_is_made_and_removed_in_one_message() {
    let removed_pdr = group(15, &[ie(56, &[0, 2])]);
    let removed_far = group(16, &[ie(108, &[0, 0, 0, 2])]);
    let made = [uplink_pdr(2, 200, [10, 60, 0, 1]), downlink_far(3, 2, &outer(201))];
    let orders = [
        [made.as_slice(), &[removed_pdr.clone(), removed_far.clone()]].concat(),
        [&[removed_pdr, removed_far], made.as_slice()].concat(),
        // Twice the same, and a change of a rule that nobody has seen made.
        [made.as_slice(), &made, &[downlink_far(10, 3, &outer(202))]].concat(),
    ];
    for (number, order) in orders.iter().enumerate() {
        let mut machine = Machine::new();
        machine.establish(SMF, 1, 2, 100);
        for _ in 0..100 {
            machine.agree(52, [2, 1], order, &[cause(1)]);
        }
        assert_eq!(machine.of_state(SessionState::Active), 1);
        // What was said of the second pair of rules or not: never more than one of each.
        let tunnels = machine.words().tunnels;
        assert!((2..=5 + 200).contains(&tunnels), "{number}: {tunnels}");
        machine.wait(700 * SECOND);
        assert!(machine.words().tunnels <= 5, "{number}: {}", machine.words().tunnels);
        let left = machine.list();
        assert_eq!((left.len(), left[0].modifications), (1, 100));
        let unique = |ends: &[_]| ends.windows(2).all(|pair| pair[0] != pair[1]);
        assert!(unique(&left[0].uplink) && unique(&left[0].downlink), "{number}: {left:?}");
        // The first pair was nobody's to remove.
        assert!(left[0].uplink.iter().any(|end| end.teid == 100), "{number}: {left:?}");
    }
}

#[test]
fn a_session_that_is_ended_and_changed_in_one_datagram() {
    let change = [downlink_far(10, 1, &outer(0xbad))];
    for delete_first in [true, false] {
        for answered_in_order in [true, false] {
            let mut machine = Machine::new();
            machine.establish(SMF, 1, 2, 100);
            let first = if delete_first { [54, 52] } else { [52, 54] };
            let said = |kind| if kind == 52 { &change[..] } else { &[] };
            let asked = [
                message(first[0], 2, 8, said(first[0]), true),
                message(first[1], 2, 9, said(first[1]), false),
            ];
            let mut answers = [(first[0], 8), (first[1], 9)];
            if !answered_in_order {
                answers.reverse();
            }
            let answers = [
                message(answers[0].0 + 1, 1, answers[0].1, &[cause(1)], true),
                message(answers[1].0 + 1, 1, answers[1].1, &[cause(1)], false),
            ];
            machine.say(SMF, UPF, &asked.concat());
            machine.now += MILLI;
            machine.say(UPF, SMF, &answers.concat());
            let words = machine.words();
            assert_eq!((words.sessions_deleted, words.n4_whole), (1, 3));
            assert_eq!(machine.of_state(SessionState::Active), 0, "it has come back to life");
            machine.wait(700 * SECOND);
            assert_eq!(machine.words().tunnels, 0);
            let shown = machine.list();
            assert_eq!((shown.len(), shown[0].state), (1, SessionState::Deleted));
        }
    }
}

#[test]
fn outer_header_creation_without_its_end_leads_nowhere() {
    let whole = outer(0x0102_0304);
    for len in 0..=whole.len() {
        for kind in [3, 10] {
            let mut machine = Machine::new();
            let far = [downlink_far(kind, 1, &whole[..len])];
            if kind == 3 {
                let ask = [&[f_seid(1, SMF), uplink_pdr(1, 5, [10, 60, 0, 5])], &far[..]].concat();
                machine.agree(50, [0, 1], &ask, &[cause(1), f_seid(2, UPF)]);
            } else {
                machine.establish(SMF, 1, 2, 5);
                machine.agree(52, [2, 1], &far, &[cause(1)]);
            }
            assert_eq!(machine.of_state(SessionState::Active), 1);
            let left = machine.list();
            let teids: Vec<u32> = left[0].downlink.iter().map(|end| end.teid).collect();
            // The rule of before stands where the new one can't be read.
            let before = if kind == 3 { vec![] } else { vec![5 | 1 << 24] };
            let wanted = if len == whole.len() { vec![0x0102_0304] } else { before };
            assert_eq!(teids, wanted, "{len} octets in element {kind}");
        }
    }
}

/// Five hundred sessions with traffic, then 200,000 that somebody invents, then traffic again.
fn invented(by: [u8; 4], set: RuleSet, is_declared: bool) {
    let mut machine = Machine::with(set.clone());
    let setup = weir_engine::worker::Setup { links: vec![Link::Mixed], ..Default::default() };
    let mut worker = Worker::new(setup, machine.signalling.enlist().unwrap()).unwrap();
    worker.set_rules(Some(Arc::new(Rules::compile(set).unwrap())));
    let legitimate = 500;
    for number in 1..=legitimate {
        machine.establish(SMF, number, number, number as u32);
    }
    let mut traffic = |machine: &mut Machine| {
        for number in 1..=legitimate as u32 {
            machine.now += 10_000;
            let bytes = udp("10.0.0.1:2152", "10.0.1.1:2152", &g_pdu(number));
            let time = Nanos(lab::START * SECOND + machine.now);
            let meta = RxMeta { time, wire_len: bytes.len() as u32, ..RxMeta::default() };
            worker.burst(&[Frame { bytes: &bytes, meta }]);
        }
        let latest = Nanos(lab::START * SECOND + machine.now);
        let slice = latest.slice(REPLAY_SLICE);
        let report = worker.close(slice, latest, false, Report::with_room());
        machine.signalling.settle(&[report], latest);
    };
    traffic(&mut machine);
    let known = Attribution::Session as usize;
    assert_eq!(machine.words().attribution[known], legitimate);
    for number in 1..=200_000_u32 {
        let seid = u64::from(number) | 1 << 33;
        machine.establish(by, seid, seid, number | 1 << 22);
        machine.now += 10_000;
    }
    let invented = machine.words().sessions_established - legitimate;
    assert_eq!((invented > 50_000, invented == 0), (is_declared, !is_declared), "{invented}");
    traffic(&mut machine);
    let attributed = machine.words().attribution[known];
    let [sessions, tunnels, ..] = machine.signalling.evictions();
    assert_eq!(sessions > 50_000, is_declared, "{sessions}");
    assert!(machine.words().tunnels <= TUNNELS as u64);
    let before = machine.shown.lock().unwrap().len();
    let shown = machine.list();
    let stay = shown[before..].iter().filter(|record| record.up_seid <= legitimate).count() as u64;
    assert_eq!(
        (stay, attributed),
        (legitimate, 2 * legitimate),
        "legitimate sessions that stay, and G-PDUs attributed; {tunnels} tunnels were refused"
    );
}

#[test]
fn sessions_that_a_stranger_invents_cost_no_other_its_place() {
    invented(STRANGER, rule_set(), false);
}

#[test]
fn sessions_that_a_declared_peer_invents_cost_no_session_with_traffic_its_place() {
    let mut set = rule_set();
    // A second SMF, which may speak to the UPF.
    let other = set.equipment[lab::SMF.0 as usize].clone();
    set.equipment
        .push(weir_engine::rules::Equipment { prefixes: vec![prefix("10.0.2.2")], ..other });
    let id = weir_engine::rules::EquipmentId(set.equipment.len() as u32 - 1);
    for allow in &mut set.allow {
        if let Some(ids) = &mut allow.from.equipment
            && ids.contains(&lab::SMF)
        {
            ids.push(id);
        }
    }
    invented([10, 0, 2, 2], set, true);
}

#[test]
fn what_declared_peers_say_takes_no_room_from_strangers_share() {
    let long = vec![0; 60_000];
    let short = vec![0; 100];
    let mut pouch = Pouch::with_room();
    for _ in 0..40 {
        pouch.put(&datagram(0, SMF, UPF, &long), Room::All);
    }
    pouch.put(&datagram(0, STRANGER, UPF, &short), Room::Share);
    assert_eq!(pouch.dropped(), &[0; N4Loss::ALL.len()]);
    // Their own long ones fill it soon.
    for _ in 0..40 {
        pouch.put(&datagram(0, STRANGER, UPF, &long), Room::Share);
    }
    assert!(pouch.dropped()[N4Loss::Undeclared as usize] > 10);
    assert_eq!(pouch.dropped()[N4Loss::Declared as usize], 0);
}

#[test]
fn a_replay_s_pouch_takes_what_a_step_brings() {
    let long = vec![0; 60_000];
    let mut pouch = Pouch::with_room();
    for _ in 0..100 {
        pouch.put(&datagram(0, STRANGER, UPF, &long), Room::More);
    }
    assert_eq!((pouch.datagrams().count(), *pouch.dropped()), (100, [0; N4Loss::ALL.len()]));
}

/// N4 of more strangers than have room at a time, in one slice of a capture and of a live tap.
#[test]
fn a_replay_has_room_for_all_n4_and_a_live_tap_for_a_share() {
    let rules = std::sync::Arc::new(weir_engine::rules::Rules::compile(lab::rule_set()).unwrap());
    let request = message(50, 0, 1, &[f_seid(1, SMF)], false);
    let frame = lab::udp("198.18.0.66:8805", "10.0.1.1:8805", &request);
    let meta = weir_engine::RxMeta { wire_len: frame.len() as u32, ..Default::default() };
    let frames = [weir_engine::Frame { bytes: &frame, meta }; 64];
    for live in [false, true] {
        let setup = weir_engine::worker::Setup { live, ..Default::default() };
        let mut signalling = lab::signalling();
        let mut worker = weir_engine::Worker::new(setup, signalling.enlist().unwrap()).unwrap();
        worker.set_rules(Some(rules.clone()));
        let (mut heard, mut dropped) = (0, 0);
        let mut close = |worker: &mut weir_engine::Worker| {
            let report = worker.close(0, Nanos(1), true, Report::with_room());
            heard += report.n4.datagrams().count();
            dropped += report.n4.dropped()[N4Loss::Undeclared as usize] as usize;
        };
        for _ in 0..400 {
            if worker.is_full() {
                close(&mut worker);
            }
            worker.burst(&frames);
        }
        close(&mut worker);
        assert_eq!(heard + dropped, 400 * 64);
        assert_eq!(dropped > 0, live);
    }
}

#[test]
fn undeclared_senders_fill_their_share_of_a_pouch_and_no_more() {
    let request = message(50, 0, 1, &[f_seid(1, SMF), uplink_pdr(1, 1, [10, 60, 0, 1])], false);
    let mut pouch = Pouch::with_room();
    let mut kept = 0;
    for round in 0..8_000_u32 {
        // Sixteen strangers, each with an address of its own, for every declared datagram.
        for stranger in 0..16 {
            let [_, b, c, d] = (round * 16 + stranger).to_be_bytes();
            pouch.put(&datagram(0, [198, 18 + b, c, d], UPF, &request), Room::Share);
        }
        pouch.put(&datagram(0, SMF, UPF, &request), Room::All);
        kept += 1;
    }
    let declared = |datagram: &N4Datagram<'_>| datagram.source == address(SMF);
    assert_eq!(pouch.datagrams().filter(declared).count(), kept);
    let strange = pouch.datagrams().filter(|datagram| !declared(datagram)).count() as u64;
    assert!(strange > 0);
    let dropped = *pouch.dropped();
    assert_eq!(dropped[N4Loss::Declared as usize], 0);
    assert_eq!(dropped[N4Loss::Undeclared as usize] + strange, 8_000 * 16);
    // The machine counts what was dropped.
    let mut machine = Machine::new();
    let mut report = Report::with_room();
    report.n4 = pouch;
    machine.signalling.hear(&[report]);
    assert_eq!(machine.words().n4_dropped, dropped);
    assert_eq!(machine.signalling.lost(), dropped.iter().sum::<u64>());
}

#[test]
fn declared_transactions_are_followed_through_a_flood_of_strangers() {
    let mut machine = Machine::new();
    for number in 1..=1_000_u32 {
        for stranger in 0..200 {
            let [_, b, c, d] = (number * 200 + stranger).to_be_bytes();
            let from = [198, 18 + (b & 1), c, d];
            let kind = [1, 5, 50, 52, 54][stranger as usize % 5];
            let request = message(kind, number.into(), stranger, &[f_seid(9, from)], false);
            machine.say(from, UPF, &request);
        }
        machine.establish(SMF, number.into(), number.into(), number);
        if number % 2 == 0 {
            machine.agree(54, [number.into(); 2], &[], &[cause(1)]);
        }
        machine.now += MILLI;
    }
    let words = machine.words();
    assert_eq!((words.sessions_established, words.sessions_deleted), (1_000, 500));
    assert_eq!(words.n4_whole, 1_500);
    machine.wait(700 * SECOND);
    let left = machine.list().into_iter().filter(|it| it.state == SessionState::Active).count();
    assert_eq!(left, 500);
}

fn octets(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(four) => four.octets(),
        IpAddr::V6(_) => unreachable!("the load speaks IPv4"),
    }
}

/// Rules under which the nodes of the load are declared.
fn load_rules() -> RuleSet {
    let mut set = rule_set();
    let nodes = [(lab::SMF, &["10.0.3.0/27"][..]), (lab::UPF, &["10.0.2.0/24", "10.0.1.0/24"])];
    for (id, prefixes) in nodes {
        let prefixes = prefixes.iter().map(|text| prefix(text)).collect();
        set.equipment[id.0 as usize].prefixes = prefixes;
    }
    set
}

/// Plays a load with each payload changed by `mangle`, and lists what is left.
fn mangled(sessions: u64, mut mangle: impl FnMut(&mut Vec<u8>)) -> (JudgeWords, usize) {
    let mut machine = Machine::with(load_rules());
    for load in n4_load::cycles(7, sessions, 3) {
        let mut payload = load.payload;
        mangle(&mut payload);
        let (from, to) = (octets(load.source.0), octets(load.destination.0));
        machine.say(from, to, &payload);
        machine.now += 100_000;
    }
    let words = machine.words();
    assert!(words.sessions.iter().sum::<u64>() <= TUNNELS as u64 / 2);
    machine.wait(60 * SECOND);
    machine.signalling.accusations();
    machine.signalling.records();
    (words, machine.list().len())
}

#[test]
fn a_load_that_nobody_has_touched_is_followed_to_the_last_session() {
    let (words, shown) = mangled(3_000, |_| {});
    assert_eq!((words.sessions_established, words.sessions_deleted), (3_000, 3_000));
    assert_eq!(shown, 3_000);
}

#[test]
fn flipped_bits_cut_messages_and_noise_never_panic_and_counters_agree() {
    for (number, seed) in
        [0x5eed_0001, 0x5eed_0002, 0x5eed_0003, 0x5eed_0004].into_iter().enumerate()
    {
        let mut noise = Noise(seed);
        let (words, _) = mangled(3_000, |payload| {
            let len = payload.len();
            match number {
                // One bit in two thirds of all.
                0 if !noise.next().is_multiple_of(3) => {
                    payload[noise.next() as usize % len] ^= 1 << (noise.next() % 8);
                }
                // Some octets of the elements, never the header.
                1 => {
                    for _ in 0..noise.next() % 6 {
                        let at = 16 + noise.next() as usize % (len - 15).max(1);
                        if let Some(octet) = payload.get_mut(at) {
                            *octet = noise.next() as u8;
                        }
                    }
                }
                2 => payload.truncate(noise.next() as usize % (len + 1)),
                // Noise behind a header that is sound.
                3 => payload.iter_mut().skip(16).for_each(|octet| *octet = noise.next() as u8),
                _ => {}
            }
        });
        assert!(words.n4_whole > 0 || number == 2, "nothing is left to read");
    }
    let mut machine = Machine::new();
    let mut noise = Noise(0x5eed_0005);
    for _ in 0..100_000 {
        let len = noise.next() as usize % 120;
        let mut payload: Vec<u8> = (0..len).map(|_| noise.next() as u8).collect();
        if let Some(first) = payload.first_mut() {
            *first = 0x20 | (*first & 7);
        }
        let ends = [SMF, UPF, STRANGER];
        let (from, to) = (ends[noise.next() as usize % 3], ends[noise.next() as usize % 3]);
        machine.say(from, to, &payload);
        machine.now += 50_000;
    }
    machine.list();
}
