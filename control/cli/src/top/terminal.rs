//! The terminal: taken over, drawn on, and given back as it was, however the program ends.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event};
use ratatui::{DefaultTerminal, restore, try_init};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::asker::Asker;
use super::board::{After, Board};
use super::draw::draw;
use super::palette::Palette;
use crate::failure::Failure;

/// How long a key is waited for before answers and signals are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Keys that are taken before it is drawn again, so that a pasted text can't keep the screen still.
const KEYS: usize = 256;

/// The taken terminal. It is given back when this goes; a panic gives it back before its message, by
/// the hook that `try_init` sets.
struct Taken(DefaultTerminal);

impl Taken {
    fn take() -> io::Result<Self> {
        try_init().map(Self).inspect_err(|_| restore())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        restore();
    }
}

/// Shows the dashboard until somebody leaves it or a signal ends it.
pub(super) fn show(asker: &Asker, palette: Palette) -> Result<(), Failure> {
    let broken = |why: io::Error| {
        Failure::work(format!(
            "the terminal can't be used: {why}; standard output; use another one, or weir top --once"
        ))
    };
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ended)).map_err(broken)?;
    }
    let mut taken = Taken::take().map_err(broken)?;
    let Taken(terminal) = &mut taken;
    let mut board = Board::default();
    let mut is_stale = true;
    // A terminal that is gone sends a signal only to those whom it controls.
    while !ended.load(Ordering::Relaxed) && io::stdout().is_terminal() {
        while let Some(heard) = asker.heard().map_err(|why| {
            Failure::work(format!("nobody asks control any more: {why}; weir top; start it again"))
        })? {
            board.hear(heard);
            is_stale = true;
        }
        if is_stale {
            terminal.draw(|frame| draw(frame, &board, palette)).map_err(broken)?;
            is_stale = false;
        }
        let mut patience = LOOK;
        for _ in 0..KEYS {
            if !event::poll(patience).map_err(broken)? {
                break;
            }
            patience = Duration::ZERO;
            is_stale = true;
            if let Event::Key(key) = event::read().map_err(broken)?
                && board.press(key) == After::Leaving
            {
                return Ok(());
            }
        }
        asker.wish(board.wish());
    }
    Ok(())
}
