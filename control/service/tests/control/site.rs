//! What is told of the site over the interface of the real process: what is installed, who talked to
//! whom, which sessions there were, and what another policy would change.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use weir_engine::Nanos;
use weir_engine::contract::session::{SessionRecord, SessionState};
use weir_engine::contract::verdict::{Alert, Direction, Flow, FlowEnd, Tuple, Verdict, Volume};
use weir_engine::detect::GTP_NEST;
use weir_engine::rules::EquipmentId;

use crate::cases::{Desk, token};
use crate::fake::*;
use crate::restricted::{copied, redirected, session};

const HOUR: u64 = 3600 * SECOND;

/// A flow of gnb-1 as its record tells it: the sums of its whole life.
fn record(id: u64, end: FlowEnd, hour: u64, [up, down]: [u64; 2]) -> Flow {
    let Verdict::Flow(flow) = flow() else { unreachable!() };
    let volume = |packets| Volume { packets, bytes: packets * 100, tcp_flags: 0x1b };
    let last = Nanos(START + hour * HOUR);
    Flow {
        flow_id: id,
        to_server: volume(up),
        to_client: volume(down),
        first: Nanos(START),
        last,
        at: last,
        end,
        ..*flow
    }
}

fn to(peer: [u8; 4], flow: Flow) -> Flow {
    let mut tuple = flow.tuple;
    tuple.destination = IpAddr::from(peer);
    Flow { tuple, ..flow }
}

pub(crate) fn tell(desk: &mut Desk, verdicts: impl IntoIterator<Item = Verdict>) {
    for verdict in verdicts {
        if desk.sensor.push(&verdict).is_err() {
            let written = desk.sensor.segment.ring.written();
            desk.sensor.await_released(written);
            desk.sensor.push(&verdict).unwrap();
        }
    }
    let written = desk.sensor.segment.ring.written();
    desk.sensor.await_released(written);
}

fn told(flow: Flow) -> Verdict {
    Verdict::Flow(Box::new(flow))
}

pub(crate) fn items(desk: &Desk, token: &str, path: &str) -> Vec<Value> {
    let (code, page) = desk.get(token, path);
    assert_eq!(code, 200, "{path}: {page}");
    page["items"].as_array().unwrap().clone()
}

fn texts<'a>(items: &'a [Value], key: &str) -> Vec<&'a str> {
    items.iter().map(|item| item[key].as_str().unwrap()).collect()
}

fn sums(items: &[Value]) -> Vec<[u64; 3]> {
    let count = |item: &Value, key: &str| item[key].as_u64().unwrap();
    let sum =
        |item| [count(item, "packets_out"), count(item, "packets_in"), count(item, "bytes_out")];
    items.iter().map(sum).collect()
}

