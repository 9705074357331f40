//! Prometheus and Alertmanager with the examples' configuration, at ports of their own and in a hurry.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use weir_tests::*;

use crate::files::read;

/// Whether a program is installed; if not, says that a test is skipped.
pub(crate) fn is_installed(program: &str) -> bool {
    let run = Command::new(program).arg("--version").output();
    if run.is_err() {
        eprintln!("skipped: {program} is not installed");
    }
    run.is_ok()
}

/// A text with other words in some places, each of which must be there.
fn with(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "the example has no {old:?}");
        text.replace(old, new)
    })
}

fn start(program: &str, directory: &Path, arguments: &[String]) -> Running {
    let log = std::fs::File::create(directory.join("log")).expect("a log can be written");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null());
    Running::start(command.stderr(log))
}

/// Alertmanager.
pub(crate) struct Alertmanager {
    pub(crate) address: String,
    _process: Running,
}

impl Alertmanager {
    /// With the example's routes, which tell a webhook.
    pub(crate) fn start(directory: &Path, webhook: &str) -> Self {
        let address = free_address();
        let config = with(
            &read("deploy/alertmanager/alertmanager.example.yml"),
            &[("127.0.0.1:9095", webhook), ("group_wait: 30s", "group_wait: 1s")],
        );
        std::fs::write(directory.join("alertmanager.yml"), config).unwrap();
        let arguments = [
            "--config.file=alertmanager.yml".to_owned(),
            "--storage.path=alerts".to_owned(),
            format!("--web.listen-address={address}"),
            // No other one is to be found.
            "--cluster.listen-address=".to_owned(),
        ];
        let process = start("prometheus-alertmanager", directory, &arguments);
        await_that("Alertmanager is ready", || {
            ask(&address, "/-/ready").filter(|(status, _)| *status == 200)
        });
        Self { address, _process: process }
    }
}

/// Prometheus.
pub(crate) struct Prometheus {
    address: String,
    _process: Running,
}

impl Prometheus {
    /// With the example's configuration and the rules as they are, each second.
    pub(crate) fn start(directory: &Path, control: &str, alertmanager: &str) -> Self {
        let address = free_address();
        let config = with(
            &read("deploy/prometheus/prometheus.example.yml"),
            &[
                ("15s", "1s"),
                ("127.0.0.1:9810", control),
                ("127.0.0.1:9093", alertmanager),
                ("site: north\n", "site: north\n          input: replay\n"),
            ],
        );
        std::fs::write(directory.join("prometheus.yml"), config).unwrap();
        let rules = read("deploy/prometheus/weir.rules.yml");
        std::fs::write(directory.join("weir.rules.yml"), rules).unwrap();
        let arguments = [
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=series".to_owned(),
            format!("--web.listen-address={address}"),
        ];
        let process = start("prometheus", directory, &arguments);
        await_that("Prometheus is ready", || {
            ask(&address, "/-/ready").filter(|(status, _)| *status == 200)
        });
        Self { address, _process: process }
    }

    /// What an expression gives now.
    ///
    /// # Errors
    /// What Prometheus complains of.
    pub(crate) fn query(&self, expr: &str) -> Result<Vec<Value>, String> {
        let path = format!("/api/v1/query?query={}", encoded(expr));
        let (status, body) = ask(&self.address, &path).ok_or("no answer")?;
        if status != 200 {
            return Err(body);
        }
        let answer: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        match &answer["data"]["result"] {
            Value::Array(series) if answer["data"]["resultType"] == "vector" => Ok(series.clone()),
            other => Err(format!("no vector: {other}")),
        }
    }

    /// Every rule of the rules file, as it was evaluated last.
    pub(crate) fn rules(&self) -> Option<Vec<Value>> {
        let (_, body) = ask(&self.address, "/api/v1/rules")?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        let groups = answer["data"]["groups"].as_array()?;
        Some(groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect())
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// An HTTP GET in the version without chunks.
fn ask(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}
