//! Optional octets and extension headers of G-PDUs (TS 29.281 §5), and the PDU Session Container
//! with everything that it may say (TS 38.415 §5.5.2).

use super::{Scene, Shape, TEID};
use crate::gtpu::{self, Extension, G_PDU, Header, PDU_SESSION_CONTAINER};

const UDP_PORT: u8 = 0x40;
const PDCP_NUMBER: u8 = 0xc0;
const LONG_PDCP_NUMBER: u8 = 0x82;
const NR_RAN_CONTAINER: u8 = 0x84;
/// "DL USER DATA" of the NR RAN container: PDU type 0, NR-U sequence number 7 (TS 38.425 §5.5.2).
const DL_USER_DATA: [u8; 5] = [0, 0, 0, 0, 7];

/// What a container of downlink may say beside the QFI.
#[derive(Default)]
struct Downlink {
    rqi: bool,
    paging_policy: Option<u8>,
    sent: Option<u64>,
    number: Option<u32>,
    multicast_number: Option<u32>,
}

impl Downlink {
    fn extension(&self, qfi: u8) -> Extension {
        let flag = |present: bool, bit: u8| if present { bit } else { 0 };
        let mut content = vec![
            flag(self.sent.is_some(), 0x08)
                | flag(self.number.is_some(), 0x04)
                | flag(self.multicast_number.is_some(), 0x02),
            flag(self.paging_policy.is_some(), 0x80) | flag(self.rqi, 0x40) | qfi,
        ];
        content.extend(self.paging_policy.map(|policy| policy << 5));
        content.extend(self.sent.into_iter().flat_map(u64::to_be_bytes));
        content.extend(self.number.iter().flat_map(|number| number.to_be_bytes()[1..].to_vec()));
        content.extend(self.multicast_number.into_iter().flat_map(u32::to_be_bytes));
        Extension::new(PDU_SESSION_CONTAINER, &content)
    }
}

/// What a container of uplink may say beside the QFI.
#[derive(Default)]
struct Uplink {
    stamps: Option<[u64; 3]>,
    downlink_delay: Option<u32>,
    uplink_delay: Option<u32>,
    number: Option<u32>,
    path_delay: Option<u32>,
    pdcp_delay: Option<u32>,
}

impl Uplink {
    fn extension(&self, qfi: u8) -> Extension {
        let flag = |present: bool, bit: u8| if present { bit } else { 0 };
        let mut content = vec![
            0x10 | flag(self.stamps.is_some(), 0x08)
                | flag(self.downlink_delay.is_some(), 0x04)
                | flag(self.uplink_delay.is_some(), 0x02)
                | flag(self.number.is_some(), 0x01),
            flag(self.path_delay.is_some(), 0x80) | flag(self.pdcp_delay.is_some(), 0x40) | qfi,
        ];
        content.extend(self.stamps.into_iter().flatten().flat_map(u64::to_be_bytes));
        content.extend(self.downlink_delay.into_iter().flat_map(u32::to_be_bytes));
        content.extend(self.uplink_delay.into_iter().flat_map(u32::to_be_bytes));
        content.extend(self.number.iter().flat_map(|number| number.to_be_bytes()[1..].to_vec()));
        content.extend(self.path_delay.into_iter().flat_map(u32::to_be_bytes));
        if let Some(delay) = self.pdcp_delay {
            content.push(1);
            content.extend(delay.to_be_bytes());
        }
        Extension::new(PDU_SESSION_CONTAINER, &content)
    }
}

pub(super) fn shapes(scene: &Scene) -> Vec<Shape> {
    let mut shapes = optional(scene);
    shapes.extend(single(scene));
    shapes.extend(containers(scene));
    shapes.extend(chains(scene));
    shapes
}

