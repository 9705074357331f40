//! The sensor's counters as they stand in shared memory, copied and added up.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_engine::contract::greeting::Greeting;
use weir_engine::contract::session::SessionState;
use weir_engine::contract::words::{
    BLOCK, JudgeWords, LaneWords, PortWords, Reason, ReceiverWords, Words, WorkerWords,
    fragment_names, reassembly_names,
};
use weir_engine::record::ERRORS;
use weir_shm::{Attachment, Lost};
use weir_wire::{ErrorKind, Layer};

/// Every block of a sensor. A block that can't be read in one piece keeps the
/// values of the time before.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By lane, in the greeting's order.
    pub lanes: Vec<LaneWords>,
    /// By worker.
    pub workers: Vec<WorkerWords>,
    /// By port.
    pub ports: Vec<PortWords>,
    /// By receive thread.
    pub receivers: Vec<ReceiverWords>,
    /// The judge's.
    pub judge: JudgeWords,
    /// Records that the event ring lost.
    pub lost: Lost,
    /// Records that the evidence ring lost.
    pub evidence_lost: Lost,
}

impl Counts {
    /// Zeros for every block that a greeting names.
    pub fn zeroed(greeting: &Greeting) -> Self {
        Self {
            lanes: vec![LaneWords::default(); greeting.lanes.len()],
            workers: vec![WorkerWords::default(); usize::from(greeting.workers)],
            ports: vec![PortWords::default(); greeting.ports.len()],
            receivers: vec![ReceiverWords::default(); usize::from(greeting.receivers)],
            judge: JudgeWords::default(),
            lost: Lost::default(),
            evidence_lost: Lost::default(),
        }
    }

    /// Reads every block again. The attachment has the greeting's number of
    /// blocks, of at least [`BLOCK`] words.
    pub fn refresh(&mut self, attachment: &Attachment, greeting: &Greeting) {
        let mut block = [0; BLOCK];
        for (lane, words) in self.lanes.iter_mut().enumerate() {
            read(attachment, greeting.lane_block(lane), &mut block, words);
        }
        for (worker, words) in self.workers.iter_mut().enumerate() {
            read(attachment, greeting.worker_block(worker), &mut block, words);
        }
        for (port, words) in self.ports.iter_mut().enumerate() {
            read(attachment, greeting.port_block(port), &mut block, words);
        }
        for (receiver, words) in self.receivers.iter_mut().enumerate() {
            read(attachment, greeting.receiver_block(receiver), &mut block, words);
        }
        read(attachment, greeting.judge_block(), &mut block, &mut self.judge);
        self.lost = attachment.lost();
        self.evidence_lost = attachment.evidence_lost();
    }

    /// What came, and what of it was not inspected.
    pub fn traffic(&self) -> Traffic {
        let mut traffic = Traffic::default();
        for lane in &self.lanes {
            traffic.frames += lane.received_packets;
            traffic.bytes += lane.received_bytes;
            traffic.not_inspected += lane.not_inspected.iter().sum::<u64>();
        }
        for port in &self.ports {
            let lost: u64 = port.not_inspected.iter().sum();
            traffic.frames += lost;
            traffic.not_inspected += lost;
        }
        traffic
    }

    /// The sums over lanes, workers and ports.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for lane in &self.lanes {
            totals.frames += lane.received_packets;
            totals.bytes += lane.received_bytes;
            totals.inspected += lane.inspected_packets;
            totals.miss(&lane.not_inspected);
        }
        for port in &self.ports {
            totals.frames += port.not_inspected.iter().sum::<u64>();
            totals.miss(&port.not_inspected);
        }
        for worker in &self.workers {
            totals.gtpu_messages += worker.gtpu_messages.iter().sum::<u64>();
            totals.pfcp_messages += worker.pfcp_messages.iter().sum::<u64>();
            add(&mut totals.fragments, &fragment_names(), &worker.fragments);
            add(&mut totals.reassembly, &reassembly_names(), &worker.reassembly);
            for (index, count) in worker.decode_errors.iter().enumerate().filter(|(_, n)| **n > 0) {
                let (layer, kind) = error_names(index);
                *totals.errors.entry(format!("{layer}/{kind}")).or_default() += count;
            }
        }
        totals.flows = self.judge.flows_seen;
        totals.sessions = Sessions {
            established: self.judge.sessions_established,
            deleted: self.judge.sessions_deleted,
            active: self.judge.sessions[SessionState::Active as usize],
        };
        totals
    }
}

