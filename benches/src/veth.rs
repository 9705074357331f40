//! A pair of virtual interfaces, each end in a network namespace of its own, which go with it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// The end that is received from.
pub const TAP: &str = "tap0";
/// The end that is sent to.
pub const WIRE: &str = "wire0";

/// What the pair is made with.
const TOOLS: [&str; 2] = ["ip", "ethtool"];

/// The pair is up, and its ends change no frame.
#[derive(Debug)]
pub struct Pair {
    /// Where the receiving end is.
    pub tap: Namespace,
    /// Where the sending end is: in one namespace DPDK's packet sockets of two processes may take
    /// each other for one group.
    pub wire: Namespace,
}

impl Pair {
    /// Why there can't be one, if so.
    pub fn obstacle() -> Option<String> {
        if !nix::unistd::geteuid().is_root() {
            return Some("not root, so no network namespace".into());
        }
        let absent = TOOLS.into_iter().find(|tool| !crate::machine::has_program(tool))?;
        Some(format!("{absent} is not installed"))
    }

    /// Two namespaces with an end in each.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn new() -> anyhow::Result<Self> {
        let pair = Self { tap: Namespace::new("tap")?, wire: Namespace::new("wire")? };
        let ends = [TAP, "type", "veth", "peer", "name", WIRE, "netns", &pair.wire.0];
        pair.tap.run("ip", &[&["link", "add"], &ends[..]].concat())?;
        for (space, end) in [(&pair.tap, TAP), (&pair.wire, WIRE)] {
            space.run("ip", &["link", "set", end, "up"])?;
            let offloads = ["gro", "off", "gso", "off", "tso", "off", "tx", "off", "rx", "off"];
            space.run("ethtool", &[&["-K", end], &offloads[..]].concat())?;
        }
        Ok(pair)
    }
}

/// A network namespace, which goes with this.
#[derive(Debug)]
pub struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> anyhow::Result<Self> {
        let name = format!("weir-bench-{}-{name}", std::process::id());
        check(Command::new("ip").args(["netns", "add", &name]))?;
        let space = Self(name);
        // The kernel's own frames on the pair would be counted among those that were sent.
        for setting in ["all", "default"] {
            space.run("sysctl", &["-qw", &format!("net.ipv6.conf.{setting}.disable_ipv6=1")])?;
        }
        Ok(space)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        check(self.command(Path::new(program)).args(arguments))
    }

    /// A command that runs in it.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // One that can't be deleted is seen in `ip netns`.
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn check(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("can't start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
