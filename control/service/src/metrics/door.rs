//! The door: what it refused, and how long its certificate holds.

use super::Families;
use crate::door::Refused;
use crate::live::Live;

pub(super) fn door(live: &Live, families: &mut Families) {
    families.counter(
        "weir_control_http_refused_total",
        "Connections and requests to control that came to nothing, by what the client did.",
        Refused::ALL
            .into_iter()
            .map(|reason| (vec![("reason", reason.name())], live.door.refused(reason))),
    );
    families.gauge(
        "weir_control_certificate_expiry_timestamp_seconds",
        "When the certificate that control serves HTTPS with is over; not there without TLS.",
        live.tls.iter().map(|tls| (vec![], tls.expires() as f64)),
    );
}
