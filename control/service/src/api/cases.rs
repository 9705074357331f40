//! Alerts, incidents, suppressions and deeds.

use std::net::IpAddr;
use std::str::FromStr;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_engine::detect::CATALOGUE;

use super::Api;
use super::answer::Failure;
use super::asked::{Asked, AskedIncidents, Paged, moment, status};
use super::tokens::Role;
use crate::cases::AlertId;
use crate::cases::command::{Change, Command, Done};
use crate::cases::suppression::Draft;
use crate::live::{lock, now};

/// Suppressions that are listed.
const SUPPRESSIONS: u32 = 5_000;

pub(super) type Answer<T> = Result<Json<T>, Failure>;

pub(super) fn named<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Failure> {
    path.map(|Path(value)| value).map_err(|_| Failure::absent())
}

pub(super) fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Failure> {
    query.map(|Query(value)| value).map_err(|error| Failure::invalid(error.body_text()))
}

pub(super) fn said<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Failure> {
    body.map(|Json(value)| value).map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large(),
        _ => Failure::invalid(error.body_text()),
    })
}

pub(super) fn alert_id(text: &str) -> Result<AlertId, Failure> {
    AlertId::from_str(text).map_err(|_| Failure::absent())
}

/// Whether Weir sees anything, and the end of its journal.
pub(super) async fn health(State(api): State<Api>, headers: HeaderMap) -> Answer<Value> {
    let person = api.person(&headers).await?;
    let mut live = lock(&api.live);
    live.refresh();
    let lost: u64 = live.tally.lost.iter().sum();
    Ok(Json(json!({
        "ready": live.unready().is_none(),
        "reason": live.unready(),
        "site": live.greeting.as_ref().map(|greeting| greeting.site.clone()),
        "replay": live.greeting.as_ref().map(|greeting| greeting.replay),
        "events_lost": lost,
        "alerts_open_days": live.alerts,
        "journal": live.journal,
        "you": { "name": person.name, "role": person.role.name() },
    })))
}

#[derive(Serialize)]
pub(super) struct DetectionLine {
    id: &'static str,
    signature_id: u32,
    signature: &'static str,
    category: &'static str,
    technique: &'static [&'static str],
    restricted: bool,
}

/// What Weir looks for.
pub(super) async fn detections(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Answer<Vec<DetectionLine>> {
    api.person(&headers).await?;
    let lines = CATALOGUE.iter().map(|known| DetectionLine {
        id: known.id,
        signature_id: known.signature_id,
        signature: known.signature,
        category: known.category,
        technique: known.technique,
        restricted: known.restricted,
    });
    Ok(Json(lines.collect()))
}

/// Alerts, the latest first.
pub(super) async fn alerts(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<impl IntoResponse, Failure> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let asked = asked(query)?;
    let (page, filter) = (asked.page()?, asked.filter()?);
    let cover = api.cover()?;
    let mut rows = api.ask(move |reader| Ok(reader.alerts(&filter, &page, sees)?)).await?;
    rows.items = rows.items.into_iter().map(|line| cover.line(line)).collect();
    Ok(Json(rows))
}

/// Incidents, the latest first.
pub(super) async fn incidents(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<AskedIncidents>, QueryRejection>,
) -> Result<impl IntoResponse, Failure> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let asked = asked(query)?;
    let (page, only_open) = (asked.page()?, asked.only_open()?);
    Ok(Json(api.ask(move |reader| Ok(reader.incidents(only_open, &page, sees)?)).await?))
}

/// An incident.
pub(super) async fn incident(
    State(api): State<Api>,
    headers: HeaderMap,
    path: Result<Path<u64>, PathRejection>,
) -> Result<impl IntoResponse, Failure> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let number = named(path)?;
    let found = api.ask(move |reader| Ok(reader.incident(number, sees)?)).await?;
    Ok(Json(found.ok_or_else(Failure::absent)?))
}

