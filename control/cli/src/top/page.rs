//! The page of `--once`: the same as plain text, for scripts, mails and pipes.

use std::fmt::{self, Display, Formatter};

use super::client::ROWS;
use super::told::{Incident, Load, Page, State};
use super::words;

/// Incidents that are listed.
const LISTED: usize = 50;

pub(super) struct PlainPage<'a> {
    pub(super) state: &'a State,
    pub(super) incidents: &'a Page<Incident>,
}

impl Display for PlainPage<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { state, incidents } = self;
        let (_, heading, sentence) = words::sight(state);
        let site = state.site.as_ref().map_or_else(String::new, |site| format!(" {site}"));
        let missed = words::rate(state.not_inspected_per_second, "/s");
        writeln!(f, "weir{site}: {heading} ({} UTC)\n{sentence}\n", state.time.moment())?;
        for (name, value) in [
            ("Frames", words::rate(state.packets_per_second, "/s")),
            ("Traffic", words::rate(state.bits_per_second, "bit/s")),
            ("Not inspected", format!("{missed}; {}", words::missed(state))),
            ("Workers", loads(state.workers.as_deref())),
            ("Receivers", loads(state.receivers.as_deref())),
            ("Latency", words::latency(state)),
            ("N4 coverage", words::coverage(state)),
            ("Sessions", words::sessions(state)),
            ("Events lost", words::count(state.events_lost)),
            ("Policy", words::policy(state)),
            ("Alerts", words::standing(state)),
        ] {
            writeln!(f, "{name:<15}{value}")?;
        }
        let open = &incidents.items;
        let of = match incidents.has_more() {
            true => format!(" of the latest {ROWS}"),
            false => String::new(),
        };
        write!(f, "\nOpen incidents: {}{of}", open.len())?;
        if !open.is_empty() {
            write!(f, ", the gravest first")?;
        }
        for it in open.iter().take(LISTED) {
            let restricted = if it.restricted { "restricted: " } else { "" };
            write!(
                f,
                "\n{:<9} {:>5}  {:<12}  {:>5} {:<6}  {}  {restricted}{}  {}",
                it.severity.name(),
                it.number,
                it.status.name(),
                it.alerts,
                if it.alerts == 1 { "alert" } else { "alerts" },
                it.last.moment(),
                it.detections,
                it.place(),
            )?;
        }
        match open.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

fn loads(loads: Option<&[Load]>) -> String {
    let loads = loads.unwrap_or_default();
    if loads.is_empty() {
        return "none".into();
    }
    loads.iter().map(|load| words::percent_whole(load.busy)).collect::<Vec<_>>().join(", ")
}
