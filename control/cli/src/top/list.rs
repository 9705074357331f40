//! The lower half: open incidents, or the alerts of one.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState, Wrap};

use super::board::{Board, Opened};
use super::client::ROWS;
use super::draw::cut;
use super::palette::Palette;
use super::told::{Alert, Incident, Page, Plain, Severity, Status};
use super::words;
use crate::text::bytes;

/// From so many columns on, times and statuses are written out.
const WIDE: u16 = 110;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, board: &Board, palette: Palette) {
    let [rule, heading, rows] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(0)])
            .areas(area);
    frame.render_widget(Line::styled("─".repeat(usize::from(rule.width)), palette.label()), rule);
    let (text, table) = match &board.opened {
        Some(opened) => alerts(board, opened, area.width, palette),
        None => incidents(board, area.width, palette),
    };
    let text = cut(&format!(" {text}"), usize::from(heading.width));
    frame.render_widget(Line::styled(text, palette.heading()), heading);
    match table {
        Ok((table, at)) => {
            let mut state = TableState::new().with_selected(at);
            frame.render_stateful_widget(
                table.row_highlight_style(palette.chosen()),
                rows,
                &mut state,
            );
        }
        Err(nothing) => {
            let place = Rect { x: rows.x + 1, width: rows.width.saturating_sub(2), ..rows };
            frame.render_widget(Paragraph::new(nothing).wrap(Wrap { trim: true }), place);
        }
    }
}

/// What stands above a list; the list and the chosen row, or why there is none.
type Listed = (String, Result<(Table<'static>, usize), &'static str>);

fn incidents(board: &Board, width: u16, palette: Palette) -> Listed {
    let is_wide = width >= WIDE;
    let standing = board.state.as_ref().map(words::standing).unwrap_or_default();
    let standing = match is_wide {
        true => standing,
        false => standing.replace("acknowledged", "ackn.").replace("suppressed", "supp."),
    };
    let Some(page) = &board.incidents else {
        return ("Open incidents".into(), Err("They are not known yet."));
    };
    let of = if page.has_more() { format!(" of the latest {ROWS}") } else { String::new() };
    let at = place(board.chosen.at(), page);
    let heading = format!("Open incidents {at}{of}; alerts {standing}");
    if page.items.is_empty() {
        return (heading, Err(nothing_open(board)));
    }
    let columns = Columns::of(
        width,
        &[
            ("Severity", Constraint::Length(10)),
            ("No.", Constraint::Length(if is_wide { 11 } else { 5 })),
            ("Status", Constraint::Length(if is_wide { 12 } else { 6 })),
            ("What", if is_wide { Constraint::Fill(2) } else { Constraint::Length(15) }),
            ("Where", Constraint::Fill(3)),
            ("Alerts", Constraint::Length(6)),
            ("Last (UTC)", Constraint::Length(if is_wide { 19 } else { 11 })),
        ],
    );
    let rows = page.items.iter().map(|it: &Incident| {
        let restricted = if it.restricted { "restricted: " } else { "" };
        let cells = [
            it.number.to_string(),
            status(it.status, is_wide).into(),
            format!("{restricted}{}", it.detections),
            it.place(),
            format!("{:>6}", it.alerts),
            moment(&it.last, is_wide),
        ];
        columns.row(it.severity, cells, palette)
    });
    let rows = rows.collect();
    (heading, Ok((columns.table(rows, palette), board.chosen.at())))
}

/// Why no incident is open. That is good only while something is seen.
fn nothing_open(board: &Board) -> &'static str {
    match &board.state {
        Some(state) if !state.up && !state.replay => {
            "None. That says little now: the sensor is away, and nothing is inspected."
        }
        _ => {
            "None. That is good: all that the equipment sent was declared in the policy, or somebody \
             is done with it."
        }
    }
}

