//! The inventory as a whole: what the operator's file says, and what was imported beside it.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Api;
use super::answer::Failure;
use super::cases::done;
use super::tokens::Role;
use crate::cases::command::{Command, Import, Mode};
use crate::live::lock;

/// Octets of an import: some 50,000 entries.
const IMPORT: usize = 16 << 20;

/// The texts in force.
#[derive(Default, Serialize)]
struct Texts<'a> {
    file: &'a str,
    imported_toml: &'a str,
    equipment: usize,
}

/// The texts in force, which may be tens of megabytes: written by a thread that nobody else waits for.
pub(super) async fn texts(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Failure> {
    api.person(&headers).await?;
    let labour = api.labour()?;
    let text = api.aside(move |api| {
        let _labour = labour;
        let rulebook = lock(&api.live).rulebook.clone();
        let texts = rulebook.as_ref().map_or_else(Texts::default, |rulebook| Texts {
            file: &rulebook.texts.inventory,
            imported_toml: &rulebook.texts.imported,
            equipment: rulebook.inventory.equipment().len(),
        });
        serde_json::to_vec(&texts).map_err(|error| {
            Failure::unavailable(format!("it can't be written: {error}; ask again"))
        })
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], text.await?))
}

/// What is to be imported.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    mode: String,
    dry_run: Option<bool>,
    toml: String,
}

/// Takes equipment over, for admins.
pub(super) async fn import(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Failure> {
    let person = api.person(&headers).await?;
    if person.role != Role::Admin {
        return Err(Failure::forbidden("admin"));
    }
    // One at a time: each may be large, and takes the writing process a while.
    let Ok(_turn) = api.importing.try_acquire() else {
        return Err(Failure::unavailable("another import is under way; ask again"));
    };
    // What is too long and what came too late are told apart by the door, which saw the clock.
    let bytes = to_bytes(body, IMPORT).await.map_err(|_| Failure::too_large())?;
    let labour = api.labour()?;
    let import = api.aside(move |_| {
        let _labour = labour;
        read(&bytes)
    });
    Ok(done(api.order(person, Command::Import(import.await?)).await?))
}

fn read(bytes: &[u8]) -> Result<Import, Failure> {
    let asked: Asked = serde_json::from_slice(bytes)
        .map_err(|error| Failure::invalid(format!("the body is not what is asked for: {error}")))?;
    let mode = Mode::ALL.into_iter().find(|mode| mode.name() == asked.mode);
    let mode = mode.ok_or_else(|| {
        let names = Mode::ALL.map(Mode::name);
        Failure::invalid(format!("mode: {}", weir_policy::remedy(&asked.mode, names)))
    })?;
    Ok(Import { mode, dry_run: asked.dry_run.unwrap_or(false), text: asked.toml })
}
