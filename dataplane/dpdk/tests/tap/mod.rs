//! A veth pair in a network namespace of the calling thread's own: frames sent into `wire0` come
//! out of `tap0`. It is gone with the process.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use weir_dpdk::RxQueue;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Tap {
    wire: OwnedFd,
    index: i32,
}

impl Tap {
    /// None, and why on stdout, where the machine does not let this process make one.
    pub(crate) fn new(queues: u16, mtu: u16) -> Option<Self> {
        if let Err(why) = unshare(CloneFlags::CLONE_NEWNET) {
            println!("skipped: no network namespace without root ({why})");
            return None;
        }
        fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").ok();
        let (queues, mtu) = (queues.to_string(), mtu.to_string());
        let made = [
            vec!["link", "add", "tap0", "numtxqueues", &queues, "numrxqueues", &queues]
                .into_iter()
                .chain(["type", "veth", "peer", "name", "wire0"])
                .chain(["numtxqueues", &queues, "numrxqueues", &queues])
                .collect(),
            vec!["link", "set", "tap0", "mtu", &mtu, "up"],
            vec!["link", "set", "wire0", "mtu", &mtu, "up"],
        ]
        .iter()
        .all(|arguments| ip(arguments));
        if !made {
            println!("skipped: no veth pair (iproute2 missing or refused by the kernel)");
            return None;
        }
        let wire =
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let index = i32::try_from(if_nametoindex("wire0").unwrap()).unwrap();
        Some(Self { wire, index })
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: zeros are a valid address of this kind.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = self.index;
        // SAFETY: pointers and lengths are those of a slice and a structure that live.
        let sent = unsafe {
            libc::sendto(
                self.wire.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const to).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        assert_eq!(sent, frame.len() as isize, "{}", std::io::Error::last_os_error());
    }
}

/// What `ip` shows of the interface that is tapped, in detail.
pub(crate) fn link() -> String {
    let output = Command::new("ip").args(["-d", "link", "show", "tap0"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Polls all queues in turn until so many frames came or far too much time went by; in order of
/// their numbers, since several queues keep no order between them.
pub(crate) fn receive(queues: &mut [RxQueue], count: usize) -> Vec<Vec<u8>> {
    let mut received: Vec<(u32, Vec<u8>)> = Vec::new();
    let until = Instant::now() + PATIENCE;
    while received.len() < count && Instant::now() < until {
        for queue in &mut *queues {
            for frame in &queue.poll() {
                assert_eq!((frame.stripped_vlan, frame.time), (None, None));
                received.push((number(frame.bytes), frame.bytes.to_vec()));
            }
        }
    }
    assert_eq!(received.len(), count);
    received.sort_by_key(|&(number, _)| number);
    received.into_iter().map(|(_, frame)| frame).collect()
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).status().is_ok_and(|status| status.success())
}

const TYPE: [u8; 2] = [0x88, 0xb5];

/// An Ethernet frame of an experimental type, with or without a VLAN tag.
pub(crate) fn frame(number: u32, tag: Option<u16>, len: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    if let Some(tag) = tag {
        frame.extend([0x81, 0x00]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend(TYPE);
    frame.extend(number.to_be_bytes());
    frame.resize(len, number as u8);
    frame
}

fn number(frame: &[u8]) -> u32 {
    let at = if frame[12..14] == TYPE { 14 } else { 18 };
    u32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
}