/// Every combination of the three flags, with other octets than zero where a flag is missing: a
/// decoder that reads them walks into the user's packet.
fn optional(scene: &Scene) -> Vec<Shape> {
    const NAMES: [&str; 7] = ["pn", "s", "s+pn", "e", "e+pn", "e+s", "e+s+pn"];
    let pdu = scene.user(32);
    let mut shapes = vec![Shape::new(
        "optional/none",
        "gtp.flags == 0x30 && udp.dstport == 443",
        scene.up(&gtpu::message(0, G_PDU, TEID, &[&pdu])),
    )];
    for (flags, name) in (1u8..).zip(NAMES) {
        // Where E is not set the last octet lies: it names a header that is not there.
        let octets = [0xde, 0xad, 0xee, PDU_SESSION_CONTAINER];
        let container: &[u8] = if flags & 4 != 0 { &[1, 0x10, 9, 0] } else { &[] };
        let message = gtpu::message(flags, G_PDU, TEID, &[&octets, container, &pdu]);
        let claim = "gtp.message == 255 && udp.dstport == 443";
        shapes.push(Shape::new(format!("optional/{name}"), claim, scene.up(&message)));
    }
    for (flags, name) in [(4, "e"), (6, "e+s"), (7, "e+s+pn")] {
        let message = gtpu::message(flags, G_PDU, TEID, &[&[0, 5, 6, 0], &pdu]);
        let claim = "gtp.flags.e == 1 && udp.dstport == 443";
        shapes.push(Shape::new(format!("optional/{name}-next-none"), claim, scene.up(&message)));
    }
    let trailing = [&scene.g_pdu(&pdu)[..], b"left by the way"].concat();
    shapes.push(Shape::new("length/trailing-bytes", "gtp.message == 255", scene.up(&trailing)));
    shapes
}

fn g_pdu(scene: &Scene, extensions: &[Extension]) -> Vec<u8> {
    let header = Header { kind: G_PDU, teid: TEID, extensions, ..Header::default() };
    scene.up(&header.around(&scene.user(32)))
}

/// Each header alone.
fn single(scene: &Scene) -> Vec<Shape> {
    let cases: [(&str, u8, &[u8], &str); 9] = [
        ("0x20-service-class", 0x20, &[3, 0], "gtp.ext_hdr.next == 0x20"),
        ("0x40-udp-port", UDP_PORT, &[0x08, 0x68], "gtp.ext_hdr.udp_port == 2152"),
        ("0x81-ran-container", 0x81, &[1, 2, 3, 4, 5, 6], "gtp.ext_hdr.next == 0x81"),
        ("0x82-long-pdcp", LONG_PDCP_NUMBER, &[1, 2, 3], "gtp.ext_hdr.long_pdcp_sn == 66051"),
        ("0x83-xw-ran", 0x83, &[0, 0, 0, 0, 7, 0], "gtp.ext_hdr.next == 0x83"),
        ("0x84-nr-ran", NR_RAN_CONTAINER, &DL_USER_DATA, "gtp.ext_hdr.next == 0x84"),
        ("0xc0-pdcp", PDCP_NUMBER, &[0x01, 0x02], "gtp.ext_hdr.pdcp_sn == 258"),
        ("0x03-old-long-pdcp", 0x03, &[1, 2, 3], "gtp.ext_hdr.next == 0x03"),
        (
            "0x84-nr-ran-status",
            NR_RAN_CONTAINER,
            &[0x10, 0, 0, 0, 0x10, 0, 0, 9, 0, 0],
            "gtp.ext_hdr.next == 0x84",
        ),
    ];
    cases
        .map(|(name, kind, content, claim)| {
            let frame = g_pdu(scene, &[Extension::new(kind, content)]);
            Shape::new(format!("extension/{name}"), claim, frame)
        })
        .into()
}

