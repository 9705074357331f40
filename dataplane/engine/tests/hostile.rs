//! Whatever the bytes: no panic, every frame counted, state bounded.

mod lab;

use lab::*;
use weir_capture::Reader;
use weir_engine::contract::verdict::Verdict;
use weir_engine::rules::Link;

const SMALL: &[u8] = include_bytes!("../../../pcaps/captures/small/capture.pcap");

fn frames() -> Vec<Vec<u8>> {
    Reader::open(SMALL).unwrap().map(|packet| packet.unwrap().bytes.to_vec()).collect()
}

fn shots(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Shot> {
    let mut script = Script::default();
    for frame in frames {
        script.push(frame);
    }
    script.shots
}

fn ends(said: &[Verdict]) -> bool {
    matches!(said.last(), Some(Verdict::End(_)))
}

#[test]
fn real_frames_with_bits_flipped_bytes_cut_and_bytes_added() {
    let mut noise = Noise(0x5eed_0001);
    let mangled = frames().into_iter().map(|mut frame| {
        for _ in 0..noise.next() % 8 {
            let at = noise.next() as usize % frame.len();
            frame[at] = noise.next() as u8;
        }
        match noise.next() % 4 {
            0 => frame.truncate(noise.next() as usize % frame.len()),
            1 => frame.resize(frame.len() + noise.next() as usize % 64, 0xff),
            _ => {}
        }
        frame
    });
    let shots = shots(mangled);
    for link in Link::ALL {
        assert!(ends(&judge(&shots, link, rule_set(), 2)));
    }
}

#[test]
fn every_truncation_of_every_kind_of_frame() {
    let mut frames = frames();
    // One frame of each length is enough to have each kind.
    frames.sort_by_key(Vec::len);
    frames.dedup_by_key(|frame| frame.len());
    let cut =
        frames.iter().flat_map(|frame| (0..=frame.len().min(200)).map(|end| frame[..end].to_vec()));
    assert!(ends(&judge(&shots(cut), Link::Mixed, rule_set(), 1)));
}

#[test]
fn noise_of_every_length_at_wild_times() {
    let mut noise = Noise(0x5eed_0002);
    let mut shots = Vec::new();
    for len in (0..2000).chain([9_728, 65_535, 200_000]) {
        let bytes = (0..len).map(|_| noise.next() as u8).collect();
        shots.push(Shot { time: weir_engine::Nanos(noise.next()), bytes });
    }
    shots.push(Shot { time: weir_engine::Nanos::MAX, bytes: vec![] });
    shots.push(Shot { time: weir_engine::Nanos(0), bytes: vec![] });
    assert!(ends(&judge(&shots, Link::N3, rule_set(), 2)));
}

#[test]
fn a_flood_of_flows_keeps_the_theft_and_stays_bounded() {
    let mut script = Script::default();
    script.tcp("10.0.1.1:34034", "172.19.41.9:5555", 2, 0, b"");
    for n in 0..300_000_u32 {
        let stranger = std::net::Ipv4Addr::from(0x0b00_0000 + n);
        script.shots.push(Shot {
            time: at(1.0 + f64::from(n) / 1e6),
            bytes: udp(&format!("{stranger}:9"), "10.0.1.1:9", b"x"),
        });
    }
    let said = judge(&script.shots, Link::Mixed, rule_set(), 1);
    let evicted = said.iter().filter(|verdict| {
        matches!(verdict,
        Verdict::Flow(flow) if flow.end == weir_engine::contract::verdict::FlowEnd::Evicted)
    });
    assert!(evicted.count() > 30_000);
    let facts: Vec<_> = said
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Alert(alert) if alert.last_word => Some(alert.fact),
            _ => None,
        })
        .collect();
    use weir_engine::contract::verdict::Fact;
    use weir_engine::contract::words::Table;
    assert!(facts.contains(&Fact::Opened));
    assert!(facts.contains(&Fact::table_full(Table::Flows)));
    let theft = said.iter().find_map(|verdict| match verdict {
        Verdict::Flow(flow) if flow.tuple.destination_port == 5555 => Some(flow.end),
        _ => None,
    });
    assert_ne!(theft, Some(weir_engine::contract::verdict::FlowEnd::Evicted));
}

#[test]
fn pseudowires_in_pseudowires_end_the_walk_and_not_the_stack() {
    // Found by fuzzing: frames in frames under MPLS labels, until the stack was gone.
    let level = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0x47, 0, 0, 0x11, 64];
    let nested = level.repeat(14_000);
    let frame = weir_engine::Frame { bytes: &nested, meta: weir_engine::RxMeta::default() };
    let record = weir_engine::decode::decode(&frame, None, &Default::default(), &mut ());
    let error = record.error().unwrap();
    assert_eq!((error.layer.name(), error.kind.name()), ("eth", "depth"));
}
