//! The common path gives the record of the complete walk, whatever the frame.

use std::path::Path;

use weir_engine::decode::{Ports, Trail, decode};
use weir_engine::{Frame, Record, RxMeta};
use weir_pcaps::Scenario;
use weir_wire::Layer;

/// Follows the walk and looks at nothing, so that it is the complete one.
struct Whole;

impl Trail for Whole {
    fn layer(&mut self, _: Layer, _: &[u8]) {}
    fn vlan(&mut self, _: u16) {}
    fn mpls(&mut self, _: u32) {}
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

fn agree(bytes: &[u8]) -> Record {
    let meta = RxMeta { wire_len: bytes.len() as u32, ..RxMeta::default() };
    let frame = Frame { bytes, meta };
    let ports = Ports::default();
    let one = decode(&frame, None, &ports, &mut ());
    let whole = decode(&frame, None, &ports, &mut Whole);
    assert_eq!(format!("{one:?}"), format!("{whole:?}"), "{bytes:02x?}");
    one
}

fn frames_of(scenario: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps/scenarios").join(scenario);
    let text = std::fs::read_to_string(&path).unwrap();
    let scenario = Scenario::parse(&text, &path).unwrap();
    scenario.generate().map(|packet| packet.frame).collect()
}

#[test]
fn every_frame_of_the_scenarios_has_one_record() {
    for scenario in ["small.toml", "evasion.toml", "shapes.toml", "sessions.toml", "benign.toml"] {
        for frame in frames_of(scenario) {
            agree(&frame);
        }
    }
}

#[test]
fn octets_changed_cut_and_added_leave_one_record() {
    let mut chance = Chance(1);
    let mut bases = weir_pcaps::imix::frames(16, 48, 1);
    // The same behind a tag, without the container, and with a sequence number.
    for n in 0..16 {
        let tagged = [&bases[n][..12], &[0x81, 0, 0x20, 100], &bases[n][12..]].concat();
        bases.push(tagged);
    }
    bases.extend(frames_of("shapes.toml").into_iter().take(2_000));
    let mut changed = Vec::new();
    for round in 0..300_000 {
        changed.clear();
        changed.extend_from_slice(&bases[round % bases.len()]);
        for _ in 0..1 + chance.below(3) {
            // Headers are where it matters.
            let place = chance.below(changed.len().clamp(1, 96));
            match chance.below(8) {
                0 => changed.truncate(place),
                1 => changed.extend_from_slice(&[0; 7]),
                2 => changed[place] = [0, 4, 5, 0x34, 0x45, 0x85, 0xff][chance.below(7)],
                3 => changed[place] = changed[place].wrapping_add(1),
                4 => changed[place] = changed[place].wrapping_sub(1),
                5 => changed[place] ^= 1 << chance.below(8),
                _ => changed[place] = chance.below(256) as u8,
            }
            if changed.is_empty() {
                break;
            }
        }
        agree(&changed);
    }
}
