//! The analyst's page in a real Chromium, served by a real control that a real sensor fed. The scripts
//! beside this file do what a person would; this one replays, and looks at what came of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use weir_tests::desk::Desk;
use weir_tests::{kept_apart, run, said, text};

/// The browser with its driver; none where a machine has none, which is said.
struct Browser {
    python: PathBuf,
}

impl Browser {
    fn find() -> Option<Self> {
        if !Path::new("/usr/bin/chromium").exists() {
            eprintln!("skipped: there is no Chromium; deploy/setup.sh test");
            return None;
        }
        kept_apart("browser", "python").map(|python| Self { python })
    }

    /// Where pictures are left.
    fn pictures() -> PathBuf {
        // A test lies in target/PROFILE/deps.
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(3).unwrap().join("ui")
    }

    /// Runs a script to its end and gives what it found.
    fn run(&self, script: &str, desk: &Desk, more: &[&str]) -> Value {
        let pictures = Self::pictures();
        std::fs::create_dir_all(&pictures).unwrap();
        self.run_into(script, desk, &pictures, more)
    }

    fn run_into(&self, script: &str, desk: &Desk, pictures: &Path, more: &[&str]) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(script);
        let done = Command::new(&self.python)
            .arg(&script)
            .args([&desk.address, &desk.token])
            .arg(pictures)
            .args(more)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        let (said, found) =
            (String::from_utf8_lossy(&done.stderr), String::from_utf8_lossy(&done.stdout));
        assert!(done.status.success(), "{}: {said}{found}", script.display());
        serde_json::from_str(found.lines().last().unwrap_or_default()).unwrap()
    }
}

/// A site of one of the scenarios.
fn scenario(name: &str, role: &str) -> Desk {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("pcaps/scenarios");
    Desk::at(role, |folder, address| {
        let scenario = scenarios.join(name).with_extension("toml");
        let made = run(&["generate", text(&scenario), "--out", text(folder)]);
        assert!(made.status.success(), "{}", said(&made));
        let config = folder.join("weir.toml");
        let site = format!(
            "[site]\nname = \"lab\"\n[[tap]]\nname = \"all\"\nlink = \"mixed\"\ndirection = \"both\"\n\
             complete = true\nsource = \"file:capture.pcap\"\n[sensor]\nworkers = [0]\n\
             [control]\nlisten = \"{address}\"\nstate_dir = \"state\"\n\
             [paths]\ninventory = \"inventory.toml\"\npolicy = \"policy.toml\"\n"
        );
        std::fs::write(&config, site).unwrap();
        config
    })
}

#[test]
fn an_analyst_silences_a_theft_by_the_keyboard_and_its_next_replay_stays_silent_and_is_counted() {
    let Some(browser) = Browser::find() else { return };
    let desk = Desk::of("analyst");
    desk.replay();
    let found = browser.run("main_path.py", &desk, &["0"]);
    let (id, number) = (found["alert"].as_str().unwrap(), found["number"].as_u64().unwrap());
    assert_eq!(found["silenced"], 1, "what was stored is silenced at once: {found}");
    let suppression = &desk.items("suppressions")[0];
    assert_eq!(
        (&suppression["number"], &suppression["reason"]),
        (&number.into(), &"support case 4711".into())
    );
    let told =
        |desk: &Desk| desk.events("alert").iter().filter(|event| event["weir"]["id"] == id).count();
    let before = (told(&desk), desk.events("alert").len());
    assert!(before.0 > 0, "{id} was told of");
    desk.replay();
    assert_eq!(told(&desk), before.0, "its next replay is silent");
    assert!(desk.events("alert").len() > before.1, "everything else goes on");
    let counted = desk.items("suppressions")[0]["alerts"].as_u64().unwrap();
    let found = browser.run("main_path.py", &desk, &[&number.to_string()]);
    assert_eq!(found["number"], number);
    assert_eq!(found["silenced"], counted, "the page shows what was counted");
    assert!(counted >= 1, "{found}");
}

#[test]
fn every_view_is_whole_by_day_and_night_on_a_desk_and_on_a_telephone() {
    let Some(browser) = Browser::find() else { return };
    let desk = Desk::of("admin");
    desk.replay();
    let found = browser.run("views.py", &desk, &[]);
    assert_eq!(found["checked"], 4 * 14);
}

#[test]
fn policies_are_tried_subscribers_shown_for_a_reason_and_who_may_only_look_is_offered_nothing() {
    let Some(browser) = Browser::find() else { return };
    let desk = Desk::of("admin");
    desk.replay();
    let viewer = desk.token_of("eve", "viewer");
    browser.run("deeds.py", &desk, &[&viewer]);
    assert_eq!(desk.items("suppressions")[0]["state"], "revoked");
}

#[test]
fn whom_an_alert_is_about_is_shown_to_whoever_says_why() {
    let Some(browser) = Browser::find() else { return };
    let desk = scenario("sessions", "admin");
    desk.replay();
    let viewer = desk.token_of("eve", "viewer");
    let found = browser.run("identity.py", &desk, &[&viewer]);
    let deed = &desk.items("audit")[0];
    assert_eq!((&deed["action"], &deed["object"]), (&"identity.reveal".into(), &found["alert"]));
}

#[test]
fn names_that_would_be_markup_are_text() {
    let Some(browser) = Browser::find() else { return };
    let desk = Desk::of("admin");
    desk.replay();
    browser.run("hostile.py", &desk, &[]);
}

#[test]
fn a_page_that_is_left_open_amid_100_000_alerts_stays_small() {
    let Some(browser) = Browser::find() else { return };
    let desk = Desk::of("viewer");
    desk.replay();
    let found = browser.run("flood.py", &desk, &[]);
    println!("{found}");
}

#[test]
fn what_changes_by_itself_takes_nothing_out_of_anybodys_hand() {
    let Some(browser) = Browser::find() else { return };
    let desk = Desk::of("admin");
    desk.replay();
    let viewer = desk.token_of("eve", "viewer");
    let found = browser.run("steady.py", &desk, &[&viewer]);
    println!("{found}");
}

/// The documentation's pictures, for who wants them made anew: WEIR_PICTURES=docs/pictures.
#[test]
fn pictures_are_made_where_they_are_asked_for() {
    let Some(place) = std::env::var_os("WEIR_PICTURES") else { return };
    let browser = Browser::find().expect("pictures need the browser");
    let desk = scenario("demo", "analyst");
    let _sensor = desk.play("12x");
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(place);
    std::fs::create_dir_all(&place).unwrap();
    browser.run_into("pictures.py", &desk, &place, &[]);
}
