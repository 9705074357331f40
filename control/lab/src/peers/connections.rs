//! The flow events as a connection log, as Zeek writes one for RITA and an endpoint for Elastic: a
//! line for each connection, when it is over.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::heard::nanos;

/// A connection from its first packet to its last. One that is kept open is one, however much is
/// said on it: that is how these peers' logs are, and a hole of theirs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection {
    /// Its first packet, in nanoseconds since 1970.
    pub start: u64,
    /// Its last packet.
    pub end: u64,
    /// Who opened it, or spoke first.
    pub source: IpAddr,
    /// Its port; 0 where there is none.
    pub source_port: u16,
    /// The other end.
    pub destination: IpAddr,
    /// Its port; 0 where there is none.
    pub destination_port: u16,
    /// The protocol, as Suricata names it.
    pub protocol: String,
    /// Bytes from the source.
    pub sent: u64,
    /// Bytes to the source.
    pub received: u64,
}

impl Connection {
    /// From its first packet to its last, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64 / 1e9
    }
}

/// The keys of a flow event that are read.
#[derive(Deserialize)]
struct Line {
    flow_id: String,
    src_ip: IpAddr,
    #[serde(default)]
    src_port: u16,
    dest_ip: IpAddr,
    #[serde(default)]
    dest_port: u16,
    proto: String,
    flow: Counts,
}

#[derive(Deserialize)]
struct Counts {
    bytes_toserver: u64,
    bytes_toclient: u64,
    start: jiff::Timestamp,
    end: jiff::Timestamp,
}

/// A connection log as it is read from flow events. A flow that goes on has a record every hour, each
/// of them of the whole flow so far: the last one tells all. A flow's id alone does not do, since it
/// comes again with its ports at the same minute of another hour.
#[derive(Debug, Default)]
pub struct Log(BTreeMap<(u64, String), Connection>);

impl Log {
    /// Reads a flow event.
    ///
    /// # Errors
    /// The line is none.
    pub fn add(&mut self, line: &str) -> Result<(), serde_json::Error> {
        let Line { flow_id, src_ip, src_port, dest_ip, dest_port, proto, flow } =
            serde_json::from_str(line)?;
        let record = Connection {
            start: nanos(flow.start),
            end: nanos(flow.end),
            source: src_ip,
            source_port: src_port,
            destination: dest_ip,
            destination_port: dest_port,
            protocol: proto,
            sent: flow.bytes_toserver,
            received: flow.bytes_toclient,
        };
        let key = (record.start, flow_id);
        if self.0.get(&key).is_none_or(|earlier| earlier.end <= record.end) {
            self.0.insert(key, record);
        }
        Ok(())
    }

    /// The connections in the order of their starts.
    #[must_use]
    pub fn connections(self) -> Vec<Connection> {
        self.0.into_values().collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A connection of so many seconds at a second since 1970.
    pub(in crate::peers) fn connection(
        source: &str,
        destination: &str,
        at: u64,
        seconds: u64,
        sent: u64,
    ) -> Connection {
        Connection {
            start: at * 1_000_000_000,
            end: (at + seconds) * 1_000_000_000,
            source: source.parse().unwrap(),
            source_port: 40_000,
            destination: destination.parse().unwrap(),
            destination_port: 443,
            protocol: "TCP".into(),
            sent,
            received: 300,
        }
    }

    fn read(events: &[String]) -> Vec<Connection> {
        let mut log = Log::default();
        for event in events {
            log.add(event).unwrap();
        }
        log.connections()
    }

    fn event(id: &str, start: &str, end: &str, sent: u64, reason: &str) -> String {
        format!(
            r#"{{"timestamp":"{end}","flow_id":"{id}","event_type":"flow","src_ip":"10.0.10.1",
            "src_port":40000,"dest_ip":"203.0.113.7","dest_port":443,"proto":"TCP","flow":{{
            "pkts_toserver":9,"pkts_toclient":7,"bytes_toserver":{sent},"bytes_toclient":70,
            "start":"{start}","end":"{end}","age":1,"state":"established","reason":"{reason}"}},
            "weir":{{}}}}"#
        )
    }

    #[test]
    fn hourly_records_of_a_flow_are_one_connection() {
        let start = "2026-01-05T00:10:00Z";
        let events = [
            event("0xa", start, "2026-01-05T01:10:00Z", 100, "hourly"),
            event("0xa", start, "2026-01-05T02:10:00Z", 200, "hourly"),
            event("0xb", "2026-01-05T00:30:00Z", "2026-01-05T00:30:09Z", 5, "closed"),
            event("0xa", start, "2026-01-05T02:40:00Z", 240, "closed"),
        ];
        let read = read(&events);
        assert_eq!(read.len(), 2);
        // What each record tells is the whole so far: nothing is added up.
        assert_eq!((read[0].sent, read[0].received, read[0].seconds()), (240, 70, 9_000.0));
        assert_eq!((read[1].sent, read[1].seconds()), (5, 9.0));
    }

    #[test]
    fn an_id_that_comes_again_is_another_connection() {
        let events = [
            event("0xa", "2026-01-05T00:10:00Z", "2026-01-05T00:10:05Z", 100, "closed"),
            event("0xa", "2026-01-05T01:10:00Z", "2026-01-05T01:10:05Z", 100, "closed"),
        ];
        assert_eq!(read(&events).len(), 2);
        assert!(Log::default().add("{}").is_err());
    }
}
