//! What was sent, as JSON.

use serde::Serialize;
use weir_dpdk::TxStats;

use crate::sending::Sent;

/// Frames that were not sent, each under one reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct NotSent {
    /// Not Ethernet.
    pub(crate) link_type: u64,
    /// Longer than the device takes.
    pub(crate) too_long: u64,
    /// Shorter than an Ethernet header.
    pub(crate) too_short: u64,
    /// The device was offered it often enough, and did not take it.
    pub(crate) refused: u64,
}

impl NotSent {
    fn sum(&self) -> u64 {
        self.link_type + self.too_long + self.too_short + self.refused
    }
}

/// The summary: `frames` = `sent` + Σ `not_sent`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    frames: u64,
    bytes: u64,
    sent: u64,
    sent_bytes: u64,
    not_sent: NotSent,
    unaccounted: u64,
    /// Frames that the capture holds in part, and that were sent so.
    cut: u64,
    passes: u32,
    seconds: f64,
    mpps: f64,
    gbps: f64,
    device: Option<Device>,
}

/// What the driver says.
#[derive(Debug, Serialize)]
struct Device {
    sent: u64,
    sent_bytes: u64,
    errors: u64,
}

impl Summary {
    pub(crate) fn of(sent: &Sent, device: Option<TxStats>, passes: u32) -> Self {
        let seconds = sent.took.as_secs_f64();
        let a_second = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
        Self {
            frames: sent.frames,
            bytes: sent.bytes,
            sent: sent.sent,
            sent_bytes: sent.sent_bytes,
            not_sent: sent.not_sent,
            unaccounted: sent.frames.abs_diff(sent.sent + sent.not_sent.sum()),
            cut: sent.cut,
            passes,
            seconds,
            mpps: a_second(sent.sent as f64) / 1e6,
            gbps: a_second(sent.sent_bytes as f64) * 8.0 / 1e9,
            device: device.map(|stats| Device {
                sent: stats.sent_packets,
                sent_bytes: stats.sent_bytes,
                errors: stats.errors,
            }),
        }
    }
}
