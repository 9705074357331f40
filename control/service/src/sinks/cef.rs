//! Events in ArcSight's Common Event Format, version 0: a header of seven fields between bars, then
//! `key=value` pairs. The table of keys is in docs/siem.md.

use std::fmt::Write;
use std::net::IpAddr;

use weir_engine::contract::verdict::Severity;

use super::syslog::suspect;
use crate::eve::{AlertBody, Body, Event, FlowBody, Suspect};

/// The event as one line.
pub(super) fn line(event: &Event<'_>) -> String {
    let (id, name, severity) = title(event);
    let mut line = String::from("CEF:0|Weir|weir-control|");
    for field in [env!("CARGO_PKG_VERSION"), &id, &name] {
        header(field, &mut line);
        line.push('|');
    }
    // A string takes all that is written to it.
    let _ = write!(line, "{severity}|");
    let mut extension = Extension { line, is_first: true };
    extension.all(event);
    extension.line
}

/// The signature's id, its name and the severity from 0 to 10.
fn title(event: &Event<'_>) -> (String, String, u8) {
    match &event.weir {
        Body::Alert(body) => {
            let signature = event.alert.as_ref();
            let id = signature.map_or_else(String::new, |it| it.signature_id.to_string());
            let name = signature.map_or(body.detection, |it| it.signature);
            let severity = match body.severity {
                Severity::Info => 1,
                Severity::Low => 3,
                Severity::Medium => 5,
                Severity::High => 8,
                Severity::Critical => 10,
            };
            (id, name.into(), severity)
        }
        Body::Health(body) => {
            let severity = match body.state {
                "dead" | "hung" => 8,
                "attached" | "restarted" | "recovered" => 2,
                _ => 5,
            };
            (
                format!("health:{}", body.subject),
                format!("{} {}", body.subject, body.state),
                severity,
            )
        }
        Body::Policy(body) => {
            let severity = if body.state == "refused" { 5 } else { 2 };
            ("policy".into(), format!("policy {}", body.state), severity)
        }
        Body::Audit(body) => ("audit".into(), format!("audit {}", body.action), 3),
        Body::Flow(_) => ("flow".into(), "equipment flow".into(), 0),
        Body::Session(_) => ("session".into(), "PFCP session".into(), 0),
        Body::Stats(_) => ("stats".into(), "counters".into(), 0),
    }
}

/// Pairs in the making.
struct Extension {
    line: String,
    is_first: bool,
}

impl Extension {
    fn put(&mut self, key: &str, value: &str) {
        if !self.is_first {
            self.line.push(' ');
        }
        self.is_first = false;
        self.line.push_str(key);
        self.line.push('=');
        extension(value, &mut self.line);
    }

    /// A field of the customer's own, and what it is.
    fn own(&mut self, key: &str, label: &str, value: &str) {
        self.put(&format!("{key}Label"), label);
        self.put(key, value);
    }

    fn time(&mut self, key: &str, time: &str) {
        if let Ok(moment) = time.parse::<jiff::Timestamp>() {
            self.put(key, &moment.as_millisecond().to_string());
        }
    }

    fn address(&mut self, keys: [&str; 2], label: &str, address: Option<IpAddr>) {
        match address {
            // Version 0 has other keys for IPv6.
            Some(IpAddr::V6(address)) => self.own(keys[1], label, &address.to_string()),
            Some(IpAddr::V4(address)) => self.put(keys[0], &address.to_string()),
            None => {}
        }
    }

    fn all(&mut self, event: &Event<'_>) {
        self.time("rt", &event.timestamp);
        let ends = &event.ends;
        self.address(["src", "c6a2"], "Source IPv6 Address", ends.src_ip);
        self.address(["dst", "c6a3"], "Destination IPv6 Address", ends.dest_ip);
        for (key, port) in [("spt", ends.src_port), ("dpt", ends.dest_port)] {
            if let Some(port) = port {
                self.put(key, &port.to_string());
            }
        }
        if let Some(protocol) = &ends.proto {
            self.put("proto", protocol);
        }
        if let Some(tap) = event.in_iface {
            self.put("deviceInboundInterface", tap);
        }
        match &event.weir {
            Body::Alert(body) => self.alert(event, body),
            Body::Flow(body) => self.flow(event, body),
            Body::Session(body) => {
                self.put("deviceExternalId", body.site);
                for (key, label, seid) in
                    [("cs1", "cpSeid", &body.cp_seid), ("cs2", "upSeid", &body.up_seid)]
                {
                    if let Some(seid) = seid {
                        self.own(key, label, seid);
                    }
                }
                self.own("cn1", "uplinkBytes", &body.bytes.ul.to_string());
                self.own("cn2", "downlinkBytes", &body.bytes.dl.to_string());
            }
            Body::Health(body) => {
                self.put("deviceExternalId", body.site);
                self.put("msg", &body.observed);
                if let Some(lost) = body.lost {
                    self.own("cn1", "lost", &lost.to_string());
                }
            }
            Body::Audit(body) => {
                self.put("act", body.action);
                self.put("deviceExternalId", body.site);
                self.put("suser", body.actor);
                self.put("msg", body.detail.get());
                self.own("cs1", "object", body.object);
            }
            Body::Policy(body) => {
                self.put("deviceExternalId", body.site);
                if let Some(version) = body.policy.as_ref().map(|policy| policy.version) {
                    self.own("cn1", "policyVersion", &version.to_string());
                }
                if let Some(reason) = body.reason {
                    self.put("msg", reason);
                }
            }
            Body::Stats(body) => {
                self.put("deviceExternalId", body.site);
                self.own("cn1", "frames", &body.totals.frames.to_string());
                self.own("cn2", "inspected", &body.totals.inspected.to_string());
            }
        }
    }

