//! What whole-process tests share: the built programs, captures with their
//! inventories, events as JSON, and patience.

pub mod desk;
pub mod replay;
pub mod scenario;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A program of the workspace, as cargo built it for this test run.
///
/// # Panics
/// If it is not built: `make test` and `cargo build` build all of them.
pub fn program(name: &str) -> PathBuf {
    let mut directory = std::env::current_exe().expect("a test has a path");
    directory.pop();
    if directory.ends_with("deps") {
        directory.pop();
    }
    let path = directory.join(name);
    assert!(path.exists(), "{} is not built; run cargo build first", path.display());
    path
}

/// `weir` with these arguments.
pub fn weir(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("weir"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `weir` to its end.
///
/// # Panics
/// If it can't be started.
pub fn run(arguments: &[&str]) -> Output {
    weir(arguments).output().expect("weir starts")
}

/// Standard error and output of a finished program, for messages.
pub fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    )
}

/// A path as an argument.
///
/// # Panics
/// If it is not UTF-8.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a test's paths are UTF-8")
}

/// A file of the committed small scenario.
pub fn small(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps/captures/small").join(file)
}

/// Writes a site's `weir.toml` into a folder: one tap that is the small capture, its inventory and policy,
/// state below the folder, HTTP at `listen`, and `more` behind it all.
///
/// # Panics
/// If it can't be written.
pub fn small_site(folder: &Path, listen: &str, more: &str) -> PathBuf {
    let file = |name: &str| small(name).canonicalize().expect("the small scenario is there");
    let config = format!(
        "[site]\nname = \"lab\"\n[[tap]]\nname = \"all\"\nlink = \"mixed\"\n\
         direction = \"both\"\ncomplete = true\nsource = \"file:{}\"\n\
         [sensor]\nworkers = [0]\n[control]\nlisten = \"{listen}\"\nstate_dir = \"state\"\n\
         [paths]\ninventory = \"{}\"\npolicy = \"{}\"\n{more}",
        text(&file("capture.pcap")),
        text(&file("inventory.toml")),
        text(&file("policy.toml")),
    );
    let path = folder.join("weir.toml");
    std::fs::write(&path, config).expect("a test's folder can be written");
    path
}

/// The folder of captures that nobody here wrote, beside the repository or above it; a user's
/// machine has none.
pub fn shared() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1);
    let found = above.map(|folder| folder.join("shared/pcaps")).find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("skipped: no captures");
    }
    found
}

/// Writes the inventory and policy of a lab with one SMF, UPF and gNB.
///
/// # Panics
/// If the files can't be written.
pub fn attack_lab(directory: &Path, [smf, upf, gnb]: [&str; 3]) {
    let entry = |id: &str, role: &str, address: &str| {
        format!(
            "[[equipment]]\nid = \"{id}\"\nvendor = \"Vendor A\"\nmodel = \"{role}\"\n\
             build = \"1\"\nroles = [\"{role}\"]\naddresses = [\"{address}\"]\n"
        )
    };
    let inventory =
        entry("smf-1", "smf", smf) + &entry("upf-1", "upf", upf) + &entry("gnb-1", "gnb", gnb);
    let policy = "ue_pools = [\"10.45.0.0/16\"]\ninfrastructure = [\"192.168.0.0/16\"]\n\
        [[allow]]\nfrom = { role = \"smf\" }\nto = { role = \"upf\" }\nservices = [\"pfcp\"]\n\
        [[allow]]\nfrom = { role = \"gnb\" }\nto = { role = \"upf\" }\nservices = [\"gtpu\"]\n";
    std::fs::write(directory.join("inventory.toml"), inventory).expect("inventory is written");
    std::fs::write(directory.join("policy.toml"), policy).expect("policy is written");
}

/// The events of a file, one JSON value a line.
///
/// # Panics
/// If a line is no JSON.
pub fn events(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event is one line of JSON"))
        .collect()
}

/// The events of one type.
pub fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event_type"] == kind).collect()
}

/// A process that ends with its test.
#[derive(Debug)]
pub struct Running(pub Child);

impl Running {
    /// Starts a program.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the program starts"))
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If the process is gone.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).expect("the process is there");
    }

    /// Waits for the end and gives the exit code; none after a signal.
    ///
    /// # Panics
    /// If it does not come.
    pub fn end(&mut self) -> Option<i32> {
        await_that("the process ends", || self.0.try_wait().expect("the process can be waited for"))
            .code()
    }

    /// The child processes that run `program`.
    pub fn children(&self, program: &str) -> Vec<i32> {
        let id = self.0.id();
        let tasks = format!("/proc/{id}/task");
        let threads = std::fs::read_dir(tasks).into_iter().flatten().flatten();
        threads
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
            .flat_map(|list| {
                list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<i32>>()
            })
            .filter(|child| {
                std::fs::read_to_string(format!("/proc/{child}/comm"))
                    .is_ok_and(|name| name.trim_end() == program)
            })
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks until there is an answer.
///
/// # Panics
/// If there is none in [`PATIENCE`].
pub fn await_that<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The status and body of an HTTP GET; none while nobody answers.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

/// A program that deploy/setup.sh keeps in a place of its own, if it is there; if not, says that a test
/// is skipped.
pub fn kept_apart(place: &str, program: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let path = cache.join("weir").join(place).join("bin").join(program);
    if !path.exists() {
        eprintln!("skipped: {place} is not installed; deploy/setup.sh test");
        return None;
    }
    Some(path)
}

/// The value of a metric's series, named as it is exported.
pub fn metric(body: &str, series: &str) -> Option<f64> {
    body.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

/// A port of the loopback that is free now.
///
/// # Panics
/// If there is none.
pub fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("a bound port has an address").to_string()
}
