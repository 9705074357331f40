//! The state and the alerts as they change, pushed to whoever watches (server-sent events).
//!
//! One task reads for all: the state each second, and the alerts that the writing process noted
//! ([`crate::news`]). Watchers hear of it over bounded channels; who is too slow is told how much
//! they missed and goes on with what is newest. While nobody watches, nothing is read.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures_core::Stream;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::Api;
use super::answer::Failure;
use crate::cases::AlertId;
use crate::live::lock;
use crate::news::News;

/// Streams of all, and of one person.
const MOST: usize = 64;
const MOST_OF_ONE: usize = 16;
/// Between two looks for alerts that changed.
const LOOK: Duration = Duration::from_millis(200);
/// Looks between two states.
const STATE: u32 = 5;
/// Alerts that wait for a slow watcher.
const WAITING: usize = 4_096;
/// How often a watcher hears that the stream lives, and is looked up again among the tokens.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Line = Arc<str>;

/// What is told of alerts.
#[derive(Clone, Debug)]
enum Told {
    /// One changed.
    Alert(Line),
    /// So many changed that are not told.
    Missed(u64),
}

/// Who watches, and the ways to them.
pub(super) struct Streams {
    state: watch::Sender<Line>,
    open: broadcast::Sender<Told>,
    restricted: broadcast::Sender<Told>,
    /// Streams by person.
    places: Mutex<HashMap<String, usize>>,
    news: Arc<News>,
}

impl Streams {
    pub(super) fn new(news: Arc<News>) -> Self {
        Self {
            state: watch::Sender::new(Line::from("")),
            open: broadcast::Sender::new(WAITING),
            restricted: broadcast::Sender::new(WAITING),
            places: Mutex::default(),
            news,
        }
    }

    /// A place among those who watch, if there is one left for this person.
    fn enter(self: &Arc<Self>, name: &str) -> Option<Seat> {
        let mut places = lock(&self.places);
        let all: usize = places.values().sum();
        let own = places.get(name).copied().unwrap_or(0);
        if all >= MOST || own >= MOST_OF_ONE {
            return None;
        }
        places.insert(name.to_owned(), own + 1);
        self.news.set_watchers(all + 1);
        Some(Seat { streams: Arc::clone(self), name: name.to_owned() })
    }
}

/// A place among those who watch, for as long as it is held.
struct Seat {
    streams: Arc<Streams>,
    name: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut places = lock(&self.streams.places);
        if let Some(own) = places.get_mut(&self.name) {
            *own -= 1;
            if *own == 0 {
                places.remove(&self.name);
            }
        }
        self.streams.news.set_watchers(places.values().sum());
    }
}

impl Api {
    /// Reads for everybody who watches, for as long as the process lives.
    pub async fn herald(self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for look in 0u32.. {
            looks.tick().await;
            if self.streams.news.watchers() == 0 {
                continue;
            }
            for (restricted, way) in [(false, &self.streams.open), (true, &self.streams.restricted)]
            {
                self.tell(restricted, way).await;
            }
            // A state that can't be read is told when it can be again.
            if look % STATE == 0
                && let Ok(state) = self.state().await
            {
                self.streams.state.send_replace(state.to_string().into());
            }
        }
    }

    /// Tells of the alerts of one kind that changed.
    async fn tell(&self, restricted: bool, way: &broadcast::Sender<Told>) {
        let fresh = self.streams.news.take(restricted);
        let count = fresh.ids.len() as u64;
        let ids: Vec<AlertId> = fresh.ids.into_iter().collect();
        let cover = self.cover();
        let lines = self.ask(move |reader| {
            let cover = cover?;
            let mut lines = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(line) = reader.alert_line(id)? {
                    let line = cover.line(line);
                    lines.push(Line::from(serde_json::to_string(&line).map_err(unwritable)?));
                }
            }
            Ok(lines)
        });
        let (lines, missed) = match if count > 0 { lines.await } else { Ok(Vec::new()) } {
            Ok(lines) => (lines, fresh.missed),
            Err(_) => (Vec::new(), fresh.missed + count),
        };
        // Nobody may listen just now.
        for line in lines {
            let _ = way.send(Told::Alert(line));
        }
        if missed > 0 {
            let _ = way.send(Told::Missed(missed));
        }
    }
}

