//! A tap that misses messages of N4: what it saw by halves accuses nobody, and hides nobody else.

mod lab;

use lab::n4::*;
use lab::{Script, alerts, g_pdu_of, rule_set};
use weir_engine::contract::verdict::{Alert, Severity};
use weir_engine::detect::{GTP_ORPHAN, GTP_TEIDCLONE, GTP_UESPOOF, PFCP_GHOST, PFCP_REDIR};
use weir_engine::rules::Link;

const ENDS: [&str; 2] = ["10.0.2.1:8805", "10.0.1.1:8805"];
const NODES: [&str; 3] = ["10.0.1.1:2152", "10.0.0.1:2152", "10.0.0.2:2152"];
const SERVER: &str = "192.0.2.53:53";

/// Which messages of a transaction the tap sees.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Both,
    Request,
    Answer,
    Neither,
}
use Seen::{Answer, Both, Neither, Request};

/// Minutes of a UPF whose N4 is tapped.
struct Hour {
    script: Script,
    sequence: u32,
}

impl Hour {
    /// One that the sensor has learned about.
    fn new() -> Self {
        let mut hour = Self { script: Script::default(), sequence: 0 };
        hour.session(Both, 900, 9);
        hour.script.wait(301.0);
        hour.goes_on();
        hour
    }

    fn agree(
        &mut self,
        seen: Seen,
        kind: u8,
        seids: [u64; 2],
        ask: &[Vec<u8>],
        answer: &[Vec<u8>],
    ) {
        self.sequence += 1;
        let number = self.sequence;
        if matches!(seen, Both | Request) {
            self.script.udp(ENDS[0], ENDS[1], &message(kind, seids[0], number, ask, false));
        }
        if matches!(seen, Both | Answer) {
            self.script.udp(ENDS[1], ENDS[0], &message(kind + 1, seids[1], number, answer, false));
        }
    }

    /// A session of the user 10.60.0.`user` at gNB 1, of which the tunnel up is `number` and the one
    /// down 1,000 more.
    fn session(&mut self, seen: Seen, number: u32, user: u8) {
        let seid = u64::from(number);
        let (up, down) = (uplink_pdr(1, number, [10, 60, 0, user]), target(number + 1_000, 1));
        let ask = [f_seid(seid, SMF), up, downlink_far(3, 1, &down), who(user)];
        self.agree(seen, 50, [0, seid], &ask, &[cause(1), f_seid(seid, UPF)]);
    }

    /// A session of which the UPF chooses the tunnel up.
    fn session_chosen(&mut self, seen: Seen, number: u32, user: u8) {
        let seid = u64::from(number);
        let ue = ie(93, &[&[2][..], &[10, 60, 0, user]].concat());
        let pdi = group(2, &[ie(20, &[0]), ie(21, &[5]), ue]);
        let up = group(1, &[ie(56, &[0, 1]), pdi]);
        let chosen = ie(21, &[&[1][..], &number.to_be_bytes(), &UPF].concat());
        let created = group(8, &[ie(56, &[0, 1]), chosen]);
        let ask = [f_seid(seid, SMF), up, who(user)];
        self.agree(seen, 50, [0, seid], &ask, &[cause(1), f_seid(seid, UPF), created]);
    }

    fn moves(&mut self, seen: Seen, number: u32, gnb: u8) {
        let far = downlink_far(10, 1, &target(number + 1_000, gnb));
        self.agree(seen, 52, [u64::from(number); 2], &[far], &[cause(1)]);
    }

    fn ends(&mut self, seen: Seen, number: u32) {
        self.agree(seen, 54, [u64::from(number); 2], &[], &[cause(1)]);
    }

    /// N4 goes on, and is seen as good as whole.
    fn goes_on(&mut self) {
        (0..20).for_each(|_| self.keeps_alive(Both));
    }

    fn keeps_alive(&mut self, seen: Seen) {
        self.agree(seen, 52, [900; 2], &[downlink_far(10, 1, &target(1_900, 1))], &[cause(1)]);
    }

    /// Packets of a user both ways, by these tunnels of a gNB, for ten seconds.
    fn traffic(&mut self, gnb: usize, user: u8, [up, down]: [u32; 2]) {
        let user = format!("10.60.0.{user}:40000");
        for _ in 0..20 {
            self.script.udp(NODES[gnb], NODES[0], &g_pdu_of(up, &user, SERVER));
            self.script.udp(NODES[0], NODES[gnb], &g_pdu_of(down, SERVER, &user));
            self.script.wait(0.5);
        }
    }

    /// What is told of, and not only noted.
    fn told(mut self) -> Vec<Alert> {
        self.script.wait(5.0);
        self.goes_on();
        let said = alerts(&self.script.shots, Link::Mixed, rule_set());
        let by_sessions = [GTP_ORPHAN, GTP_TEIDCLONE, GTP_UESPOOF, PFCP_GHOST, PFCP_REDIR];
        let is_told = |alert: &Alert| {
            alert.severity > Severity::Info && by_sessions.contains(&alert.detection)
        };
        said.into_iter().filter(is_told).collect()
    }

