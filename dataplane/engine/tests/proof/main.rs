//! Users' packets that are followed from tap to tap: what is copied to where no session leads and
//! what a UPF makes of its own is found, what only looks so is silent; on any number of workers,
//! in bursts and without the common path.

mod choice;
#[path = "../lab/mod.rs"]
mod lab;
mod streams;
mod world;

use lab::{ip, udp};
use weir_engine::contract::verdict::{Alert, Direction, Fact, Severity, Verdict};
use weir_engine::contract::words::SampleFate;
use weir_engine::detect::{CNS_BALANCE, CNS_DUP, COV_ICMP, COV_TIME, PFCP_DUPL};
use weir_engine::rules::{Authorised, EquipmentId, Link};

use world::*;

const UPF_1: EquipmentId = EquipmentId(2);
const GNB_1: EquipmentId = EquipmentId(0);

/// Two subscribers at gnb-1 and gnb-2 who send and receive so many packets in half a minute.
fn honest(packets: u32) -> (World, Vec<(f64, bool, Packet)>) {
    let mut world = World::new(60);
    world.establish(1.0, 1, GNB);
    world.establish(1.1, 2, GNB2);
    let mut sent = Vec::new();
    for n in 0..packets {
        let time = 5.0 + f64::from(n) * 30.0 / f64::from(packets);
        sent.push((time, true, world.up(time, 1, GNB)));
        sent.push((time + 0.001, false, world.down(time + 0.001, 1, GNB)));
    }
    (world, sent)
}

fn of(alerts: &[Alert], detection: u16) -> Vec<&Alert> {
    alerts.iter().filter(|alert| alert.detection == detection).collect()
}

fn about_proof(alerts: &[Alert]) -> Vec<&Alert> {
    let is = |alert: &&Alert| [CNS_DUP, CNS_BALANCE].contains(&alert.detection);
    alerts.iter().filter(is).collect()
}

#[test]
fn packets_on_their_way_are_silent() {
    let (world, _) = honest(4_000);
    assert_eq!(about_proof(&world.judged()), [] as [&Alert; 0]);
}

#[test]
fn copies_to_an_address_that_nobody_declared_are_found() {
    let (mut world, sent) = honest(4_000);
    for (time, _, packet) in &sent {
        world.n3(time + 0.000_1, UPF, THIEF, 0x99, packet);
    }
    let alerts = world.judged();
    let [found] = of(&alerts, CNS_DUP)[..] else { panic!("{alerts:#?}") };
    assert_eq!((found.equipment, found.severity), (Some(UPF_1), Severity::Critical));
    assert_eq!(found.peer.unwrap().to_string(), THIEF);
    assert_eq!(found.outer.unwrap().destination_port, 2152);
    let Fact::Copied { digests } = found.fact else { panic!("{:?}", found.fact) };
    // 8,000 copies, one of 256 followed.
    assert!((15..50).contains(&digests), "{digests}");
    assert_eq!(found.packets, u64::from(digests));
}

/// Nothing else can see that: both ends are declared, and the tunnel is a live session's.
#[test]
fn copies_in_another_subscribers_tunnel_are_found() {
    let (mut world, sent) = honest(4_000);
    for (time, is_up, packet) in &sent {
        if !is_up {
            world.n3(time + 0.000_1, UPF, GNB2, 2 | 1 << 24, &packet.forwarded());
        }
    }
    let alerts = world.judged();
    let [found] = &alerts[..] else { panic!("{alerts:#?}") };
    assert_eq!((found.detection, found.equipment), (CNS_DUP, Some(UPF_1)));
    assert_eq!(found.peer.unwrap().to_string(), GNB2);
    assert_eq!(found.direction, Some(Direction::Dl));
    let session = found.n4.as_ref().unwrap().session.as_ref().unwrap();
    assert_eq!(session.ue.unwrap().to_string(), "10.60.0.1");
}

#[test]
fn bare_copies_with_other_ends_and_in_other_tunnels_are_found() {
    for in_gre in [false, true] {
        let (mut world, sent) = honest(4_000);
        for (time, _, packet) in &sent {
            let frame = if in_gre {
                gre(UPF, THIEF, packet)
            } else {
                bare(&packet.rewritten(Some([10, 0, 1, 1]), Some([198, 18, 0, 66])))
            };
            world.push(time + 0.000_1, frame);
        }
        let alerts = world.judged();
        let [found] = of(&alerts, CNS_DUP)[..] else { panic!("{in_gre}: {alerts:#?}") };
        assert_eq!(found.equipment, Some(UPF_1));
        assert_eq!(found.peer.unwrap().to_string(), THIEF);
    }
}

