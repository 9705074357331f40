//! The dashboard: how Weir sees above, what is open below.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Sparkline, Wrap};

use super::board::{Board, History};
use super::list;
use super::palette::Palette;
use super::told::{Load, State};
use super::words::{self, Sight};

/// The smallest terminal that everything fits into.
const LEAST: (u16, u16) = (80, 24);
/// From so many rows on, rates have room.
const TALL: u16 = 40;
/// Columns of what names a row, and of a rate beside its bars.
const LABEL: u16 = 15;
const RATE: u16 = 15;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board, palette: Palette) {
    let area = frame.area();
    let (width, height) = LEAST;
    if area.width < width || area.height < height {
        let text = format!(
            "weir top needs {width} columns and {height} rows; this terminal has {} and {}. Enlarge \
             it, or run weir top --once. q quits.",
            area.width, area.height
        );
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let rows = Rows::of(board.state.as_ref(), area);
    let head = Head::of(board);
    let parts = [
        Constraint::Length(head.height(area.width)),
        Constraint::Length(rows.height()),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [above, sight, below, foot] = Layout::vertical(parts).areas(area);
    head.draw(frame, above, board, palette);
    match &board.state {
        Some(state) => rows.draw(frame, sight, (board, state), palette),
        None => frame.render_widget(Paragraph::new("Nothing is known yet."), sight),
    }
    list::draw(frame, below, board, palette);
    let keys = match board.opened {
        Some(_) => " j k move   Esc back   p pause   ? keys   q quit",
        None => " j k move   Enter open   p pause   ? keys   q quit",
    };
    frame.render_widget(Paragraph::new(keys).style(palette.label()), foot);
    if board.shows_keys {
        draw_keys(frame, area, palette);
    }
}

/// Whether everything is seen, and since when it is not known.
struct Head {
    sight: Sight,
    heading: String,
    sentence: String,
}

impl Head {
    fn of(board: &Board) -> Self {
        let (sight, heading, sentence) = match (&board.trouble, &board.state) {
            (Some(trouble), _) => {
                let (what, remedy) = trouble.parts();
                let sentence = format!("{what}. Asking again. {remedy}");
                (Sight::None, "No answer".to_owned(), sentence)
            }
            (None, Some(state)) => words::sight(state),
            (None, None) => (Sight::Over, "Connecting".to_owned(), String::new()),
        };
        Self { sight, heading, sentence }
    }

    /// The sentence has a second row if it needs one, of which it may be cut in the end.
    fn height(&self, width: u16) -> u16 {
        let is_long = Span::raw(&self.sentence).width() > usize::from(width.saturating_sub(2));
        if is_long { 3 } else { 2 }
    }

    fn draw(self, frame: &mut Frame<'_>, area: Rect, board: &Board, palette: Palette) {
        let state = board.state.as_ref();
        let site = state.and_then(|state| state.site.as_ref()).map_or("", |site| site.as_str());
        let mark = match self.sight {
            Sight::Whole => "●",
            Sight::Partial => "▲",
            Sight::None => "✖",
            Sight::Over => "○",
        };
        let time = state.map(|state| format!("{} UTC ", state.time.moment()));
        let mut right = time.unwrap_or_default();
        if board.trouble.is_some() && state.is_some() {
            right = format!("as of {right}");
        }
        if board.is_paused {
            right = format!("paused, {right}");
        }
        let rows = [Constraint::Length(1), Constraint::Min(0)];
        let [top, below] = Layout::vertical(rows).areas(area);
        let widths = [Constraint::Min(0), Constraint::Length(right.len() as u16)];
        let [left, time] = Layout::horizontal(widths).spacing(1).areas(top);
        let heading = format!("{mark} {}", self.heading);
        let room = usize::from(left.width).saturating_sub(heading.chars().count() + 8);
        let name = format!(" weir {}  ", cut(site, room));
        let line = [
            Span::styled(name, palette.heading()),
            Span::styled(heading, palette.sight(self.sight)),
        ];
        frame.render_widget(Line::from_iter(line), left);
        frame.render_widget(Line::from(right), time);
        let sentence = Paragraph::new(self.sentence).wrap(Wrap { trim: true });
        frame.render_widget(sentence, indented(below));
    }
}

/// A text that fits into so many columns: what is cut shows that it is.
pub(super) fn cut(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for sign in text.chars() {
        short.push(sign);
        if Span::raw(&short).width() >= width {
            short.pop();
            break;
        }
    }
    if width > 0 { short + "…" } else { short }
}

fn indented(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

/// How many rows each part of the upper half takes.
struct Rows {
    rate: u16,
    workers: u16,
    receivers: u16,
    missed: u16,
}

impl Rows {
    fn of(state: Option<&State>, area: Rect) -> Self {
        let is_tall = area.height >= TALL;
        let loads = |loads: Option<&Vec<Load>>| {
            let most = if is_tall { 4 } else { 2 };
            let count = loads.map_or(0, Vec::len);
            count.div_ceil(in_row(area.width)).min(most) as u16
        };
        Self {
            rate: if is_tall { 3 } else { 1 },
            workers: loads(state.and_then(|state| state.workers.as_ref())).max(1),
            receivers: loads(state.and_then(|state| state.receivers.as_ref())),
            missed: if is_tall { 2 } else { 1 },
        }
    }

    fn height(&self) -> u16 {
        2 * self.rate + self.missed + self.workers + self.receivers + 3
    }

    fn draw(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        (board, state): (&Board, &State),
        palette: Palette,
    ) {
        let Self { rate, missed, workers, receivers } = *self;
        let heights = [rate, rate, missed, workers, receivers, 1, 1, 1].map(Constraint::Length);
        let [frames, traffic, missed, workers, receivers, times, table, policy] =
            Layout::vertical(heights).areas(indented(area));
        let rate = words::rate(state.packets_per_second, "/s");
        draw_rate(frame, frames, ("Frames", &rate), &board.packets, palette);
        let rate = words::rate(state.bits_per_second, "bit/s");
        draw_rate(frame, traffic, ("Traffic", &rate), &board.bits, palette);
        let is_missing = state.not_inspected_per_second.is_some_and(|rate| rate > 0.0);
        let rate = words::rate(state.not_inspected_per_second, "/s");
        let text = format!("{rate:<width$}{}", words::missed(state), width = usize::from(RATE));
        let rest = labelled(frame, missed, "Not inspected", palette);
        let style = if is_missing { palette.bad() } else { Style::new() };
        frame.render_widget(Paragraph::new(text).style(style).wrap(Wrap { trim: false }), rest);
        let busy = |loads: &Option<Vec<Load>>| -> Vec<Option<f64>> {
            loads.iter().flatten().map(|load| load.busy).collect()
        };
        let rest = labelled(frame, workers, "Workers", palette);
        draw_loads(frame, rest, &busy(&state.workers), palette);
        let rest = labelled(frame, receivers, "Receivers", palette);
        draw_loads(frame, rest, &busy(&state.receivers), palette);
        let rest = labelled(frame, times, "Latency", palette);
        let text = format!("{}; N4 coverage {}", words::latency(state), words::coverage(state));
        frame.render_widget(Line::from(text), rest);
        let rest = labelled(frame, table, "Sessions", palette);
        frame.render_widget(Line::from(words::sessions(state)), rest);
        let rest = labelled(frame, policy, "Policy", palette);
        let is_losing = state.events_lost.is_some_and(|lost| lost > 0);
        let lost = format!("events lost {}", words::count(state.events_lost));
        let spans = [
            Span::raw(format!("{}; ", words::policy(state))),
            Span::styled(lost, if is_losing { palette.bad() } else { Style::new() }),
        ];
        frame.render_widget(Line::from_iter(spans), rest);
    }
}

/// Writes the name of a row and gives what is left of it.
fn labelled(frame: &mut Frame<'_>, area: Rect, label: &str, palette: Palette) -> Rect {
    let widths = [Constraint::Length(LABEL), Constraint::Min(0)];
    let [left, rest] = Layout::horizontal(widths).areas(area);
    frame.render_widget(Line::styled(label, palette.label()), left);
    rest
}

fn draw_rate(
    frame: &mut Frame<'_>,
    area: Rect,
    (label, rate): (&str, &str),
    history: &History,
    palette: Palette,
) {
    let rest = labelled(frame, area, label, palette);
    let widths = [Constraint::Length(RATE), Constraint::Min(0)];
    let [value, bars] = Layout::horizontal(widths).areas(rest);
    frame.render_widget(Line::styled(rate, palette.heading()), value);
    let spark = Sparkline::default()
        .data(history.bars(usize::from(bars.width)))
        .absent_value_symbol(" ")
        .style(palette.bar());
    frame.render_widget(spark, bars);
}

/// Columns of a load: its number, its bar, its percents, and one between two.
const LOAD: usize = 16;
const BAR: usize = 6;

fn in_row(width: u16) -> usize {
    ((usize::from(width.saturating_sub(LABEL + 2)) + 1) / LOAD).max(1)
}

fn draw_loads(frame: &mut Frame<'_>, area: Rect, loads: &[Option<f64>], palette: Palette) {
    let each = in_row(area.width + LABEL + 2);
    let room = each * usize::from(area.height);
    let is_cut = loads.len() > room;
    let shown = if is_cut { room.saturating_sub(1) } else { loads.len() };
    let mut cells: Vec<[Span<'_>; 3]> = Vec::new();
    for (number, busy) in loads.iter().take(shown).enumerate() {
        cells.push([
            Span::raw(format!("{number:>2} ")),
            Span::styled(bar(*busy), palette.bar()),
            Span::raw(format!(" {:<6}", words::percent_whole(*busy))),
        ]);
    }
    if is_cut {
        let rest = &loads[shown..];
        let most = rest.iter().flatten().copied().fold(0.0, f64::max);
        let text = format!("+{} to {}", rest.len(), words::percent_whole(Some(most)));
        cells.push([Span::raw(text), Span::raw(""), Span::raw("")]);
    }
    let lines = cells.chunks(each).map(|row| Line::from_iter(row.iter().flatten().cloned()));
    let lines: Vec<Line<'_>> = lines.collect();
    let none = if loads.is_empty() && area.height > 0 { vec![Line::from("none")] } else { lines };
    frame.render_widget(Paragraph::new(none), area);
}

/// A load as a bar, to an eighth of a column.
fn bar(busy: Option<f64>) -> String {
    const EIGHTHS: [char; 8] = ['·', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let filled = (busy.unwrap_or(0.0).clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    let mut bar = "█".repeat(filled / 8);
    if filled / 8 < BAR {
        bar.push(EIGHTHS[filled % 8]);
        bar.extend(std::iter::repeat_n('·', BAR - filled / 8 - 1));
    }
    bar
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, palette: Palette) {
    const KEYS: [(&str, &str); 7] = [
        ("j k, arrows", "next and previous row"),
        ("PgUp PgDn Home End", "further"),
        ("Enter", "the alerts of an incident"),
        ("Esc", "back"),
        ("p", "pause: nothing is asked, and nothing changes"),
        ("?", "these keys"),
        ("q, Ctrl-C", "quit"),
    ];
    let size = (70, KEYS.len() as u16 + 4);
    let place = Rect {
        x: (area.width - size.0) / 2,
        y: (area.height - size.1) / 2,
        width: size.0,
        height: size.1,
    };
    let mut lines = vec![Line::styled("Keys", palette.heading())];
    lines.extend(KEYS.map(|(key, does)| Line::from(format!("  {key:<20}{does}"))));
    lines.push(Line::from(""));
    frame.render_widget(Clear, place);
    let block = Block::bordered();
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;
    use ratatui::crossterm::event::{KeyCode, KeyEvent};
    use ratatui::style::Color;

    use super::super::asker::Heard;
    use super::super::client::Trouble;
    use super::super::samples::{alerts, incident, incidents, state};
    use super::*;

    const UP: &str = r#"{"time":"2026-11-26T23:40:01.000000000Z","site":"lab","up":true,"reason":null,
        "packets_per_second":1250000.0,"bits_per_second":9812000000.0,"not_inspected_per_second":0.0,
        "not_inspected":{"ring_full":1200,"truncated":3},"received":1000000,"inspected":998797,
        "workers":[{"busy":0.48},{"busy":1.0},{"busy":null}],"receivers":[{"busy":0.06}],
        "sessions":1200,"tunnels":2400,"flows":32,"n4_coverage":0.9987,"events_lost":0,
        "latency_ms":{"p50":1.048576,"p99":8.388608},
        "alerts":{"new":7,"acknowledged":1,"suppressed":0,"closed":2},
        "policy":{"version":3,"sha256":"ab12cd34ef"}}"#;
    const DOWN: &str = r#"{"time":"2026-11-26T23:40:01.000000000Z","site":null,"up":false,
        "reason":"no sensor is attached","packets_per_second":null,"workers":[],"policy":null}"#;

    fn heard(json: &str, items: &[String]) -> Heard {
        Heard { state: Ok(state(json)), incidents: Some(Ok(incidents(items))), alerts: None }
    }

    fn press(board: &mut Board, key: KeyCode) {
        board.press(KeyEvent::from(key));
    }

    fn drawn(board: &Board, (width, height): (u16, u16), is_coloured: bool) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, board, Palette::new(is_coloured))).unwrap();
        terminal.backend().buffer().clone()
    }

    fn rows(buffer: &Buffer) -> Vec<String> {
        let width = usize::from(buffer.area.width);
        let row = |cells: &[ratatui::buffer::Cell]| -> String {
            cells.iter().map(ratatui::buffer::Cell::symbol).collect()
        };
        buffer.content.chunks(width).map(row).collect()
    }

    fn page(board: &Board, size: (u16, u16)) -> String {
        rows(&drawn(board, size, true)).join("\n")
    }

    /// The row with a text, without what only fills it.
    fn row_of(page: &str, text: &str) -> String {
        let row = page.lines().find(|row| row.contains(text));
        let row = row.unwrap_or_else(|| panic!("no {text:?} in\n{page}"));
        row.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    const SIZES: [(u16, u16); 2] = [(80, 24), (200, 50)];

    #[test]
    fn everything_of_the_state_stands_there() {
        let mut board = Board::default();
        board.hear(heard(UP, &[incident(3, "critical")]));
        for size in SIZES {
            let page = page(&board, size);
            assert_eq!(
                row_of(&page, "weir"),
                "weir lab ● Seeing everything 2026-11-26 23:40:01 UTC"
            );
            assert!(page.contains("998,797 of 1,000,000 frames were inspected"), "{page}");
            let rates = [row_of(&page, "Frames"), row_of(&page, "Traffic")];
            // The newest second stands at the right end.
            assert!(rates[0].starts_with("Frames 1.25 M/s") && page.contains('█'), "{page}");
            assert!(rates[1].starts_with("Traffic 9.81 Gbit/s"), "{page}");
            assert_eq!(
                row_of(&page, "Not inspected"),
                "Not inspected 0 /s ring_full 1,200, truncated 3"
            );
            assert_eq!(row_of(&page, "Workers"), "Workers 0 ██▉··· 48 % 1 ██████ 100 % 2 ······ -");
            assert_eq!(row_of(&page, "Receivers"), "Receivers 0 ▍····· 6 %");
            assert_eq!(
                row_of(&page, "Latency"),
                "Latency p50 1.05 ms, p99 8.39 ms; N4 coverage 99.8 %"
            );
            assert_eq!(row_of(&page, "Sessions"), "Sessions 1,200, tunnels 2,400, flows 32");
            assert_eq!(row_of(&page, "Policy"), "Policy 3 (ab12cd34); events lost 0");
            assert!(
                page.contains("Open incidents 1 of 1; alerts 7 new, 1 ackn")
                    && page.contains("2 closed"),
                "{page}"
            );
            let row = row_of(&page, "◆ critical");
            assert!(row.starts_with("◆ critical 3 new EGR-NOTALLOWED gnb-3 -> 198.51"), "{row}");
        }
        let wide = page(&board, SIZES[1]);
        assert_eq!(
            row_of(&wide, "◆ critical"),
            "◆ critical 3 new EGR-NOTALLOWED gnb-3 -> 198.51.100.0/24 3 2026-11-26 23:40:01"
        );
    }

    #[test]
    fn a_sensor_that_is_away_is_said_and_nothing_is_made_up() {
        let mut board = Board::default();
        board.hear(heard(DOWN, &[]));
        for size in SIZES {
            let page = page(&board, size);
            assert!(page.contains("✖ The sensor is away"), "{page}");
            assert!(page.contains("No sensor is attached. Nothing is inspected."), "{page}");
            assert_eq!(row_of(&page, "Frames"), "Frames -");
            assert_eq!(row_of(&page, "Workers"), "Workers none");
            assert!(
                page.contains("none; events lost -") && page.contains("p50 -, p99 -"),
                "{page}"
            );
            assert!(page.contains("That says little now"), "{page}");
        }
    }

    #[test]
    fn a_control_that_is_away_is_said_with_the_remedy_and_what_was_known_stays() {
        let mut board = Board::default();
        board.hear(heard(UP, &[incident(3, "critical")]));
        for trouble in [
            Trouble::Away("it does not answer within 5 s".into()),
            Trouble::TokenUnknown,
            Trouble::TokenWanted,
            Trouble::Forbidden,
            Trouble::TooMuch(7),
        ] {
            let (what, remedy) = trouble.parts();
            board.hear(Heard { state: Err(trouble), incidents: None, alerts: None });
            for size in SIZES {
                let page = page(&board, size);
                let head: Vec<&str> = page.lines().take(3).map(str::trim).collect();
                assert!(
                    head[0].contains("✖ No answer") && head[0].contains("as of 2026"),
                    "{page}"
                );
                let head = head.join(" ");
                assert!(head.contains(&what) && head.contains(&remedy), "{page}");
                assert!(page.contains("◆ critical") && page.contains("1.25 M/s"), "{page}");
            }
        }
        let mut board = Board::default();
        assert!(page(&board, SIZES[0]).contains("○ Connecting"));
        let trouble = Trouble::Away("nobody listens there".into());
        board.hear(Heard { state: Err(trouble), incidents: None, alerts: None });
        let page = page(&board, SIZES[0]);
        assert!(page.contains("✖ No answer") && page.contains("Nothing is known yet."), "{page}");
    }

    #[test]
    fn hostile_names_are_shown_harmless() {
        let hostile = incident(1, "high")
            .replace("gnb-1", r"\u001b]0;owned\u0007\u202egnb\u200b\u009b2J\r\n")
            .replace("EGR-NOTALLOWED", r"a\u001b[31m\ttoo");
        let mut board = Board::default();
        board.hear(heard(&UP.replace("lab", r"l\u001b[2Ja\u2066b"), &[hostile]));
        for size in SIZES {
            let buffer = drawn(&board, size, true);
            let page = rows(&buffer).join("\n");
            assert!(page.contains("l?[2Ja?b"), "{page}");
            assert!(page.contains("?]0;owned??gnb??2J"), "{page}");
            assert!(page.contains("a?[31m?too"), "{page}");
            let is_harmless = |it: char| {
                !it.is_control()
                    && !matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            let symbols = buffer.content.iter().map(ratatui::buffer::Cell::symbol);
            assert!(symbols.flat_map(str::chars).all(is_harmless), "{page:?}");
        }
    }

    #[test]
    fn many_incidents_scroll_and_the_chosen_one_is_always_in_sight() {
        let many: Vec<String> = (1..=400).map(|number| incident(number, "medium")).collect();
        let mut board = Board::default();
        board.hear(heard(UP, &many));
        for size in SIZES {
            for (key, presses, chosen) in [
                (KeyCode::Home, 1, 1),
                (KeyCode::Char('j'), 50, 51),
                (KeyCode::End, 1, 400),
                (KeyCode::Char('k'), 1, 399),
            ] {
                (0..presses).for_each(|_| press(&mut board, key));
                let buffer = drawn(&board, size, true);
                let reversed = |cells: &&[ratatui::buffer::Cell]| {
                    cells[0].modifier.contains(ratatui::style::Modifier::REVERSED)
                };
                let rows: Vec<_> =
                    buffer.content.chunks(usize::from(size.0)).filter(reversed).collect();
                assert_eq!(rows.len(), 1);
                let row: String = rows[0].iter().map(ratatui::buffer::Cell::symbol).collect();
                let row = row_of(&row, "medium");
                assert!(row.starts_with(&format!("■ medium {chosen} new")), "{row}");
                assert!(page(&board, size).contains(&format!("Open incidents {chosen} of 400")));
            }
        }
    }

    #[test]
    fn an_incident_shows_its_alerts() {
        let mut board = Board::default();
        board.hear(heard(UP, &[incident(3, "critical")]));
        press(&mut board, KeyCode::Enter);
        assert!(page(&board, SIZES[0]).contains("Its alerts are being asked for."));
        let mut more = heard(UP, &[incident(3, "critical")]);
        more.alerts = Some((3, Ok(alerts(40))));
        board.hear(more);
        for size in SIZES {
            let page = page(&board, size);
            assert!(
                page.contains("Incident 3, alert 1 of 40, the latest first (critical, new)"),
                "{page}"
            );
            let row = row_of(&page, "▲ high");
            assert!(row.contains("EGR-NOTALLOWED gnb-1 198.51.100.7"), "{row}");
            assert!(row.contains("6.8 MB"), "{row}");
        }
        assert!(page(&board, SIZES[1]).contains("12,345"));
        let mut none = heard(UP, &[]);
        none.alerts = Some((3, Ok(alerts(0))));
        board.hear(none);
        assert!(page(&board, SIZES[0]).contains("part of an older incident"));
    }

    #[test]
    fn loads_that_do_not_fit_are_counted_with_the_highest_of_them() {
        let busy: Vec<String> = (0..64).map(|it| format!("{{\"busy\":0.{it:02}}}")).collect();
        let json = format!(r#"{{"up":true,"workers":[{}]}}"#, busy.join(","));
        let mut board = Board::default();
        board.hear(heard(&json, &[]));
        assert!(page(&board, SIZES[0]).contains("+57 to 63 %"), "{}", page(&board, SIZES[0]));
        assert!(page(&board, SIZES[1]).contains("+21 to 63 %"), "{}", page(&board, SIZES[1]));
    }

    #[test]
    fn severity_has_a_word_a_shape_and_a_colour_unless_nobody_wants_colours() {
        let all = ["critical", "high", "medium", "low", "info"];
        let items: Vec<String> = (1..).zip(all).map(|(number, it)| incident(number, it)).collect();
        let mut board = Board::default();
        board.hear(heard(UP, &items));
        let coloured = drawn(&board, SIZES[0], true);
        let plain = drawn(&board, SIZES[0], false);
        assert_eq!(rows(&coloured), rows(&plain), "colours say nothing of their own");
        for word in all {
            assert!(rows(&plain).iter().any(|row| row.contains(&format!(" {word} "))), "{word}");
        }
        let colours = |buffer: &Buffer| {
            buffer
                .content
                .iter()
                .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
                .count()
        };
        assert!(colours(&coloured) > 0);
        assert_eq!(colours(&plain), 0);
    }

    #[test]
    fn what_is_cut_shows_that_it_is() {
        assert_eq!(cut("198.51.100.70", 13), "198.51.100.70");
        assert_eq!(cut("198.51.100.70", 12), "198.51.100.…");
        assert_eq!(cut("漢字漢字", 8), "漢字漢字");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!((cut("ab", 1), cut("ab", 0)), ("…".into(), String::new()));
        let mut board = Board::default();
        let long = incident(3, "critical").replace("gnb-3", "gnb-of-a-site-with-a-long-name");
        board.hear(heard(UP, &[long]));
        let narrow = page(&board, SIZES[0]);
        assert!(row_of(&narrow, "critical").contains("… 3 11-26 23:40"), "{narrow}");
    }

    #[test]
    fn a_small_terminal_says_so_and_no_size_breaks_it() {
        let mut board = Board::default();
        board.hear(heard(UP, &[incident(3, "critical")]));
        press(&mut board, KeyCode::Char('?'));
        assert!(page(&board, (80, 24)).contains("the alerts of an incident"));
        let small = page(&board, (60, 20)).replace('\n', " ");
        assert!(small.contains("needs 80 columns and 24 rows"), "{small}");
        for width in [0, 1, 2, 40, 79, 80, 81, 109, 110, 300] {
            for height in [0, 1, 2, 23, 24, 39, 40, 100] {
                drawn(&board, (width, height), true);
            }
        }
    }
}
