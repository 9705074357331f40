//! Equipment that is handed over by the interface.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::cases::{Desk, token};
use super::fake::*;

fn entry(id: &str, address: &str, build: &str) -> String {
    format!(
        "[[equipment]]\nid = \"{id}\"\nvendor = \"Vendor B\"\nmodel = \"RU\"\nbuild = \"{build}\"\n\
         roles = [\"gnb\"]\naddresses = [\"{address}\"]\n"
    )
}

fn import(desk: &Desk, token: &str, mode: &str, toml: &str) -> (u16, Value) {
    desk.post(token, "inventory", json!({ "mode": mode, "toml": toml }))
}

fn ids(answer: &Value) -> [Vec<&str>; 3] {
    ["added", "changed", "removed"].map(|kind| {
        answer[kind].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
    })
}

#[test]
fn an_import_is_adopted_like_a_reload_and_outlives_everything() {
    let mut desk = Desk::new();
    let (root, ada) = (token(&desk.place, "root", "admin"), token(&desk.place, "ada", "analyst"));
    let three = entry("gnb-3", "10.0.0.3", "1") + &entry("gnb-4", "10.0.0.4", "1");
    assert_eq!(import(&desk, &ada, "merge", &three).0, 403);
    let asked = json!({ "mode": "merge", "dry_run": true, "toml": three });
    let (code, would) = desk.post(&root, "inventory", asked);
    assert_eq!(
        (code, ids(&would), &would["version"]),
        (200, [vec!["gnb-3", "gnb-4"], vec![], vec![]], &Value::Null)
    );
    assert!(!desk.place.path("imported.toml").exists());
    let (code, done) = import(&desk, &root, "merge", &three);
    assert_eq!((code, &done["version"]), (200, &json!(2)), "{done}");
    let policy = receive_policy(&mut desk.connection).unwrap();
    assert_eq!((policy.version, policy.equipment.len()), (2, 4));
    let before = fs::read_to_string(desk.place.path("inventory.toml")).unwrap();
    assert_eq!(before, INVENTORY, "the operator's file is not touched");

    let (_, texts) = desk.get(&ada, "inventory");
    assert_eq!((&texts["file"], &texts["equipment"]), (&json!(INVENTORY), &json!(4)));
    assert!(texts["imported_toml"].as_str().unwrap().contains("gnb-4"));
    let mut found = alert(1, 2, 1);
    found.policy = 2;
    desk.says(found);
    assert_eq!(desk.alerts(&ada, "")[0]["equipment"], "gnb-3");

    // Others stay in a merge, and what is the same is no change.
    let more = entry("gnb-3", "10.0.0.3", "2") + &entry("gnb-4", "10.0.0.4", "1");
    let (_, done) = import(&desk, &root, "merge", &(more + &entry("gnb-5", "10.0.0.5", "1")));
    assert_eq!(ids(&done), [vec!["gnb-5"], vec!["gnb-3"], vec![]]);
    assert_eq!(receive_policy(&mut desk.connection).unwrap().equipment.len(), 5);
    let told = desk.place.events("audit");
    assert_eq!((told.len(), &told[0]["weir"]["actor"]), (2, &json!("root")));
    let (_, audit) = desk.get(&root, "audit");
    let deed = &audit["items"][0];
    assert_eq!(
        (&deed["actor"], &deed["action"], &deed["object"]),
        (&json!("root"), &json!("inventory_import"), &json!("merge"))
    );
    assert_eq!(deed["detail"]["changed"], json!({ "count": 1, "ids": ["gnb-3"] }));
    assert_eq!(told[1]["weir"]["detail"], deed["detail"]);
    assert_eq!(
        audit["items"].as_array().unwrap().len(),
        2,
        "nothing was done to see what would be"
    );

    let held = desk.get(&ada, "inventory").1;
    desk.restart();
    assert_eq!(desk.get(&ada, "inventory").1, held);
    let control = desk.control.as_mut().unwrap();
    control.signal(Signal::SIGHUP);
    control.says("inventory and policy are read again");
    assert_eq!(desk.get(&ada, "inventory").1, held);

    let (_, done) = import(&desk, &root, "replace", &entry("gnb-5", "10.0.0.5", "1"));
    assert_eq!(ids(&done), [vec![], vec![], vec!["gnb-3", "gnb-4"]]);
    assert_eq!(receive_policy(&mut desk.connection).unwrap().equipment.len(), 3);
    let (code, done) = import(&desk, &root, "replace", "");
    assert_eq!((code, ids(&done)[2].len()), (200, 1));
    assert_eq!(receive_policy(&mut desk.connection).unwrap().version, 1, "as it was at first");
}

