//! The candidate policy as `policy.toml`: every entry commented out, above each why it is there.
//!
//! Lines of an entry begin with `#` and no space, all others with `# ` or nothing, so that whoever
//! wants an entry takes the `#` away in front of it.

use std::fmt::Write;

use serde_json::{Value, json};
use weir_engine::Nanos;
use weir_policy::ServiceMatch;

use super::propose::{Candidate, Proposal};
use super::talks::{Counts, Talks};
use crate::text::{bytes, counted, moment, plain, quoted, span};

/// Equipment of a rule that is named one by one, and of the list of those with more peers.
const NODES: usize = 6;
const BUSY: usize = 100;
const HOUR: u64 = 3_600_000_000_000;
const DAY: u64 = 24 * HOUR;

/// From where the flows are, and by which policy they were judged.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Captures or event files.
    pub(crate) inputs: Vec<String>,
    /// None: none.
    pub(crate) policy: Option<String>,
}

/// The file.
pub(crate) fn toml(candidate: &Candidate, talks: &Talks<'_>, origin: &Origin) -> String {
    let mut page = String::new();
    head(&mut page, candidate, talks, origin);
    let sections = [
        (
            "Between equipment of the inventory",
            "A rule by role or build stands for pairs that were all seen.",
            &candidate.equipment,
        ),
        (
            "With peers that are no equipment",
            "Nothing about them struck; that they are wanted is for a person to say.",
            &candidate.strangers,
        ),
        (
            "SUSPICIOUS: ask who wants each of these before you allow it",
            "Shown one by one. If nobody knows, it is what Weir is for: leave it out, so that it stays flagged.",
            &candidate.suspicious,
        ),
    ];
    for (title, word, rules) in sections.into_iter().filter(|(_, _, rules)| !rules.is_empty()) {
        let _ = write!(page, "\n# ===== {title} =====\n# {word}\n");
        rules.iter().for_each(|rule| entry(&mut page, rule, talks));
    }
    page
}

fn head(page: &mut String, candidate: &Candidate, talks: &Talks<'_>, origin: &Origin) {
    let Counts { flows, allowed, unanswered, unopened, portless, unlisted, forgotten } =
        talks.counts;
    let mut say = |line: String| {
        page.push('#');
        if !line.is_empty() {
            let _ = write!(page, " {line}");
        }
        page.push('\n');
    };
    say("A candidate policy, proposed by `weir learn` from what was seen. Nothing in it is allowed.".into());
    say("What was seen may be the theft: read why, then take the # away in front of the entries that".into());
    say("you want (lines that begin with # and no space), and merge those into policy.toml.".into());
    say(String::new());
    for input in &origin.inputs {
        say(format!("from    {}", plain(input)));
    }
    if let Some((first, last)) = talks.span {
        say(format!("seen    {} to {} UTC", moment(first), moment(last)));
    }
    let policy = origin.policy.as_deref().map_or("none".into(), plain);
    say(format!("policy  {policy}"));
    let equipment = counted(talks.active().count() as u64, "piece", "pieces");
    say(format!(
        "flows   {flows} of {equipment} of equipment, {allowed} of them allowed by that policy"
    ));
    let left_out = [
        (unanswered, "were opened from outside and got no data, as scans do: they need no rule"),
        (unopened, "were ICMP errors that nobody opened: they need no rule"),
        (portless, "showed no ports: no rule can name them"),
        (unlisted, "were of equipment that this inventory does not have"),
    ];
    for (count, why) in left_out.into_iter().filter(|(count, _)| *count > 0) {
        say(format!("        {count} {why}"));
    }
    let (peers, lost) = forgotten;
    if peers > 0 {
        say(format!("        {lost} with {peers} rare peers were too many to remember"));
    }
    let (rules, lost) = candidate.unwritten;
    if rules > 0 {
        say(format!(
            "        {lost} of {rules} rules that are left out: the policy would be too long"
        ));
    }
    for (equipment, (peers, flows)) in candidate.unlisted.iter().take(BUSY) {
        let id = talks.inventory.entry(*equipment).map_or("?", |entry| entry.id.as_str());
        say(format!(
            "        {} has {peers} more peers or services, with {flows} flows: the most frequent are listed",
            plain(id)
        ));
    }
    if candidate.unlisted.len() > BUSY {
        say(format!(
            "        so have {} more pieces of equipment",
            candidate.unlisted.len() - BUSY
        ));
    }
    if candidate.all().next().is_none() {
        say(String::new());
        say("There is nothing to propose.".into());
    }
}

