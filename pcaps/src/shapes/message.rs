//! GTP-U messages other than G-PDUs (TS 29.281 §7.2, §7.3) with their information elements.

use super::{Scene, Shape, TEID};
use crate::gtpu::{self, Extension, Header, element};

const TEID_DATA: u8 = 16;
const PEER_ADDRESS: u8 = 133;
const EXTENSION_HEADER_TYPES: u8 = 141;
const TUNNEL_STATUS_INFORMATION: u8 = 230;
const RECOVERY_TIME_STAMP: u8 = 231;
const PRIVATE_EXTENSION: u8 = 255;

pub(super) fn shapes(scene: &Scene) -> Vec<Shape> {
    let numbered = |kind, sequence, body: &[u8]| {
        Header { kind, sequence: Some(sequence), ..Header::default() }.around(body)
    };
    let private = |length: usize| {
        let value = [&10_415u16.to_be_bytes()[..], &scene.payload(length)].concat();
        element(PRIVATE_EXTENSION, &value)
    };
    let echo = |body: &[u8]| scene.up(&numbered(gtpu::ECHO_REQUEST, 7, body));
    let answer = |body: &[u8]| {
        scene.down(&numbered(gtpu::ECHO_RESPONSE, 7, &[&gtpu::RECOVERY, body].concat()))
    };
    let stamp = element(RECOVERY_TIME_STAMP, &3_976_300_800u32.to_be_bytes());
    let teid = [&[TEID_DATA][..], &TEID.to_be_bytes()].concat();
    let four = [&teid[..], &element(PEER_ADDRESS, &scene.upf.four.octets())].concat();
    let six = [&teid[..], &element(PEER_ADDRESS, &scene.upf.six.octets())].concat();
    let error = |extensions: &[Extension], body: &[u8]| {
        let kind = gtpu::ERROR_INDICATION;
        scene
            .down(&Header { kind, sequence: Some(0), extensions, ..Header::default() }.around(body))
    };
    let port = [Extension::new(0x40, &[0x9c, 0x40])];
    let known = [&[EXTENSION_HEADER_TYPES, 3][..], &[0x40, 0x85, 0xc0]].concat();
    let container = [Extension::new(gtpu::PDU_SESSION_CONTAINER, &[0, 9])];
    let marker = |extensions: &[Extension]| {
        let kind = gtpu::END_MARKER;
        scene.down(&Header { kind, teid: TEID, extensions, ..Header::default() }.around(&[]))
    };
    let status = element(TUNNEL_STATUS_INFORMATION, &[0x01]);
    let status =
        Header { kind: gtpu::TUNNEL_STATUS, teid: TEID, sequence: Some(3), ..Header::default() }
            .around(&status);
    vec![
        Shape::new("echo/request", "gtp.message == 1", echo(&[])),
        Shape::new("echo/response", "gtp.message == 2 && gtp.recovery == 0", answer(&[])),
        Shape::new("echo/request-private-extension", "gtp.ext_id == 10415", echo(&private(12))),
        Shape::new("echo/response-private-extension", "gtp.ext_id == 10415", answer(&private(12))),
        Shape::new("echo/request-oversized", "gtp.ext_length == 1202", echo(&private(1_200))),
        Shape::new("echo/response-recovery-time-stamp", "gtp.message == 2", answer(&stamp)),
        Shape::new(
            "echo/request-container",
            "gtp.message == 1 && gtp.ext_hdr.next == 0x85",
            scene.up(&Header {
                kind: gtpu::ECHO_REQUEST,
                sequence: Some(8),
                extensions: &container,
                ..Header::default()
            }
            .around(&[])),
        ),
        Shape::new("error-indication/ipv4", "gtp.message == 26 && gtp.gsn_ipv4", error(&[], &four)),
        Shape::new("error-indication/ipv6", "gtp.message == 26 && gtp.gsn_ipv6", error(&[], &six)),
        Shape::new(
            "error-indication/udp-port",
            "gtp.message == 26 && gtp.ext_hdr.udp_port == 40000",
            error(&port, &four),
        ),
        Shape::new(
            "supported-extension-headers",
            "gtp.message == 31",
            scene.down(&numbered(gtpu::SUPPORTED_EXTENSION_HEADERS, 0, &known)),
        ),
        Shape::new("tunnel-status", "", scene.down(&status)),
        Shape::new("end-marker/plain", "gtp.message == 254", marker(&[])),
        Shape::new("end-marker/container", "gtp.message == 254", marker(&container)),
    ]
}