#[test]
fn what_is_installed_is_listed_with_its_open_alerts_and_in_groups() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    let eve = token(&desk.place, "eve", "restricted");
    let all = items(&desk, &ada, "equipment");
    assert_eq!(texts(&all, "id"), ["gnb-1", "gnb-2"]);
    let gnb = &all[0];
    assert_eq!(gnb["alerts"], json!({ "open": 0, "worst": null }));
    assert_eq!(
        (&gnb["roles"], &gnb["addresses"], &gnb["serial"], &gnb["imported"], &gnb["last_seen"]),
        (&json!(["gnb"]), &json!(["10.0.0.1"]), &json!("S1"), &json!(false), &Value::Null)
    );
    desk.finds(1, 1, 1, 3);
    desk.says(copied());
    let (_, page) = desk.get(&ada, "equipment?q=GNB-2");
    assert_eq!(page["items"][0]["alerts"], json!({ "open": 1, "worst": "high" }));
    let group = |page: &Value| {
        let groups = page["groups"].as_array().unwrap();
        groups.iter().map(|it| it["showing"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((group(&page), page["groups"].as_array().unwrap().len()), (1, 2));
    // Who is intercepted shows to the named role alone, in the numbers too.
    let (_, page) = desk.get(&eve, "equipment/gnb-1");
    assert_eq!(page["alerts"], json!({ "open": 1, "worst": "critical" }));
    let (_, page) = desk.get(&ada, "equipment/gnb-1");
    assert_eq!(page["alerts"]["open"], 0);
    // What is closed is not open.
    let id = desk.alerts(&ada, "?equipment=gnb-2")[0]["id"].as_str().unwrap().to_owned();
    desk.post(&ada, &format!("alerts/{id}/status"), json!({ "status": "closed" }));
    assert_eq!(desk.get(&ada, "equipment/gnb-2").1["alerts"]["open"], 0);

    let (_, page) = desk.get(&ada, "equipment?limit=1");
    assert_eq!(
        (texts(page["items"].as_array().unwrap(), "id"), &page["next"]),
        (vec!["gnb-1"], &json!("gnb-1"))
    );
    let (_, page) = desk.get(&ada, "equipment?limit=1&after=gnb-1");
    assert_eq!(
        (texts(page["items"].as_array().unwrap(), "id"), &page["next"]),
        (vec!["gnb-2"], &Value::Null)
    );
    assert_eq!(items(&desk, &ada, "equipment?vendor=Vendor%20B").len(), 0);
    assert_eq!(texts(&items(&desk, &ada, "equipment?location=site%2017"), "id"), ["gnb-1"]);
    assert_eq!(desk.get(&ada, "equipment/gnb-3").0, 404);
    assert_eq!(desk.get(&ada, "equipment?vendr=x").0, 400);
    assert_eq!(desk.get("", "equipment").0, 401);
}

/// Flows in every stage, told in the order in which a sensor tells them.
fn life_of_flows() -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for id in 1..=6 {
        verdicts.push(told(record(id, FlowEnd::Hourly, 0, [10 * id, 1])));
    }
    for id in 1..=6 {
        verdicts.push(told(record(id, FlowEnd::Hourly, 1, [10 * id + 5, 3])));
    }
    verdicts.push(told(record(7, FlowEnd::Closed, 1, [1_000, 0])));
    for id in 1..=6 {
        verdicts.push(told(record(id, FlowEnd::Idle, 2, [10 * id + 6, 3])));
    }
    verdicts
}

#[test]
fn sums_of_an_hour_are_what_flows_did_in_it_and_no_kill_loses_or_doubles_any() {
    let undisturbed = {
        let mut desk = Desk::new();
        tell(&mut desk, life_of_flows());
        items(&desk, "", "flows?equipment=gnb-1")
    };
    assert_eq!(
        texts(&undisturbed, "hour"),
        [
            "2023-11-15T00:00:00.000000000Z",
            "2023-11-14T23:00:00.000000000Z",
            "2023-11-14T22:00:00.000000000Z"
        ]
    );
    // Six flows of 10 to 60 packets, then five more each and another flow, then one more each.
    assert_eq!(sums(&undisturbed), [[6, 0, 600], [1_030, 12, 103_000], [210, 6, 21_000]]);
    let row = &undisturbed[1];
    assert_eq!(
        (&row["peer"], &row["peer_equipment"], &row["service"], &row["initiator"], &row["flows"]),
        (&json!("198.51.100.0/24"), &Value::Null, &json!("https"), &json!("equipment"), &json!(7))
    );
    assert_eq!((&row["declared"], &row["name"]), (&json!(false), &json!("update.vendor.example")));

    let mut desk = Desk::new();
    for (number, verdict) in life_of_flows().into_iter().enumerate() {
        desk.sensor.push(&verdict).unwrap();
        // Now wherever it happens to be, now when all is stored.
        if number % 4 == 0 {
            let written = desk.sensor.segment.ring.written();
            desk.sensor.await_released(written);
        }
        if number % 2 == 0 {
            desk.restart();
        }
    }
    let written = desk.sensor.segment.ring.written();
    desk.sensor.await_released(written);
    assert_eq!(items(&desk, "", "flows?equipment=gnb-1"), undisturbed);
    let (_, page) = desk.get("", "equipment/gnb-1");
    assert_eq!(page["last_seen"], "2023-11-15T00:13:20.000000000Z");
    let peer = &page["peers"][0];
    assert_eq!(
        (&peer["ip"], &peer["packets"], &peer["bytes"], &peer["declared"], &peer["id"]),
        (&json!("198.51.100.0/24"), &json!(1_264), &json!(126_400), &json!(false), &Value::Null)
    );
    assert_eq!(page["peers"].as_array().unwrap().len(), 1);
}

#[test]
fn another_sensors_flows_are_others() {
    let mut desk = Desk::new();
    tell(&mut desk, [told(record(1, FlowEnd::Hourly, 0, [100, 0]))]);
    desk.control.take().unwrap().kill();
    let place = std::mem::replace(&mut desk.place, Place::new(""));
    drop(desk);
    let mut desk = Desk::over(place);
    tell(&mut desk, [told(record(1, FlowEnd::Closed, 0, [150, 0]))]);
    assert_eq!(sums(&items(&desk, "", "flows")), [[250, 0, 25_000]]);
}

#[test]
fn two_pieces_of_equipment_are_one_conversation_that_each_side_is_asked_about() {
    let mut desk = Desk::new();
    let between = Flow {
        destination: Some(EquipmentId(1)),
        allowed: true,
        ..record(1, FlowEnd::Closed, 0, [30, 20])
    };
    tell(&mut desk, [told(to([10, 0, 0, 2], between))]);
    let all = items(&desk, "", "flows");
    assert_eq!(
        (texts(&all, "equipment"), texts(&all, "peer_equipment")),
        (vec!["gnb-1"], vec!["gnb-2"])
    );
    assert_eq!((&all[0]["peer"], &all[0]["declared"]), (&json!("10.0.0.2"), &json!(true)));
    let other = items(&desk, "", "flows?equipment=gnb-2&peer=10.0.0.1");
    assert_eq!(sums(&other), [[20, 30, 2_000]]);
    assert_eq!(other[0]["initiator"], "peer");
    for peer in ["gnb-1", "gnb-2"] {
        assert_eq!(items(&desk, "", &format!("flows?peer={peer}")).len(), 1);
    }
    assert_eq!(items(&desk, "", "flows?since=2023-11-14T23:00:00Z").len(), 0);
    let (_, picture) = desk.get("", "topology");
    let [edge] = &picture["edges"].as_array().unwrap()[..] else { panic!("{picture}") };
    assert_eq!(
        (&edge["from"], &edge["to"], &edge["packets"]),
        (&json!("e:gnb-1"), &json!("e:gnb-2"), &json!(50))
    );
    assert_eq!(texts(picture["nodes"].as_array().unwrap(), "vendor"), ["Vendor A", "Vendor A"]);
}

#[test]
fn who_scans_everything_drives_out_no_row_but_its_own() {
    let mut desk = Desk::new();
    let scan = (0..900u32).map(|n| {
        let flow = record(u64::from(n) + 1, FlowEnd::Closed, 0, [1, 0]);
        told(to([203, (n >> 8) as u8, n as u8, 1], flow))
    });
    tell(&mut desk, scan.collect::<Vec<_>>());
    desk.restart();
    // Its rows are known after a restart, too.
    let more =
        (0..10u8).map(|n| told(to([192, 0, n, 1], record(2_000, FlowEnd::Closed, 0, [1, 0]))));
    tell(&mut desk, more.collect::<Vec<_>>());
    let quiet = Flow { source: Some(EquipmentId(1)), ..record(3_000, FlowEnd::Closed, 0, [7, 0]) };
    tell(&mut desk, [told(quiet)]);
    assert_eq!(sums(&items(&desk, "", "flows?equipment=gnb-2")), [[7, 0, 700]]);
    let (_, page) = desk.get("", "flows?equipment=gnb-1&limit=500");
    let next = page["next"].as_str().unwrap();
    let rest = items(&desk, "", &format!("flows?equipment=gnb-1&limit=500&after={next}"));
    let rows = [page["items"].as_array().unwrap().clone(), rest].concat();
    assert_eq!(rows.len(), 501);
    let packets: u64 = sums(&rows).iter().map(|[packets, ..]| packets).sum();
    assert_eq!(packets, 910, "all of it is counted somewhere");
    let others = items(&desk, "", "flows?equipment=gnb-1&peer=other");
    assert_eq!((sums(&others), &others[0]["service"]), (vec![[410, 0, 41_000]], &json!("other")));
    let metrics = fetch(&desk.address, "/metrics").1;
    assert_eq!(series(&metrics, "weir_table_evictions_total{table=\"stored_talks\"}"), 10.0);
}

#[test]
fn subscribers_are_in_no_row() {
    let mut desk = Desk::over(Place::new("ue_pools = [\"10.60.0.0/16\"]\n"));
    let flow =
        Flow { name: Some("alices-phone.example".into()), ..record(1, FlowEnd::Closed, 0, [5, 0]) };
    tell(&mut desk, [told(to([10, 60, 3, 4], flow))]);
    let rows = items(&desk, "", "flows?peer=10.60.3.4");
    assert_eq!((sums(&rows), texts(&rows, "peer")), (vec![[5, 0, 500]], vec!["subscribers"]));
    for path in ["flows", "equipment/gnb-1", "topology"] {
        let text = desk.get("", path).1.to_string();
        assert!(
            text.contains("subscribers") && !text.contains("10.60.") && !text.contains("alice"),
            "{text}"
        );
    }
}

#[test]
fn an_alert_is_in_the_picture_at_once_and_what_is_restricted_for_a_named_role_alone() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "viewer");
    let eve = token(&desk.place, "eve", "restricted");
    let picture = |desk: &Desk, token: &str| desk.get(token, "topology").1;
    assert_eq!(picture(&desk, &ada), json!({ "nodes": [], "edges": [], "more": 0, "until": null }));
    desk.finds(1, 0, 1, 30);
    let before = picture(&desk, &ada);
    let [edge] = &before["edges"].as_array().unwrap()[..] else { panic!("{before}") };
    assert_eq!(
        (
            &edge["from"],
            &edge["to"],
            &edge["service"],
            &edge["alerts"],
            &edge["bytes"],
            &edge["declared"]
        ),
        (
            &json!("e:gnb-1"),
            &json!("n:203.0.1.0/24"),
            &json!("https"),
            &json!(1),
            &json!(3_000),
            &json!(false)
        )
    );
    desk.says(copied());
    assert_eq!(picture(&desk, &ada), before, "nothing tells of it");
    assert!(picture(&desk, &eve)["edges"].as_array().unwrap().len() > 1);
    // The flow of the alert's is its edge from then on.
    tell(&mut desk, [told(to([203, 0, 1, 1], record(1, FlowEnd::Closed, 0, [40, 2])))]);
    let after = picture(&desk, &ada);
    let [edge] = &after["edges"].as_array().unwrap()[..] else { panic!("{after}") };
    assert_eq!((&edge["alerts"], &edge["packets"]), (&json!(1), &json!(42)));
    let nodes = after["nodes"].as_array().unwrap();
    assert_eq!(texts(nodes, "worst"), ["high", "high"]);
    for wrong in ["topology?hours=0", "topology?hours=169", "topology?days=1"] {
        assert_eq!(desk.get(&ada, wrong).0, 400);
    }
}

