//! The file source: a mapped capture, read alone, and read by one thread for
//! another that inspects.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crossbeam::channel::bounded;
use weir_capture::Reader;
use weir_engine::frame::BURST;
use weir_engine::{Frame, RxMeta, TapId};

use crate::engine_run::EngineRun;

/// Frames that go from thread to thread at a time, as in the sensor.
const HAND: usize = 4 * BURST;

/// Hands on the way.
const HANDS: usize = 16;

/// Frames, and how long they took.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Frames read.
    pub frames: u64,
    /// Wall time.
    pub took: Duration,
}

impl Pace {
    /// Nanoseconds per frame.
    pub fn ns(self) -> f64 {
        self.took.as_nanos() as f64 / self.frames as f64
    }
}

/// Reads a capture to its end, `times` over.
///
/// # Errors
/// When the capture is damaged.
pub fn read(file: &[u8], times: usize) -> anyhow::Result<Pace> {
    let began = Instant::now();
    let mut frames = 0;
    for _ in 0..times {
        for packet in Reader::open(file)? {
            black_box(packet?);
            frames += 1;
        }
    }
    Ok(Pace { frames, took: began.elapsed() })
}

/// Reads a capture to its end, `times` over, while another thread takes the
/// frames through the engine.
///
/// # Errors
/// When the capture is damaged.
pub fn read_and_inspect(file: &[u8], times: usize, run: &mut EngineRun) -> anyhow::Result<Pace> {
    let began = Instant::now();
    let (give, take) = bounded::<Vec<Frame<'_>>>(HANDS);
    let (give_back, spent) = bounded(HANDS + 2);
    for _ in 0..HANDS + 2 {
        // Both ends are here: it is accepted.
        let _ = give_back.send(Vec::with_capacity(HAND));
    }
    let frames = std::thread::scope(|scope| {
        let inspector = scope.spawn(move || {
            let mut frames = 0;
            for mut hand in take {
                run.engine_pass(&hand);
                frames += hand.len() as u64;
                hand.clear();
                // The reader is gone once it has read everything.
                let _ = give_back.send(hand);
            }
            frames
        });
        for _ in 0..times {
            let mut packets = Reader::open(file)?;
            loop {
                let mut hand = spent.recv()?;
                for packet in packets.by_ref().take(HAND) {
                    let packet = packet?;
                    let meta = RxMeta {
                        time: packet.time,
                        wire_len: packet.wire_len,
                        tap: TapId(0),
                        ..RxMeta::default()
                    };
                    hand.push(Frame { bytes: packet.bytes, meta });
                }
                // An inspector that is gone has panicked, which `join` tells.
                if hand.is_empty() || give.send(hand).is_err() {
                    break;
                }
            }
        }
        drop(give);
        inspector.join().map_err(|_| anyhow::anyhow!("the inspecting thread panicked"))
    })?;
    Ok(Pace { frames, took: began.elapsed() })
}