#[test]
fn a_gnb_that_copies_is_found() {
    let (mut world, sent) = honest(4_000);
    for (time, is_up, packet) in &sent {
        if *is_up {
            world.n3(time + 0.000_1, GNB, THIEF, 0x99, packet);
        }
    }
    let alerts = world.judged();
    let [found] = of(&alerts, CNS_DUP)[..] else { panic!("{alerts:#?}") };
    assert_eq!(found.equipment, Some(GNB_1));
}

#[test]
fn fewer_copies_than_asked_for_and_a_disabled_detection_are_silent() {
    for (enabled, least) in [(true, 200), (false, 3)] {
        let (mut world, sent) = honest(4_000);
        for (time, _, packet) in &sent {
            world.n3(time + 0.000_1, UPF, THIEF, 0x99, packet);
        }
        let mut set = rules();
        set.settings.dup_min_digests = least;
        set.settings.enabled[usize::from(CNS_DUP)] = enabled;
        assert_eq!(about_proof(&world.judged_by(set)), [] as [&Alert; 0]);
    }
}

#[test]
fn what_taps_tell_twice_and_users_send_again_is_no_copy() {
    let (mut world, sent) = honest(4_000);
    // Every frame once more, as a broker does.
    let doubles: Vec<_> = world.shots.clone();
    for shot in doubles {
        let time = weir_engine::Nanos(shot.time.0 + 1_000_000);
        // N4 that comes twice is N4's own matter.
        if shot.bytes[23] != 17 || shot.bytes[36..38] != 8805_u16.to_be_bytes() {
            world.shots.push(lab::Shot { time, ..shot });
        }
    }
    // And every uplink packet again, as who waits in vain for an acknowledgement.
    for (time, is_up, packet) in &sent {
        if *is_up {
            world.n3(time + 0.4, GNB, UPF, 1, packet);
            world.n6(time + 0.400_05, &packet.forwarded());
        }
    }
    assert_eq!(about_proof(&world.judged()), [] as [&Alert; 0]);
}

#[test]
fn a_chain_of_upfs_is_a_way_and_a_copy_beside_it_is_none() {
    for steals in [false, true] {
        let mut world = World::new(60);
        world.establish_chain(1.0, 1);
        world.establish(1.1, 2, GNB2);
        for n in 0..4_000 {
            let time = 5.0 + f64::from(n) * 0.008;
            let up = world.packet(ue(1), SERVER, 90);
            world.n3(time, GNB, UPF2, 1 | 1 << 20, &up);
            world.n3(time + 0.000_05, UPF2, UPF, 1, &up);
            world.n6(time + 0.000_1, &up.forwarded());
            let down = world.packet(SERVER, ue(1), 180);
            world.n6(time, &down);
            world.n3(time + 0.000_05, UPF, UPF2, 1 | 1 << 24, &down);
            world.n3(time + 0.000_1, UPF2, GNB, 1 | 1 << 21, &down);
            if steals {
                world.n3(time + 0.000_2, UPF2, UPF, 2, &up);
            }
        }
        let alerts = world.judged();
        let found = about_proof(&alerts);
        assert_eq!(found.len(), usize::from(steals), "{found:#?}");
        assert!(found.iter().all(|alert| alert.equipment == Some(EquipmentId(5))));
    }
}

#[test]
fn what_gnbs_forward_around_a_handover_is_no_copy_and_without_one_it_is() {
    for moves in [true, false] {
        let mut world = World::new(60);
        world.establish(1.0, 1, GNB);
        if moves {
            world.hand_over(12.0, 1, GNB2);
        }
        for n in 0..4_000 {
            let time = 5.0 + f64::from(n) * 0.002;
            let packet = world.down(time, 1, GNB);
            world.n3(time + 0.01, GNB, GNB2, 0x1234, &packet);
        }
        let alerts = world.judged();
        let found = about_proof(&alerts);
        assert_eq!(found.len(), usize::from(!moves), "{found:#?}");
        assert!(found.iter().all(|alert| alert.equipment == Some(GNB_1)));
    }
}

#[test]
fn copies_that_are_ordered_are_nobodys_to_know_but_the_restricted_roles() {
    for authorised in [true, false] {
        let (mut world, sent) = honest(4_000);
        world.duplicate(2.0, 1, THIEF);
        for (time, _, packet) in &sent {
            world.n3(time + 0.000_1, UPF, THIEF, 0x77, packet);
        }
        let mut set = rules();
        if authorised {
            let to = THIEF.parse::<std::net::IpAddr>().unwrap().into();
            set.authorised = Some(vec![Authorised { upf: None, to, sessions: 1 }]);
        }
        let alerts = world.judged_by(set);
        assert_eq!(about_proof(&alerts), [] as [&Alert; 0]);
        let is_copy = |alert: &&&Alert| matches!(alert.fact, Fact::Copied { .. });
        let copies = of(&alerts, PFCP_DUPL).iter().filter(is_copy).count();
        assert_eq!(copies, usize::from(!authorised), "{alerts:#?}");
    }
}

