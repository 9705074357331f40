//! The thread that asks control, so that the screen never waits for the network.

use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, Trouble};
use super::told::{Alert, Incident, Page, State};

/// How often the state is asked for.
const ROUND: Duration = Duration::from_secs(1);
/// Rounds after which the lists are asked for too: reading them costs control more.
const LISTS: u32 = 3;
/// Answers that wait for the screen at most; the thread waits beyond.
const WAITING: usize = 2;

/// What control said in one round.
pub(super) struct Heard {
    pub(super) state: Result<State, Trouble>,
    /// Open incidents, if they were asked for.
    pub(super) incidents: Option<Result<Page<Incident>, Trouble>>,
    /// The number of an incident with its alerts, if they were asked for.
    pub(super) alerts: Option<(u64, Result<Page<Alert>, Trouble>)>,
}

/// What the screen wants to know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Wish {
    /// The incident whose alerts are shown.
    pub(super) incident: Option<u64>,
    pub(super) is_paused: bool,
}

#[derive(Default)]
struct Desk {
    wish: Mutex<Wish>,
    changed: Condvar,
}

impl Desk {
    fn wish(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The screen's end of the thread.
pub(super) struct Asker {
    desk: Arc<Desk>,
    heard: Receiver<Heard>,
}

impl Asker {
    /// Begins to ask. The thread ends once nobody listens any more.
    pub(super) fn start(client: Client) -> Self {
        let desk = Arc::new(Desk::default());
        let (told, heard) = mpsc::sync_channel(WAITING);
        let shared = Arc::clone(&desk);
        thread::spawn(move || ask_on(&client, &shared, &told));
        Self { desk, heard }
    }

    /// Says what is wanted from now on.
    pub(super) fn wish(&self, wish: Wish) {
        let mut wished = self.desk.wish();
        if *wished != wish {
            *wished = wish;
            self.desk.changed.notify_one();
        }
    }

    /// What was said since, if anything; an error once the thread is gone.
    pub(super) fn heard(&self) -> Result<Option<Heard>, TryRecvError> {
        match self.heard.try_recv() {
            Err(TryRecvError::Empty) => Ok(None),
            other => other.map(Some),
        }
    }
}

fn ask_on(client: &Client, desk: &Desk, told: &SyncSender<Heard>) {
    let mut rounds = 0;
    let mut wish = *desk.wish();
    loop {
        let begun = Instant::now();
        if !wish.is_paused {
            let heard = round(client, wish, rounds == 0);
            let pause = match heard.trouble() {
                // The lists are wanted at once when control is there again.
                Some(trouble) => {
                    rounds = 0;
                    trouble.pause()
                }
                None => {
                    rounds = (rounds + 1) % LISTS;
                    ROUND
                }
            };
            if told.send(heard).is_err() {
                return;
            }
            let before = wish;
            wish = wait(desk, wish, Some(begun + pause));
            if wish != before {
                rounds = 0;
            }
        } else {
            wish = wait(desk, wish, None);
            rounds = 0;
        }
    }
}

/// Waits until a moment, or until something else is wished.
fn wait(desk: &Desk, wish: Wish, until: Option<Instant>) -> Wish {
    let wished = desk.wish();
    let same = |wished: &mut Wish| *wished == wish;
    match until {
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            let waited = desk.changed.wait_timeout_while(wished, left, same);
            *waited.unwrap_or_else(PoisonError::into_inner).0
        }
        None => {
            let waited = desk.changed.wait_while(wished, same);
            *waited.unwrap_or_else(PoisonError::into_inner)
        }
    }
}

fn round(client: &Client, wish: Wish, with_lists: bool) -> Heard {
    let state = client.state();
    let lists = with_lists && state.is_ok();
    Heard {
        state,
        incidents: lists.then(|| client.incidents()),
        alerts: wish.incident.filter(|_| lists).map(|number| (number, client.alerts(number))),
    }
}

impl Heard {
    /// What went wrong first.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        let incidents = self.incidents.as_ref().and_then(|list| list.as_ref().err());
        let alerts = self.alerts.as_ref().and_then(|(_, list)| list.as_ref().err());
        self.state.as_ref().err().or(incidents).or(alerts)
    }
}

impl Trouble {
    /// How long to wait before asking again. Wrong tokens are counted by control, and too many of
    /// them shut everybody out.
    fn pause(&self) -> Duration {
        match self {
            Self::TooMuch(seconds) => Duration::from_secs(*seconds),
            Self::TokenUnknown => Duration::from_secs(30),
            _ => ROUND,
        }
    }
}
