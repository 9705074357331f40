//! From captures to the port, in bursts, at the speed that is asked for.

use std::fs::File;
use std::time::{Duration, Instant};

use weir_capture::{LinkType, Packet};
use weir_dpdk::{BURST, PortError, TxPort};
use weir_engine::{Frame, Nanos, RxMeta};
use weir_playback::{Content, Input, Merge, Pace, Passes, Scratch, Speed, Stop, Unplayed};

use crate::summary::NotSent;

/// How often a device is offered a frame that it does not take: a full ring has room again within
/// microseconds, a device whose link is down never.
const TRIES: u32 = 20_000;
/// What every Ethernet frame has.
const SHORTEST: usize = 14;

/// The captures, as they were named.
#[derive(Default)]
pub(crate) struct Captures {
    names: Vec<String>,
    contents: Vec<Option<Content>>,
    inputs: Vec<Option<File>>,
}

impl Captures {
    pub(crate) fn add(&mut self, name: String, content: Option<Content>, input: Option<File>) {
        self.names.push(name);
        self.contents.push(content);
        self.inputs.push(input);
    }

    pub(crate) fn unplayed(&mut self) -> Vec<Unplayed<'_>> {
        self.names
            .iter()
            .zip(&mut self.contents)
            .zip(&mut self.inputs)
            .map(|((name, content), input)| Unplayed { name, content, input })
            .collect()
    }
}

/// How it goes.
pub(crate) struct Course<'a> {
    pub(crate) passes: u32,
    /// There if there is more than one pass.
    pub(crate) anew: Option<&'a Passes>,
    pub(crate) speed: Speed,
    pub(crate) stop: &'a Stop,
}

/// What became of the frames.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) cut: u64,
    pub(crate) not_sent: NotSent,
    pub(crate) took: Duration,
    /// What ended captures before their end.
    pub(crate) ended: Vec<String>,
}

/// Sends all captures, as often as they are to be played, or until a stop.
///
/// # Errors
/// What the driver says if it gives mbufs back no more.
pub(crate) fn send(
    port: &mut TxPort,
    captures: &mut Captures,
    course: &Course<'_>,
) -> Result<Sent, PortError> {
    let Captures { names, contents, inputs } = captures;
    let contents = &*contents;
    // What its loading met ends a capture; what reading it meets there then is no news.
    let broken = |number: usize| contents[number].as_ref().and_then(Content::broken);
    let mut sent = Sent::default();
    let mut ended: Vec<String> = (0..names.len())
        .filter_map(|number| Some(complaint(&names[number], broken(number)?)))
        .collect();
    let mut pace = Pace::new(course.speed);
    let mut burst = Burst::default();
    let began = Instant::now();
    for pass in (0..course.passes).take_while(|_| !course.stop.is_asked()) {
        let shift = course.anew.map_or(Nanos(0), |anew| anew.shift(pass));
        burst.anew = course.anew.filter(|_| pass > 0).map(|anew| (anew, pass));
        let is_news = |number: usize| pass == 0 && broken(number).is_none();
        let opened =
            contents.iter().zip(inputs.iter_mut()).map(|(content, input)| match input.take() {
                Some(input) => Input::Stream(input),
                None => Input::Bytes(content.as_deref().unwrap_or_default()),
            });
        let mut merge = Merge::open(opened, course.stop, |number, error| {
            if is_news(number) {
                ended.push(complaint(&names[number], &error));
            }
        });
        while let Some(number) = merge.earliest() {
            let Some(packet) = merge.packet(number) else { break };
            let time = packet.time.plus(shift);
            if pace.wait(time).is_some() {
                burst.send(port, &mut sent)?;
                pace.sleep(time, course.stop);
            }
            if course.stop.is_asked() {
                break;
            }
            sent.frames += 1;
            sent.bytes += packet.bytes.len() as u64;
            sent.cut += u64::from(packet.wire_len as usize > packet.bytes.len());
            match reason(&packet, port, &mut sent.not_sent) {
                Some(counter) => *counter += 1,
                None => burst.take(&packet),
            }
            if burst.ends.len() == BURST {
                burst.send(port, &mut sent)?;
            }
            let mut flushed = Ok(());
            let mut damaged = None;
            // What is in hand should not wait for an input that may be slow.
            let flush = || flushed = burst.send(port, &mut sent);
            merge.pull(number, flush, |damage| damaged = Some(damage));
            flushed?;
            if let Some(damage) = damaged.filter(|_| is_news(number)) {
                ended.push(complaint(&names[number], &damage));
            }
        }
        burst.send(port, &mut sent)?;
    }
    sent.took = began.elapsed();
    sent.ended = ended;
    Ok(sent)
}

fn complaint(name: &str, error: &impl std::fmt::Display) -> String {
    format!("{error}; {name}; what stands before it was sent")
}

/// The counter of why a packet can't be sent, if it can't.
fn reason<'a>(
    packet: &Packet<'_>,
    port: &TxPort,
    not_sent: &'a mut NotSent,
) -> Option<&'a mut u64> {
    if packet.link_type != LinkType::Ethernet {
        Some(&mut not_sent.link_type)
    } else if packet.bytes.len() > port.longest_frame() {
        Some(&mut not_sent.too_long)
    } else if packet.bytes.len() < SHORTEST {
        Some(&mut not_sent.too_short)
    } else {
        None
    }
}

/// Frames that go out together, as they are in their pass.
#[derive(Default)]
struct Burst<'a> {
    bytes: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<usize>,
    anew: Option<(&'a Passes, u32)>,
    scratch: Scratch,
}

impl Burst<'_> {
    fn take(&mut self, packet: &Packet<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet.bytes);
        if let Some((anew, pass)) = self.anew {
            let meta = RxMeta { link_type: packet.link_type, ..RxMeta::default() };
            let frame = Frame { bytes: packet.bytes, meta };
            anew.rewrite(pass, &frame, &mut self.bytes[start..], &mut self.scratch);
        }
        self.ends.push(self.bytes.len());
    }

    fn send(&mut self, port: &mut TxPort, sent: &mut Sent) -> Result<(), PortError> {
        let count = self.ends.len();
        if count == 0 {
            return Ok(());
        }
        let mut frames = [&[][..]; BURST];
        let mut start = 0;
        for (frame, end) in frames.iter_mut().zip(&self.ends) {
            *frame = &self.bytes[start..*end];
            start = *end;
        }
        let taken = port.send(&frames[..count], TRIES)?;
        sent.sent += taken as u64;
        sent.sent_bytes += taken.checked_sub(1).map_or(0, |last| self.ends[last] as u64);
        sent.not_sent.refused += (count - taken) as u64;
        self.bytes.clear();
        self.ends.clear();
        Ok(())
    }
}