/// Neither what is counted openly, nor what is said of other packets to the same place.
#[test]
fn ordered_copies_show_in_no_open_counter_and_in_no_other_alert_about_their_place() {
    let (mut world, sent) = honest(4_000);
    world.duplicate(2.0, 1, THIEF);
    for (time, _, packet) in &sent {
        world.n3(time + 0.000_1, UPF, THIEF, 0x77, packet);
    }
    world.push(10.0, ip(UPF, THIEF, 1, &[&[8, 0, 0, 0, 0, 1, 0, 1][..], &[0; 600]].concat()));
    world.push(11.0, udp(&format!("{UPF}:123"), &format!("{THIEF}:123"), &[0x23; 300]));
    world.shots.sort_by_key(|shot| shot.time);
    let fed = (1, lab::Feeding::Single);
    let (said, counted) = lab::judge_counted(&world.shots, Link::Mixed, rules(), fed, |_| 0);
    let names = |verdict: &Verdict| match verdict {
        Verdict::Alert(alert) => [COV_ICMP, COV_TIME, CNS_DUP].contains(&alert.detection),
        _ => false,
    };
    assert_eq!(said.iter().filter(|verdict| names(verdict)).count(), 0);
    let of = |fate: SampleFate| counted.sample_fates[fate as usize];
    assert_eq!(of(SampleFate::Copied), 0);
    assert!(of(SampleFate::OnPath) > 60, "{:?}", counted.sample_fates);
}

/// Seven minutes of two subscribers, as many packets a minute each way.
fn minutes(packets: u32, mut each: impl FnMut(&mut World, f64, u32)) -> Vec<Alert> {
    let mut world = World::new(480);
    world.establish(1.0, 1, GNB);
    for n in 0..packets * 7 {
        each(&mut world, 5.0 + f64::from(n) * 60.0 / f64::from(packets), n);
    }
    world.judged()
}

#[test]
fn what_a_upf_makes_of_its_own_is_found_either_way() {
    for up in [true, false] {
        let alerts = minutes(6_000, |world, time, _| {
            world.up(time, 1, GNB);
            world.down(time + 0.001, 1, GNB);
            if up {
                let own = world.packet(ue(1), SERVER, 100);
                world.n6(time + 0.002, &own);
            } else {
                let own = world.packet(SERVER, ue(1), 100);
                world.n3(time + 0.002, UPF, GNB, 1 | 1 << 24, &own);
            }
        });
        let [found] = about_proof(&alerts)[..] else { panic!("{alerts:#?}") };
        assert_eq!((found.detection, found.severity), (CNS_BALANCE, Severity::High));
        assert_eq!(found.equipment, Some(UPF_1));
        assert_eq!(found.direction, Some(if up { Direction::Ul } else { Direction::Dl }));
        let Fact::Imbalance { extra, came, windows, .. } = found.fact else { panic!() };
        assert!(windows >= 5 && extra > 10 && came > 10, "{:?}", found.fact);
        assert!(!found.degraded);
    }
}

/// Twice, once in its user's name and once in another's: as if a NAT had changed it.
#[test]
fn what_a_upf_makes_hides_behind_no_nat_of_its_own_making() {
    let alerts = minutes(6_000, |world, time, _| {
        world.up(time, 1, GNB);
        world.down(time + 0.001, 1, GNB);
        let own = world.packet(ue(1), SERVER, 100);
        world.n6(time + 0.002, &own);
        world.n6(time + 0.002_1, &own.rewritten(Some([203, 0, 113, 1]), None));
    });
    let [found] = about_proof(&alerts)[..] else { panic!("{alerts:#?}") };
    assert_eq!((found.detection, found.direction), (CNS_BALANCE, Some(Direction::Ul)));
}

#[test]
fn echoes_that_a_upf_answers_are_none_of_its_users_packets() {
    // By its own address, and by that of its gateway in the users' pool.
    for own in [[10, 0, 1, 1], [10, 60, 255, 254]] {
        // Users who mostly send: what is lost of that way says little about the other.
        let alerts = minutes(9_000, |world, time, n| {
            for part in 0..3 {
                world.up(time + 0.000_2 * f64::from(part), 1, GNB);
            }
            if n % 3 == 0 {
                world.down(time + 0.001, 1, GNB);
            }
            let mut ping = world.packet(ue(1), own, 60);
            (ping.0[9], ping.0[20], ping.0[21]) = (1, 8, 0);
            world.n3(time + 0.002, GNB, UPF, 1, &ping);
            let mut reply = ping.rewritten(Some(own), Some(ue(1)));
            reply.0[20] = 0;
            world.n3(time + 0.002_1, UPF, GNB, 1 | 1 << 24, &reply);
        });
        assert_eq!(about_proof(&alerts), [] as [&Alert; 0], "{own:?}");
    }
}