/// Suppressions, those that are over or taken back too.
pub(super) async fn suppressions(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Failure> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let items = api.ask(move |reader| Ok(reader.suppressions(now(), SUPPRESSIONS, sees)?)).await?;
    Ok(Json(json!({ "items": items })))
}

/// Who did what; for admins, and for whoever may see restricted alerts.
pub(super) async fn audit(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<Paged>, QueryRejection>,
) -> Result<impl IntoResponse, Failure> {
    let role = api.person(&headers).await?.role;
    if !matches!(role, Role::Admin | Role::Restricted) {
        return Err(Failure::forbidden("admin"));
    }
    let page = asked(query)?.page()?;
    Ok(Json(api.ask(move |reader| Ok(reader.audit(&page, role.sees_restricted())?)).await?))
}

/// Where an alert is to be put.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    status: String,
    note: Option<String>,
}

impl Put {
    fn change(self) -> Result<Change, Failure> {
        Ok(Change { status: status(&self.status)?, note: self.note })
    }
}

/// What was done, as JSON.
pub(super) fn done(done: Done) -> Json<Value> {
    Json(match done {
        Done::Changed { alerts, pending } => json!({ "alerts": alerts, "pending": pending }),
        Done::Suppressed { number, alerts, pending } => {
            json!({ "number": number, "alerts": alerts, "pending": pending })
        }
        Done::Revoked | Done::Noted => json!({}),
        Done::Imported { added, changed, removed, version } => json!({
            "added": added, "changed": changed, "removed": removed, "version": version,
        }),
    })
}

/// Puts an alert where somebody wants it.
pub(super) async fn put_alert(
    State(api): State<Api>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
    body: Result<Json<Put>, JsonRejection>,
) -> Answer<Value> {
    let person = api.writer(&headers).await?;
    let (id, change) = (alert_id(&named(path)?)?, said(body)?.change()?);
    Ok(done(api.order(person, Command::Alert(id, change)).await?))
}

/// The same of all alerts of an incident.
pub(super) async fn put_incident(
    State(api): State<Api>,
    headers: HeaderMap,
    path: Result<Path<u64>, PathRejection>,
    body: Result<Json<Put>, JsonRejection>,
) -> Answer<Value> {
    let person = api.writer(&headers).await?;
    let (number, change) = (named(path)?, said(body)?.change()?);
    Ok(done(api.order(person, Command::Incident(number, change)).await?))
}

/// What is to be silenced.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Suppress {
    detection: String,
    equipment: Option<String>,
    /// An address or a prefix.
    peer: Option<String>,
    until: String,
    reason: String,
}

impl Suppress {
    fn draft(self) -> Result<Draft, Failure> {
        let net = |text: String| {
            let address = text.parse::<IpAddr>().map(IpNet::from).ok();
            address.or_else(|| text.parse().ok()).ok_or_else(|| {
                Failure::invalid(
                    "peer is an address or a prefix, as in 198.51.100.7 or 198.51.100.0/24",
                )
            })
        };
        Ok(Draft {
            detection: self.detection,
            equipment: self.equipment,
            peer: self.peer.map(net).transpose()?,
            until: moment(&self.until)?,
            reason: self.reason,
        })
    }
}

/// Silences something, until it is over.
pub(super) async fn suppress(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Json<Suppress>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let person = api.writer(&headers).await?;
    let draft = said(body)?.draft()?;
    Ok((StatusCode::CREATED, done(api.order(person, Command::Suppress(draft)).await?)))
}

/// Why it is taken back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    reason: String,
}

/// Takes a suppression back.
pub(super) async fn revoke(
    State(api): State<Api>,
    headers: HeaderMap,
    path: Result<Path<u64>, PathRejection>,
    body: Result<Json<Revoke>, JsonRejection>,
) -> Answer<Value> {
    let person = api.writer(&headers).await?;
    let (number, Revoke { reason }) = (named(path)?, said(body)?);
    Ok(done(api.order(person, Command::Revoke { number, reason }).await?))
}
