//! The interface for programs, `/api/v1`: what was found, where it stands in the hands of people,
//! and what they do to it.
//!
//! Questions are answered from the store by threads of their own, beside the process that writes
//! it; what changes something is handed to that process and answered when it is on the disk.

mod answer;
mod asked;
mod cases;
mod equipment;
mod evidence;
mod inventory;
mod openapi;
mod policy;
mod sessions;
mod state;
mod stream;
mod subscribers;
mod talks;
pub mod tokens;
mod topology;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cases::command::{Actor, Command, Done, Order};
use crate::door::Limits;
use crate::live::{Shared, lock};
use crate::store::Reader;
pub(crate) use answer::Failure;
use stream::Streams;
use tokens::{Denied, Found, Person, Role, TokenError, Tokens, fits};

/// How long an order may take: the disk is slow, or full.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request's body.
const BODY: usize = 1 << 16;
/// Comparisons of tokens at once.
const COMPARISONS: usize = 2;
/// The same of one that holds files: an inventory of some ten thousand entries, and a policy.
const FILES: usize = 8 << 20;
/// Requests at a time that may take seconds.
const LABORIOUS: usize = 4;
/// Connections to the store that are kept.
const READERS: usize = 8;

/// What every request needs.
#[derive(Clone)]
pub struct Api {
    state_dir: Arc<Path>,
    /// Where captures of alerts are, if any are kept.
    evidence: Option<Arc<Path>>,
    readers: Arc<Mutex<Vec<Reader>>>,
    tokens: Arc<Mutex<Tokens>>,
    desk: mpsc::SyncSender<Order>,
    live: Shared,
    streams: Arc<Streams>,
    limits: Arc<Limits>,
    /// Whether nobody off this machine can come: who is here may look as long as there is no token.
    is_local: bool,
    /// Comparisons of tokens that run at once: each takes 19 MiB and a core.
    comparing: Arc<Semaphore>,
    /// Imports that are read at once.
    importing: Arc<Semaphore>,
    /// What takes seconds and runs at once.
    laborious: Arc<Semaphore>,
}

impl Api {
    /// Reads the tokens of a state directory.
    ///
    /// # Errors
    /// What is amiss with their file.
    pub fn new(
        state_dir: PathBuf,
        evidence: Option<PathBuf>,
        desk: mpsc::SyncSender<Order>,
        live: Shared,
        (limits, is_local): (Arc<Limits>, bool),
    ) -> Result<Self, TokenError> {
        let news = Arc::clone(&lock(&live).news);
        Ok(Self {
            streams: Arc::new(Streams::new(news)),
            tokens: Arc::new(Mutex::new(Tokens::read(&state_dir)?)),
            state_dir: state_dir.into(),
            evidence: evidence.map(Into::into),
            readers: Arc::default(),
            laborious: Arc::new(Semaphore::new(LABORIOUS)),
            desk,
            live,
            limits,
            is_local,
            comparing: Arc::new(Semaphore::new(COMPARISONS)),
            importing: Arc::new(Semaphore::new(1)),
        })
    }

    /// Whether nobody off this machine can come.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    /// The routes.
    pub fn router(&self) -> Router {
        let files = DefaultBodyLimit::max(FILES);
        Router::new()
            .route("/api/v1/openapi.json", get(openapi::document))
            .route("/api/v1/health", get(cases::health))
            .route("/api/v1/detections", get(cases::detections))
            .route("/api/v1/alerts", get(cases::alerts))
            .route("/api/v1/alerts/{id}", get(subscribers::alert))
            .route("/api/v1/alerts/{id}/status", post(cases::put_alert))
            .route("/api/v1/alerts/{id}/evidence", get(evidence::evidence))
            .route("/api/v1/alerts/{id}/reveal", post(subscribers::reveal))
            .route("/api/v1/incidents", get(cases::incidents))
            .route("/api/v1/incidents/{number}", get(cases::incident))
            .route("/api/v1/incidents/{number}/status", post(cases::put_incident))
            .route("/api/v1/suppressions", get(cases::suppressions).post(cases::suppress))
            .route("/api/v1/suppressions/{number}/revoke", post(cases::revoke))
            .route("/api/v1/audit", get(cases::audit))
            .route("/api/v1/inventory", get(inventory::texts).post(inventory::import))
            .route("/api/v1/state", get(state::state))
            .route("/api/v1/stream", get(stream::stream))
            .route("/api/v1/equipment", get(equipment::list))
            .route("/api/v1/equipment/{id}", get(equipment::one))
            .route("/api/v1/flows", get(talks::flows))
            .route("/api/v1/topology", get(topology::topology))
            .route("/api/v1/sessions", get(sessions::list))
            .route("/api/v1/sessions/reveal", post(sessions::reveal))
            .route("/api/v1/policy", get(policy::policy))
            .route("/api/v1/policy/diff", post(policy::diff).layer(files))
            .route("/api/v1/policy/test", post(policy::test).layer(files))
            .layer(DefaultBodyLimit::max(BODY))
            .with_state(self.clone())
    }

