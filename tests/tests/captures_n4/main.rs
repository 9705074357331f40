//! What others recorded on N4, attacks among it: found to the packet, with and without the marks that
//! a forger's tool leaves in the IP header.

mod rewrite;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weir_tests::replay::{Replayed, replay};
use weir_tests::scenario::{Alert, alerts};
use weir_tests::*;

use rewrite::{Shot, options, pfcp, shots, with_one_ttl, without_options, write};

/// A capture with what is installed where it was made.
struct Site {
    lab: tempfile::TempDir,
    shots: Vec<Shot>,
}

/// (role, address)
type Node = (&'static str, &'static str);

impl Site {
    fn new(shared: &Path, capture: &str, nodes: &[Node], policy: &str) -> Self {
        let lab = tempfile::tempdir().unwrap();
        let entry = |(number, (role, address)): (usize, &Node)| {
            format!(
                "[[equipment]]\nid = \"{role}-{number}\"\nvendor = \"Vendor A\"\nmodel = \"{role}\"\n\
                 build = \"1\"\nroles = [\"{role}\"]\naddresses = [\"{address}\"]\n"
            )
        };
        let inventory: String = nodes.iter().enumerate().map(entry).collect();
        let allowed = "[[allow]]\nfrom = { role = \"smf\" }\nto = { role = \"upf\" }\n\
            services = [\"pfcp\"]\n[[allow]]\nfrom = { role = \"gnb\" }\nto = { role = \"upf\" }\n\
            services = [\"gtpu\"]\n";
        std::fs::write(lab.path().join("inventory.toml"), inventory).unwrap();
        std::fs::write(lab.path().join("policy.toml"), format!("{policy}\n{allowed}")).unwrap();
        Self { shots: shots(&shared.join(capture)), lab }
    }

    fn attacked(shared: &Path, capture: &str, nodes: &[Node]) -> Self {
        let policy = "ue_pools = [\"10.45.0.0/16\"]\ninfrastructure = [\"192.168.0.0/16\"]";
        Self::new(shared, &format!("5g-attacks/{capture}.pcap"), nodes, policy)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.lab.path().join(name)
    }

    fn replay(&self, shots: &[Shot]) -> Replayed {
        let [inventory, policy, capture] =
            ["inventory.toml", "policy.toml", "capture.pcap"].map(|name| self.file(name));
        write(&capture, shots);
        let done =
            replay(&["--inventory", text(&inventory), "--policy", text(&policy), text(&capture)]);
        assert_eq!(done.code, Some(0), "{}", done.said);
        assert_eq!(done.summary["inspected"], shots.len());
        assert_eq!(done.summary["unaccounted"], 0);
        done
    }

    /// Frames with IPv4 options: those that were forged.
    fn forged(&self) -> usize {
        self.shots.iter().filter(|shot| options(shot) > 0).count()
    }