/// The same session at its agreement.
pub(crate) fn agreed(number: u64) -> SessionRecord {
    let octets = [10, 60, 1, number as u8];
    SessionRecord {
        cp_seid: number,
        up_seid: 0x100 + number,
        state: SessionState::Active,
        ended: None,
        ue: [IpAddr::from(octets), "2001:db8:60:7::1".parse().unwrap()].into_iter().collect(),
        supi: Some(0x1000 + number),
        usage_mismatch: false,
        reported: None,
        ..session()
    }
}

/// The object of the audit's line about session 2.
fn revealed_of(session: &Value) -> String {
    let established = session["established"].as_str().unwrap();
    format!("0x2 0x102 of 10.0.2.1, generation 1, established {established}")
}

fn database(desk: &Desk) -> Vec<u8> {
    let parts = ["control.db", "control.db-wal"].map(|name| fs::read(desk.place.path(name)));
    parts.into_iter().flatten().flatten().collect()
}

#[test]
fn sessions_are_told_under_pseudonyms_and_whoever_reveals_one_is_written_down() {
    let mut desk = Desk::new();
    let [viewer, ada, root] = [("vic", "viewer"), ("ada", "analyst"), ("root", "admin")]
        .map(|(name, role)| token(&desk.place, name, role));
    let agreements = (1..=3).map(|number| Verdict::Session(agreed(number)));
    tell(&mut desk, agreements.collect::<Vec<_>>());
    let all = items(&desk, &viewer, "sessions");
    assert_eq!(texts(&all, "cp_seid"), ["0x3", "0x2", "0x1"]);
    assert_eq!(
        (&all[0]["state"], &all[0]["supi"], &all[0]["dnn"], &all[0]["ended"]),
        (&json!("active"), &json!("h:0000000000001003"), &json!("internet"), &Value::Null)
    );
    assert_eq!(all[0]["uplink"], json!([{ "teid": 1, "addr": "10.0.1.1" }]));
    let pseudonyms = all[0]["ue"].as_array().unwrap();
    assert!(pseudonyms.len() == 2 && pseudonyms[0] != pseudonyms[1]);
    assert!(!json!(all).to_string().contains("10.60."));

    // One ends, between kills; it is the same row.
    desk.restart();
    let over = SessionRecord {
        state: SessionState::Deleted,
        ended: Some(Nanos(START + SECOND)),
        ..agreed(2)
    };
    desk.sensor.push(&Verdict::Session(over)).unwrap();
    desk.restart();
    let written = desk.sensor.segment.ring.written();
    desk.sensor.await_released(written);
    assert_eq!(items(&desk, &viewer, "sessions").len(), 3);
    let cp_seids = |query: &str| {
        let found = items(&desk, &viewer, &format!("sessions?{query}"));
        texts(&found, "cp_seid").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cp_seids("state=deleted"), ["0x2"]);
    assert_eq!(cp_seids("state=active"), ["0x3", "0x1"]);
    assert_eq!(cp_seids("supi=h:0000000000001001"), ["0x1"]);
    assert_eq!(cp_seids("teid=7&cp=10.0.2.1&limit=2"), ["0x3", "0x2"]);
    assert_eq!(cp_seids("teid=9"), [""; 0]);
    assert_eq!((cp_seids("dnn=ims").len(), cp_seids("slice=1&up=10.0.1.1").len()), (0, 3));

    // An address is a look-up that needs a role and a reason.
    let look = |token: &str, query: &str| desk.get(token, &format!("sessions?ue={query}"));
    assert_eq!(look(&viewer, "10.60.1.2&reason=case%2047").0, 403);
    assert_eq!(look(&ada, "10.60.1.2").0, 400);
    let (code, found) = look(&ada, "10.60.1.2&reason=case%2047");
    assert_eq!((code, texts(found["items"].as_array().unwrap(), "cp_seid")), (200, vec!["0x2"]));
    // Of an IPv6 prefix any address is the subscriber's.
    let (_, found) = look(&ada, "2001:db8:60:7:abc::9&reason=case%2047");
    assert_eq!(found["items"].as_array().unwrap().len(), 3);

    let body = |reason: &str| {
        json!({
            "cp_seid": "0x2", "up_seid": "0x102", "cp": "10.0.2.1", "generation": 1, "reason": reason,
        })
    };
    assert_eq!(desk.post(&viewer, "sessions/reveal", body("case 47")).0, 403);
    assert_eq!(desk.post(&ada, "sessions/reveal", body("no")).0, 400);
    assert_eq!(
        desk.post(&ada, "sessions/reveal", body("case 47")),
        (200, json!({ "ue": ["10.60.1.2", "2001:db8:60:7::1"] }))
    );
    let mut absent = body("case 47");
    absent["generation"] = json!(2);
    assert_eq!(desk.post(&ada, "sessions/reveal", absent).0, 404);
    let deeds = items(&desk, &root, "audit");
    assert_eq!(
        texts(&deeds, "action"),
        ["identity.reveal", "identity.look_up", "identity.look_up"]
    );
    assert_eq!(deeds[0]["object"], revealed_of(&all[1]));
    assert_eq!(
        (&deeds[0]["detail"], &deeds[0]["actor"]),
        (&json!({ "reason": "case 47" }), &json!("ada"))
    );
    assert!(!json!(deeds).to_string().contains("10.60.1"), "{deeds:?}");
    // Nor does a copy of the database.
    let stored = database(&desk);
    let holds = |part: &[u8]| stored.windows(part.len()).any(|window| window == part);
    assert!(holds(b"internet"), "it is where one looks");
    assert!(!holds(b"10.60.1.") && !holds(b"2001:db8:60"));
    assert!(!holds(&[0xff, 0xff, 10, 60, 1, 2]) && !holds(&[0x20, 1, 0xd, 0xb8, 0, 0x60, 0, 7]));
}

