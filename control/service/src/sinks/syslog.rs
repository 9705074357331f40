//! Events as syslog messages: RFC 5424, framed by octet counting (RFC 6587 §3.4.1, RFC 5425 §4.3)
//! on streams, one a datagram (RFC 5426) else.

use std::borrow::Cow;
use std::fmt::Write;

use weir_engine::contract::verdict::Severity;
use weir_policy::{EventFormat, EventType, SyslogConfig, Transport};

use super::queue::Item;
use super::{Lost, cef};
use crate::eve::{AlertBody, Body, Event, Suspect};

/// The most that a datagram over IPv4 carries. Over IPv6 it would be 20 more.
const DATAGRAM: usize = 65_507;
/// The longest message of a stream: far more than an event has.
const MESSAGE: usize = 1 << 20;
/// Facility local0 (RFC 5424 §6.2.1), which sites may use as they like.
const FACILITY: u8 = 16;
/// The tag of a message that was cut.
pub(super) const CUT: u16 = 1;

/// How a sink wants its messages.
#[derive(Debug)]
pub(super) struct Form {
    is_datagram: bool,
    format: EventFormat,
    events: Vec<&'static str>,
    enterprise: u32,
    host: String,
    process: u32,
}

impl Form {
    pub(super) fn of(config: &SyslogConfig) -> Self {
        Self {
            is_datagram: config.transport == Transport::Udp,
            format: config.format,
            events: config.events.iter().map(|kind| kind.name()).collect(),
            enterprise: config.enterprise,
            host: host(),
            process: std::process::id(),
        }
    }

    /// The event as an item of the queue; none if this sink does not want it.
    pub(super) fn item(&self, event: &Event<'_>, line: &[u8]) -> Option<Result<Item, Lost>> {
        if !self.events.contains(&event.event_type) {
            return None;
        }
        let chatter = [EventType::Flow, EventType::Session, EventType::Stats];
        let is_grave = !chatter.iter().any(|kind| kind.name() == event.event_type);
        let message = self.message(event, line);
        let (tag, bytes) = match self.is_datagram {
            true if message.len() > DATAGRAM => (CUT, cut(message)),
            true => (0, message.into_bytes()),
            false if message.len() > MESSAGE => return Some(Err(Lost::TooLong)),
            false => (0, format!("{} {message}", message.len()).into_bytes()),
        };
        Some(Ok(Item { is_grave, tag, bytes }))
    }

    fn message(&self, event: &Event<'_>, line: &[u8]) -> String {
        let priority = FACILITY * 8 + severity(event);
        // Six decimals are all that RFC 5424 §6.2.3 allows; the event has nine.
        let time = event.timestamp.get(..26).unwrap_or("1970-01-01T00:00:00.000000");
        let mut message = format!(
            "<{priority}>1 {time}Z {} weir {} {} ",
            self.host, self.process, event.event_type
        );
        match self.format {
            EventFormat::Eve => {
                // Strings take all that is written to them.
                let _ = write!(message, "[weir@{}", self.enterprise);
                for (name, value) in parameters(event) {
                    let _ = write!(message, " {name}=\"");
                    escape(&value, &mut message);
                    message.push('"');
                }
                message.push_str("] ");
                // No mark of UTF-8 before it: who expects JSON stumbles over one.
                message.push_str(String::from_utf8_lossy(line.trim_ascii_end()).as_ref());
            }
            EventFormat::Cef => {
                message.push_str("- ");
                message.push_str(&cef::line(event));
            }
        }
        message
    }
}

/// Cut between two characters. What is left is no whole JSON; the structured data stand before it.
fn cut(mut message: String) -> Vec<u8> {
    let fits = (0..=DATAGRAM).rev().find(|length| message.is_char_boundary(*length));
    message.truncate(fits.unwrap_or_default());
    message.into_bytes()
}

/// This machine's name, as RFC 5424 §6.2.4 allows it.
pub(super) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".into() } else { name }
}

/// RFC 5424 §6.2.1: 2 critical, 3 error, 4 warning, 5 notice, 6 informational.
fn severity(event: &Event<'_>) -> u8 {
    match &event.weir {
        Body::Alert(body) => match body.severity {
            Severity::Critical => 2,
            Severity::High => 3,
            Severity::Medium => 4,
            Severity::Low => 5,
            Severity::Info => 6,
        },
        Body::Health(body) => match body.state {
            "dead" | "hung" => 3,
            "attached" | "restarted" | "recovered" => 5,
            _ => 4,
        },
        Body::Policy(body) => match body.state {
            "refused" => 4,
            _ => 5,
        },
        Body::Audit(_) => 5,
        Body::Flow(_) | Body::Session(_) | Body::Stats(_) => 6,
    }
}

