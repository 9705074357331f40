//! A capture that is played again: whatever its frames hold, no pass panics, changes a length, or
//! leaves the first pass other than it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_capture::{LinkType, Reader};
use weir_engine::decode::Ports;
use weir_engine::{Frame, RxMeta};
use weir_playback::{Passes, Scratch, Stop, Survey};

fuzz_target!(|input: &[u8]| {
    let [pass, capture @ ..] = input else { return };
    let ports = Ports::default();
    let survey = Survey::of(&[capture], &ports, &Stop::default(), |_| ());
    let passes = Passes::new(survey, ports);
    let mut scratch = Scratch::default();
    for packet in Reader::open(capture).into_iter().flatten().map_while(Result::ok) {
        if matches!(packet.link_type, LinkType::Other(_)) {
            continue;
        }
        let meta = RxMeta { link_type: packet.link_type, ..RxMeta::default() };
        let frame = Frame { bytes: packet.bytes, meta };
        let mut to = packet.bytes.to_vec();
        passes.rewrite(0, &frame, &mut to, &mut scratch);
        assert_eq!(to, packet.bytes);
        passes.rewrite(u32::from(*pass), &frame, &mut to, &mut scratch);
        assert_eq!(to.len(), packet.bytes.len());
    }
});
