//! An analyst's desk: a control with a token, and sensors that replay one capture after the other
//! into it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    Running, await_that, events, free_address, of_type, run, said, small_site, text, weir,
};

/// A control, and somebody's token for it.
#[derive(Debug)]
pub struct Desk {
    /// Where its files are.
    pub directory: tempfile::TempDir,
    /// Where it is served.
    pub address: String,
    /// The token.
    pub token: String,
    control: Running,
}

impl Desk {
    /// Starts one of the small scenario's site, with a token of this role.
    ///
    /// # Panics
    /// If it does not start.
    pub fn of(role: &str) -> Self {
        Self::at(role, |folder, address| small_site(folder, address, ""))
    }

    /// The same of a site whose weir.toml is written into a folder, with HTTP at an address.
    ///
    /// # Panics
    /// If it does not start.
    pub fn at(role: &str, site: impl FnOnce(&Path, &str) -> PathBuf) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let address = free_address();
        let path = site(directory.path(), &address);
        let token = issue(&path, "ada", role);
        let control = serve(&path, &address);
        Self { directory, address, token, control }
    }

    /// Kills control, does something, and starts it again.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self, meanwhile: impl FnOnce()) {
        self.control.signal(Signal::SIGKILL);
        self.control.end();
        meanwhile();
        self.control = serve(&self.file("weir.toml"), &self.address);
    }

    /// A token for somebody else.
    pub fn token_of(&self, name: &str, role: &str) -> String {
        issue(&self.file("weir.toml"), name, role)
    }

    /// A file of its directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts a sensor that plays the site's captures at a speed.
    pub fn play(&self, speed: &str) -> Running {
        let config = self.file("weir.toml");
        let mut sensor = weir(&["sensor", "--config", text(&config), "--speed", speed]);
        Running::start(sensor.stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// A sensor replays the capture to its end, and all of it is stored.
    ///
    /// # Panics
    /// If it does not.
    pub fn replay(&self) {
        let stats = self.events("stats").len();
        let mut sensor = self.play("max");
        assert_eq!(sensor.end(), Some(0));
        await_that("the replay's counters are written", || {
            (self.events("stats").len() > stats).then_some(())
        });
    }

    /// The events of one type so far.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let path = self.file("state/eve.json");
        if !path.exists() {
            return Vec::new();
        }
        of_type(&events(&path), kind).into_iter().cloned().collect()
    }

    /// What the interface answers.
    ///
    /// # Panics
    /// If it refuses.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address).expect("control is there");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket has a timeout");
        write!(
            stream,
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            self.token,
            body.len(),
        )
        .expect("control reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("control answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP has a head");
        assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        serde_json::from_str(body).expect("answers are JSON")
    }

    /// The items of a list.
    ///
    /// # Panics
    /// If it is none.
    pub fn items(&self, path: &str) -> Vec<Value> {
        self.ask("GET", path, &Value::Null)["items"].as_array().expect("a list").clone()
    }
}

fn serve(config: &Path, address: &str) -> Running {
    let mut control = weir(&["control", "--config", text(config)]);
    let control = Running::start(control.stdout(Stdio::null()).stderr(Stdio::null()));
    await_that("control answers", || TcpStream::connect(address).ok());
    control
}

fn issue(config: &Path, name: &str, role: &str) -> String {
    let made = run(&["control", "--config", text(config), "--new-token", name, "--role", role]);
    assert!(made.status.success(), "{}", said(&made));
    String::from_utf8(made.stdout).expect("a token is text").trim().to_owned()
}