#[test]
fn what_clashes_is_refused_with_its_place_and_nothing_changes() {
    let mut desk = Desk::over(Place::new(
        "[[suppress]]\ndetection = \"EGR-NOTALLOWED\"\nequipment = \"gnb-1\"\nreason = \"known\"\n",
    ));
    let root = token(&desk.place, "root", "admin");
    let refused = |desk: &Desk, mode: &str, toml: &str| {
        let (code, answer) = import(desk, &root, mode, toml);
        assert_eq!(code, 400, "{answer}");
        answer
    };
    let clash = entry("gnb-1", "10.0.0.9", "1") + &entry("gnb-9", "10.0.0.2", "1");
    let answer = refused(&desk, "merge", &clash);
    let mistakes = answer["mistakes"].as_array().unwrap();
    assert_eq!((mistakes.len(), &mistakes[0]["line"]), (2, &json!(2)));
    let told = mistakes[0]["message"].as_str().unwrap();
    assert!(told.contains("`gnb-1` is already on line 3 of inventory.toml"), "{told}");
    assert_eq!((&mistakes[1]["line"], &mistakes[1]["column"]), (&json!(14), &json!(14)));
    let answer = refused(&desk, "merge", "[[equipment]]\nid = 5\n");
    assert_eq!(answer["mistakes"][0]["line"], 1, "{answer}");
    assert_eq!(refused(&desk, "marge", "")["error"], "mode: did you mean `merge`?");
    assert!(!desk.place.path("imported.toml").exists());

    // What was imported clashes as well, and what the policy names can't be taken away.
    assert_eq!(import(&desk, &root, "merge", &entry("gnb-3", "10.0.0.3", "1")).0, 200);
    receive_policy(&mut desk.connection).unwrap();
    let answer = refused(&desk, "merge", &entry("gnb-4", "10.0.0.3", "1"));
    let told = answer["mistakes"][0]["message"].as_str().unwrap();
    assert!(told.contains("10.0.0.3/32 is already on line 7 of imported.toml"), "{told}");
    let policy =
        "[[suppress]]\ndetection = \"EGR-NOTALLOWED\"\nequipment = \"gnb-3\"\nreason = \"known\"\n";
    fs::write(desk.place.path("policy.toml"), policy).unwrap();
    let control = desk.control.as_mut().unwrap();
    control.signal(Signal::SIGHUP);
    control.says("inventory and policy are read again");
    let answer = refused(&desk, "replace", &entry("gnb-4", "10.0.0.3", "1"));
    assert!(answer["mistakes"][0]["file"].as_str().unwrap().ends_with("policy.toml"), "{answer}");

    // A file that clashes with what was imported is refused as any bad file is.
    let clash = format!("{INVENTORY}{}", entry("gnb-3", "10.0.0.8", "1"));
    fs::write(desk.place.path("inventory.toml"), clash).unwrap();
    let control = desk.control.as_mut().unwrap();
    control.signal(Signal::SIGHUP);
    control.says("`gnb-3` is already on line");
    control.says("the old inventory and policy stay in force");
    assert_eq!(desk.get(&root, "inventory").1["file"], INVENTORY);
}

#[test]
fn a_crash_before_the_file_is_made_up_for() {
    let mut desk = Desk::new();
    let root = token(&desk.place, "root", "admin");
    assert_eq!(import(&desk, &root, "merge", &entry("gnb-3", "10.0.0.3", "1")).0, 200);
    desk.control.take().unwrap().kill();
    let store = rusqlite::Connection::open(desk.place.path("control.db")).unwrap();
    let count = "SELECT count(*) FROM import";
    let left: i64 = store.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "the file is written");
    let text = entry("gnb-7", "10.0.0.7", "1");
    store.execute("INSERT INTO import VALUES (1, ?1)", [&text]).unwrap();
    drop(store);
    desk.begin();
    assert_eq!(desk.get(&root, "inventory").1["imported_toml"], json!(text));
    assert_eq!(fs::read_to_string(desk.place.path("imported.toml")).unwrap(), text);
    desk.restart();
    assert_eq!(desk.get(&root, "inventory").1["equipment"], 3);
}
