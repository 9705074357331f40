//! Captures made by hand, in either byte order.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

/// A byte order.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub is_big: bool,
}

pub const ORDERS: [Order; 2] = [Order { is_big: false }, Order { is_big: true }];

impl Order {
    pub fn u16(self, n: u16) -> [u8; 2] {
        if self.is_big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub fn u32(self, n: u32) -> [u8; 4] {
        if self.is_big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub fn u64(self, n: u64) -> [u8; 8] {
        if self.is_big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub fn words(self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| self.u32(*word)).collect()
    }

    fn stamp(self, stamp: u64) -> Vec<u8> {
        self.words(&[(stamp >> 32) as u32, stamp as u32])
    }

    /// A pcap file of one-second steps.
    pub fn pcap(self, magic: u32, link_type: u32, packets: &[&[u8]]) -> Vec<u8> {
        let mut file = self.words(&[magic, 0x0004_0002, 0, 0, 65_535, link_type]);
        for (n, bytes) in packets.iter().enumerate() {
            let len = bytes.len() as u32;
            file.extend(self.words(&[1_700_000_000 + n as u32, 7, len, len]));
            file.extend(*bytes);
        }
        file
    }

    pub fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let len = self.u32(12 + padded as u32);
        let mut block = [&self.u32(kind)[..], &len, body].concat();
        block.resize(8 + padded, 0);
        block.extend(len);
        block
    }

    pub fn section(self) -> Vec<u8> {
        let body = [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    /// An interface with an if_name, and with what is given of its clock.
    pub fn interface(
        self,
        link_type: u16,
        snap_len: u32,
        resolution: Option<u8>,
        offset: Option<i64>,
    ) -> Vec<u8> {
        let mut body = [&self.u16(link_type)[..], &[0, 0], &self.u32(snap_len)].concat();
        let mut option = |code: u16, value: &[u8]| {
            body.extend(self.u16(code));
            body.extend(self.u16(value.len() as u16));
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        };
        option(2, b"eth10");
        if let Some(resolution) = resolution {
            option(9, &[resolution]);
        }
        if let Some(offset) = offset {
            option(14, &self.u64(offset as u64));
        }
        option(0, &[]);
        self.block(1, &body)
    }

    pub fn enhanced(self, interface: u32, stamp: u64, bytes: &[u8]) -> Vec<u8> {
        let mut body = self.u32(interface).to_vec();
        body.extend(self.stamp(stamp));
        body.extend(self.words(&[bytes.len() as u32, bytes.len() as u32 + 4]));
        body.extend(bytes);
        self.block(6, &body)
    }

    pub fn old(self, interface: u16, stamp: u64, bytes: &[u8]) -> Vec<u8> {
        let mut body = [self.u16(interface), self.u16(99)].concat();
        body.extend(self.stamp(stamp));
        body.extend(self.words(&[bytes.len() as u32, bytes.len() as u32]));
        body.extend(bytes);
        self.block(2, &body)
    }

    pub fn simple(self, wire_len: u32, bytes: &[u8]) -> Vec<u8> {
        self.block(3, &[&self.u32(wire_len)[..], bytes].concat())
    }
}

/// One of everything: two sections of different byte order, all kinds of
/// packets, blocks that are passed.
pub fn everything() -> Vec<u8> {
    let mut file = Vec::new();
    for order in ORDERS {
        file.extend(order.section());
        file.extend(order.interface(1, 0, Some(9), None));
        file.extend(order.interface(113, 4, None, Some(-3)));
        file.extend(order.enhanced(0, 5_000_000_007, b"enhanced"));
        file.extend(order.block(0x0bad_cafe, b"unknown"));
        file.extend(order.old(1, 5_000_007, b"old"));
        file.extend(order.simple(6, b"simple"));
        file.extend(order.enhanced(1, 6_000_000, &[]));
    }
    file
}

/// Numbers that look random and are the same every time.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
