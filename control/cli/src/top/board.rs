//! What the dashboard knows and where its reader is: answers and keys come in, nothing goes out.

use std::collections::VecDeque;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::asker::{Heard, Wish};
use super::client::Trouble;
use super::told::{Alert, Incident, Page, Plain, State};

/// Seconds that are remembered.
pub(super) const SPAN: usize = 300;
/// Rows that a page of the keyboard goes.
const PAGE: usize = 10;

/// Rates of the last minutes.
#[derive(Default)]
pub(super) struct History {
    values: VecDeque<Option<f64>>,
    seen: u64,
}

impl History {
    fn push(&mut self, value: Option<f64>) {
        if self.values.len() == SPAN {
            self.values.pop_front();
        }
        self.values.push_back(value);
        self.seen += 1;
    }

    /// The highest rate of each equal part of the span, the latest at the end. Parts are cut by the
    /// number of the round, so that a peak stays in its bar while time goes on.
    pub(super) fn bars(&self, width: usize) -> Vec<Option<u64>> {
        let each = SPAN.div_ceil(width.max(1)) as u64;
        let mut bars = vec![None; width];
        let Some(last) = self.seen.checked_sub(1) else { return bars };
        let first = self.seen - self.values.len() as u64;
        for (value, number) in self.values.iter().zip(first..) {
            let back = (last / each - number / each) as usize;
            if let (Some(value), Some(place)) = (value, width.checked_sub(back + 1)) {
                let bar = &mut bars[place];
                *bar = (*bar).max(Some(value.max(0.0) as u64));
            }
        }
        bars
    }
}

/// A row of a list that stays chosen while the list changes around it.
#[derive(Default)]
pub(super) struct Chosen<K> {
    key: Option<K>,
    at: usize,
}

impl<K: PartialEq> Chosen<K> {
    /// Its place in a list of keys.
    fn settle(&mut self, mut keys: impl ExactSizeIterator<Item = K> + Clone) {
        let found = self.key.as_ref().and_then(|key| keys.clone().position(|it| it == *key));
        self.at = found.unwrap_or(self.at).min(keys.len().saturating_sub(1));
        self.key = keys.nth(self.at);
    }

    fn go(&mut self, to: usize, mut keys: impl ExactSizeIterator<Item = K>) {
        self.at = to.min(keys.len().saturating_sub(1));
        self.key = keys.nth(self.at);
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }
}

/// An incident that was opened.
pub(super) struct Opened {
    pub(super) number: u64,
    /// Its alerts, once they are there.
    pub(super) alerts: Option<Page<Alert>>,
    pub(super) chosen: Chosen<Plain>,
}

/// Everything that is shown.
#[derive(Default)]
pub(super) struct Board {
    pub(super) state: Option<State>,
    pub(super) trouble: Option<Trouble>,
    pub(super) packets: History,
    pub(super) bits: History,
    pub(super) incidents: Option<Page<Incident>>,
    pub(super) chosen: Chosen<u64>,
    pub(super) opened: Option<Opened>,
    pub(super) is_paused: bool,
    pub(super) shows_keys: bool,
}

/// Whether the reader goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum After {
    Going,
    Leaving,
}

impl Board {
    /// What is wanted of control now.
    pub(super) fn wish(&self) -> Wish {
        Wish {
            incident: self.opened.as_ref().map(|opened| opened.number),
            is_paused: self.is_paused,
        }
    }

    /// Takes what control said. What was known stays while control is away.
    pub(super) fn hear(&mut self, heard: Heard) {
        if self.is_paused {
            return;
        }
        self.trouble = heard.trouble().cloned();
        let state = heard.state.ok();
        self.packets.push(state.as_ref().and_then(|state| state.packets_per_second));
        self.bits.push(state.as_ref().and_then(|state| state.bits_per_second));
        if state.is_some() {
            self.state = state;
        }
        if let Some(Ok(incidents)) = heard.incidents {
            self.chosen.settle(incidents.items.iter().map(|incident| incident.number));
            self.incidents = Some(incidents);
        }
        if let (Some(opened), Some((number, Ok(alerts)))) = (&mut self.opened, heard.alerts)
            && opened.number == number
        {
            opened.chosen.settle(alerts.items.iter().map(|alert| alert.id.clone()));
            opened.alerts = Some(alerts);
        }
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> After {
        if key.kind == KeyEventKind::Release {
            return After::Going;
        }
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if with_control => return After::Leaving,
            _ if with_control => {}
            KeyCode::Char('q') => return After::Leaving,
            KeyCode::Char('?') => self.shows_keys = !self.shows_keys,
            KeyCode::Esc if self.shows_keys => self.shows_keys = false,
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Esc => self.opened = None,
            KeyCode::Enter => self.open(),
            KeyCode::Char('j') | KeyCode::Down => self.go(|at| at.saturating_add(1)),
            KeyCode::Char('k') | KeyCode::Up => self.go(|at| at.saturating_sub(1)),
            KeyCode::PageDown => self.go(|at| at.saturating_add(PAGE)),
            KeyCode::PageUp => self.go(|at| at.saturating_sub(PAGE)),
            KeyCode::Home => self.go(|_| 0),
            KeyCode::End => self.go(|_| usize::MAX),
            _ => {}
        }
        After::Going
    }

    fn go(&mut self, to: impl Fn(usize) -> usize) {
        match (&mut self.opened, &self.incidents) {
            (Some(Opened { alerts: Some(alerts), chosen, .. }), _) => {
                let to = to(chosen.at);
                chosen.go(to, alerts.items.iter().map(|alert| alert.id.clone()));
            }
            (None, Some(incidents)) => {
                let to = to(self.chosen.at);
                self.chosen.go(to, incidents.items.iter().map(|incident| incident.number));
            }
            _ => {}
        }
    }

