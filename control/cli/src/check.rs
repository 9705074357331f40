//! `weir check`: every mistake of the configuration files, with its place and remedy.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use weir_capture::{Reader, Source, Stream, open};
use weir_policy::{
    Checked, Diagnostic, Inventory, PacketSource, Paths, Policy, PolicyMessage, Severity, Tap,
};

use crate::failure::Failure;
use crate::output::print;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    files: Files,
    /// Print the findings as one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// The files that say what is installed and what it may do.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Files {
    /// weir.toml: taps, processes, and where the other two files are
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What is installed; instead of the one that weir.toml names
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// What it may do; instead of the one that weir.toml names
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

impl Files {
    /// Where inventory and policy are: as given, else as weir.toml says.
    pub(crate) fn paths(&self) -> Paths {
        let named = self.config.as_deref().map_or_else(Paths::default, weir_policy::load_paths);
        Paths {
            inventory: self.inventory.clone().or(named.inventory),
            policy: self.policy.clone().or(named.policy),
            ..named
        }
    }
}

/// What the files turned out to say.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    files: usize,
    equipment: usize,
    rules: usize,
    /// Those of weir.toml.
    #[serde(skip)]
    taps: Vec<Tap>,
    #[serde(serialize_with = "as_objects")]
    diagnostics: Vec<Diagnostic>,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut findings = Findings::of(&options.files);
    if let Some(config) = &options.files.config {
        findings.check_captures(config);
    }
    if findings.files == 0 {
        return Err(Failure::usage(
            "nothing to check; the command line; give --config, --inventory or --policy",
        ));
    }
    if options.json {
        let json = serde_json::to_string(&findings).map_err(Failure::work)?;
        print(json)?;
    } else {
        for diagnostic in &findings.diagnostics {
            eprintln!("{diagnostic}");
        }
        print(findings.closing_line())?;
    }
    if findings.has_errors() { Err(Failure::Said(2)) } else { Ok(()) }
}

impl Findings {
    /// Reads and checks the files that are given, and those that `weir.toml` names instead.
    pub(crate) fn of(files: &Files) -> Self {
        let mut findings = Self::default();
        let named = files.config.as_deref().map_or_else(Paths::default, |path| {
            findings.files += 1;
            let Some(config) = findings.take(weir_policy::load_config(path)) else {
                return weir_policy::load_paths(path);
            };
            findings.taps = config.taps;
            config.paths
        });
        let paths = Paths {
            inventory: files.inventory.clone().or(named.inventory),
            policy: files.policy.clone().or(named.policy),
            ..named
        };
        let inventory = paths.inventory.as_deref().map(|path| {
            findings.files += 1;
            findings.take(weir_policy::load_inventory(path))
        });
        if let Some(Some(inventory)) = &inventory {
            findings.equipment = inventory.equipment().len();
        }
        let inventory = inventory.flatten();
        if let Some(path) = &paths.policy {
            findings.files += 1;
            match &inventory {
                Some(inventory) => findings.policy(path, inventory),
                None => findings.policy_alone(path),
            }
        }
        if let Some(path) = &paths.lawful_intercept {
            findings.files += 1;
            // What it says is counted nowhere.
            findings.take(weir_policy::load_interception(path, inventory.as_ref()));
        }
        findings.diagnostics.extend(paths.unpaired());
        findings
    }

    /// The captures that weir.toml names as taps' sources.
    pub(crate) fn captures(&self) -> impl Iterator<Item = &Path> {
        self.taps.iter().filter_map(|tap| match &tap.source {
            PacketSource::File(path) => Some(path.as_path()),
            _ => None,
        })
    }

    /// Checks that those captures can be read, and are captures.
    pub(crate) fn check_captures(&mut self, config: &Path) {
        for tap in &self.taps {
            let PacketSource::File(path) = &tap.source else { continue };
            let Err(why) = is_capture(path) else { continue };
            self.diagnostics.push(Diagnostic {
                severity: Severity::Error,
                file: config.display().to_string(),
                line: tap.source_place.0,
                column: tap.source_place.1,
                message: format!("the capture {} can't be read: {why}", path.display()),
                remedy: "name a readable pcap or pcapng file; its path counts from here".into(),
            });
        }
    }

