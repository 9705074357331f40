//! Alerts as lines for people.

use std::io::{self, IsTerminal, Write};

use weir_engine::contract::verdict::Severity;
use weir_policy::Equipment;

use crate::alerts::Saying;
use crate::eve::{self, AlertBody};
use crate::narrate;

/// Prints to standard output, in colour on a terminal.
pub struct Printer {
    colour: bool,
}

impl Printer {
    /// A printer for this process's standard output.
    pub fn stdout() -> Self {
        Self { colour: io::stdout().is_terminal() }
    }

    /// Prints an alert when it is said for the first time.
    pub fn print(&mut self, saying: &Saying, entry: Option<&Equipment>, body: &AlertBody<'_>) {
        if saying.update > 0 {
            return;
        }
        let line = line(saying, entry, body, self.colour);
        // Whoever closed the pipe wants no more of it; events go on.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
}

fn line(saying: &Saying, entry: Option<&Equipment>, body: &AlertBody<'_>, colour: bool) -> String {
    let alert = &saying.row.alert;
    let suspect = saying.row.subject.equipment.as_deref().unwrap_or("-");
    let suspect = match entry {
        Some(entry) => {
            format!(
                "{suspect} ({} {} {})",
                text(&entry.vendor),
                text(&entry.model),
                text(&entry.build)
            )
        }
        None => suspect.to_owned(),
    };
    let peer = match (alert.peer, &alert.peer_name) {
        (Some(ip), Some(name)) => format!(" {} {ip} ({name})", narrate::opener(alert.initiator)),
        (Some(ip), None) => format!(" {} {ip}", narrate::opener(alert.initiator)),
        (None, _) => String::new(),
    };
    let severity = format!("{:<8}", body.severity.name());
    let severity = match (colour, body.severity) {
        (false, _) | (_, Severity::Info | Severity::Low) => severity,
        (true, Severity::Medium) => format!("\x1b[33m{severity}\x1b[0m"),
        (true, Severity::High | Severity::Critical) => format!("\x1b[1;31m{severity}\x1b[0m"),
    };
    let (time, id) = (eve::timestamp(alert.last), body.detection);
    let rest = text(&format!("{suspect}{peer}: {}", body.why));
    format!("{time} {severity} {id:<14} {rest}")
}

/// Names are someone's input: no control characters on a terminal.
fn text(field: &str) -> String {
    if field.is_empty() { "?".into() } else { field.replace(char::is_control, "�") }
}
