//! The frames that are measured, and the policy under which they are.

use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context;
use weir_engine::lpm::Prefix;
use weir_engine::rules::{
    Allow, End, Equipment, EquipmentId, Link, Roles, RuleSet, Rules, Service,
};
use weir_engine::{Frame, Nanos, RxMeta, TapId};
use weir_pcaps::Scenario;
use weir_wire::Address;

use crate::n4;
use crate::sessions::Sessions;

/// The packet time between two frames: a million packets a second, which makes
/// a slice of replay time a hundred thousand frames.
pub const GAP: Nanos = Nanos(1_000);

/// When the first frame is seen.
pub const START: Nanos = Nanos::from_secs(1_767_600_000);

/// Of so many frames one is N4, where there is N4 among them.
pub const N4_SHARE: usize = 100;

/// The seed of all generated frames.
const SEED: u64 = 20_260_105;

const DEMO: &str = include_str!("../../pcaps/scenarios/demo.toml");

/// Frames and the link that they are on.
#[derive(Debug)]
pub struct Traffic {
    frames: Vec<Vec<u8>>,
    /// The link that the tap declares.
    pub link: Link,
    /// What N4 has established before.
    pub sessions: Sessions,
}

impl Traffic {
    /// An Internet mix of G-PDUs over this many tunnels.
    pub fn imix(tunnels: u32, count: usize) -> Self {
        let frames = weir_pcaps::imix::frames(tunnels, count, SEED);
        Self { frames, link: Link::N3, sessions: Sessions::of_imix(tunnels) }
    }

    /// What one of several workers gets of it: other frames over the same tunnels.
    pub fn imix_part(tunnels: u32, count: usize, part: u64) -> Self {
        let frames = weir_pcaps::imix::frames(tunnels, count, SEED + part);
        Self { frames, link: Link::N3, sessions: Sessions::of_imix(tunnels) }
    }

    /// The same with inner packets of 64 octets only.
    pub fn small(tunnels: u32, count: usize) -> Self {
        let frames = weir_pcaps::imix::small_frames(tunnels, count, SEED);
        Self { frames, link: Link::N3, sessions: Sessions::of_imix(tunnels) }
    }

    /// G-PDUs of real sizes, between several gNBs and UPFs.
    pub fn real(tunnels: u32, count: usize) -> Self {
        let frames = weir_pcaps::real_mix::frames(tunnels, count, SEED);
        Self { frames, link: Link::N3, sessions: Sessions::of_real_mix(tunnels) }
    }

    /// The Internet mix in which every hundredth frame carries N4.
    pub fn imix_with_n4(tunnels: u32, count: usize) -> Self {
        let mut imix = Self::imix(tunnels, count);
        let places = imix.frames.iter_mut().skip(N4_SHARE - 1).step_by(N4_SHARE);
        let lives = (count / N4_SHARE).div_ceil(n4::MESSAGES);
        for (place, frame) in places.zip(n4::frames(1, lives as u64)) {
            *place = frame;
        }
        imix
    }

    /// Frames of any other origin on N3, and what N4 has established for them.
    pub fn of(frames: Vec<Vec<u8>>, sessions: Sessions) -> Self {
        Self { frames, link: Link::N3, sessions }
    }

    /// All links of the demonstration on one undeclared tap, from its start on.
    ///
    /// # Errors
    /// When the scenario that is built in can't be read.
    pub fn mixed(count: usize) -> anyhow::Result<Self> {
        let scenario = Scenario::parse(DEMO, Path::new("demo.toml"))?;
        let frames = scenario.generate().take(count).map(|packet| packet.frame).collect();
        Ok(Self { frames, link: Link::Mixed, sessions: Sessions::of_imix(0) })
    }

    /// The frames themselves.
    pub fn frames(&self) -> &[Vec<u8>] {
        &self.frames
    }

    /// The same, to be changed.
    pub fn into_frames(self) -> Vec<Vec<u8>> {
        self.frames
    }

    /// The frames as a source gives them, [`GAP`] apart.
    pub fn arrivals(&self) -> Vec<Frame<'_>> {
        arrivals_of(&self.frames)
    }

    /// Writes the frames as a classic pcap file.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        write(&self.frames, GAP, path)
    }
}

/// Writes frames so far apart as a classic pcap file.
///
/// # Errors
/// What the file system says.
pub fn write(frames: &[Vec<u8>], apart: Nanos, path: &Path) -> anyhow::Result<()> {
    let write = || {
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            file.write_all(&word.to_le_bytes())?;
        }
        for (frame, number) in frames.iter().zip(0_u64..) {
            let micros = START.plus(Nanos(number * apart.0)).0 / 1_000;
            let len = frame.len() as u32;
            for word in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, len, len] {
                file.write_all(&word.to_le_bytes())?;
            }
            file.write_all(frame)?;
        }
        file.flush()
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