/// The main fields: what rules select and count by. The message has all.
fn parameters<'a>(event: &'a Event<'a>) -> Vec<(&'static str, Cow<'a, str>)> {
    let mut found: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
    let mut put = |name, value: Cow<'a, str>| found.push((name, value));
    match &event.weir {
        Body::Alert(body) => {
            put("detection", body.detection.into());
            put("severity", body.severity.name().into());
            put("confidence", body.confidence.to_string().into());
            put("status", body.status.into());
            put("update", body.update.to_string().into());
            put("final", body.is_final.to_string().into());
            put("site", body.site.into());
            put("link", body.link.into());
            if let Some(tap) = body.tap {
                put("tap", tap.into());
            }
            if let Some(id) = suspect(body) {
                put("equipment", id.into());
            }
            if let Some(peer) = &body.peer {
                put("peer", peer.ip.to_string().into());
            }
            put("dedup", body.dedup.into());
        }
        Body::Flow(body) => {
            put("site", body.site.into());
            put("link", body.link.into());
            put("allowed", body.allowed.to_string().into());
            put("peer", body.peer.ip.to_string().into());
        }
        Body::Session(body) => {
            put("site", body.site.into());
        }
        Body::Health(body) => {
            put("site", body.site.into());
            put("subject", body.subject.into());
            put("state", body.state.into());
        }
        Body::Audit(body) => {
            put("site", body.site.into());
            put("actor", body.actor.into());
            put("action", body.action.into());
            put("object", body.object.into());
        }
        Body::Policy(body) => {
            put("site", body.site.into());
            put("state", body.state.into());
        }
        Body::Stats(body) => put("site", body.site.into()),
    }
    found
}

/// The id of the equipment under suspicion.
pub(super) fn suspect<'a>(body: &'a AlertBody<'a>) -> Option<&'a str> {
    body.equipment.as_ref().map(|suspect| match suspect {
        Suspect::Entry(entry) => entry.id.as_str(),
        Suspect::Number { id } => id.as_str(),
    })
}

/// RFC 5424 §6.3.3: a quotation mark, a backslash and a closing bracket have one before them. What
/// would end the line for a receiver that counts no octets is left out.
fn escape(value: &str, into: &mut String) {
    for character in value.chars() {
        match character {
            '"' | '\\' | ']' => into.extend(['\\', character]),
            control if control.is_control() => into.push('?'),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eve::HealthBody;
    use weir_engine::Nanos;

    fn form(transport: Transport) -> Form {
        Form {
            is_datagram: transport == Transport::Udp,
            format: EventFormat::Eve,
            events: vec!["health"],
            enterprise: 32473,
            host: "probe".into(),
            process: 7,
        }
    }

    fn health<'a>(site: &'a str, state: &'static str, observed: &str) -> Event<'a> {
        let observed = observed.to_owned();
        let body = HealthBody { site, subject: "sensor", state, observed, since: None, lost: None };
        Event::bare(Nanos(1_700_000_000_123_456_789), "health", Body::Health(body))
    }

    fn sent(form: &Form, event: &Event<'_>) -> Item {
        let mut line = Vec::new();
        event.write(&mut line);
        form.item(event, &line).unwrap().unwrap()
    }

    #[test]
    fn a_message_is_that_of_rfc_5424_and_counts_its_octets() {
        let event = health("a\"]\\\n§", "dead", "It ended.");
        let datagram = String::from_utf8(sent(&form(Transport::Udp), &event).bytes).unwrap();
        let head = "<131>1 2023-11-14T22:13:20.123456Z probe weir 7 health \
                    [weir@32473 site=\"a\\\"\\]\\\\?§\" subject=\"sensor\" state=\"dead\"] {\"timestamp\"";
        assert!(datagram.starts_with(head), "{datagram}");
        assert!(datagram.ends_with("}}"), "no end of line: {datagram}");
        let framed = String::from_utf8(sent(&form(Transport::Tcp), &event).bytes).unwrap();
        assert_eq!(framed, format!("{} {datagram}", datagram.len()), "octets, not characters");
        assert_eq!(sent(&form(Transport::Tls), &event).bytes, framed.into_bytes());
    }

    #[test]
    fn what_ends_or_lies_is_graver_than_what_comes_back() {
        let severity = |state| severity(&health("lab", state, ""));
        assert_eq!((severity("dead"), severity("lost"), severity("recovered")), (3, 4, 5));
    }

    #[test]
    fn what_a_sink_does_not_want_is_not_formatted_for_it() {
        let form = Form { events: vec!["alert"], ..form(Transport::Tcp) };
        assert!(form.item(&health("lab", "dead", ""), b"{}\n").is_none());
    }

    #[test]
    fn datagrams_are_cut_between_characters_and_streams_refuse_what_is_too_long() {
        let long = "§".repeat(DATAGRAM);
        let item = sent(&form(Transport::Udp), &health("lab", "dead", &long));
        assert_eq!(item.tag, CUT);
        assert!((DATAGRAM - 1..=DATAGRAM).contains(&item.bytes.len()));
        assert!(String::from_utf8(item.bytes).is_ok());
        let event = health("lab", "dead", &"x".repeat(MESSAGE));
        let mut line = Vec::new();
        event.write(&mut line);
        assert_eq!(form(Transport::Tcp).item(&event, &line), Some(Err(Lost::TooLong)));
        assert!(host().is_ascii() && !host().is_empty());
    }
}