    fn detections(self) -> Vec<u16> {
        self.told().into_iter().map(|alert| alert.detection).collect()
    }
}

/// What was told of which tunnels.
fn tunnels(told: &[Alert]) -> Vec<(u16, Vec<u32>)> {
    let teids = |alert: &Alert| alert.n4.as_ref().map(|n4| n4.teids.clone()).unwrap_or_default();
    told.iter().map(|alert| (alert.detection, teids(alert))).collect()
}

fn target(teid: u32, gnb: u8) -> Vec<u8> {
    [&[1, 0][..], &teid.to_be_bytes(), &[10, 0, 0, gnb]].concat()
}

/// A User ID.
fn who(user: u8) -> Vec<u8> {
    ie(141, &[1, 8, 0x99, 0x99, 0x07, 0, 0, 0, 0, user])
}

#[test]
fn a_session_without_its_answer_has_its_tunnels_and_nobody_else_has_them() {
    let mut hour = Hour::new();
    hour.session_chosen(Request, 5, 30);
    hour.traffic(1, 30, [5, 1_005]);
    // A user of whom N4 says nothing.
    hour.traffic(1, 31, [6, 1_006]);
    let told = hour.told();
    assert_eq!(tunnels(&told), [(GTP_ORPHAN, vec![6]), (GTP_ORPHAN, vec![1_006])]);
}

#[test]
fn one_user_does_not_excuse_a_gnb_that_tries_tunnels() {
    let mut hour = Hour::new();
    hour.session_chosen(Request, 5, 30);
    hour.traffic(1, 30, [5, 1_005]);
    for teid in 1..=30 {
        hour.script.udp(NODES[1], NODES[0], &g_pdu_of(7_000 + teid, "10.60.0.30:4", SERVER));
    }
    hour.script.wait(20.0);
    assert_eq!(hour.detections(), [GTP_ORPHAN]);
}

#[test]
fn the_first_user_whom_no_session_has_is_that_of_the_session_without_its_request() {
    let mut hour = Hour::new();
    hour.session(Answer, 5, 30);
    hour.script.wait(1.0);
    hour.traffic(1, 30, [5, 1_005]);
    hour.goes_on();
    // Hours later it is still the same one, and another is another.
    hour.script.wait(20_000.0);
    hour.goes_on();
    hour.traffic(1, 30, [5, 1_005]);
    hour.goes_on();
    hour.traffic(2, 31, [6, 1_006]);
    let told = hour.told();
    assert_eq!(tunnels(&told), [(GTP_ORPHAN, vec![6]), (GTP_ORPHAN, vec![1_006])]);
}

#[test]
fn a_session_is_known_by_what_its_modification_says() {
    let mut hour = Hour::new();
    hour.session(Neither, 5, 30);
    hour.moves(Both, 5, 1);
    hour.script.wait(1.0);
    hour.traffic(1, 30, [5, 1_005]);
    assert_eq!(hour.detections(), []);
}

#[test]
fn a_tunnel_whose_session_may_have_ended_may_be_anothers() {
    // The end of one and the beginning of the next are seen by halves; both have one tunnel.
    for (seen, told) in [(Request, vec![]), (Both, vec![GTP_UESPOOF])] {
        let mut hour = Hour::new();
        hour.session(Both, 5, 30);
        hour.traffic(1, 30, [5, 1_005]);
        if seen == Request {
            hour.ends(seen, 5);
            hour.script.wait(10.0);
        }
        hour.goes_on();
        for _ in 0..12 {
            hour.traffic(1, 31, [5, 1_005]);
            hour.goes_on();
        }
        assert_eq!(hour.detections(), told);
    }
}

#[test]
fn who_takes_an_address_of_one_that_may_have_ended_takes_nothing() {
    for (seen, told) in [(Request, vec![]), (Neither, vec![PFCP_REDIR])] {
        let mut hour = Hour::new();
        hour.session(Both, 5, 30);
        hour.traffic(1, 30, [5, 1_005]);
        hour.ends(seen, 5);
        hour.script.wait(10.0);
        let ask = [f_seid(6, SMF), uplink_pdr(1, 6, [10, 60, 0, 30]), who(77)];
        hour.agree(Both, 50, [0, 6], &ask, &[cause(1), f_seid(6, UPF)]);
        hour.script.wait(15.0);
        assert_eq!(hour.detections(), told);
    }
}