    /// Replays the capture, then again without what is peculiar about the forged headers, and gives
    /// what each said: never may the marks be what decides.
    fn as_it_is_and_unmarked(&self) -> [(&'static str, Replayed); 3] {
        let bare: Vec<Shot> = self.shots.iter().map(without_options).collect();
        let even: Vec<Shot> = bare.iter().map(with_one_ttl).collect();
        assert_eq!(bare.iter().filter(|shot| options(shot) > 0).count(), 0);
        [
            ("as it is", self.replay(&self.shots)),
            ("without options", self.replay(&bare)),
            ("with equal TTLs too", self.replay(&even)),
        ]
    }

    /// Requests of the 3GPP types that one address sent another, forged ones included.
    fn requests(&self, from: &str, to: &str) -> usize {
        let ends: (Ipv4Addr, Ipv4Addr) = (from.parse().unwrap(), to.parse().unwrap());
        let is_request =
            |kind| matches!(kind, 1 | 3 | 5 | 7 | 9 | 12 | 14 | 16 | 50 | 52 | 54 | 56);
        let messages = self.shots.iter().filter_map(pfcp);
        messages.filter(|(a, b, kind)| (*a, *b) == ends && is_request(*kind)).count()
    }
}

/// The last words by detection and peer.
fn last_words(done: &Replayed) -> BTreeMap<(String, String), Alert> {
    let mut by = BTreeMap::new();
    for alert in alerts(done) {
        let peer = alert.peer.map(|peer| peer.to_string()).unwrap_or_default();
        let key = (alert.detection.clone(), peer);
        assert!(by.insert(key.clone(), alert).is_none(), "{key:?} has two last words");
    }
    by
}

/// What must be found: detection, peer, and how many packets.
type Wanted<'a> = (&'a str, &'a str, std::ops::RangeInclusive<u64>);

/// Finds it in each form of the capture, as sure as before at most, and no other alert: `counted` is
/// what the summary says.
fn found(site: &Site, equipment: &str, wanted: &[Wanted<'_>], counted: &Value) {
    let mut before: BTreeMap<&str, f64> = BTreeMap::new();
    for (form, done) in site.as_it_is_and_unmarked() {
        let said = last_words(&done);
        for (detection, peer, packets) in wanted {
            let key = ((*detection).to_owned(), (*peer).to_owned());
            let alert = said.get(&key).unwrap_or_else(|| panic!("{form}: {key:?} is not found"));
            assert!(packets.contains(&alert.packets), "{form}: {key:?} counts {}", alert.packets);
            assert_eq!(alert.equipment, equipment, "{form}: {key:?}");
            let limit = *before.entry(detection).or_insert(alert.confidence);
            assert!(alert.confidence <= limit, "{form}: {key:?} is surer than {limit}");
        }
        assert_eq!(done.summary["alerts"], *counted, "{form}");
    }
}

const ATTACKED: [Node; 3] =
    [("smf", "192.168.130.186"), ("upf", "192.168.14.146"), ("gnb", "192.168.14.163")];

#[test]
fn benign_sessions_are_silent() {
    let Some(shared) = shared() else { return };
    let nodes = [("smf", "192.168.14.134"), ("upf", "192.168.130.179"), ("gnb", "192.168.130.173")];
    let site = Site::attacked(&shared, "benign_sessions", &nodes);
    found(&site, "", &[], &json!({}));
}

#[test]
fn forged_deletions_are_counted_to_the_packet() {
    let Some(shared) = shared() else { return };
    let site = Site::attacked(&shared, "capture2_pfcp_Deletion", &ATTACKED);
    assert_eq!(site.forged(), 10);
    let wanted = [("PFCP-PEER", "192.168.14.146", 10..=10)];
    found(&site, "smf-0", &wanted, &json!({ "PFCP-PEER": 1 }));
}

#[test]
fn forged_modifications_are_counted_and_what_they_redirect() {
    let Some(shared) = shared() else { return };
    let site = Site::attacked(&shared, "capture2_pfcp_Modification", &ATTACKED);
    assert_eq!(site.forged(), 15);
    let wanted =
        [("PFCP-PEER", "192.168.14.146", 15..=15), ("PFCP-REDIR", "172.21.0.111", 15..=15)];
    found(&site, "smf-0", &wanted, &json!({ "PFCP-PEER": 1, "PFCP-REDIR": 1 }));
}

#[test]
fn a_forged_flood_is_a_flood_and_a_forgery_once_each() {
    let Some(shared) = shared() else { return };
    // The second pair follows days later; it is installed and behaves.
    let nodes = [
        ATTACKED[0],
        ATTACKED[1],
        ATTACKED[2],
        ("smf", "192.168.14.188"),
        ("upf", "192.168.130.142"),
    ];
    let site = Site::attacked(&shared, "capture_2_pfcp-DoS", &nodes);
    assert_eq!(site.forged(), 1089);
    let all = site.requests("192.168.130.186", "192.168.14.146") as u64;
    assert_eq!(all, 1089 + 341);
    let wanted = [
        ("PFCP-FLOOD", "192.168.14.146", 1089..=all),
        ("PFCP-PEER", "192.168.14.146", 1089..=1089),
    ];
    // One of the forged establishments is accepted: a session with an address of no pool. The
    // requests without answers take coverage away.
    let counted = json!({ "OPS-BLIND": 1, "PFCP-FLOOD": 1, "PFCP-GHOST": 1, "PFCP-PEER": 1 });
    found(&site, "smf-0", &wanted, &counted);
}

#[test]
fn unanswered_forgeries_are_counted_too() {
    let Some(shared) = shared() else { return };
    let nodes = [("smf", "192.168.130.174"), ("upf", "192.168.14.144"), ("gnb", "192.168.14.179")];
    let site = Site::attacked(&shared, "capture_pdn", &nodes);
    assert_eq!(site.forged(), 11);
    let wanted = [("PFCP-PEER", "192.168.14.144", 11..=11)];
    found(&site, "smf-0", &wanted, &json!({ "PFCP-PEER": 1 }));
}

#[test]
fn a_stranger_who_crashes_a_upf_is_a_stranger() {
    let Some(shared) = shared() else { return };
    let nodes = [
        ("upf", "192.168.130.138"),
        ("smf", "192.168.14.145"),
        ("smf", "192.168.130.165"),
        ("gnb", "192.168.14.154"),
    ];
    let site = Site::attacked(&shared, "capture_cve", &nodes);
    let wanted = [("PFCP-PEER", "192.168.121.56", 20..=20)];
    found(&site, "upf-0", &wanted, &json!({ "PFCP-PEER": 1 }));
}

#[test]
fn a_scan_beside_n4_is_nothing_of_n4() {
    let Some(shared) = shared() else { return };
    let nodes = [("smf", "192.168.130.174"), ("upf", "192.168.14.144"), ("gnb", "192.168.14.179")];
    let site = Site::attacked(&shared, "capture2_nmap-port-service", &nodes);
    let scanner = [("INV-UNKNOWN", "192.168.14.149", 1024..=1024)];
    found(&site, "upf-1", &scanner, &json!({ "INV-UNKNOWN": 1 }));
}

/// The whole of OAI: N2, N3 and N4, with the SMF's graces as the policy says.
fn oai(shared: &Path, policy: &str) -> Site {
    let nodes = [("gnb", "192.168.70.129"), ("smf", "192.168.70.133"), ("upf", "192.168.70.134")];
    let policy = format!("ue_pools = [\"12.1.1.0/24\"]\n{policy}");
    Site::new(shared, "oai-5greplay/oai.pcap", &nodes, &policy)
}

const AT_ONCE: &str = "[detections.GTP-ORPHAN]\nstart_grace_seconds = 0";

#[test]
fn every_g_pdu_of_oai_belongs_to_its_session() {
    let Some(shared) = shared() else { return };
    let listed = run(&["sessions", text(&shared.join("oai-5greplay/oai.pcap"))]);
    assert!(listed.status.success(), "{}", said(&listed));
    let line: Value = serde_json::from_slice(&listed.stdout).expect("there is one session");
    assert_eq!(line["packets"], json!({ "ul": 103, "dl": 95 }));
    // That gNB sends no PDU Session Container.
    assert_eq!(line["qfi"], json!({ "ul": [], "dl": [7] }));
    // "Now" in every heartbeat request is no restart.
    assert_eq!(line["state"], "active");
    for policy in ["", AT_ONCE] {
        let site = oai(&shared, policy);
        let done = site.replay(&site.shots);
        assert_eq!(done.summary["gtpu_messages"], 198);
        let of_tunnels: Vec<_> =
            alerts(&done).into_iter().filter(|alert| alert.detection.starts_with("GTP-")).collect();
        assert!(of_tunnels.is_empty(), "{policy:?}: {of_tunnels:?}");
    }
}

#[test]
fn tunnels_whose_session_was_never_agreed_are_orphans_after_the_graces() {
    let Some(shared) = shared() else { return };
    let site = oai(&shared, AT_ONCE);
    let is_of_sessions =
        |shot: &&Shot| pfcp(shot).is_some_and(|(_, _, kind)| (50..=53).contains(&kind));
    let rest: Vec<Shot> = site.shots.iter().filter(|shot| !is_of_sessions(shot)).cloned().collect();
    assert_eq!(site.shots.len() - rest.len(), 4);
    let orphans = |site: &Site| -> Vec<Alert> {
        let said = alerts(&site.replay(&rest)).into_iter();
        said.filter(|alert| alert.detection == "GTP-ORPHAN").collect()
    };
    let found: Vec<Value> = orphans(&site)
        .iter()
        .map(|alert| {
            let weir = &alert.event["weir"];
            assert_eq!(weir["n4_coverage"], 1.0);
            assert_eq!(alert.severity, "high");
            json!([weir["direction"], alert.equipment, alert.packets, weir["gtpu"]["teids"]])
        })
        .collect();
    let wanted = [json!(["ul", "gnb-0", 103, [8]]), json!(["dl", "upf-2", 95, [0xca6f_e0dd_u32]])];
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(wanted.iter().all(|wanted| found.contains(wanted)), "{found:?}");
    assert_eq!(orphans(&oai(&shared, "")).len(), 0, "the grace is over too soon");
}
