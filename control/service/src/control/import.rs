//! Equipment that an asset system hands over: kept in a file of its own, behind the operator's
//! inventory.toml, which control never writes.
//!
//! An import is a deed like any other: its line in the audit and its text are one transaction. The
//! text becomes the file afterwards; where a crash comes between, the next start makes up for it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use weir_policy::{
    Diagnostic, Equipment, Severity, inventory_from_str, inventory_of, inventory_text,
};

use super::Control;
use super::desk::unavailable;
use crate::cases::command::{Actor, Done, Import, Mistake, Mode, Refused};
use crate::live::now;
use crate::rulebook::{Rulebook, Texts};
use crate::store::Entry;

/// By what name mistakes of the text are told that came.
const CAME: &str = "toml";
/// By what name those are told that were imported before.
const BEFORE: &str = "imported.toml";
/// Ids of each kind that the audit keeps; the counts are whole.
const IDS: usize = 100;

/// What an import would make of the inventory.
struct Outcome {
    rulebook: Rulebook,
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

impl Control {
    /// Carries an import out, or says what it would do.
    pub(super) fn import(&mut self, actor: &Actor, import: &Import) -> Result<Done, Refused> {
        let Outcome { mut rulebook, added, changed, removed } = self.outcome(import)?;
        if import.dry_run {
            return Ok(Done::Imported { added, changed, removed, version: None });
        }
        // A version that comes to nothing is found again by its hash.
        self.store.adopt(&mut rulebook).map_err(|error| unavailable(&error))?;
        let message =
            rulebook.message().map_err(|refusal| Refused::Invalid(refusal.to_string()))?;
        let few = |ids: &[String]| json!({ "count": ids.len(), "ids": ids[..ids.len().min(IDS)] });
        let detail = json!({
            "added": few(&added),
            "changed": few(&changed),
            "removed": few(&removed),
            "version": rulebook.version,
        });
        let (object, detail) = (import.mode.name(), detail.to_string());
        let entry = Entry {
            time: now(),
            restricted: false,
            actor: &actor.name,
            action: "inventory_import",
            object,
            detail: &detail,
        };
        let text = rulebook.texts.imported.clone();
        self.enter(&entry, |deed| deed.import(&text).map(Some))?;
        self.finish_import(&text);
        let version = Some(rulebook.version);
        self.hold(rulebook, message);
        self.send_policy();
        Ok(Done::Imported { added, changed, removed, version })
    }

    /// Writes the text to its file. What fails now is done when the process starts anew: the store
    /// has the text until then.
    fn finish_import(&self, text: &str) {
        let path = self.files.imported.clone();
        let written = put(&path, text).map_err(|error| error.to_string());
        let forgot =
            written.and_then(|()| self.store.imported().map_err(|error| error.to_string()));
        if let Err(error) = forgot {
            eprintln!(
                "error: the import can't be written: {error}; {}; make room: it is kept in control.db and written at the next start",
                path.display()
            );
        }
    }

    fn outcome(&self, import: &Import) -> Result<Outcome, Refused> {
        let Some(rulebook) = &self.rulebook else {
            let what =
                "there is no inventory.toml; name one under [paths] of weir.toml, it may be empty";
            return Err(Refused::Invalid(what.into()));
        };
        let Texts { inventory, policy, imported } = &rulebook.texts;
        let came = inventory_from_str(CAME, &import.text).map_err(mistakes)?.value;
        // What was imported was checked when it was.
        let before = inventory_from_str(BEFORE, imported).map_err(mistakes)?.value;
        let kept: Vec<&Equipment> = match import.mode {
            Mode::Replace => Vec::new(),
            Mode::Merge => {
                before.equipment().iter().filter(|entry| came.find(&entry.id).is_none()).collect()
            }
        };
        let written = |entries: &[&Equipment]| {
            let text = inventory_text(entries.iter().copied());
            text.map_err(|error| Refused::Invalid(error.to_string()))
        };
        let kept_text = written(&kept)?;
        let texts = [("inventory.toml", inventory), (BEFORE, &kept_text), (CAME, &import.text)];
        inventory_of(&texts.map(|(name, text)| (name, text.as_str()))).map_err(mistakes)?;
        let entries: Vec<&Equipment> = kept.into_iter().chain(came.equipment()).collect();
        let texts = Texts {
            inventory: inventory.clone(),
            policy: policy.clone(),
            imported: written(&entries)?,
        };
        let rulebook = self.files.check(texts, &mut |_| {}).map_err(mistakes)?;
        let rulebook = self.files.authorise(rulebook, &mut |_| {}).map_err(|refusal| {
            // What it says is for whoever may see that file.
            eprintln!("{refusal}\nthe old inventory and policy stay in force");
            Refused::Unavailable("other files can't be read again; see what control says".into())
        })?;
        let known: HashMap<&str, &Equipment> =
            before.equipment().iter().map(|entry| (entry.id.as_str(), entry)).collect();
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for entry in came.equipment() {
            match known.get(entry.id.as_str()) {
                None => added.push(entry.id.clone()),
                Some(before) if *before != entry => changed.push(entry.id.clone()),
                Some(_) => {}
            }
        }
        let gone = before
            .equipment()
            .iter()
            .filter(|entry| import.mode == Mode::Replace && came.find(&entry.id).is_none());
        let removed = gone.map(|entry| entry.id.clone()).collect();
        Ok(Outcome { rulebook, added, changed, removed })
    }

    /// Makes up for a crash between the transaction of an import and its file; whether there was any.
    ///
    /// # Errors
    /// What the system or SQLite says.
    pub(super) fn recover_import(store: &crate::store::Store, path: &Path) -> io::Result<bool> {
        let Some(text) = store.pending_import().map_err(io::Error::other)? else {
            return Ok(false);
        };
        put(path, &text)?;
        store.imported().map_err(io::Error::other)?;
        Ok(true)
    }

    /// Takes a rulebook with its message, which is stored already.
    pub(super) fn hold(&mut self, rulebook: Rulebook, message: Vec<u8>) {
        self.message = Some(message);
        self.knows_interception = rulebook.interception.is_some();
        let rulebook = Arc::new(rulebook);
        self.rulebook = Some(Arc::clone(&rulebook));
        crate::live::lock(&self.shared).rulebook = Some(Arc::clone(&rulebook));
        self.recorder.hold(rulebook);
    }
}

/// Writes a file whole or not at all.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("toml.new");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// The mistakes among findings, as whoever sent the text is told of them.
fn mistakes(found: Vec<Diagnostic>) -> Refused {
    let errors = found.into_iter().filter(|it| it.severity == Severity::Error);
    Refused::Mistakes(
        errors
            .map(|it| Mistake {
                file: it.file,
                line: it.line,
                column: it.column,
                message: format!("{}; {}", it.message, it.remedy),
            })
            .collect(),
    )
}
