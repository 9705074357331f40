//! A worker that polls its own queues.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weir_capture::LinkType;
use weir_dpdk::RxFrame;
use weir_engine::contract::words::Reason;
use weir_engine::frame::BURST;
use weir_engine::{Frame, Nanos, RxMeta};

use crate::clock::{self, Pace};
use crate::device::Feed;
use crate::idle::Idle;
use crate::station::Station;
use crate::stop::Stop;
use crate::tap::Shares;

/// A replay whose device gives nothing for this long has failed.
pub(crate) const STALL: Duration = Duration::from_secs(5);
/// How often a device's clock is compared with the system's.
pub(crate) const RECALIBRATE: Duration = Duration::from_secs(1);

/// What a thread found out about its queues.
#[derive(Debug, Default)]
pub(crate) struct WatchOut {
    /// Frames that replays' devices still owed when they fell silent.
    pub(crate) owed: u64,
}

/// Polls the feeds, one lane each, until a stop or until replays have ended.
pub(crate) fn watch(
    mut feeds: Vec<Feed>,
    mut station: Station,
    mut pace: Pace,
    mut idle: Idle,
    progress: &AtomicU64,
    stop: &Stop,
) -> WatchOut {
    let replay = feeds.iter().all(|feed| feed.owed.is_some());
    let mut spoke = Instant::now();
    let mut calibrated = Instant::now();
    let mut out = WatchOut::default();
    while !stop.is_asked() {
        let mut frames = 0;
        for (lane, feed) in feeds.iter_mut().enumerate() {
            frames += poll(lane, feed, &mut station, &mut pace, stop);
        }
        progress.fetch_add(frames as u64, Ordering::Relaxed);
        if frames > 0 {
            idle.wake();
            spoke = Instant::now();
            continue;
        }
        let owed: u64 = feeds.iter().filter_map(|feed| feed.owed).sum();
        if replay && (owed == 0 || spoke.elapsed() > STALL) {
            out.owed = owed;
            break;
        }
        idle.rest();
        if calibrated.elapsed() > RECALIBRATE {
            calibrated = Instant::now();
            feeds.iter_mut().for_each(|feed| feed.recalibrate());
        }
    }
    station.finish();
    out
}

/// Polls one queue and inspects what it gave; gives the number of frames.
fn poll(
    lane: usize,
    feed: &mut Feed,
    station: &mut Station,
    pace: &mut Pace,
    stop: &Stop,
) -> usize {
    let began = Instant::now();
    let now = clock::now();
    let burst = feed.queue.poll();
    if burst.is_empty() {
        if !feed.captured {
            // So that timers fire on a quiet link.
            station.step(now);
            station.advance(now);
        }
        station.polled_queue(lane, 0, began);
        return 0;
    }
    let count = burst.len();
    let mut frames = [Frame { bytes: &[], meta: RxMeta::default() }; BURST];
    let mut ready = 0;
    for received in burst.frames() {
        let time = received.time.map_or(now, Nanos);
        if feed.captured && pace.wait(time).is_some() {
            station.burst(lane, &frames[..ready]);
            ready = 0;
            pace.sleep(time, stop);
        }
        if station.crosses(time) {
            station.burst(lane, &frames[..ready]);
            ready = 0;
        }
        station.step(time);
        station.advance(time);
        match claim(&received, time, &feed.shares) {
            Ok(frame) => {
                frames[ready] = frame;
                ready += 1;
            }
            Err(reason) => station.skip(lane, received.wire_len, reason),
        }
    }
    station.burst(lane, &frames[..ready]);
    if let Some(owed) = &mut feed.owed {
        *owed = owed.saturating_sub(count as u64);
    }
    drop(burst);
    station.polled_queue(lane, count, began);
    count
}

/// Which tap a frame belongs to, and the frame without what its broker appends.
#[inline]
pub(crate) fn claim<'a>(
    received: &RxFrame<'a>,
    time: Nanos,
    shares: &Shares,
) -> Result<Frame<'a>, Reason> {
    let stripped_vlan = received.stripped_vlan.map(|tag| tag & 0x0fff);
    let (tap, bytes) = shares.claim(received.bytes, LinkType::Ethernet, stripped_vlan)?;
    let cut = (received.bytes.len() - bytes.len()) as u32;
    Ok(Frame {
        bytes,
        meta: RxMeta {
            time,
            wire_len: received.wire_len - cut,
            tap,
            link_type: LinkType::Ethernet,
            stripped_vlan,
        },
    })
}
