//! `weir top` over a real control and sensor: its page, what it refuses, and a terminal that is given back.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use weir_tests::desk::Desk;
use weir_tests::*;

/// A file with a token, that its owner alone may read.
fn token_file(desk: &Desk, token: &str) -> String {
    let path = desk.file("token");
    fs::write(&path, token).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    text(&path).to_owned()
}

fn once(desk: &Desk, arguments: &[&str]) -> Output {
    let address = format!("http://{}", desk.address);
    let mut command = weir(&["top", "--once", "--address", &address]);
    command.args(arguments).env_remove("WEIR_TOKEN").output().unwrap()
}

#[test]
fn its_page_says_what_the_interface_says() {
    let desk = Desk::of("viewer");
    desk.replay();
    let token = token_file(&desk, &desk.token);
    let told = once(&desk, &["--token-file", &token]);
    assert!(told.status.success(), "{}", said(&told));
    let page = String::from_utf8(told.stdout).unwrap();
    let state = desk.ask("GET", "state", &Value::Null);
    let (inspected, received) = (&state["inspected"], &state["received"]);
    assert!(received.as_u64().unwrap() > 0);
    assert!(page.starts_with("weir lab: The replay has ended ("), "{page}");
    let frames = format!("{inspected} of {received} frames were inspected");
    assert!(page.replace(',', "").contains(&frames), "{page}");
    let new = state["alerts"]["new"].as_u64().unwrap();
    assert!(
        new > 0 && page.contains(&format!("\nAlerts         {new} new, 0 acknowledged")),
        "{page}"
    );
    let open = desk.items("incidents?limit=500");
    let is_open = |it: &&Value| it["status"] == "new" || it["status"] == "acknowledged";
    let open: Vec<&Value> = open.iter().filter(is_open).collect();
    assert!(
        page.contains(&format!("\nOpen incidents: {}, the gravest first\n", open.len())),
        "{page}"
    );
    let rows: Vec<&str> = page.lines().skip_while(|row| !row.starts_with("Open")).skip(1).collect();
    assert_eq!(rows.len(), open.len().min(50));
    for incident in open {
        let number = incident["number"].to_string();
        let row = rows.iter().find(|row| row.split_whitespace().nth(1) == Some(&number));
        let row = row.unwrap_or_else(|| panic!("no incident {number}: {page}"));
        assert!(row.starts_with(incident["severity"].as_str().unwrap()), "{row}");
        assert!(row.contains(incident["equipment"][0].as_str().unwrap_or("-")), "{row}");
    }
    let order = ["critical", "high", "medium", "low", "info"];
    let rank = |row: &&str| order.iter().position(|word| row.starts_with(word));
    assert!(rows.iter().map(rank).is_sorted(), "{page}");
    assert!(!page.contains('\u{1b}'), "plain text");
}

#[test]
fn what_is_refused_is_said_with_what_to_do() {
    let desk = Desk::of("viewer");
    let refused = |told: &Output, code: i32, words: [&str; 2]| {
        let message = String::from_utf8_lossy(&told.stderr);
        assert_eq!(told.status.code(), Some(code), "{message}");
        assert!(told.stdout.is_empty(), "nothing but the result stands on standard output");
        let is_whole = message.starts_with("error: ") && message.matches("; ").count() >= 2;
        assert!(is_whole && words.iter().all(|it| message.contains(it)), "{message}");
        assert!(!message.contains("weir_ada"), "no token is told: {message}");
    };
    refused(&once(&desk, &[]), 1, ["wants a token", "--token-file or WEIR_TOKEN"]);
    let wrong = token_file(&desk, "weir_ada_wrong");
    refused(&once(&desk, &["--token-file", &wrong]), 1, ["does not know the token", "--new-token"]);
    let token = token_file(&desk, &desk.token);
    assert!(once(&desk, &["--token-file", &token]).status.success());
    fs::set_permissions(&token, Permissions::from_mode(0o644)).unwrap();
    refused(&once(&desk, &["--token-file", &token]), 2, ["others may read the token", "chmod 600"]);
    let nobody = format!("http://{}", free_address());
    refused(
        &once_at(&nobody),
        1,
        ["no connection to weir-control: nobody listens there", "systemctl status weir-control"],
    );
    refused(&once_at("http://192.0.2.1:9810"), 2, ["has to be https", "write it as"]);
    refused(&once_at("https://127.0.0.1:9810"), 2, ["whose certificate to trust", "--ca"]);
    let mut with_variable = weir(&["top", "--address", &format!("http://{}", desk.address)]);
    let told = with_variable.env("WEIR_TOKEN", &desk.token).output().unwrap();
    assert!(told.status.success(), "without a terminal it is one page: {}", said(&told));
}

fn once_at(address: &str) -> Output {
    weir(&["top", "--once", "--address", address]).env_remove("WEIR_TOKEN").output().unwrap()
}