    /// Who asks. Where there are no tokens and nobody can come from outside, whoever is on this
    /// machine may look, and nobody may change anything.
    pub(crate) async fn person(&self, headers: &HeaderMap) -> Result<Person, Failure> {
        let often = |wait| Failure::too_many("too many requests come with this token", wait);
        let (is_empty, token) = (self.tokens().is_empty(), asked::bearer(headers));
        let Some(token) = token.filter(|_| !is_empty) else {
            let may = is_empty && self.is_local && asked::is_local(headers);
            return may
                .then(|| Person { name: "local".into(), role: Role::Viewer })
                .ok_or_else(|| Denied::Unknown.into());
        };
        let found = self.tokens().look_up(token, jiff::Timestamp::now())?;
        let person = match found {
            Found::Known(person) => person,
            Found::Compare { .. } => self.compare(token).await?,
        };
        self.limits.token(&person.name).map_err(often)?;
        Ok(person)
    }

    /// The tokens as their file has them. One that became bad leaves those of before: nobody gets in
    /// by it.
    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        let mut tokens = lock(&self.tokens);
        let _ = tokens.refresh();
        tokens
    }

    /// Compares a token that was not seen before: few at once, and few wrong ones of one address.
    async fn compare(&self, token: &str) -> Result<Person, Failure> {
        let often = |wait| Failure::too_many("too many wrong tokens come from this address", wait);
        let _turn = self.comparing.acquire().await;
        // Another request may have shown meanwhile whose it is.
        let found = self.tokens().look_up(token, jiff::Timestamp::now())?;
        let (hash, person, digest) = match found {
            Found::Known(person) => return Ok(person),
            Found::Compare { hash, person, digest } => (hash, person, digest),
        };
        self.limits.may_guess().map_err(often)?;
        let token = token.to_owned();
        let (is_right, hash) = self.aside(move |_| Ok((fits(&token, &hash), hash))).await?;
        if self.tokens().compared((digest, &hash), &person, is_right) {
            return Ok(person);
        }
        if !is_right {
            self.limits.guessed();
        }
        Err(Denied::Unknown.into())
    }

    /// Somebody who may change where alerts stand.
    async fn writer(&self, headers: &HeaderMap) -> Result<Person, Failure> {
        let person = self.person(headers).await?;
        if person.role.may_write() { Ok(person) } else { Err(Failure::forbidden("analyst")) }
    }

    /// Makes room for work that takes seconds where much is stored; there is little of it, so that
    /// whoever asks for much of it takes no core from what is inspected.
    fn labour(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.laborious)
            .try_acquire_owned()
            .map_err(|_| Failure::unavailable("too much is asked for at once; ask again"))
    }

    /// Does what takes time in a thread of its own.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Api) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let api = self.clone();
        match tokio::task::spawn_blocking(move || work(&api)).await {
            Ok(done) => done,
            Err(error) => Err(Failure::unavailable(format!("the work ended: {error}; ask again"))),
        }
    }

    /// Asks the store.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.aside(move |api| {
            let kept = lock(&api.readers).pop();
            let reader = match kept {
                Some(reader) => reader,
                None => Reader::open(&api.state_dir)?,
            };
            let answer = question(&reader)?;
            let mut readers = lock(&api.readers);
            if readers.len() < READERS {
                readers.push(reader);
            }
            Ok(answer)
        })
        .await
    }

    /// Has the process that writes the store do something; answers when it is on the disk.
    async fn order(&self, person: Person, command: Command) -> Result<Done, Failure> {
        self.aside(move |api| {
            let (reply, answer) = mpsc::sync_channel(1);
            let actor = Actor { name: person.name, sees_restricted: person.role.sees_restricted() };
            api.desk
                .try_send(Order { actor, command, reply })
                .map_err(|_| Failure::unavailable("too much is asked for at once; ask again"))?;
            match answer.recv_timeout(PATIENCE) {
                Ok(done) => Ok(done?),
                Err(_) => Err(Failure::unavailable(
                    "there was no answer within ten seconds; it may be done all the same: look",
                )),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_done_for_a_few_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let (desk, _orders) = mpsc::sync_channel(1);
        let door = (Arc::new(Limits::new(Arc::default())), true);
        let api = Api::new(directory.path().into(), None, desk, Shared::default(), door).unwrap();
        let mut busy: Vec<_> = (0..LABORIOUS).map(|_| api.labour().unwrap()).collect();
        for _ in 0..3 {
            assert!(api.labour().is_err());
        }
        busy.pop();
        busy.push(api.labour().unwrap());
        assert!(api.labour().is_err());
    }
}