fn alerts(board: &Board, opened: &Opened, width: u16, palette: Palette) -> Listed {
    let known = board.incidents.iter().flat_map(|page| &page.items);
    let incident = known.into_iter().find(|incident| incident.number == opened.number);
    let what = match incident {
        Some(it) => format!(" ({}, {}): {}", it.severity.name(), it.status.name(), it.place()),
        None => String::new(),
    };
    let number = opened.number;
    let Some(page) = &opened.alerts else {
        return (format!("Incident {number}{what}"), Err("Its alerts are being asked for."));
    };
    let of = if page.has_more() { format!(" of the latest {ROWS}") } else { String::new() };
    let at = place(opened.chosen.at(), page);
    let heading = format!("Incident {number}, alert {at}{of}, the latest first{what}");
    if page.items.is_empty() {
        return (
            heading,
            Err(
                "It has no alerts any more: it may have become part of an older incident. Esc goes back.",
            ),
        );
    }
    let is_wide = width >= WIDE;
    let detection = ("Detection", Constraint::Length(14));
    let narrow = [
        ("Severity", Constraint::Length(10)),
        ("Status", Constraint::Length(6)),
        detection,
        ("Equipment", Constraint::Fill(2)),
        ("Peer", Constraint::Fill(3)),
        ("Bytes", Constraint::Length(8)),
        ("Last (UTC)", Constraint::Length(11)),
    ];
    let wide = [
        ("Severity", Constraint::Length(10)),
        ("Status", Constraint::Length(12)),
        detection,
        ("Equipment", Constraint::Fill(2)),
        ("Peer", Constraint::Fill(3)),
        ("Packets", Constraint::Length(13)),
        ("Bytes", Constraint::Length(8)),
        ("First (UTC)", Constraint::Length(19)),
        ("Last (UTC)", Constraint::Length(19)),
    ];
    let columns = Columns::of(width, if is_wide { &wide } else { &narrow });
    let name = |text: &Option<Plain>| text.as_ref().map_or("-", Plain::as_str).to_owned();
    let rows = page.items.iter().map(|it: &Alert| {
        let mut cells = vec![
            status(it.status, is_wide).into(),
            it.detection.as_str().to_owned(),
            name(&it.equipment),
            name(&it.peer),
        ];
        if is_wide {
            cells.push(format!("{:>13}", words::count(Some(it.packets))));
        }
        cells.push(format!("{:>8}", bytes(it.bytes)));
        if is_wide {
            cells.push(moment(&it.first, true));
        }
        cells.push(moment(&it.last, is_wide));
        columns.row(it.severity, cells, palette)
    });
    let rows = rows.collect();
    (heading, Ok((columns.table(rows, palette), opened.chosen.at())))
}

/// The columns of a list, of which the first is how grave a row is.
struct Columns {
    names: Vec<&'static str>,
    widths: Vec<u16>,
}

impl Columns {
    /// Shares the width out before the rows are made, so that they know what they have to cut.
    fn of(width: u16, columns: &[(&'static str, Constraint)]) -> Self {
        let constraints = columns.iter().map(|(_, constraint)| *constraint);
        let row = Rect { x: 0, y: 0, width, height: 1 };
        let areas = Layout::horizontal(constraints).spacing(1).split(row);
        Self {
            names: columns.iter().map(|(name, _)| *name).collect(),
            widths: areas.iter().map(|area| area.width).collect(),
        }
    }

    fn row(
        &self,
        grave: Severity,
        cells: impl IntoIterator<Item = String>,
        palette: Palette,
    ) -> Row<'static> {
        let widths = self.widths.iter().skip(1);
        let cells = cells.into_iter().zip(widths);
        let cells = cells.map(|(text, width)| Cell::from(cut(&text, usize::from(*width))));
        Row::new(std::iter::once(severity(grave, palette)).chain(cells))
    }

    fn table(self, rows: Vec<Row<'static>>, palette: Palette) -> Table<'static> {
        let header = Row::new(self.names).style(palette.label());
        Table::new(rows, self.widths.into_iter().map(Constraint::Length)).header(header)
    }
}

/// The chosen row of how many.
fn place<T>(at: usize, page: &Page<T>) -> String {
    match page.items.len() {
        0 => "0".into(),
        length => format!("{} of {length}", at + 1),
    }
}

fn severity(severity: Severity, palette: Palette) -> Cell<'static> {
    let mark = match severity {
        Severity::Critical => '◆',
        Severity::High => '▲',
        Severity::Medium => '■',
        Severity::Low => '●',
        Severity::Info | Severity::Unknown => '○',
    };
    Cell::from(Span::styled(format!("{mark} {}", severity.name()), palette.severity(severity)))
}

fn status(status: Status, is_wide: bool) -> &'static str {
    match (status, is_wide) {
        (_, true) | (Status::New, _) => status.name(),
        (Status::Acknowledged, _) => "ackn.",
        (Status::Suppressed, _) => "supp.",
        (Status::Closed, _) => "done",
        (Status::Unknown, _) => "?",
    }
}

fn moment(time: &Plain, is_wide: bool) -> String {
    let whole = time.moment();
    match whole.get(5..16) {
        Some(short) if !is_wide => short.to_owned(),
        _ => whole,
    }
}