fn entry(page: &mut String, rule: &Proposal, talks: &Talks<'_>) {
    let evidence = &rule.evidence;
    page.push('\n');
    for reason in &rule.reasons {
        let _ = writeln!(page, "# SUSPICIOUS: {reason}");
    }
    let nodes: Vec<&str> = evidence
        .nodes
        .iter()
        .filter_map(|id| talks.inventory.entry(*id))
        .map(|entry| entry.id.as_str())
        .collect();
    let mut named = nodes.iter().take(NODES).map(|id| plain(id)).collect::<Vec<_>>().join(", ");
    if nodes.len() > NODES {
        let _ = write!(named, " and {} more", nodes.len() - NODES);
    }
    let flows = counted(evidence.flows, "flow", "flows");
    let nodes = counted(nodes.len() as u64, "node", "nodes");
    let _ = writeln!(page, "# {flows} of {nodes}: {named}{}", known_as(rule));
    if let Some((first, last)) = evidence.time {
        let _ = writeln!(page, "# {} to {} UTC", moment(first), moment(last));
    }
    let (sent, received) = evidence.bytes;
    let _ = writeln!(page, "# sent {}, received {}{}", bytes(sent), bytes(received), usual(rule));
    if !evidence.names.is_empty() {
        let names: Vec<String> = evidence.names.iter().map(|name| plain(name)).collect();
        let _ = writeln!(page, "# called {} by DNS or TLS", names.join(", "));
    }
    if let Some(periods) = evidence.periods.filter(|_| evidence.beating > 0) {
        let _ = writeln!(page, "# periodic: {}{}", periods_of(periods), beating(rule));
    }
    let _ = writeln!(page, "#[[allow]]\n#from = {}\n#to = {}", rule.from, rule.to);
    let _ = writeln!(page, "#services = [{}]", quoted(&rule.service));
    if rule.is_periodic {
        page.push_str("#periodic = true\n");
    }
    let _ = writeln!(page, "#note = {}", quoted(&format!("learned from {flows} of {nodes}")));
}

/// What people call the service, where the rule can't: its name stands for more.
fn known_as(rule: &Proposal) -> String {
    match ServiceMatch::known_as(rule.protocol, rule.port) {
        Some(name) if name != rule.service => format!(" ({name})"),
        _ => String::new(),
    }
}

/// The mean by hour and by day, where there was time enough for one.
fn usual(rule: &Proposal) -> String {
    let Some((first, last)) = rule.evidence.time else { return String::new() };
    let lasted = last.since(first).0;
    let (sent, received) = rule.evidence.bytes;
    let mean = |unit: u64| {
        let each =
            |bytes: u64| (u128::from(bytes) * u128::from(unit) / u128::from(lasted.max(1))) as u64;
        (bytes(each(sent)), bytes(each(received)))
    };
    let mut text = String::new();
    for (unit, name) in [(HOUR, "an hour"), (DAY, "a day")] {
        if lasted >= 2 * unit {
            let (sent, received) = mean(unit);
            let _ = write!(text, "; usually {sent} and {received} {name}");
        }
    }
    text
}

fn periods_of((shortest, longest): (Nanos, Nanos)) -> String {
    let [shortest, longest] = [shortest, longest].map(span);
    if shortest == longest {
        format!("about every {shortest}")
    } else {
        format!("every {shortest} to {longest}")
    }
}

/// How many of the pairs beat, where not all do.
fn beating(rule: &Proposal) -> String {
    let (beating, pairs) = (rule.evidence.beating, rule.evidence.pairs);
    if beating == pairs { String::new() } else { format!(", {beating} of {pairs} pairs") }
}

/// The same as JSON.
pub(crate) fn json(candidate: &Candidate, talks: &Talks<'_>, origin: &Origin) -> Value {
    let Counts { flows, allowed, unanswered, unopened, portless, unlisted, forgotten } =
        talks.counts;
    let id = |equipment| talks.inventory.entry(equipment).map(|entry| entry.id.as_str());
    let rule = |rule: &Proposal| {
        let evidence = &rule.evidence;
        let seconds = |time: Nanos| time.0 / 1_000_000_000;
        json!({
            "from": rule.from.to_string(),
            "to": rule.to.to_string(),
            "service": rule.service,
            "periodic": rule.is_periodic,
            "suspicious": rule.reasons.iter().map(|reason| json!({
                "reason": reason.name(), "why": reason.to_string(),
            })).collect::<Vec<_>>(),
            "flows": evidence.flows,
            "nodes": evidence.nodes.iter().filter_map(|node| id(*node)).collect::<Vec<_>>(),
            "first": evidence.time.map(|(first, _)| rfc3339(first)),
            "last": evidence.time.map(|(_, last)| rfc3339(last)),
            "sent_bytes": evidence.bytes.0,
            "received_bytes": evidence.bytes.1,
            "names": evidence.names,
            "period_seconds": evidence.periods.map(|(shortest, longest)| [seconds(shortest), seconds(longest)]),
        })
    };
    let unlisted_peers: Vec<Value> = candidate
        .unlisted
        .iter()
        .map(|(equipment, (peers, flows))| json!({ "equipment": id(*equipment), "peers": peers, "flows": flows }))
        .collect();
    json!({
        "inputs": origin.inputs,
        "policy": origin.policy,
        "first": talks.span.map(|(first, _)| rfc3339(first)),
        "last": talks.span.map(|(_, last)| rfc3339(last)),
        "flows": flows,
        "allowed": allowed,
        "left_out": {
            "unanswered": unanswered, "unopened": unopened, "portless": portless, "unlisted": unlisted,
            "forgotten": { "peers": forgotten.0, "flows": forgotten.1 },
            "unwritten": { "rules": candidate.unwritten.0, "flows": candidate.unwritten.1 },
            "peers": unlisted_peers,
        },
        "proposals": candidate.all().map(rule).collect::<Vec<_>>(),
    })
}

fn rfc3339(time: Nanos) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or_default().to_string()
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