#[test]
fn the_user_of_a_tunnel_that_another_session_claims_too_spoofs_nothing() {
    for (user, told) in [(30, vec![PFCP_REDIR]), (32, vec![GTP_UESPOOF, PFCP_REDIR])] {
        let mut hour = Hour::new();
        hour.session(Both, 5, 30);
        hour.traffic(1, 30, [5, 1_005]);
        let ask = [f_seid(6, SMF), uplink_pdr(1, 5, [10, 60, 0, 31]), who(77)];
        hour.agree(Both, 50, [0, 6], &ask, &[cause(1), f_seid(6, UPF)]);
        hour.script.wait(1.0);
        for _ in 0..12 {
            hour.traffic(1, user, [5, 1_005]);
            hour.goes_on();
        }
        assert_eq!(hour.detections(), told, "10.60.0.{user}");
    }
}

#[test]
fn a_session_without_a_user_id_is_odd_where_those_beside_it_are_seen() {
    for (seen, told) in [(Both, vec![PFCP_GHOST]), (Request, vec![])] {
        let mut hour = Hour::new();
        for number in 1..=40 {
            hour.session(Both, number, number as u8);
        }
        hour.script.wait(60.0);
        (0..20).for_each(|_| hour.keeps_alive(seen));
        hour.script.wait(15.0);
        let ask = [f_seid(60, SMF), uplink_pdr(1, 60, [10, 60, 0, 60])];
        hour.agree(Both, 50, [0, 60], &ask, &[cause(1), f_seid(60, UPF)]);
        assert_eq!(hour.detections(), told);
    }
}

#[test]
fn where_n4_is_missed_a_handover_may_be_too_unless_the_old_place_goes_on() {
    for (is_lossy, goes_on, told) in
        [(true, false, 0), (true, true, 1), (false, false, 1), (false, true, 1)]
    {
        let mut hour = Hour::new();
        hour.session(Both, 5, 30);
        if is_lossy {
            hour.keeps_alive(Request);
            hour.keeps_alive(Answer);
        }
        hour.script.wait(20.0);
        hour.goes_on();
        let user = "10.60.0.30:4";
        for second in 0..40 {
            if second < 20 || goes_on {
                hour.script.udp(NODES[1], NODES[0], &g_pdu_of(5, user, SERVER));
            }
            if second >= 20 {
                hour.script.udp(NODES[2], NODES[0], &g_pdu_of(5, user, SERVER));
            }
            hour.script.wait(0.5);
        }
        let clones = hour.detections().into_iter().filter(|it| *it == GTP_TEIDCLONE).count();
        assert_eq!(clones, told, "{is_lossy} {goes_on}");
    }
}

#[test]
fn as_many_tunnels_as_went_by_unseen_are_noted_and_more_are_told() {
    for (tunnels, told) in [(1, vec![]), (4, vec![GTP_ORPHAN])] {
        let mut hour = Hour::new();
        // Of 660 so many by halves: one or two went by unseen.
        for _ in 0..30 {
            hour.goes_on();
            hour.keeps_alive(Request);
            hour.keeps_alive(Answer);
        }
        hour.script.wait(5.0);
        hour.goes_on();
        for _ in 0..20 {
            for tunnel in 0..tunnels {
                let user = format!("10.60.0.{}:4", 100 + tunnel);
                hour.script.udp(NODES[1], NODES[0], &g_pdu_of(3_000 + tunnel, &user, SERVER));
            }
            hour.script.wait(0.2);
        }
        assert_eq!(hour.detections(), told);
    }
}

#[test]
fn a_clock_that_is_set_back_makes_no_orphans() {
    let mut hour = Hour::new();
    hour.session(Both, 5, 30);
    hour.traffic(1, 30, [5, 1_005]);
    hour.script.wait(-60.0);
    hour.goes_on();
    hour.traffic(1, 30, [5, 1_005]);
    assert_eq!(hour.detections(), []);
}

#[test]
fn what_is_sent_to_all_excuses_no_more_than_a_user_has() {
    let mut hour = Hour::new();
    hour.keeps_alive(Answer);
    hour.script.wait(2.0);
    hour.goes_on();
    for teid in 1..=40 {
        hour.script.udp(NODES[1], NODES[0], &g_pdu_of(7_000 + teid, "0.0.0.1:4", SERVER));
    }
    assert_eq!(hour.detections(), [GTP_ORPHAN]);
}

#[test]
fn one_lone_answer_ends_nobodys_session() {
    let mut hour = Hour::new();
    hour.session(Both, 5, 30);
    hour.traffic(1, 30, [5, 1_005]);
    // The end of it is answered, and nobody asked for it: anybody may send that.
    hour.ends(Answer, 5);
    hour.script.wait(2.0);
    hour.goes_on();
    let ask = [f_seid(6, SMF), uplink_pdr(1, 6, [10, 60, 0, 30]), who(77)];
    hour.agree(Both, 50, [0, 6], &ask, &[cause(1), f_seid(6, UPF)]);
    hour.traffic(1, 30, [5, 1_005]);
    assert_eq!(hour.detections(), [PFCP_REDIR]);
}