fn containers(scene: &Scene) -> Vec<Shape> {
    const SECOND: u64 = 1 << 32;
    let stamp = 3_976_300_800 * SECOND;
    let down = |name: &str, claim, said: Downlink| {
        let extensions = [said.extension(9)];
        let header =
            Header { kind: G_PDU, teid: TEID, extensions: &extensions, ..Header::default() };
        let frame = scene.down(&header.around(&scene.answer()));
        Shape::new(format!("container/downlink-{name}"), claim, frame)
    };
    let up = |name: &str, said: Uplink| {
        let frame = g_pdu(scene, &[said.extension(9)]);
        let claim =
            "gtp.ext_hdr.pdu_ses_con.pdu_type == 1 && gtp.ext_hdr.pdu_ses_con.qos_flow_id == 9";
        Shape::new(format!("container/uplink-{name}"), claim, frame)
    };
    let plain = "gtp.ext_hdr.pdu_ses_con.pdu_type == 0 && gtp.ext_hdr.pdu_ses_con.qos_flow_id == 9";
    let policy = "gtp.ext_hdr.pdu_ses_cont.ppp == 1 && gtp.ext_hdr.pdu_ses_cont.ppi == 5";
    vec![
        down("qfi", plain, Downlink::default()),
        down(
            "rqi",
            "gtp.ext_hdr.pdu_ses_cont.rqi == 1",
            Downlink { rqi: true, ..Downlink::default() },
        ),
        down("ppi", policy, Downlink { paging_policy: Some(5), ..Downlink::default() }),
        down("qmp", plain, Downlink { sent: Some(stamp), ..Downlink::default() }),
        down("snp", plain, Downlink { number: Some(0x01_0203), ..Downlink::default() }),
        down("msnp", plain, Downlink { multicast_number: Some(77), ..Downlink::default() }),
        down(
            "everything",
            plain,
            Downlink {
                rqi: true,
                paging_policy: Some(5),
                sent: Some(stamp),
                number: Some(9),
                multicast_number: Some(77),
            },
        ),
        up("qfi", Uplink::default()),
        up(
            "qmp",
            Uplink {
                stamps: Some([stamp, stamp + SECOND / 100, stamp + SECOND / 50]),
                ..Uplink::default()
            },
        ),
        up("downlink-delay", Uplink { downlink_delay: Some(4_000), ..Uplink::default() }),
        up("uplink-delay", Uplink { uplink_delay: Some(6_000), ..Uplink::default() }),
        up("snp", Uplink { number: Some(0x01_0203), ..Uplink::default() }),
        up("n3-n9-delay", Uplink { path_delay: Some(900), ..Uplink::default() }),
        up("pdcp-delay", Uplink { pdcp_delay: Some(700), ..Uplink::default() }),
        up(
            "everything",
            Uplink {
                stamps: Some([stamp, stamp + SECOND / 100, stamp + SECOND / 50]),
                downlink_delay: Some(4_000),
                uplink_delay: Some(6_000),
                number: Some(9),
                path_delay: Some(900),
                pdcp_delay: Some(700),
            },
        ),
    ]
}

fn chains(scene: &Scene) -> Vec<Shape> {
    let container = || Uplink::default().extension(9);
    let port = || Extension::new(UDP_PORT, &[0x08, 0x68]);
    let number = || Extension::new(PDCP_NUMBER, &[1, 2]);
    let ran = || Extension::new(NR_RAN_CONTAINER, &DL_USER_DATA);
    let long = || Extension::new(LONG_PDCP_NUMBER, &[1, 2, 3]);
    let cases = [
        ("container-first", vec![container(), number(), port()]),
        ("container-middle", vec![number(), container(), port()]),
        ("container-last", vec![port(), number(), container()]),
        ("container-after-nr-ran", vec![ran(), container()]),
        ("six", vec![port(), long(), ran(), number(), Extension::new(0x20, &[3, 0]), container()]),
    ];
    let claim = "gtp.ext_hdr.pdu_ses_con.qos_flow_id == 9 && udp.dstport == 443";
    let mut shapes: Vec<Shape> = cases
        .into_iter()
        .map(|(name, chain)| Shape::new(format!("chain/{name}"), claim, g_pdu(scene, &chain)))
        .collect();
    let forwarded = g_pdu(scene, &[number(), ran()]);
    shapes.push(Shape::new("chain/no-container", "gtp.ext_hdr.pdcp_sn == 258", forwarded));
    let extensions = [container()];
    let header = Header {
        kind: G_PDU,
        teid: TEID,
        sequence: Some(0x1234),
        n_pdu: Some(0x56),
        extensions: &extensions,
    };
    let whole = scene.up(&header.around(&scene.user(32)));
    shapes.push(Shape::new("chain/sequence-n-pdu-container", "gtp.seq_number == 0x1234", whole));
    shapes
}