fn read<W: Words>(attachment: &Attachment, index: usize, block: &mut [u64; BLOCK], into: &mut W) {
    let block = &mut block[..W::LEN];
    if attachment.snapshot(index, block).is_ok() {
        *into = W::load(block);
    }
}

/// The names of a counter of decoding errors: layer and kind.
///
/// # Panics
/// If there is no such counter.
pub fn error_names(index: usize) -> (&'static str, &'static str) {
    assert!(index < ERRORS, "a counter beyond the table");
    let kinds = ErrorKind::ALL.len();
    (Layer::ALL[index / kinds].name(), ErrorKind::ALL[index % kinds].name())
}

/// Frames since the sensor's start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Frames received, those included that no worker got.
    pub frames: u64,
    /// Bytes on the wire of the frames that a worker got.
    pub bytes: u64,
    /// Frames that did not go through the engine.
    pub not_inspected: u64,
}

/// PFCP sessions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Sessions {
    /// Ever agreed.
    pub established: u64,
    /// Ended by their deletion.
    pub deleted: u64,
    /// Agreed and not ended.
    pub active: u64,
}

/// Counters added up, as stats events and the summary show them. Reasons and
/// errors that did not occur are left out.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Frames received, those included that were lost before inspection.
    pub frames: u64,
    /// Bytes on the wire of the frames that a worker got.
    pub bytes: u64,
    /// Frames that went through the engine.
    pub inspected: u64,
    /// Frames that did not, by reason.
    pub not_inspected: BTreeMap<&'static str, u64>,
    /// GTP-U messages.
    pub gtpu_messages: u64,
    /// PFCP messages.
    pub pfcp_messages: u64,
    /// Decoding errors by `layer/kind`.
    pub errors: BTreeMap<String, u64>,
    /// PFCP sessions.
    pub sessions: Sessions,
    /// Equipment flows ever seen.
    pub flows: u64,
    /// Fragments by what became of them.
    pub fragments: BTreeMap<&'static str, u64>,
    /// PFCP in fragments by what became of it.
    pub reassembly: BTreeMap<&'static str, u64>,
}

/// Adds what was counted, without what never occurred.
fn add(sums: &mut BTreeMap<&'static str, u64>, names: &[&'static str], counts: &[u64]) {
    for (name, count) in names.iter().zip(counts).filter(|(_, count)| **count > 0) {
        *sums.entry(name).or_default() += count;
    }
}

impl Totals {
    fn miss(&mut self, by_reason: &[u64; Reason::ALL.len()]) {
        add(&mut self.not_inspected, &Reason::ALL.map(Reason::name), by_reason);
    }

    /// Frames that are neither inspected nor counted under a reason: 0, or
    /// something is wrong with Weir.
    pub fn unaccounted(&self) -> i128 {
        let reasons: u64 = self.not_inspected.values().sum();
        i128::from(self.frames) - i128::from(self.inspected) - i128::from(reasons)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_no_worker_got_are_received_and_not_inspected() {
        let mut counts = Counts {
            lanes: vec![LaneWords::default(); 2],
            ports: vec![PortWords::default()],
            workers: vec![WorkerWords::default()],
            ..Counts::default()
        };
        counts.lanes[0].received_packets = 10;
        counts.lanes[0].inspected_packets = 8;
        counts.lanes[0].not_inspected[Reason::Untapped as usize] = 2;
        counts.lanes[1].received_packets = 5;
        counts.lanes[1].inspected_packets = 5;
        counts.ports[0].not_inspected[Reason::Missed as usize] = 3;
        counts.workers[0].decode_errors[19 * 4] = 7;
        let totals = counts.totals();
        assert_eq!((totals.frames, totals.inspected), (18, 13));
        assert_eq!(totals.not_inspected, BTreeMap::from([("missed", 3), ("untapped", 2)]));
        assert_eq!(totals.errors, BTreeMap::from([("gtpu/truncated".into(), 7)]));
        assert_eq!(totals.unaccounted(), 0);
        counts.lanes[1].inspected_packets = 6;
        assert_eq!(counts.totals().unaccounted(), -1);
    }
}
