//! Scores the labelled scenarios with several seeds and writes the table of
//! `docs/detections/scenarios.md`.
//!
//! Arguments: seeds; without any, each scenario's own and two more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use weir_tests::scenario::{Alert, Played, Theft, Verdict, alerts, judge};
use weir_tests::{run, text};

const SCENARIOS: [&str; 2] = ["evasion", "sessions"];
const MORE_SEEDS: [u64; 2] = [1, 2];

/// The longest window in which a detection counts, in seconds: what went before an attack in it is
/// counted with it.
const LONGEST_WINDOW: u64 = 60;

/// What has no label of its own.
const REST: &str = "everything else";

/// One attack over all seeds.
#[derive(Default)]
struct Row {
    expected: String,
    found: usize,
    severities: BTreeSet<String>,
    right: usize,
    counted: Vec<u64>,
    sent: Vec<u64>,
}

/// One scenario over all seeds.
#[derive(Default)]
struct Table {
    seeds: Vec<u64>,
    attacks: Vec<(String, Row)>,
    /// In how many seeds a look-alike was silent.
    silent: BTreeMap<String, usize>,
    /// What was said without cause.
    alarms: Vec<String>,
}

fn main() {
    let given: Vec<u64> = std::env::args().skip(1).filter_map(|seed| seed.parse().ok()).collect();
    let mut page = String::from(HEAD);
    let mut command = String::from("cargo build && cargo run -p weir-tests --bin score-sessions");
    if !given.is_empty() {
        command.push_str(" --");
        given.iter().for_each(|seed| _ = write!(command, " {seed}"));
    }
    _ = write!(page, "\n```\n{command}\n```\n");
    for scenario in SCENARIOS {
        let mut table = Table::default();
        let own = (given.is_empty()).then_some(None);
        let more = if given.is_empty() { &MORE_SEEDS[..] } else { &given };
        for seed in own.into_iter().chain(more.iter().copied().map(Some)) {
            table.add(&Played::seeded(scenario, seed));
        }
        table.write(scenario, &mut page);
    }
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/detections/scenarios.md");
    if let Err(why) = std::fs::write(&place, page) {
        eprintln!("error: {} can't be written; {why}", place.display());
        std::process::exit(1);
    }
    println!("{}", place.display());
}

const HEAD: &str = "# Scenarios\n\nWhat the detections make of the labelled scenarios of \
    `pcaps/scenarios`, each played with several seeds: another\nseed is other subscribers, addresses \
    of theirs, traffic and order. An attack counts as found if the detection that its\nlabel names \
    says so of the labelled equipment and peer. What only looks like an attack counts as silent if \
    no GTP-* or\nPFCP-* alert, and no high or critical one, is about it. The table is made by\n";

impl Table {
    fn add(&mut self, played: &Played) {
        let seed = played.labels["seed"].as_u64().unwrap_or_default();
        self.seeds.push(seed);
        let said = alerts(&played.replay(&[]));
        let verdict = judge(played, &said);
        for id in played.unsent() {
            self.alarms.push(format!("seed {seed}: {id} was never sent: the scenario's fault"));
        }
        for (theft, named) in &verdict.thefts {
            self.attack(theft, named.as_ref());
            if named.is_none() {
                self.alarms.push(format!("seed {seed}: {} was missed", theft.id));
            }
        }
        let disturbed = self.disturbed(seed, played, &verdict, &said);
        let groups = played.groups("silent");
        for name in groups.keys().copied().chain([REST]) {
            *self.silent.entry(name.to_owned()).or_default() +=
                usize::from(!disturbed.contains(name));
        }
    }

    fn attack(&mut self, theft: &Theft, named: Option<&Alert>) {
        let known = self.attacks.iter().position(|(id, _)| *id == theft.id);
        let place = known.unwrap_or_else(|| {
            let severity = match (&theft.severity, &theft.at_most) {
                (Some(severity), _) => severity.clone(),
                (None, Some(most)) => format!("{most} at most"),
                (None, None) => "high or more".to_owned(),
            };
            let expected = format!("{}, {severity}", theft.detection);
            self.attacks.push((theft.id.clone(), Row { expected, ..Row::default() }));
            self.attacks.len() - 1
        });
        let row = &mut self.attacks[place].1;
        row.sent.push(theft.packets);
        if let Some(alert) = named {
            row.found += 1;
            row.right += usize::from(theft.is_as_grave(alert));
            row.severities.insert(alert.severity.clone());
            row.counted.push(alert.packets);
        }
    }

