//! The whole of Weir on one end of a veth pair, as it is installed: `weir-sensor` behind the kernel's
//! interface, `weir-control` with its metrics, and `weir-sender` at the other end.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::exposition::Exposition;
use crate::machine::program_beside;
use crate::veth::{Pair, TAP, WIRE};

const SENSOR: &str = "weir-sensor";
const CONTROL: &str = "weir-control";
const SENDER: &str = "weir-sender";

/// How long a program may take to come up, or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at the metrics.
const GLANCE: Duration = Duration::from_millis(50);

/// gNB, UPF and SMF of the mix, and what they may do: the gNB's own packets to anybody else are not
/// among it.
const INVENTORY: &str = "\
[[equipment]]
id = \"gnb-1\"
vendor = \"V\"
model = \"M\"
build = \"1\"
roles = [\"gnb\"]
addresses = [\"10.0.0.1\"]
[[equipment]]
id = \"upf-1\"
vendor = \"V\"
model = \"M\"
build = \"1\"
roles = [\"upf\"]
addresses = [\"10.0.1.1\", \"10.0.2.1\"]
[[equipment]]
id = \"smf-1\"
vendor = \"V\"
model = \"M\"
build = \"1\"
roles = [\"smf\"]
addresses = [\"10.0.2.100\"]
";
const POLICY: &str = "\
ue_pools = [\"10.60.0.0/16\"]
infrastructure = [\"10.0.0.0/16\"]
[[allow]]
from = { role = \"gnb\" }
to = { role = \"upf\" }
services = [\"gtpu\"]
[[allow]]
from = { role = \"smf\" }
to = { role = \"upf\" }
services = [\"pfcp\"]
";

/// Where what runs: the worker alone on one core; the judge, control and whoever sends on the other.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// The worker's.
    pub worker: usize,
    /// Everybody else's.
    pub others: usize,
}

/// A sensor and a control at work. They end with this.
#[derive(Debug)]
pub struct Site {
    // The programs end before the interfaces go.
    sensor: Program,
    control: Program,
    address: String,
    cores: Cores,
    sender: PathBuf,
    folder: tempfile::TempDir,
    pair: Pair,
}

impl Site {
    /// Why there can't be one, if so.
    pub fn obstacle() -> Option<String> {
        let absent =
            || [SENSOR, CONTROL, SENDER].into_iter().find(|it| program_beside(it).is_none());
        Pair::obstacle()
            .or_else(|| absent().map(|name| format!("{name} is not built in the same profile")))
    }

    /// Starts both behind AF_PACKET with a ring of so many frames, and waits until they are attached
    /// and the policy is in force.
    ///
    /// # Errors
    /// When one does not come up; with what it said.
    pub fn start(ring: u32, cores: Cores) -> anyhow::Result<Self> {
        let find = |name| program_beside(name).with_context(|| format!("{name} is not built"));
        let (sensor, control, sender) = (find(SENSOR)?, find(CONTROL)?, find(SENDER)?);
        let folder = tempfile::tempdir()?;
        let file = |name: &str| folder.path().join(name);
        let address = free_address()?;
        let config = format!(
            "[site]\nname = \"bench\"\n[[tap]]\nname = \"veth\"\nlink = \"mixed\"\n\
             direction = \"both\"\ncomplete = true\nsource = \"vdev:net_af_packet0,iface={TAP},framecnt={ring}\"\n\
             [sensor]\nworkers = [{}]\ncontrol_core = {}\n\
             [control]\nlisten = \"{address}\"\nstate_dir = \"state\"\n\
             [paths]\ninventory = \"inventory.toml\"\npolicy = \"policy.toml\"\n",
            cores.worker, cores.others
        );
        let written =
            [("weir.toml", &*config), ("inventory.toml", INVENTORY), ("policy.toml", POLICY)];
        for (name, text) in written {
            std::fs::write(file(name), text).with_context(|| format!("can't write {name}"))?;
        }
        let pair = Pair::new()?;
        let config = file("weir.toml");
        let with_config = |command: &mut Command, name| {
            Program::start(command.arg("--config").arg(&config), name, &file(name))
        };
        let control =
            with_config(on_core(&mut Command::new("taskset"), cores.others, &control), CONTROL)?;
        let sensor = with_config(&mut pair.tap.command(&sensor), SENSOR)?;
        let mut site = Self { sensor, control, address, cores, sender, folder, pair };
        let ready = |metrics: &Exposition| {
            metrics.sum("weir_sensor_up", &[]) == 1.0
                && metrics.sum("weir_policy_info", &["version=\"1\""]) == 1.0
                && metrics.sum("weir_packet_timestamp_seconds", &[]) > 0.0
        };
        site.await_metrics(PATIENCE, ready)?
            .context("sensor and control are not attached to each other after 30 s")?;
        Ok(site)
    }

    /// What control says at `/metrics`.
    ///
    /// # Errors
    /// When it does not answer, or either program has ended.
    pub fn metrics(&mut self) -> anyhow::Result<Exposition> {
        self.sensor.is_alive()?;
        self.control.is_alive()?;
        get(&self.address, "/metrics").context("no metrics")
    }

    /// Looks at the metrics until they are as wished; none if they never are.
    ///
    /// # Errors
    /// When a program has ended.
    pub fn await_metrics(
        &mut self,
        patience: Duration,
        is_wished: impl Fn(&Exposition) -> bool,
    ) -> anyhow::Result<Option<Exposition>> {
        let began = Instant::now();
        while began.elapsed() < patience {
            self.sensor.is_alive()?;
            self.control.is_alive()?;
            // Control serves nothing yet, or is busy.
            if let Ok(metrics) = get(&self.address, "/metrics")
                && is_wished(&metrics)
            {
                return Ok(Some(metrics));
            }
            std::thread::sleep(GLANCE);
        }
        Ok(None)
    }

    /// The metrics when no more frames come, and overload is over.
    ///
    /// # Errors
    /// As [`Site::metrics`], and if that does not happen.
    pub fn settled(&mut self) -> anyhow::Result<Exposition> {
        let mut before = f64::NAN;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            // The sensor's ports are read every 50 ms, and control's store may be behind.
            std::thread::sleep(4 * GLANCE);
            let metrics = self.metrics()?;
            let received = metrics.sum("weir_received_packets_total", &[]);
            let is_calm = ["weir_events_unread", "weir_shed_ratio"]
                .iter()
                .all(|name| metrics.sum(name, &[]) == 0.0);
            if received == before && is_calm {
                return Ok(metrics);
            }
            before = received;
        }
        bail!(
            "frames still come, or overload lasts, {} s after the last was sent",
            PATIENCE.as_secs()
        )
    }

    /// A place for a capture that goes with the site.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sends a capture so many times over, at so many times the recorded pace.
    ///
    /// # Errors
    /// When the sender can't be started.
    pub fn send(&self, capture: &Path, speed: f64, passes: u32) -> anyhow::Result<Sending> {
        let summary = capture.with_extension("summary");
        let mut command = self.pair.wire.command(Path::new("taskset"));
        on_core(&mut command, self.cores.others, &self.sender)
            .args(["--to", WIRE, "--preload", "--loop", &passes.to_string()])
            .args(["--speed", &format!("{speed}x")])
            .arg("--summary")
            .arg(&summary)
            .arg(capture);
        let said = capture.with_extension("said");
        Ok(Sending { program: Program::start(&mut command, SENDER, &said)?, summary })
    }
}

/// Makes of `taskset` a program on a core.
fn on_core<'a>(taskset: &'a mut Command, core: usize, program: &Path) -> &'a mut Command {
    taskset.args(["-c", &core.to_string()]).arg(program)
}

fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port on the loopback")?;
    Ok(listener.local_addr()?.to_string())
}

fn get(address: &str, path: &str) -> anyhow::Result<Exposition> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) =
        answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
    if head.split(' ').nth(1) != Some("200") {
        bail!("{path} answers {}", head.lines().next().unwrap_or_default());
    }
    Ok(Exposition::of(body))
}

/// A sender at work.
#[derive(Debug)]
pub struct Sending {
    program: Program,
    summary: PathBuf,
}

/// What it sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Frames that the device took.
    pub frames: u64,
    /// How long it sent.
    pub seconds: f64,
}

impl Sending {
    /// Whether it sends, or prepares to.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.program.child.try_wait()?.is_none())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it failed, or does not account for its frames.
    pub fn finish(mut self) -> anyhow::Result<Sent> {
        self.program.succeed()?;
        let summary: Value = serde_json::from_slice(&std::fs::read(&self.summary)?)?;
        let number = |key: &str| {
            summary[key].as_f64().with_context(|| format!("no number at {key} in {summary}"))
        };
        let frames = number("sent")?;
        if number("frames")? != frames {
            bail!("weir-sender could not send everything: {summary}");
        }
        Ok(Sent { frames: frames as u64, seconds: number("seconds")? })
    }
}

/// A program of Weir's at work, which ends with this.
#[derive(Debug)]
struct Program {
    child: Child,
    name: &'static str,
    /// Where its words go.
    said: PathBuf,
}

impl Program {
    fn start(command: &mut Command, name: &'static str, said: &Path) -> anyhow::Result<Self> {
        let words =
            File::create(said).with_context(|| format!("can't write {}", said.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(words.try_clone()?)
            .stderr(words)
            .spawn()
            .with_context(|| format!("can't start {name}"))?;
        Ok(Self { child, name, said: said.into() })
    }

    fn is_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}: {}", self.name, self.words()),
        }
    }

    fn succeed(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{} ended with {status}: {}", self.name, self.words());
        }
        Ok(())
    }

    fn words(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let Ok(pid) = i32::try_from(self.child.id()) else { return };
        // One that has ended was waited for, and its number may be somebody else's by now.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > PATIENCE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(GLANCE);
        }
    }
}