/// Frames as a source gives them, [`GAP`] apart.
pub fn arrivals_of(frames: &[Vec<u8>]) -> Vec<Frame<'_>> {
    let arrival = |(n, bytes): (usize, &'_ Vec<u8>)| RxMeta {
        time: START.plus(Nanos(n as u64 * GAP.0)),
        wire_len: bytes.len() as u32,
        tap: TapId(0),
        ..RxMeta::default()
    };
    let numbered = frames.iter().enumerate();
    numbered.map(|(n, bytes)| Frame { bytes, meta: arrival((n, bytes)) }).collect()
}

/// Lets the same frames arrive again, after those of the last pass.
pub fn again(arrivals: &mut [Frame<'_>]) {
    let span = arrivals.len() as u64 * GAP.0;
    for frame in arrivals {
        frame.meta.time.0 += span;
    }
}

/// A small network's policy that declares all that the generated traffic does
/// on N3, so that every stage has its usual work and nothing to complain about:
/// eight gNBs, two UPFs, an SMF and the O&M network. The two nodes of the mix
/// have their MAC addresses listed, which the engine then compares.
///
/// # Errors
/// When the engine refuses the policy.
pub fn rules() -> anyhow::Result<Rules> {
    Ok(Rules::compile(rule_set())?)
}

/// The same, to be added to.
pub(crate) fn rule_set() -> RuleSet {
    let gnbs = (1..=8).map(|n| Equipment {
        roles: Roles(1),
        prefixes: vec![host([10, 0, 0, n]), host([10, 0, 10, n])],
        macs: if n == 1 { vec![[2, 0, 0, 0, 0, 1]] } else { vec![] },
    });
    let upfs = (1..=2).map(|n| Equipment {
        roles: Roles::UPF,
        prefixes: [[10, 0, 1, n], [10, 0, 2, n], [10, 0, 6, n], [10, 0, 10, 100 + n]]
            .map(host)
            .into(),
        macs: if n == 1 { vec![[2, 0, 0, 0, 1, 1]] } else { vec![] },
    });
    let smf = Equipment {
        roles: Roles::SMF,
        prefixes: vec![host([10, 0, 2, 100]), host([10, 0, 10, 121])],
        macs: vec![],
    };
    let oam =
        Equipment { roles: Roles::OAM, prefixes: vec![prefix([10, 0, 10, 192], 26)], macs: vec![] };
    let equipment: Vec<_> = gnbs.chain(upfs).chain([smf, oam]).collect();
    let end = |ids: std::ops::Range<u32>| End {
        equipment: Some(ids.map(EquipmentId).collect()),
        prefix: None,
    };
    let udp = |port| Service { protocol: 17, ports: Some((port, port)), either_way: true };
    let allow =
        |from, to, services| Allow { from, to, services, not_after: None, is_periodic: false };
    let everything =
        [1, 6, 17, 132].map(|protocol| Service { protocol, ports: None, either_way: true });
    RuleSet {
        version: 1,
        equipment,
        ue_pools: vec![prefix([10, 60, 0, 0], 16), users_of_ipv6()],
        infrastructure: vec![prefix([10, 0, 0, 0], 16)],
        link_defaults: vec![
            (prefix([10, 0, 0, 0], 23), Link::N3),
            (prefix([10, 0, 2, 0], 24), Link::N4),
            (prefix([10, 0, 6, 0], 24), Link::N6),
            (prefix([10, 0, 10, 0], 24), Link::Oam),
        ],
        allow: vec![
            allow(end(0..8), end(8..10), vec![udp(2152)]),
            allow(end(10..11), end(8..10), vec![udp(8805)]),
            allow(end(0..11), end(11..12), everything.into()),
        ],
        ..RuleSet::default()
    }
}

fn users_of_ipv6() -> Prefix {
    Prefix::new(Address(0x2001_0db8 << 96), 32).expect("an address has more bits than 32")
}

fn host(octets: [u8; 4]) -> Prefix {
    prefix(octets, 32)
}

fn prefix(octets: [u8; 4], len: u8) -> Prefix {
    let address = std::net::IpAddr::from(Ipv4Addr::from(octets)).into();
    Prefix::new(address, len).expect("an IPv4 prefix has at most 32 bits")
}
