//! The policy in force, and what another one would change.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_engine::Nanos;
use weir_policy::{
    Became, Diagnostic, Equipment, Inventory, Severity, inventory_of, policy_changes,
    policy_from_str,
};

use super::Api;
use super::answer::Failure;
use super::cases::{Answer, said};
use super::equipment::rulebook;
use crate::eve::timestamp;
use crate::live::now;
use crate::rulebook::{hex, shown};
use crate::trial::{Outcome, Trial};

/// Days of a trial, unless others are asked for, and at most.
const DAYS: u32 = 7;
const MOST_DAYS: u32 = 30;
/// Differences and mistakes that are told.
const LINES: usize = 2_000;

const DAY: u64 = 86_400_000_000_000;

/// The policy in force, as whoever asks may see it.
pub(super) async fn policy(State(api): State<Api>, headers: HeaderMap) -> Answer<Value> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let rulebook = rulebook(&api);
    let found = api.ask(move |reader| {
        let versions = reader.policies()?;
        let Some(rulebook) = rulebook else {
            return Ok(json!({
                "version": null, "sha256": null, "policy": null, "adopted": null, "versions": [],
            }));
        };
        let text = &rulebook.texts.policy;
        let adopted = versions.iter().find(|it| it.version == rulebook.version);
        Ok(json!({
            "version": rulebook.version,
            "sha256": hex(&rulebook.sha256),
            "policy": if sees { text.clone() } else { shown(text) },
            "adopted": adopted.and_then(|it| it.adopted).map(timestamp),
            "versions": versions.iter().map(|it| {
                json!({ "version": it.version, "sha256": it.sha256 })
            }).collect::<Vec<_>>(),
        }))
    });
    Ok(Json(found.await?))
}

/// A policy that somebody thinks of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Candidate {
    policy: String,
    /// What would be installed; else it is what is installed now.
    inventory: Option<String>,
}

#[derive(Serialize)]
struct Line {
    sign: char,
    what: String,
}

/// A mistake where it stands.
fn mistakes(found: &[Diagnostic]) -> Vec<Value> {
    let errors = found.iter().filter(|it| it.severity == Severity::Error).take(LINES);
    let mistake = |it: &Diagnostic| {
        let message = format!("{}; {}", it.message, it.remedy);
        json!({ "file": it.file, "line": it.line, "column": it.column, "message": message })
    };
    errors.map(mistake).collect()
}

/// How the entries of two inventories differ, by id.
fn installed(before: &Inventory, after: &Inventory) -> Vec<Line> {
    let told = |entry: &Equipment| {
        let of = [&entry.vendor, &entry.model, &entry.build, &entry.location];
        let of: Vec<&str> =
            of.into_iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
        format!("{} ({})", entry.id, of.join(", "))
    };
    let entry = |inventory: &'_ Inventory, id: &str| {
        inventory.find(id).and_then(|number| inventory.entry(number)).cloned()
    };
    let mut lines = Vec::new();
    for old in before.equipment() {
        match entry(after, &old.id) {
            None => {
                lines.push(Line { sign: '-', what: format!("equipment removed: {}", told(old)) });
            }
            Some(new) if new != *old => {
                lines.push(Line { sign: '~', what: format!("equipment changed: {}", told(&new)) });
            }
            Some(_) => {}
        }
    }
    for new in after.equipment().iter().filter(|new| before.find(&new.id).is_none()) {
        lines.push(Line { sign: '+', what: format!("equipment added: {}", told(new)) });
    }
    lines
}

/// What a policy says and the one in force does not.
pub(super) async fn diff(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Json<Candidate>, JsonRejection>,
) -> Answer<Value> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let candidate = said(body)?;
    let rulebook = rulebook(&api);
    let labour = api.labour()?;
    let answer = api.aside(move |_| {
        let _labour = labour;
        let none = Inventory::default();
        let before = rulebook.as_deref().map_or(&none, |book| &book.inventory);
        let told = |found: &[Diagnostic]| Ok(json!({ "lines": [], "mistakes": mistakes(found) }));
        // What was imported stands behind whatever the operator's file says.
        let imported = rulebook.as_deref().map_or("", |book| &book.texts.imported);
        let after = candidate.inventory.map(|text| {
            inventory_of(&[("inventory.toml", text.as_str()), ("imported.toml", imported)])
        });
        let after = match after.transpose() {
            Ok(after) => after.map(|checked| checked.value),
            Err(found) => return told(&found),
        };
        let inventory = after.as_ref().unwrap_or(before);
        if let Err(found) = policy_from_str("policy.toml", &candidate.policy, inventory) {
            return told(&found);
        }
        let text = rulebook.as_deref().map_or("", |book| &book.texts.policy);
        let text = if sees { text.to_owned() } else { shown(text) };
        let mut lines = after.as_ref().map_or_else(Vec::new, |after| installed(before, after));
        lines.extend(policy_changes(&text, &candidate.policy).iter().map(|change| Line {
            sign: match change.became {
                Became::Added => '+',
                Became::Removed => '-',
                Became::Changed => '~',
            },
            what: change.to_string(),
        }));
        let left_out = lines.len().saturating_sub(LINES);
        lines.truncate(LINES);
        Ok(json!({ "lines": lines, "mistakes": [], "left_out": left_out }))
    });
    Ok(Json(answer.await?))
}

/// A policy that is to be tried.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tried {
    policy: String,
    days: Option<u32>,
}

/// What a policy would have made of what is stored.
pub(super) async fn test(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Json<Tried>, JsonRejection>,
) -> Answer<Outcome> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let tried = said(body)?;
    let days = tried.days.unwrap_or(DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Failure::invalid(format!("days is a number from 1 to {MOST_DAYS}")));
    }
    let (rulebook, cover) = (rulebook(&api), api.cover()?);
    let labour = api.labour()?;
    let answer = api.ask(move |reader| {
        let _labour = labour;
        let none = Inventory::default();
        let inventory = rulebook.as_deref().map_or(&none, |book| &book.inventory);
        let policy = policy_from_str("policy.toml", &tried.policy, inventory).map_err(|found| {
            let errors = found.iter().filter(|it| it.severity == Severity::Error);
            let said = errors.take(20).map(ToString::to_string);
            Failure::invalid(said.collect::<Vec<_>>().join("\n"))
        })?;
        let oldest = Nanos(now().0.saturating_sub(u64::from(days) * DAY));
        let alerts = reader.said_since(oldest, sees)?;
        let talks = match reader.latest_hour()? {
            Some(latest) => reader.conversations(latest, u64::from(days) * 24)?,
            None => Vec::new(),
        };
        let mut outcome = Trial::of(inventory, &policy.value).judge(alerts, talks);
        for silent in &mut outcome.would_be_silent {
            silent.peer = silent.peer.take().map(|peer| cover.peer(peer));
        }
        Ok(outcome)
    });
    Ok(Json(answer.await?))
}
