//! A TCP connection as a tap sees it: two ends whose sequence numbers keep step.

use std::net::SocketAddr;

use pnet_packet::tcp::TcpFlags::{ACK, FIN, PSH, RST, SYN};

use crate::chance::Chance;
use crate::frame::{self, Route, Segment};

/// An end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// A connection and the next sequence number of either end.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    ends: [SocketAddr; 2],
    next: [u32; 2],
}

impl Connection {
    pub(crate) fn new(client: SocketAddr, server: SocketAddr, chance: &mut Chance) -> Self {
        Self { ends: [client, server], next: [chance.u32(), chance.u32()] }
    }

    /// The three segments of the handshake, from client, server, client.
    pub(crate) fn open(&mut self) -> [Vec<u8>; 3] {
        [self.syn(), self.syn_ack(), self.ack(Side::Client)]
    }

    pub(crate) fn syn(&mut self) -> Vec<u8> {
        self.segment(Side::Client, SYN, &[])
    }

    pub(crate) fn syn_ack(&mut self) -> Vec<u8> {
        self.segment(Side::Server, SYN | ACK, &[])
    }

    pub(crate) fn data(&mut self, from: Side, payload: &[u8]) -> Vec<u8> {
        self.segment(from, PSH | ACK, payload)
    }

    pub(crate) fn ack(&mut self, from: Side) -> Vec<u8> {
        self.segment(from, ACK, &[])
    }

    pub(crate) fn reset(&mut self, from: Side) -> Vec<u8> {
        self.segment(from, RST | ACK, &[])
    }

    /// Both ends finish, `from` first: three segments, from it, the other, it.
    pub(crate) fn close(&mut self, from: Side) -> [Vec<u8>; 3] {
        let other = if from == Side::Client { Side::Server } else { Side::Client };
        [self.segment(from, FIN | ACK, &[]), self.segment(other, FIN | ACK, &[]), self.ack(from)]
    }

    fn segment(&mut self, from: Side, flags: u8, payload: &[u8]) -> Vec<u8> {
        let (us, them) = (from as usize, 1 - from as usize);
        let (src, dst) = (self.ends[us], self.ends[them]);
        let ttl = if from == Side::Client { 64 } else { 57 };
        let packet = frame::tcp(
            &Route { ttl, ..Route::new(src.ip(), dst.ip()) },
            &Segment {
                sport: src.port(),
                dport: dst.port(),
                sequence: self.next[us],
                acknowledgement: if flags & ACK == 0 { 0 } else { self.next[them] },
                flags,
                payload,
            },
        );
        let counted = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.next[us] = self.next[us].wrapping_add(counted);
        packet
    }
}
