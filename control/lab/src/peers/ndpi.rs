//! nDPI: the real `ndpiReader` over the capture, and every risk that it gives a flow.
//!
//! Its text tells the risks of each flow and its CSV when each was seen: both are of the same flows,
//! which are held to a capture's end, one for each pair of addresses and ports.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::held::Statement;

/// The program.
const PROGRAM: &str = "ndpiReader";

/// The ends of a flow, the lower one first: the peer orders them as it likes.
type Ends = (SocketAddr, SocketAddr);

fn ends(one: SocketAddr, other: SocketAddr) -> Ends {
    (one.min(other), one.max(other))
}

/// `address:port`, where an IPv6 address may stand in brackets or, without a port, bare.
fn end(text: &str) -> Option<SocketAddr> {
    let bare = || text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0));
    text.parse().ok().or_else(bare)
}

/// The ends of a flow that has a risk, from a line of the text:
/// `NUMBER PROTOCOL END <-> END [KEY: VALUE]…`, an arrow with one point where nothing came back.
fn risky(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    if !line.contains("[Risk: **") {
        return None;
    }
    let mut words = line.split_whitespace().skip(2);
    let (source, arrow, destination) = (words.next()?, words.next()?, words.next()?);
    if !matches!(arrow, "<->" | "->") {
        return None;
    }
    Some((end(source)?, end(destination)?))
}

/// A flow's ends and its first and last packet, from a line of the CSV.
fn seen(line: &str) -> Option<(Ends, (u64, u64))> {
    let mut columns = line.split(',').skip(2);
    let mut column = || columns.next();
    let time = |text: &str| {
        let (seconds, millis) = text.split_once('.')?;
        let millis = seconds.parse::<u64>().ok()? * 1_000 + millis.parse::<u64>().ok()?;
        millis.checked_mul(1_000_000)
    };
    let (first, last) = (time(column()?)?, time(column()?)?);
    let _duration = column()?;
    let mut end = || Some(SocketAddr::new(column()?.parse().ok()?, column()?.parse().ok()?));
    // Times are cut to milliseconds.
    Some((ends(end()?, end()?), (first, last + 999_999)))
}

/// Why there is nothing from nDPI; what the reader of a column is told.
pub(super) type Skipped = String;

/// Reads the risks of one capture by a program.
fn of_capture(program: &str, capture: &Path) -> io::Result<Result<Vec<Statement>, Skipped>> {
    let scratch = tempfile::tempdir()?;
    let csv = scratch.path().join("flows.csv");
    let child = Command::new(program)
        .arg("-i")
        .arg(capture)
        // Inside GTP-U too, with each flow's text, on one thread.
        .args(["-t", "-v", "2", "-n", "1", "-C"])
        .arg(&csv)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            return Ok(Err(format!("{program} is not installed (Debian: libndpi-bin)")));
        }
        Err(why) => return Err(why),
    };
    let mut risky_ends = Vec::new();
    if let Some(text) = child.stdout.take() {
        for line in BufReader::new(text).split(b'\n') {
            risky_ends.extend(risky(&String::from_utf8_lossy(&line?)));
        }
    }
    let status = child.wait()?;
    if !status.success() {
        return Ok(Err(format!("{program} failed on {}: {status}", capture.display())));
    }
    let mut spans: BTreeMap<Ends, (u64, u64)> = BTreeMap::new();
    for line in BufReader::new(std::fs::File::open(&csv)?).split(b'\n') {
        let line = line?;
        let Some((ends, (first, last))) = seen(&String::from_utf8_lossy(&line)) else { continue };
        let span = spans.entry(ends).or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
    }
    let mut statements = Vec::new();
    for (source, destination) in risky_ends {
        let Some((first, last)) = spans.get(&ends(source, destination)).copied() else {
            return Ok(Err(format!(
                "{program} gives a risk to {source} and {destination}, and does not tell when"
            )));
        };
        let (host, peers) = (source.ip(), vec![destination.ip()]);
        statements.push(Statement { host, peers, first, last });
    }
    Ok(Ok(statements))
}

