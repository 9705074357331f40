//! One frame of any link type and wrapper: every layer that the walk names lies
//! in the frame, and so does every offset of the record; the common path, which
//! nobody follows, gives the same record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_engine::decode::{Ports, Trail, Wrapper, decode};
use weir_engine::frame::LinkType;
use weir_engine::{Frame, Record, RxMeta};
use weir_wire::Layer;

struct Inside<'a> {
    frame: &'a [u8],
    layers: usize,
}

impl Trail for Inside<'_> {
    fn layer(&mut self, _: Layer, at: &[u8]) {
        let frame = self.frame.as_ptr_range();
        let layer = at.as_ptr_range();
        assert!(frame.start <= layer.start && layer.end <= frame.end);
        self.layers += 1;
    }
    fn vlan(&mut self, id: u16) {
        assert!(id < 4096);
    }
    fn mpls(&mut self, label: u32) {
        assert!(label < 1 << 20);
    }
}

fuzz_target!(|input: &[u8]| {
    let [link, wrapper, bytes @ ..] = input else { return };
    let codes = [1, 1, 1, 0, 101, 108, 113, 228, 229, 276];
    let link_type = LinkType::from_code(codes[usize::from(*link) % codes.len()]);
    let wrapper = Wrapper::ALL.get(usize::from(*wrapper % 8)).copied();
    let meta = RxMeta { link_type, stripped_vlan: (link & 0x80 != 0).then_some(7), ..RxMeta::default() };
    let mut inside = Inside { frame: bytes, layers: 0 };
    let frame = Frame { bytes, meta };
    let record = decode(&frame, wrapper, &Ports::default(), &mut inside);
    let unfollowed = decode(&frame, wrapper, &Ports::default(), &mut ());
    assert_eq!(format!("{record:?}"), format!("{unfollowed:?}"));
    assert!(inside.layers < 200);
    for offset in [record.outer_ip, record.outer_l4, record.gtp, record.inner_ip, record.inner_l4] {
        assert!(offset == Record::ABSENT || usize::from(offset) <= bytes.len());
    }
    assert_eq!(record.outer_addresses(bytes).is_some(), record.outer_ip != Record::ABSENT);
    if let Some((_, destination)) = record.inner_addresses(bytes) {
        assert_eq!(record.inner_destination(bytes), Some(destination));
    }
});
