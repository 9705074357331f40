//! The common path gives the record of the complete walk, and the lean look of a thread that only
//! spreads frames sends them where the complete one does, whatever the frame.

mod lab;

use std::path::Path;

use lab::Noise;
use weir_engine::decode::{Ports, Trail, Wrapper, decode};
use weir_engine::record::Kind;
use weir_engine::worker::Setup;
use weir_engine::{Frame, RxMeta};
use weir_pcaps::Scenario;
use weir_wire::Layer;

/// Follows the walk and looks at nothing, so that it is the complete one.
struct Whole;

impl Trail for Whole {
    fn layer(&mut self, _: Layer, _: &[u8]) {}
    fn vlan(&mut self, _: u16) {}
    fn mpls(&mut self, _: u32) {}
}

/// What taps may say of a frame.
#[derive(Clone, Copy, Debug)]
struct Said {
    ports: Ports,
    wrapper: Option<Wrapper>,
    stripped_vlan: Option<u16>,
}

impl Said {
    const WAYS: usize = 3 * 4 * 2;

    fn of(way: usize) -> Self {
        let ports = [
            Ports::default(),
            // One for both, and such as users' packets have.
            Ports::new(&[2152, 8805, 53], &[8805, 2152]),
            Ports::new(&[4789, 40_000], &[443]),
        ];
        let wrappers = [None, Some(Wrapper::Vxlan), Some(Wrapper::Gre), Some(Wrapper::Erspan)];
        Self {
            ports: ports[way % 3],
            wrapper: wrappers[way / 3 % 4],
            stripped_vlan: (way / 12 % 2 == 1).then_some(7),
        }
    }
}

fn agree(bytes: &[u8], said: Said) {
    let meta = RxMeta {
        wire_len: bytes.len() as u32,
        stripped_vlan: said.stripped_vlan,
        ..RxMeta::default()
    };
    let frame = Frame { bytes, meta };
    let one = decode(&frame, said.wrapper, &said.ports, &mut ());
    let whole = decode(&frame, said.wrapper, &said.ports, &mut Whole);
    assert_eq!(format!("{one:?}"), format!("{whole:?}"), "{said:?} {bytes:02x?}");
    let setup = Setup {
        wrappers: vec![said.wrapper],
        ports: said.ports,
        hash_key: 0x5eed_0f5e_ed0f_5eed,
        ..Setup::default()
    };
    let lean = setup.deal_lean(&frame);
    assert_eq!(lean.number, setup.spread(&frame), "{said:?} {bytes:02x?}");
    assert_eq!(lean.is_n4, one.kind == Kind::Pfcp && !one.is_fragment(), "{said:?} {bytes:02x?}");
}

fn frames_of(scenario: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps/scenarios").join(scenario);
    let text = std::fs::read_to_string(&path).unwrap();
    let scenario = Scenario::parse(&text, &path).unwrap();
    scenario.generate().map(|packet| packet.frame).collect()
}

#[test]
fn every_frame_of_the_scenarios_has_one_record() {
    for scenario in ["small.toml", "evasion.toml", "shapes.toml", "sessions.toml"] {
        for frame in frames_of(scenario) {
            (0..Said::WAYS).for_each(|way| agree(&frame, Said::of(way)));
        }
    }
}

#[test]
fn octets_changed_cut_and_added_leave_one_record() {
    let mut noise = Noise(1);
    let mut bases = weir_pcaps::imix::frames(16, 48, 1);
    // The same behind a tag, without the container, and with a sequence number.
    for n in 0..16 {
        let tagged = [&bases[n][..12], &[0x81, 0, 0x20, 100], &bases[n][12..]].concat();
        bases.push(tagged);
    }
    // Users on IPv6, too.
    bases.extend(weir_pcaps::real_mix::frames(64, 400, 1));
    bases.extend(frames_of("shapes.toml").into_iter().take(2_000));
    let mut changed = Vec::new();
    for round in 0..300_000 {
        changed.clear();
        changed.extend_from_slice(&bases[round % bases.len()]);
        for _ in 0..1 + noise.below(3) {
            // Headers are where it matters.
            let place = noise.below(changed.len().clamp(1, 112));
            match noise.below(9) {
                0 => changed.truncate(place),
                1 => changed.extend_from_slice(&[0; 7]),
                2 => changed[place] = [0, 4, 5, 0x34, 0x45, 0x85, 0xff][noise.below(7)],
                3 => changed[place] = changed[place].wrapping_add(1),
                4 => changed[place] = changed[place].wrapping_sub(1),
                5 => changed[place] ^= 1 << noise.below(8),
                6 => changed[place..].iter_mut().take(2 << noise.below(4)).for_each(|it| *it = 0),
                _ => changed[place] = noise.below(256) as u8,
            }
            if changed.is_empty() {
                break;
            }
        }
        agree(&changed, Said::of(noise.below(Said::WAYS)));
    }
}