    fn open(&mut self) {
        let incidents = self.incidents.iter().flat_map(|page| &page.items);
        let chosen = incidents.map(|incident| incident.number).nth(self.chosen.at);
        if let (None, Some(number)) = (&self.opened, chosen) {
            // What is shown of it has to be asked for.
            self.is_paused = false;
            self.opened = Some(Opened { number, alerts: None, chosen: Chosen::default() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::samples::{alerts, incident, incidents, state};

    fn heard(items: &[String]) -> Heard {
        Heard {
            state: Ok(state("{\"up\":true,\"packets_per_second\":7.0}")),
            incidents: Some(Ok(incidents(items))),
            alerts: None,
        }
    }

    fn press(board: &mut Board, keys: &[KeyCode]) -> After {
        let mut after = After::Going;
        for key in keys {
            after = board.press(KeyEvent::new(*key, KeyModifiers::NONE));
        }
        after
    }

    const J: KeyCode = KeyCode::Char('j');
    const K: KeyCode = KeyCode::Char('k');

    #[test]
    fn the_chosen_row_stays_chosen_while_graver_ones_come() {
        let mut board = Board::default();
        board.hear(heard(&[incident(1, "high"), incident(2, "high")]));
        press(&mut board, &[J]);
        assert_eq!((board.chosen.at(), board.chosen.key), (1, Some(2)));
        board.hear(heard(&[incident(3, "critical"), incident(1, "high"), incident(2, "high")]));
        assert_eq!((board.chosen.at(), board.chosen.key), (2, Some(2)));
        press(&mut board, &[J, J, J]);
        assert_eq!(board.chosen.at(), 2, "there is nothing below the last");
        board.hear(heard(&[incident(3, "critical")]));
        assert_eq!((board.chosen.at(), board.chosen.key), (0, Some(3)));
        board.hear(heard(&[]));
        assert_eq!((board.chosen.at(), board.chosen.key), (0, None));
        press(&mut board, &[J, K, KeyCode::End, KeyCode::Enter]);
        assert!(board.opened.is_none());
    }

    #[test]
    fn enter_opens_the_chosen_incident_and_escape_goes_back() {
        let mut board = Board::default();
        board.hear(heard(&[incident(1, "high"), incident(2, "high")]));
        press(&mut board, &[J, KeyCode::Enter]);
        assert_eq!(board.wish(), Wish { incident: Some(2), is_paused: false });
        let late = |number| Heard {
            state: Ok(State::default()),
            incidents: None,
            alerts: Some((number, Ok(alerts(3)))),
        };
        board.hear(late(1));
        assert!(board.opened.as_ref().unwrap().alerts.is_none(), "those of another incident");
        board.hear(late(2));
        press(&mut board, &[J, KeyCode::End]);
        let opened = board.opened.as_ref().unwrap();
        assert_eq!((opened.alerts.as_ref().unwrap().items.len(), opened.chosen.at()), (3, 2));
        press(&mut board, &[KeyCode::Char('?'), KeyCode::Esc]);
        assert!(board.opened.is_some() && !board.shows_keys, "escape closes the keys first");
        press(&mut board, &[KeyCode::Esc]);
        assert_eq!((board.wish(), board.chosen.at()), (Wish::default(), 1));
    }

    #[test]
    fn a_pause_keeps_what_is_shown_and_control_c_and_q_leave() {
        let mut board = Board::default();
        board.hear(heard(&[incident(1, "high")]));
        press(&mut board, &[KeyCode::Char('p')]);
        board.hear(heard(&[]));
        assert_eq!(board.incidents.as_ref().unwrap().items.len(), 1);
        assert!(board.wish().is_paused);
        assert_eq!(press(&mut board, &[KeyCode::Char('c')]), After::Going);
        assert_eq!(press(&mut board, &[KeyCode::Char('q')]), After::Leaving);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(board.press(interrupt), After::Leaving);
    }

    #[test]
    fn what_was_known_stays_while_control_is_away_and_days_take_no_more_memory() {
        let mut board = Board::default();
        board.hear(heard(&[incident(1, "high")]));
        let away = || Heard {
            state: Err(Trouble::Away("nobody listens there".into())),
            incidents: None,
            alerts: None,
        };
        for _ in 0..10 * SPAN {
            board.hear(away());
        }
        assert!(board.state.is_some() && board.trouble.is_some());
        assert_eq!(board.incidents.as_ref().unwrap().items.len(), 1);
        assert_eq!(board.packets.values.len(), SPAN);
        assert!(board.packets.bars(60).iter().all(Option::is_none), "nothing is made up");
        board.hear(heard(&[]));
        assert!(board.trouble.is_none());
    }

    #[test]
    fn a_peak_stays_in_its_bar_and_moves_with_it() {
        let mut history = History::default();
        assert_eq!(history.bars(3), [None; 3]);
        // 300 seconds in 60 bars are five each.
        for value in [1.0, 9.0, 2.0, 3.0, 4.0] {
            history.push(Some(value));
        }
        assert_eq!(history.bars(60)[58..], [None, Some(9)]);
        history.push(Some(5.0));
        assert_eq!(history.bars(60)[58..], [Some(9), Some(5)]);
        assert!(history.bars(0).is_empty());
        history.push(None);
        assert_eq!(history.bars(600)[597..], [Some(4), Some(5), None]);
    }
}