    /// Whether any finding stops its file from being used.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// The findings that stop a file from being used.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Error)
    }

    fn take<T>(&mut self, result: Result<Checked<T>, Vec<Diagnostic>>) -> Option<T> {
        match result {
            Ok(Checked { value, warnings }) => {
                self.diagnostics.extend(warnings);
                Some(value)
            }
            Err(found) => {
                self.diagnostics.extend(found);
                None
            }
        }
    }

    fn policy(&mut self, path: &Path, inventory: &Inventory) {
        let Some(policy) = self.take(load_policy(path, inventory)) else { return };
        self.rules = policy.allow.len();
        if let Err(why) = PolicyMessage::compile(inventory, &policy, 1).encode() {
            self.diagnostics.push(Diagnostic {
                severity: Severity::Error,
                file: path.display().to_string(),
                line: 0,
                column: 0,
                message: format!("the sensor would not take it: {why}"),
                remedy: "join prefixes, or name roles instead of single equipment".into(),
            });
        }
    }

    /// Checks a policy whose inventory is not there or could not be read, but leaves out what only that inventory
    /// could answer: whether the equipment that it names is there.
    fn policy_alone(&mut self, path: &Path) {
        let found = match load_policy(path, &Inventory::default()) {
            Ok(checked) => checked.warnings,
            Err(found) => found,
        };
        let answerable = |found: &Diagnostic| !found.message.starts_with("no equipment has ");
        self.diagnostics.extend(found.into_iter().filter(answerable));
    }

    fn closing_line(&self) -> String {
        let errors = self.errors().count();
        let files = counted(self.files, "file", "files");
        let mut line = format!(
            "{files} checked: {} equipment, {}",
            self.equipment,
            counted(self.rules, "rule", "rules")
        );
        let warnings = self.diagnostics.len() - errors;
        for (count, one, many) in [(errors, "error", "errors"), (warnings, "warning", "warnings")] {
            if count > 0 {
                line += &format!(", {}", counted(count, one, many));
            }
        }
        line
    }
}

fn is_capture(path: &Path) -> Result<(), String> {
    match open(path).map_err(|why| why.to_string())? {
        Source::Mapped(map) => Reader::open(&map).map(drop),
        Source::Stream(input) => Stream::open(input).map(drop),
    }
    .map_err(|why| why.to_string())
}

/// Reads the policy, and warns of what is over today.
fn load_policy(path: &Path, inventory: &Inventory) -> Result<Checked<Policy>, Vec<Diagnostic>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    weir_policy::load_policy_as_of(path, inventory, now)
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[derive(Serialize)]
struct Object<'a> {
    severity: &'static str,
    file: &'a str,
    line: u32,
    column: u32,
    message: &'a str,
    remedy: &'a str,
}