#[test]
fn subscribers_that_an_alert_names_have_pseudonyms_until_somebody_says_why() {
    let mut desk = Desk::over(Place::new("ue_pools = [\"10.60.0.0/24\"]\n"));
    let [viewer, ada, root, eve] =
        [("vic", "viewer"), ("ada", "analyst"), ("root", "admin"), ("eve", "restricted")]
            .map(|(name, role)| token(&desk.place, name, role));
    // Another subscriber's packet is in the tunnel of the session: of no pool, but on the way up.
    let inner = Tuple {
        source: "10.60.9.9".parse().unwrap(),
        destination: "192.0.2.1".parse().unwrap(),
        ..alert(1, 0, 1).outer.unwrap()
    };
    let direction = Some(Direction::Ul);
    desk.says(Alert { inner: Some(inner), direction, ..redirected() });
    // A subscriber may be the peer.
    let users = Some(IpAddr::from([10, 60, 0, 9]));
    desk.says(Alert { detection: GTP_NEST, peer: users, ..alert(3, 0, 1) });
    desk.says(copied());
    tell(
        &mut desk,
        [Verdict::Session(SessionRecord {
            ue: [IpAddr::from([10, 60, 0, 1])].into_iter().collect(),
            ..session()
        })],
    );
    let id = desk.alerts(&viewer, "?detection=PFCP-REDIR")[0]["id"].as_str().unwrap().to_owned();
    let (_, page) = desk.get(&viewer, &format!("alerts/{id}"));
    let text = page.to_string();
    assert!(!text.contains("10.60."), "{text}");
    assert_eq!(page["subscribers"], 2);
    let told = &page["event"]["weir"];
    let (owner, other) =
        (told["session"]["ue"].as_str().unwrap(), told["inner"]["src"].as_str().unwrap());
    assert!(owner.starts_with("h:") && other.starts_with("h:") && owner != other, "{told}");
    assert!(
        told["observed"]
            .as_str()
            .unwrap()
            .contains(&format!("the session of {owner} (UP SEID 0x2a)")),
        "{told}"
    );
    assert_eq!(
        (&told["inner"]["dst"], &told["equipment"]["id"]),
        (&json!("192.0.2.1"), &json!("gnb-1"))
    );
    let nest = &desk.alerts(&viewer, "?detection=GTP-NEST")[0];
    assert!(nest["peer"].as_str().unwrap().starts_with("h:"), "{nest}");
    let (_, nest) = desk.get(&viewer, &format!("alerts/{}", nest["id"].as_str().unwrap()));
    assert!(!nest.to_string().contains("10.60.0.9"), "{nest}");
    let without = "[detections.GTP-NEST]\nenabled = false\n";
    let body = json!({ "policy": without, "days": 30 });
    let (_, page) = desk.post(&viewer, "policy/test", body);
    assert_eq!(page["would_be_silent"][0]["peer"], nest["peer"], "{page}");
    // It is the pseudonym under which the session is listed.
    let sessions = items(&desk, &viewer, "sessions");
    assert_eq!(sessions[0]["ue"], json!([owner]));
    // The file that the site reads has the address, as its readers expect it.
    assert_eq!(desk.place.events("alert")[0]["weir"]["session"]["ue"], "10.60.0.1");

    let reveal = |token: &str, id: &str, reason: &str| {
        desk.post(token, &format!("alerts/{id}/reveal"), json!({ "reason": reason }))
    };
    assert_eq!(reveal(&viewer, &id, "case 47").0, 403);
    assert_eq!(reveal(&ada, &id, "no").0, 400);
    assert_eq!(reveal(&ada, "00000000000000ff", "case 47").0, 404);
    let (code, told) = reveal(&ada, &id, "case 47");
    let mut named = told["subscribers"].as_array().unwrap().clone();
    named.sort_by_key(|it| it["addresses"].to_string());
    let expected = [
        json!({ "pseudonym": owner, "addresses": ["10.60.0.1"] }),
        json!({ "pseudonym": other, "addresses": ["10.60.9.9"] }),
    ];
    assert_eq!((code, named), (200, expected.to_vec()));
    // Whom a restricted alert names is told to that role alone, and whom that role asks for, too.
    assert_eq!(reveal(&eve, &id, "warrant 4711").0, 200);
    let hidden = desk.alerts(&eve, "?detection=PFCP-DUPL")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(reveal(&ada, &hidden, "case 47").0, 404);
    assert_eq!(reveal(&eve, &hidden, "case 47").0, 200);
    let deeds = items(&desk, &root, "audit");
    assert_eq!(
        (texts(&deeds, "action"), texts(&deeds, "object")),
        (vec!["identity.reveal"], vec![&*id])
    );
    assert_eq!(items(&desk, &eve, "audit").len(), 3);
    assert!(!json!(deeds).to_string().contains("10.60."), "{deeds:?}");
}