    /// What looks like an attack and is spoken of: by an alert without cause, or by one that counts
    /// more than its cause.
    fn disturbed(
        &mut self,
        seed: u64,
        played: &Played,
        verdict: &Verdict,
        said: &[Alert],
    ) -> BTreeSet<String> {
        let astray = verdict.astray(said, LONGEST_WINDOW);
        let mut disturbed = BTreeSet::new();
        let mut frames = None;
        for alert in verdict.unexplained.iter().chain(&astray) {
            let frames = frames.get_or_insert_with(|| frames_of(played));
            let about = |kind: &str| -> Vec<String> {
                let groups = played.groups(kind).into_iter();
                let about = groups.filter(|(_, group)| is_about(alert, group, frames));
                about.map(|(name, _)| name.to_owned()).collect()
            };
            let (attacks, lookalikes) = (about("theft"), about("silent"));
            let observed = alert.event["weir"]["observed"].as_str().unwrap_or_default();
            let (detection, severity) = (&alert.detection, &alert.severity);
            let beside = match attacks.as_slice() {
                [] => String::new(),
                attacks => format!(" (about frames of {})", attacks.join(", ")),
            };
            self.alarms.push(format!("seed {seed}: {detection}, {severity}{beside}: {observed}"));
            if attacks.is_empty() && lookalikes.is_empty() {
                disturbed.insert(REST.to_owned());
            }
            disturbed.extend(lookalikes);
        }
        disturbed
    }

    fn write(&self, scenario: &str, page: &mut String) {
        let all = self.seeds.len();
        let seeds: Vec<String> = self.seeds.iter().map(u64::to_string).collect();
        _ = write!(
            page,
            "\n## {scenario}\n\nSeeds {}. Packets are those that the alert counts, and those that the \
             attack sent, both directions.\n\n| attack | expected | found | severity | packets |\n\
             |---|---|---|---|---|\n",
            seeds.join(", ")
        );
        for (id, row) in &self.attacks {
            let severities: Vec<&str> = row.severities.iter().map(String::as_str).collect();
            let wrong = if row.right == row.found { "" } else { " (wrong)" };
            _ = writeln!(
                page,
                "| {id} | {} | {} of {} | {}{wrong} | {} of {} |",
                row.expected,
                row.found,
                row.sent.len(),
                severities.join(", "),
                span(&row.counted),
                span(&row.sent)
            );
        }
        _ = write!(page, "\n| what only looks so | silent |\n|---|---|\n");
        for (name, silent) in &self.silent {
            _ = writeln!(page, "| {name} | {silent} of {all} |");
        }
        if !self.alarms.is_empty() {
            _ = write!(page, "\nMissed, or said without a label for it:\n\n");
            self.alarms.iter().for_each(|alarm| _ = writeln!(page, "- {alarm}"));
        }
    }
}

/// The least and the most.
fn span(numbers: &[u64]) -> String {
    match (numbers.iter().min(), numbers.iter().max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least}–{most}"),
        _ => "none".to_owned(),
    }
}

/// When frames were sent, and by whom to whom: outside and inside.
type Frames = BTreeMap<u64, (String, Pair, Pair)>;
type Pair = [String; 2];

fn pair(from: &Value, to: &Value) -> Pair {
    let mut pair = [from, to].map(|it| it.as_str().unwrap_or_default().to_owned());
    pair.sort();
    pair
}

fn frames_of(played: &Played) -> Frames {
    let decoded = run(&["decode", text(&played.file("capture.pcap"))]);
    let lines = decoded.stdout.split(|byte| *byte == b'\n');
    let lines = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    lines
        .filter_map(|line| {
            let [outer, inner] =
                ["outer", "inner"].map(|layer| pair(&line[layer]["src"], &line[layer]["dst"]));
            Some((line["n"].as_u64()?, (line["ts"].as_str()?.to_owned(), outer, inner)))
        })
        .collect()
}

/// Whether a frame of a group is what an alert speaks of: its time, its ends, and the ends inside if
/// the alert names any.
fn is_about(alert: &Alert, group: &Value, frames: &Frames) -> bool {
    let outer = pair(&alert.event["src_ip"], &alert.event["dest_ip"]);
    let within = &alert.event["weir"]["inner"];
    let inner = within.is_object().then(|| pair(&within["src"], &within["dst"]));
    let numbers = group["frames"].as_array().into_iter().flatten().filter_map(Value::as_u64);
    numbers.filter_map(|number| frames.get(&number)).any(|(time, outside, inside)| {
        *outside == outer
            && inner.as_ref().is_none_or(|inner| inner == inside)
            && alert.is_about(time)
    })
}
