//! What is done before the first packet is played: captures go into memory, and of those that are
//! played more than once it is looked at what they hold.

use std::fs::File;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use weir_capture::Source;
use weir_engine::decode::Ports;

use crate::{Content, LoadError, Passes, Stop, Survey, load, room};

/// A capture that was opened.
#[derive(Debug)]
pub struct Unplayed<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its bytes, if they are all there.
    pub content: &'a mut Option<Content>,
    /// Where they come from, if they are not.
    pub input: &'a mut Option<File>,
}

/// How captures are to be played.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    /// Whether they are read into memory first.
    pub preload: bool,
    /// How often they are played.
    pub passes: u32,
    /// Where GTP-U and PFCP are looked for.
    pub ports: Ports,
}

/// A capture that does not fit into memory.
#[derive(Debug, thiserror::Error)]
#[error(
    "can't hold the capture in memory: {why} (three quarters of what is free, less the captures \
     before it); {name}; cut it with editcap, unpack it to a file and leave --preload out, or add \
     memory"
)]
pub struct NoRoom {
    name: String,
    why: LoadError,
}

/// Loads what is to be played from memory, and what can be read only once but is to be played again;
/// then surveys what is to be played again. A stop ends both early.
///
/// # Errors
/// If memory does not suffice for a capture.
pub fn rehearse(
    captures: &mut [Unplayed<'_>],
    wishes: &Wishes,
    stop: &Stop,
) -> Result<Option<Passes>, NoRoom> {
    let again = wishes.passes > 1;
    let limit = room().unwrap_or(u64::MAX);
    let mut taken = 0;
    for capture in captures.iter_mut() {
        let source = match (capture.content.take(), capture.input.take()) {
            (Some(Content::Mapped(map)), None) if wishes.preload => Source::Mapped(map),
            (None, Some(input)) if wishes.preload || again => Source::Stream(input),
            (content, input) => {
                (*capture.content, *capture.input) = (content, input);
                continue;
            }
        };
        let bar = match &source {
            Source::Mapped(map) => {
                bar(map.len() as u64, "loading {bar:40} {bytes}/{total_bytes} {bytes_per_sec}")
            }
            Source::Stream(_) => bar(0, "loading {bytes}, {bytes_per_sec}"),
        };
        let content = load(source, limit.saturating_sub(taken), stop, |at| bar.set_position(at))
            .map_err(|why| NoRoom { name: capture.name.to_owned(), why })?;
        bar.finish_and_clear();
        taken += content.len() as u64;
        *capture.content = Some(content);
    }
    Ok(again.then(|| Passes::new(survey(captures, &wishes.ports, stop), wishes.ports)))
}

fn survey(captures: &[Unplayed<'_>], ports: &Ports, stop: &Stop) -> Survey {
    let contents: Vec<&[u8]> =
        captures.iter().filter_map(|capture| capture.content.as_deref()).collect();
    let total: usize = contents.iter().map(|content| content.len()).sum();
    let bar = bar(total as u64, "surveying {bar:40} {bytes}/{total_bytes} {bytes_per_sec}");
    let survey = Survey::of(&contents, ports, stop, |at| bar.set_position(at));
    bar.finish_and_clear();
    survey
}

/// A progress bar on a terminal; nothing elsewhere.
pub fn bar(total: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}