fn unwritable(error: serde_json::Error) -> Failure {
    Failure::unavailable(error.to_string())
}

/// What a page watches.
pub(super) async fn stream(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let person = api.person(&headers).await?;
    let full = || Failure::unavailable("too many watch already; close other pages and try again");
    let seat = api.streams.enter(&person.name).ok_or_else(full)?;
    let open = api.streams.open.subscribe();
    let sees = person.role.sees_restricted();
    let restricted = sees.then(|| api.streams.restricted.subscribe());
    // The first state is of now, not of when somebody last watched.
    let first = api.state().await?;
    let mut state = api.streams.state.subscribe();
    state.mark_unchanged();
    let checked = Instant::now();
    let watcher = Watcher { api, headers, person, state, open, restricted, checked, _seat: seat };
    let first = Event::default().event("state").data(first.to_string());
    Ok(Sse::new(futures_util::stream::unfold(
        (watcher, Some(first)),
        |(mut watcher, first)| async {
            let event = match first {
                Some(first) => first,
                None => watcher.next().await?,
            };
            Some((Ok(event), (watcher, None)))
        },
    )))
}

/// One who watches.
struct Watcher {
    api: Api,
    headers: HeaderMap,
    person: super::tokens::Person,
    state: watch::Receiver<Line>,
    open: broadcast::Receiver<Told>,
    /// For who may see it.
    restricted: Option<broadcast::Receiver<Told>>,
    checked: Instant,
    _seat: Seat,
}

impl Watcher {
    /// What is to be told next; none once the token holds no longer.
    async fn next(&mut self) -> Option<Event> {
        let restricted = async {
            match &mut self.restricted {
                Some(way) => way.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            told = self.open.recv() => Self::event(told),
            told = restricted => Self::event(told),
            changed = self.state.changed() => {
                changed.ok()?;
                let state = self.state.borrow_and_update().clone();
                Some(Event::default().event("state").data(&*state))
            }
            () = sleep_until(self.checked + KEEP_ALIVE) => {
                self.checked = Instant::now();
                // Whoever lost a token, or has another role, sees nothing further.
                let person = self.api.person(&self.headers).await.ok()?;
                (person == self.person).then(|| Event::default().comment("alive"))
            }
        }
    }

    fn event(told: Result<Told, RecvError>) -> Option<Event> {
        let missed = |alerts: u64| {
            Event::default().event("missed").data(json!({ "alerts": alerts }).to_string())
        };
        match told {
            Ok(Told::Alert(line)) => Some(Event::default().event("alert").data(&*line)),
            Ok(Told::Missed(alerts)) | Err(RecvError::Lagged(alerts)) => Some(missed(alerts)),
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_for_all_and_for_one_and_given_back() {
        let news = Arc::new(News::default());
        let streams = Arc::new(Streams::new(Arc::clone(&news)));
        let own: Vec<Seat> = (0..MOST_OF_ONE).map(|_| streams.enter("ada").unwrap()).collect();
        assert!(streams.enter("ada").is_none() && streams.enter("bob").is_some());
        assert_eq!(news.watchers(), MOST_OF_ONE, "bob left again");
        let mut others = Vec::new();
        for person in 0.. {
            match streams.enter(&format!("p{person}")) {
                Some(seat) => others.push(seat),
                None => break,
            }
        }
        assert_eq!(own.len() + others.len(), MOST);
        drop((own, others));
        assert!(!news.is_watched() && lock(&streams.places).is_empty());
    }
}