/// Reads the risks of every capture in a directory.
pub(super) fn statements(directory: &Path) -> io::Result<Result<Vec<Statement>, Skipped>> {
    let mut captures: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        captures.push(entry?.path());
    }
    captures.retain(|path| path.extension().is_some_and(|it| it == "pcap" || it == "pcapng"));
    captures.sort();
    let mut all = Vec::new();
    for capture in captures {
        match of_capture(PROGRAM, &capture)? {
            Ok(statements) => all.extend(statements),
            Err(skipped) => return Ok(Err(skipped)),
        }
    }
    Ok(Ok(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heard::nanos;
    use crate::peers::{Answer, Peer};
    use crate::player::{Directory, Played};
    use crate::site::Site;
    use weir_pcaps::Scenario;

    #[test]
    fn a_risk_is_read_with_its_ends() {
        let line = "\t7\tTCP 10.0.10.204:52752 <-> 10.0.10.4:830 [proto: 92/SSH][cat: RemoteAccess/12]\
                    [Risk: ** Known Protocol on Non Standard Port **][Risk Score: 50]";
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(risky(line), Some((at("10.0.10.204:52752"), at("10.0.10.4:830"))));
        assert_eq!(risky(&line.replace("<->", "->")), risky(line));
        assert_eq!(risky(&line.replace("[Risk: **", "[Info: ")), None);
        let six =
            "\t1\tUDP [2001:db8::1]:443 -> [2001:db8::2]:9 [VLAN: 3][Risk: ** Unsafe Protocol **]";
        assert_eq!(risky(six), Some((at("[2001:db8::1]:443"), at("[2001:db8::2]:9"))));
        assert_eq!(risky("Risk stats [found 84 (0.9 %) flows with risks]:"), None);
        assert_eq!(risky(""), None);
    }

    #[test]
    fn a_flows_time_is_read_with_its_ends() {
        let line = "6,17,1767571330.048,1767571331.437,1.389,2001:db8::2,9,2001:db8::1,443,87,RTP,";
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let span = (1_767_571_330_048_000_000, 1_767_571_331_437_999_999);
        assert_eq!(seen(line), Some(((at("[2001:db8::1]:443"), at("[2001:db8::2]:9")), span)));
        assert_eq!(seen("#flow_id,protocol,first_seen,last_seen,duration,src_ip"), None);
        assert_eq!(seen("6,17,99999999999999999999.1,1.2"), None);
    }

    #[test]
    fn who_can_not_be_asked_is_skipped_with_the_reason() {
        let why = |program| of_capture(program, Path::new("none.pcap")).unwrap().unwrap_err();
        assert!(why("ndpiReader-that-is-not-here").contains("not installed"));
        assert!(why("false").contains("failed on none.pcap"));
        // Nothing is written where nothing is read, and that is told too.
        assert!(of_capture("true", Path::new("none.pcap")).is_err());
    }

    /// Where the program is not, its column says so, and there is nothing to test.
    #[test]
    fn the_real_program_finds_risks_in_a_capture() {
        let directory = tempfile::tempdir().unwrap();
        let backdoor = "\n[[theft.backdoor]]\nid = \"backdoor\"\nequipment = \"gnb-1\"\n\
                        peer = \"203.0.113.99\"\nport = 2222\nstart_seconds = 80\nexchanges = 6\n";
        let text = Site::Plain.text("ndpi", 4) + backdoor;
        let scenario = Scenario::parse(&text, Path::new("ndpi.toml")).unwrap();
        let report = scenario.write_to(directory.path(), |_| {}).unwrap();
        let told = statements(directory.path()).unwrap();
        let played = Played {
            labels: report.labels,
            alerts: Vec::new(),
            connections: Vec::new(),
            directory: Directory::Scratch(directory),
            equipment_days: 1.0,
        };
        let verdict = Peer::Ndpi.judge(&played).unwrap();
        let told = match told {
            Err(why) => {
                eprintln!("skipped: {why}");
                assert_eq!((verdict.skipped, verdict.thefts), (Some(why), Vec::new()));
                return;
            }
            Ok(told) => told,
        };
        // NETCONF is SSH on another port: a risk of every gNB's management, and no theft.
        let ems: IpAddr = "10.0.10.204".parse().unwrap();
        let netconf: Vec<_> = told.iter().filter(|it| it.host == ems).collect();
        assert!(!netconf.is_empty(), "{told:?}");
        let (first, last) = ("2026-01-05T00:00:00Z", "2026-01-05T01:00:00Z");
        let time = |text: &str| nanos(text.parse().unwrap());
        assert!(netconf.iter().all(|it| it.first >= time(first) && it.last <= time(last)));
        assert!(verdict.skipped.is_none() && verdict.false_alarms >= 2, "{verdict:?}");
        assert_eq!(verdict.thefts.len(), 1);
        assert_ne!(verdict.thefts[0].answer, Answer::CantExpress);
    }
}