#[test]
fn losses_of_a_tap_are_no_traffic_of_the_upfs_own() {
    let alerts = minutes(12_000, |world, time, n| {
        // The tap of N6 loses one frame of three, of either direction: of some 47 followed packets
        // a minute enough that they would be too many by themselves.
        let up = world.packet(ue(1), SERVER, 90);
        world.n3(time, GNB, UPF, 1, &up);
        let down = world.packet(SERVER, ue(1), 180);
        if n % 3 != 0 {
            world.n6(time + 0.000_05, &up.forwarded());
        }
        if n % 3 != 1 {
            world.n6(time, &down);
        }
        world.n3(time + 0.000_05, UPF, GNB, 1 | 1 << 24, &down);
    });
    assert_eq!(about_proof(&alerts), [] as [&Alert; 0]);
}

#[test]
fn what_waits_for_its_user_and_what_a_upf_may_make_is_even() {
    let alerts = minutes(6_000, |world, time, n| {
        world.up(time, 1, GNB);
        // Every other downlink packet waits for twenty seconds.
        let down = world.packet(SERVER, ue(1), 180);
        world.n6(time, &down);
        let wait = if n % 2 == 0 { 20.0 } else { 0.000_05 };
        world.n3(time + wait, UPF, GNB, 1 | 1 << 24, &down);
        // Multicast to users, errors about their packets.
        let mut multicast = world.packet(SERVER, [239, 1, 2, 3], 300);
        world.n3(time, UPF, GNB, 1 | 1 << 24, &multicast);
        multicast = world.packet([10, 0, 1, 1], ue(1), 60);
        multicast.0[9] = 1;
        multicast.0[20] = 11;
        world.n3(time, UPF, GNB, 1 | 1 << 24, &multicast);
    });
    assert_eq!(about_proof(&alerts), [] as [&Alert; 0]);
}

#[test]
fn users_who_talk_to_each_other_pass_one_upf_or_two() {
    let alerts = minutes(6_000, |world, time, n| {
        if n == 0 {
            world.establish_at(2.0, 3, GNB2, UPF2);
            world.establish(2.1, 2, GNB2);
        }
        // Over the data network to another UPF, and within one.
        let far = world.packet(ue(1), ue(3), 90);
        world.n3(time, GNB, UPF, 1, &far);
        world.n6(time + 0.000_05, &far.forwarded());
        world.n3(time + 0.000_1, UPF2, GNB2, 3 | 1 << 24, &far.forwarded());
        let near = world.packet(ue(1), ue(2), 90);
        world.n3(time + 0.001, GNB, UPF, 1, &near);
        world.n3(time + 0.001_05, UPF, GNB2, 2 | 1 << 24, &near.forwarded());
        world.down(time + 0.002, 1, GNB);
    });
    assert_eq!(about_proof(&alerts), [] as [&Alert; 0]);
}

#[test]
fn a_nat_behind_the_upf_is_neither_copy_nor_traffic_of_its_own() {
    // Declared, and one that nobody declared.
    for nat in [[203, 0, 113, 1], [192, 0, 2, 200]] {
        let alerts = minutes(6_000, |world, time, _| {
            let up = world.packet(ue(1), SERVER, 90);
            world.n3(time, GNB, UPF, 1, &up);
            world.n6(time + 0.000_05, &up.rewritten(Some(nat), None));
            let down = world.packet(SERVER, ue(1), 180);
            world.n6(time, &down.rewritten(None, Some(nat)));
            world.n3(time + 0.000_05, UPF, GNB, 1 | 1 << 24, &down);
        });
        assert_eq!(about_proof(&alerts), [] as [&Alert; 0], "{nat:?}");
    }
}

#[test]
fn without_n4_nothing_is_judged() {
    let mut world = World::new(0);
    for n in 0..4_000 {
        let time = 5.0 + f64::from(n) * 0.008;
        let packet = world.up(time, 1, GNB);
        world.n3(time + 0.001, UPF, GNB2, 2 | 1 << 24, &packet);
    }
    world.shots.sort_by_key(|shot| shot.time);
    let alerts = lab::alerts(&world.shots, Link::Mixed, rules());
    assert_eq!(about_proof(&alerts), [] as [&Alert; 0]);
}
