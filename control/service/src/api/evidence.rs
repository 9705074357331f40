//! The frames of an alert, with the addresses of its subscribers: who took them is noted before they
//! are given.

use std::path::PathBuf;
use std::{fs, io};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use serde::Deserialize;

use super::Api;
use super::answer::Failure;
use super::cases::{alert_id, named};
use crate::cases::command::Command;
use crate::evidence;

/// The part of an event that says where its frames are.
#[derive(Deserialize)]
struct Event {
    weir: Weir,
}

#[derive(Deserialize)]
struct Weir {
    evidence: Option<Evidence>,
}

#[derive(Deserialize)]
struct Evidence {
    pcap: String,
}

fn read(directory: &std::path::Path, event: &str) -> Result<Vec<u8>, Failure> {
    let event: Event = serde_json::from_str(event).map_err(|_| Failure::absent())?;
    let pcap = event.weir.evidence.ok_or_else(Failure::absent)?.pcap;
    let place: PathBuf = evidence::place(directory, &pcap).ok_or_else(Failure::absent)?;
    fs::read(place).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::gone(
            "the frames were removed for their age or their size: see [control.evidence]",
        ),
        _ => Failure::unavailable(format!("the frames can't be read: {error}; ask again")),
    })
}

/// An alert's capture.
pub(super) async fn evidence(
    State(api): State<Api>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
) -> Result<impl IntoResponse, Failure> {
    let person = api.writer(&headers).await?;
    let (id, sees) = (alert_id(&named(path)?)?, person.role.sees_restricted());
    let directory = api.evidence.clone().ok_or_else(Failure::absent)?;
    let capture = api
        .ask(move |reader| {
            let page = reader.alert(id, sees)?.ok_or_else(Failure::absent)?;
            read(&directory, page.event.get())
        })
        .await?;
    api.order(person, Command::TakeEvidence(id)).await?;
    let name = format!("attachment; filename=\"weir-{id}.pcapng\"");
    let kind = "application/x-pcapng".to_owned();
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], capture))
}
