//! Sinks: what reached a collector and what did not. Labels are the sinks' names, never addresses.

use super::Families;
use crate::live::Live;
use crate::sinks::{Failure, Lost};

pub(super) fn sinks(live: &Live, families: &mut Families) {
    let named = || live.sinks.iter().map(|sink| (sink, sink.name.as_str()));
    families.counter(
        "weir_sink_events_total",
        "Events given to the system for a collector: whole, or cut to what a datagram holds.",
        named().flat_map(|(sink, name)| {
            let kinds = ["whole", "cut"].into_iter().zip(sink.counts());
            kinds.map(move |(kind, count)| (vec![("kind", kind), ("sink", name)], count))
        }),
    );
    families.counter(
        "weir_sink_lost_total",
        "Events that did not reach a collector; the event file has them.",
        named().flat_map(|(sink, name)| {
            Lost::ALL.into_iter().map(move |reason| {
                (vec![("reason", reason.name()), ("sink", name)], sink.lost_by(reason))
            })
        }),
    );
    families.counter(
        "weir_sink_failures_total",
        "How often a collector could not be reached, or not any more.",
        named().flat_map(|(sink, name)| {
            Failure::ALL.into_iter().map(move |failure| {
                (vec![("reason", failure.name()), ("sink", name)], sink.failures(failure))
            })
        }),
    );
    families.gauge(
        "weir_sink_up",
        "Whether there is a connection to a collector; over UDP, whether it has an address.",
        named().map(|(sink, name)| (vec![("sink", name)], f64::from(u8::from(sink.is_up())))),
    );
    families.gauge(
        "weir_sink_waiting_events",
        "Events that wait to be sent to a collector.",
        named().map(|(sink, name)| (vec![("sink", name)], sink.waiting() as f64)),
    );
}