    fn alert(&mut self, event: &Event<'_>, body: &AlertBody<'_>) {
        if let Some(signature) = &event.alert {
            self.put("act", signature.action);
            self.put("cat", signature.category);
        }
        self.put("deviceExternalId", body.site);
        self.put("externalId", body.dedup);
        self.put("cnt", &body.packets.to_string());
        self.time("start", &body.first);
        self.time("end", &body.last);
        self.put("msg", &body.why);
        self.put("reason", &body.observed);
        if let Some(id) = suspect(body) {
            self.own("cs1", "equipment", id);
        }
        if let Some(Suspect::Entry(entry)) = &body.equipment {
            let build = format!("{} {} {}", entry.vendor, entry.model, entry.build);
            self.own("cs2", "vendorModelBuild", build.trim());
        }
        if let Some(peer) = &body.peer {
            self.own("cs3", "peer", &peer.ip.to_string());
            if let Some(name) = peer.name.or(peer.equipment) {
                self.own("cs4", "peerName", name);
            }
        }
        self.own("cs5", "technique", &body.technique.join(","));
        self.own("cs6", "detection", body.detection);
        self.own("cn1", "update", &body.update.to_string());
        self.own("cn2", "bytes", &body.bytes.to_string());
        if let Some(gtpu) = &body.gtpu {
            self.own("cn3", "teid", &gtpu.teid.to_string());
        }
        self.own("cfp1", "confidence", &body.confidence.to_string());
        self.own("flexString1", "status", body.status);
        self.own("flexString2", "final", if body.is_final { "true" } else { "false" });
    }

    fn flow(&mut self, event: &Event<'_>, body: &FlowBody<'_>) {
        self.put("deviceExternalId", body.site);
        self.put("outcome", if body.allowed { "allowed" } else { "not allowed" });
        if let Some(id) = &event.flow_id {
            self.put("externalId", id);
        }
        if let Some(counts) = &event.flow {
            // Seen from the source.
            self.put("out", &counts.bytes_toserver.to_string());
            self.put("in", &counts.bytes_toclient.to_string());
            self.put("cnt", &(counts.pkts_toserver + counts.pkts_toclient).to_string());
            self.time("start", &counts.start);
            self.time("end", &counts.end);
        }
        if let Some(suspect) = &body.equipment {
            let id = match suspect {
                Suspect::Entry(entry) => &entry.id,
                Suspect::Number { id } => id,
            };
            self.own("cs1", "equipment", id);
        }
    }
}

/// A field of the header: bars and backslashes are escaped, and no line ends there.
fn header(field: &str, into: &mut String) {
    for character in field.chars() {
        match character {
            '|' | '\\' => into.extend(['\\', character]),
            control if control.is_control() => into.push(' '),
            other => into.push(other),
        }
    }
}

/// A value of the extension: equals signs and backslashes are escaped, ends of lines written.
fn extension(value: &str, into: &mut String) {
    for character in value.chars() {
        match character {
            '=' | '\\' => into.extend(['\\', character]),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            control if control.is_control() => into.push(' '),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eve::HealthBody;
    use weir_engine::Nanos;

    #[test]
    fn what_separates_fields_is_escaped_where_it_does() {
        let mut field = String::new();
        header("a|b\\c=d\ne", &mut field);
        assert_eq!(field, "a\\|b\\\\c=d e");
        let mut value = String::new();
        extension("a|b\\c=d\ne\r\u{7}", &mut value);
        assert_eq!(value, "a|b\\\\c\\=d\\ne\\r ");
    }

    #[test]
    fn a_change_of_health_is_one_line() {
        let body = HealthBody {
            site: "a=b",
            subject: "sensor",
            state: "dead",
            observed: "It ended.\nx=y".into(),
            since: None,
            lost: Some(3),
        };
        let event = Event::bare(Nanos(1_700_000_000_123_456_789), "health", Body::Health(body));
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            line(&event),
            format!(
                "CEF:0|Weir|weir-control|{version}|health:sensor|sensor dead|8|rt=1700000000123 \
                 deviceExternalId=a\\=b msg=It ended.\\nx\\=y cn1Label=lost cn1=3"
            )
        );
    }
}