#[test]
fn the_key_is_made_once_and_one_that_others_may_read_stops_the_start() {
    let mut desk = Desk::new();
    tell(&mut desk, [Verdict::Session(agreed(1))]);
    let path = desk.place.path("subscribers.key");
    let key = fs::read(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    desk.restart();
    assert_eq!(fs::read(&path).unwrap(), key);
    desk.control.take().unwrap().kill();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut refused = desk.place.control(&[]);
    let said = refused.says("mode 0644");
    assert!(said.contains("chmod 600"), "{said}");
    assert_eq!(refused.wait().code(), Some(2));
}

#[test]
fn sessions_that_nobody_follows_any_more_are_stale_and_seids_that_are_given_again_are_others() {
    let mut desk = Desk::new();
    tell(&mut desk, [Verdict::Session(agreed(1)), Verdict::Session(agreed(2))]);
    desk.control.take().unwrap().kill();
    let place = std::mem::replace(&mut desk.place, Place::new(""));
    drop(desk);
    let mut desk = Desk::over(place);
    tell(&mut desk, [told(record(1, FlowEnd::Closed, 0, [1, 0]))]);
    let states = |desk: &Desk| {
        let all = items(desk, "", "sessions");
        texts(&all, "state").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(states(&desk), ["stale", "stale"]);
    // One goes on under the new sensor, of another the SEIDs are given again.
    let again = SessionRecord { established: Some(Nanos(START + HOUR)), ..agreed(2) };
    tell(&mut desk, [Verdict::Session(agreed(1)), Verdict::Session(again)]);
    assert_eq!(states(&desk), ["active", "stale", "active"]);
    assert_eq!(items(&desk, "", "sessions?state=stale").len(), 1);
    assert_eq!(items(&desk, "", "sessions?state=active").len(), 2);
}

#[test]
fn a_policy_is_shown_compared_and_tried() {
    let secret = "# since May\n[[suppress]]\ndetection = \"PFCP-DUPL\"\nequipment = \"gnb-2\"\nreason = \"known\"\n";
    let rule = "[[allow]]\nfrom = { role = \"gnb\" }\nto = { cidr = \"198.51.100.0/24\" }\nservices = [\"https\"]\n";
    let mut desk = Desk::over(Place::new(&format!("{secret}{rule}")));
    let ada = token(&desk.place, "ada", "viewer");
    let eve = token(&desk.place, "eve", "restricted");
    let (_, page) = desk.get(&ada, "policy");
    assert_eq!((&page["version"], &page["policy"]), (&json!(1), &json!(rule)));
    assert_eq!(page["versions"][0]["sha256"], page["sha256"]);
    assert!(page["adopted"].is_string());
    assert!(desk.get(&eve, "policy").1["policy"].as_str().unwrap().contains("since May"));

    let other = rule.replace("https", "ssh");
    let diff = |token: &str, policy: &str| {
        let (code, page) = desk.post(token, "policy/diff", json!({ "policy": policy }));
        assert_eq!(code, 200, "{page}");
        page
    };
    assert_eq!(diff(&ada, rule), json!({ "lines": [], "mistakes": [], "left_out": 0 }));
    let page = diff(&ada, &other);
    assert_eq!(page["lines"][0]["sign"], "~");
    assert!(page["lines"][0]["what"].as_str().unwrap().contains("https → ssh"), "{page}");
    assert_eq!(diff(&eve, rule)["lines"][0]["sign"], "-");
    let page = diff(&ada, "[[allow]]\nfrom = { role = \"gnb\" }\nto = { rol = \"upf\" }\n");
    let mistakes = page["mistakes"].as_array().unwrap();
    let mistake = mistakes.iter().find(|it| it["line"] == 3).unwrap();
    assert_eq!(
        (&mistake["file"], &mistake["line"], &mistake["column"]),
        (&json!("policy.toml"), &json!(3), &json!(8))
    );
    let inventory = INVENTORY.replace("gnb-2", "gnb-3").replace("\"1.0\"", "\"1.1\"");
    let body = json!({ "policy": rule, "inventory": inventory });
    let (_, page) = desk.post(&ada, "policy/diff", body);
    assert_eq!(texts(page["lines"].as_array().unwrap(), "sign"), ["~", "-", "+"]);

    // What was allowed until now, and an alert.
    let allowed = Flow { allowed: true, ..record(1, FlowEnd::Closed, 0, [9, 9]) };
    tell(&mut desk, [told(allowed)]);
    desk.finds(1, 0, 1, 1);
    desk.says(copied());
    let test =
        |policy: &str| desk.post(&ada, "policy/test", json!({ "policy": policy, "days": 30 }));
    let (code, page) = test(rule);
    assert_eq!((code, &page["judged"]), (200, &json!(2)));
    assert_eq!((&page["would_be_silent"], &page["would_be_flagged"]), (&json!([]), &json!([])));
    let (_, page) = test(&other);
    let flagged = &page["would_be_flagged"][0];
    assert_eq!(
        (&flagged["equipment"], &flagged["peer"], &flagged["service"], &flagged["bytes"]),
        (&json!("gnb-1"), &json!("198.51.100.0/24"), &json!("https"), &json!(1_800))
    );
    let (_, page) = test(&format!("{rule}{}", rule.replace("198.51.100.0/24", "203.0.0.0/16")));
    let silent = &page["would_be_silent"][0];
    assert_eq!(
        (&silent["detection"], &silent["because"]),
        (&json!("EGR-NOTALLOWED"), &json!("allowed"))
    );
    assert_eq!(silent["id"], desk.alerts(&ada, "")[0]["id"]);
    let (code, page) = test("[[allow]]\n");
    assert!(code == 400 && page["error"].as_str().unwrap().contains("policy.toml:1:"), "{page}");
    let (code, _) = desk.post(&ada, "policy/test", json!({ "policy": rule, "days": 31 }));
    assert_eq!(code, 400);
}

#[test]
fn nobody_can_ask_a_replay_that_ends_and_so_nothing_is_kept_of_it() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), true, 64);
    let mut control = place.control(&["--until-end"]);
    let (_connection, _) = sensor.accept();
    sensor.push(&flow()).unwrap();
    sensor.push(&Verdict::Session(agreed(1))).unwrap();
    sensor.end(START + SECOND);
    assert_eq!(control.wait().code(), Some(0));
    let stored = fs::read(place.path("control.db")).unwrap();
    assert!(!stored.windows(8).any(|window| window == b"internet"));
    assert_eq!(place.events("session").len(), 1);
}