/// Writes an authority's certificate, and certificates with their keys that it signed, for control and for
/// a client of it.
fn certify(folder: &Path, client: &str) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join(format!("{client}-ca.pem")), authority.pem()).unwrap();
    for (name, subject) in [("weir", "127.0.0.1"), (client, "top")] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![subject.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        let path = folder.join(format!("{name}.key"));
        fs::write(&path, key.serialize_pem()).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn over_https_both_ends_show_who_they_are() {
    let desk = Desk::at("viewer", |folder, address| {
        certify(folder, "stranger");
        certify(folder, "top");
        let tls = "[control.tls]\ncertificate = \"weir.pem\"\nkey = \"weir.key\"\nclient_ca = \"top-ca.pem\"\n";
        small_site(folder, address, tls)
    });
    let file = |name: &str| text(&desk.file(name)).to_owned();
    let address = format!("https://{}", desk.address);
    let ask = |ca: &str, client: Option<&str>| {
        let mut command = weir(&["top", "--once", "--address", &address, "--ca", &file(ca)]);
        if let Some(name) = client {
            let [certificate, key] = ["pem", "key"].map(|kind| file(&format!("{name}.{kind}")));
            command.args(["--certificate", &certificate, "--key", &key]);
        }
        command.env("WEIR_TOKEN", &desk.token).output().unwrap()
    };
    let told = ask("top-ca.pem", Some("top"));
    assert!(told.status.success(), "{}", said(&told));
    assert!(said(&told).starts_with("weir: The sensor is away"), "{}", said(&told));
    for (ca, client, complaint) in [
        (
            "stranger-ca.pem",
            Some("top"),
            "error: the connection is not safe: invalid peer certificate",
        ),
        ("top-ca.pem", None, "error: weir-control wants a certificate that it trusts"),
        ("top-ca.pem", Some("stranger"), "error: weir-control wants a certificate that it trusts"),
    ] {
        let told = ask(ca, client);
        assert_eq!(told.status.code(), Some(1));
        assert!(said(&told).starts_with(complaint), "{ca} {client:?}: {}", said(&told));
    }
    fs::set_permissions(file("top.key"), Permissions::from_mode(0o640)).unwrap();
    let told = ask("top-ca.pem", Some("top"));
    assert_eq!(told.status.code(), Some(2));
    assert!(said(&told).contains("others may read the certificate's key"), "{}", said(&told));
}

/// `weir top` on a terminal of its own.
struct Shown {
    terminal: OpenptyResult,
    /// What a terminal makes of what it writes.
    emulated: Arc<Mutex<vt100::Parser>>,
    process: Running,
}

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

impl Shown {
    fn start(desk: &Desk) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = openpty(&size, None).unwrap();
        let end = || Stdio::from(terminal.slave.try_clone().unwrap());
        // The terminal has to be the controlling one, or its size is asked of another. A child that leads
        // no group becomes weir itself.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program("weir"));
        command.args(["top", "--address", &format!("http://{}", desk.address)]);
        command.env("WEIR_TOKEN", &desk.token).env("TERM", "xterm-256color");
        command.stdin(end()).stdout(end()).stderr(end());
        let emulated = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let shared = Arc::clone(&emulated);
        let mut master = File::from(terminal.master.try_clone().unwrap());
        thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = master.read(&mut some) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).process(&some[..read]);
            }
        });
        Self { terminal, emulated, process: Running::start(&mut command) }
    }

    fn screen(&self) -> vt100::Screen {
        self.emulated.lock().unwrap_or_else(PoisonError::into_inner).screen().clone()
    }

    fn await_text(&self, what: &str) {
        await_that(&format!("{what:?} on a screen"), || {
            self.screen().contents().contains(what).then_some(())
        });
    }

    fn press(&self, keys: &str) {
        File::from(self.terminal.master.try_clone().unwrap()).write_all(keys.as_bytes()).unwrap();
    }

    /// Whether lines are edited and shown as they are typed: what a shell wants.
    fn is_usual(&self) -> bool {
        let flags = tcgetattr(&self.terminal.slave).unwrap().local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// It ends well, and the terminal is as before.
    fn gives_back(mut self) {
        assert_eq!(self.process.end(), Some(0));
        await_that("the screen and the cursor are given back", || {
            let screen = self.screen();
            (!screen.alternate_screen() && !screen.hide_cursor()).then_some(())
        });
        assert!(self.is_usual());
    }
}

/// Shows it, until incidents are seen.
fn shown(desk: &Desk) -> Shown {
    let shown = Shown::start(desk);
    shown.await_text("EGR-NOTALLOWED");
    // The cursor is hidden behind what is drawn.
    await_that("the screen is taken, without a cursor", || {
        let screen = shown.screen();
        (screen.alternate_screen() && screen.hide_cursor()).then_some(())
    });
    assert!(!shown.is_usual(), "keys come one by one");
    shown
}

#[test]
fn the_terminal_is_given_back_after_q_and_after_signals() {
    let desk = Desk::of("viewer");
    desk.replay();
    let by_key = shown(&desk);
    by_key.await_text("Enter open");
    by_key.press("\r");
    by_key.await_text("Esc back");
    by_key.await_text("Equipment");
    by_key.press("\u{1b}");
    by_key.await_text("Enter open");
    by_key.press("?");
    by_key.await_text("the alerts of an incident");
    by_key.press("q");
    by_key.gives_back();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let by_signal = shown(&desk);
        by_signal.process.signal(signal);
        by_signal.gives_back();
    }
}

#[test]
fn a_control_that_goes_and_comes_is_said_and_found_again() {
    let mut desk = Desk::of("viewer");
    desk.replay();
    let shown = shown(&desk);
    desk.restart(|| {
        shown.await_text("No answer");
        shown.await_text("nobody listens there. Asking again.");
        shown.await_text("EGR-NOTALLOWED");
    });
    shown.await_text("The sensor is away");
    shown.await_text("EGR-NOTALLOWED");
    shown.press("q");
    shown.gives_back();
}