fn as_objects<S: serde::Serializer>(found: &[Diagnostic], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(found.iter().map(|found| Object {
        severity: match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        file: &found.file,
        line: found.line,
        column: found.column,
        message: &found.message,
        remedy: &found.remedy,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const INVENTORY: &str =
        "[[equipment]]\nid = \"gnb-1\"\nroles = [\"gnb\"]\naddresses = [\"10.0.0.1\"]\n";
    const POLICY: &str = "[[allow]]\nfrom = { id = \"gnb-1\" }\nto = { cidr = \"10.0.1.0/24\" }\n\
                          services = [\"gtpu\"]\n";

    fn found(inventory: &str, policy: &str) -> Findings {
        let directory = tempfile::tempdir().unwrap();
        let files = Files {
            config: Some(directory.path().join("weir.toml")),
            inventory: None,
            policy: Some(directory.path().join("policy.toml")),
        };
        fs::write(files.config.as_ref().unwrap(), "[paths]\ninventory = \"i.toml\"\n").unwrap();
        fs::write(directory.path().join("i.toml"), inventory).unwrap();
        fs::write(files.policy.as_ref().unwrap(), policy).unwrap();
        Findings::of(&files)
    }

    #[test]
    fn the_files_that_weir_toml_names_are_checked_too() {
        let findings = found(INVENTORY, POLICY);
        assert!(!findings.has_errors(), "{findings:?}");
        let line = findings.closing_line();
        assert!(line.starts_with("3 files checked: 1 equipment, 1 rule"), "{line}");
        assert!(!line.contains("error"), "{line}");
    }

    #[test]
    fn a_broken_weir_toml_does_not_hide_the_other_files_mistakes() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("weir.toml");
        let text = "[site]\nnam = \"lab\"\n[paths]\ninventory = \"i.toml\"\npolicy = \"p.toml\"\n";
        fs::write(&config, text).unwrap();
        fs::write(directory.path().join("i.toml"), INVENTORY).unwrap();
        fs::write(directory.path().join("p.toml"), format!("dns = []\n{POLICY}")).unwrap();
        let findings = Findings::of(&Files { config: Some(config), ..Files::default() });
        let found: Vec<_> = findings
            .errors()
            .map(|found| (found.file.rsplit('/').next().unwrap(), found.line))
            .collect();
        assert_eq!(found, [("weir.toml", 2), ("p.toml", 1)]);
        assert!(findings.closing_line().starts_with("3 files checked: 1 equipment"));
    }

    #[test]
    fn the_file_of_interceptions_is_checked_and_never_repeated() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let text = "[paths]\ninventory = \"i.toml\"\npolicy = \"p.toml\"\n\
                    lawful_intercept = \"li.toml\"\n";
        for (name, text) in [("weir.toml", text), ("i.toml", INVENTORY), ("p.toml", POLICY)] {
            fs::write(path(name), text).unwrap();
        }
        let found = |text: &str, mode| {
            fs::write(path("li.toml"), text).unwrap();
            fs::set_permissions(path("li.toml"), PermissionsExt::from_mode(mode)).unwrap();
            Findings::of(&Files { config: Some(path("weir.toml")), ..Files::default() })
        };
        let good = "[[authorised]]\nto = \"10.9.9.9\"\nsessions = 2\n";
        let findings = found(good, 0o600);
        assert!(!findings.has_errors(), "{findings:?}");
        assert!(findings.closing_line().starts_with("4 files checked: 1 equipment, 1 rule"));
        let wide: Vec<_> = found(good, 0o644).errors().map(ToString::to_string).collect();
        assert!(wide.len() == 1 && wide[0].contains("; chmod 600 "), "{wide:?}");
        // gnb-1 is there, but no UPF.
        let bad = found(&(good.to_owned() + "upf = \"gnb-1\"\nwarrant = \"4711\"\n"), 0o600);
        let places: Vec<_> = bad.errors().map(|found| (found.line, found.column)).collect();
        assert_eq!(places, [(4, 7), (5, 1)]);
        let all = serde_json::to_string(&bad).unwrap() + &bad.closing_line();
        assert!(!["10.9.9.9", "4711", "warrant"].iter().any(|word| all.contains(word)), "{all}");
    }

    #[test]
    fn what_is_over_is_warned_of_and_does_not_fail() {
        let findings = found(INVENTORY, &format!("{POLICY}expires = 2020-01-01\n"));
        let over = findings.diagnostics.iter().find(|found| found.message == "[[allow]] is over");
        assert_eq!(over.map(|found| found.line), Some(5), "{findings:?}");
        assert!(!findings.has_errors());
        let findings = found(INVENTORY, &format!("{POLICY}expires = 2500-01-01\n"));
        assert!(findings.diagnostics.iter().all(|found| found.file.ends_with("i.toml")));
    }

    #[test]
    fn an_inventory_or_a_policy_alone_is_warned_of() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            Some(path)
        };
        let policy = path("p.toml", POLICY);
        let findings = Findings::of(&Files { policy: policy.clone(), ..Files::default() });
        // Whether its equipment is there can't be said.
        let said: Vec<_> = findings.diagnostics.iter().map(|found| &found.message).collect();
        assert_eq!(said, ["a policy without an inventory: nothing can be judged"]);
        assert!(!findings.has_errors());
        let inventory = path("i.toml", INVENTORY);
        let alone = Findings::of(&Files { inventory: inventory.clone(), ..Files::default() });
        let last = &alone.diagnostics.last().unwrap().message;
        assert!(last.starts_with("an inventory without a policy"), "{last}");
        let both = Findings::of(&Files { inventory, policy, config: None });
        assert!(both.diagnostics.iter().all(|found| !found.message.contains("without a")));
    }

    #[test]
    fn a_broken_inventory_does_not_hide_the_policys_mistakes_nor_invent_any() {
        let findings = found("[[equipment]]\nid = 7\n", &format!("dns = []\n{POLICY}"));
        let of_policy: Vec<_> =
            findings.errors().filter(|found| found.file.ends_with("policy.toml")).collect();
        assert_eq!(of_policy.len(), 1, "{of_policy:?}");
        assert_eq!((of_policy[0].line, of_policy[0].column), (1, 1));
        assert!(findings.errors().any(|found| found.file.ends_with("i.toml")));
    }

    #[test]
    fn the_captures_that_weir_toml_names_are_opened() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("weir.toml");
        let tap = |name: &str| format!("[[tap]]\nname = \"{name}\"\nsource = \"file:{name}\"\n");
        fs::write(&config, [tap("whole"), tap("missing"), tap("text")].concat()).unwrap();
        fs::write(directory.path().join("text"), "no capture").unwrap();
        let whole = include_bytes!("../../../pcaps/captures/small/capture.pcap");
        fs::write(directory.path().join("whole"), whole).unwrap();
        let mut findings =
            Findings::of(&Files { config: Some(config.clone()), ..Files::default() });
        // A replay that brings its own captures does not mind.
        assert!(!findings.has_errors());
        assert_eq!(findings.captures().count(), 3);
        findings.check_captures(&config);
        let found: Vec<_> = findings.errors().map(|found| (found.line, found.column)).collect();
        assert_eq!(found, [(6, 10), (9, 10)]);
        let said: Vec<_> = findings.errors().map(|found| found.message.as_str()).collect();
        assert!(said[0].contains("missing can't be read: No such file"), "{said:?}");
        assert!(said[1].contains("not a capture: it seems to be text"), "{said:?}");
    }
}
