//! A port: a device that is configured and started to receive, and to nothing else.

use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::Arc;

use weir_dpdk_sys as sys;

use crate::eal::Eal;
use crate::error::{PortError, errno_text};
use crate::pool::Pool;
use crate::queue::{BURST, QueueId, RxQueue, Stamps};
use crate::rule::Rule;
use crate::sockets::Sockets;
use crate::steering::{Hash, Steering};

/// What a frame has beyond its MTU if the driver does not tell: Ethernet header and FCS.
const ETHERNET_OVERHEAD: u32 = 18;

/// mbufs that the AF_XDP driver puts into each queue's fill ring.
const XDP_FILL: u32 = 2_048;

/// Drivers that want a transmit queue beside each receive queue; none is ever used.
const PAIRED: [&str; 2] = ["net_af_xdp", "net_tap"];

/// Both directions of a flow hash alike under a Toeplitz key that repeats every 16 bits, in any NIC.
const SYMMETRIC_KEY: [u8; 2] = [0x6d, 0x5a];

/// DPDK's number of a port.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortId(pub u16);

/// How a port is to be opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortConfig {
    /// Receive queues of users' frames, one thread each.
    pub queues: u16,
    /// UDP ports of N4, which is to have one more queue of its own, together with ICMP, where the
    /// device sorts frames by rules; empty asks for none.
    pub n4_ports: Vec<u16>,
    /// Whether frames have a broker's VLAN tag, which rules must then name.
    pub is_tagged: bool,
    /// Frames that the device may hold for each queue; taken to what the device allows.
    pub descriptors: u16,
    /// Whether frames to any address are received. A tap port needs it.
    pub promiscuous: bool,
    /// The largest payload of a frame, bytes; taken down to what the device allows. None leaves
    /// it at 1,500.
    pub mtu: Option<u16>,
}

impl Default for PortConfig {
    /// One queue of 1,024 descriptors, promiscuous, 1,500 bytes.
    fn default() -> Self {
        Self {
            queues: 1,
            n4_ports: Vec::new(),
            is_tagged: false,
            descriptors: 1_024,
            promiscuous: true,
            mtu: None,
        }
    }
}

/// What a device can do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Capabilities {
    /// The driver's name.
    pub driver: String,
    /// Receive queues.
    pub max_rx_queues: u16,
    /// The largest MTU, bytes.
    pub max_mtu: u16,
    /// Whether a frame may be longer than an mbuf. Software drivers do it or not without asking.
    pub scatter: bool,
    /// Whether it spreads flows over its queues by hash.
    pub rss: bool,
    /// Whether hardware time stamps can be asked for.
    pub timestamps: bool,
    /// The NUMA node, where there is one.
    pub socket: Option<u16>,
}

/// Counters since the port was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PortStats {
    /// Frames given to queues.
    pub received_packets: u64,
    /// Their bytes. net_null counts none.
    pub received_bytes: u64,
    /// Frames dropped by the device since queues were full, the rings of AF_PACKET and AF_XDP
    /// included.
    pub missed: u64,
    /// Times the driver found no mbuf in the pool.
    pub no_buffer: u64,
    /// Frames that came damaged.
    pub errors: u64,
}

/// An open port. It closes when this and all its queues are gone, and then the device is gone too:
/// in this process it can't be opened again.
#[derive(Debug)]
pub struct Port {
    capabilities: Capabilities,
    mtu: u16,
    steering: Steering,
    inner: Arc<PortInner>,
}

/// What port and queues share; its drop stops and closes the device, then the pool may go.
#[derive(Debug)]
pub(crate) struct PortInner {
    id: PortId,
    name: String,
    promiscuous: bool,
    started: bool,
    key: Vec<u8>,
    /// In force while the port is started.
    pub(crate) rules: Vec<Rule>,
    sockets: Sockets,
    pool: Arc<Pool>,
}

impl Port {
    /// What the device of that name can do, open or not.
    ///
    /// # Errors
    /// [`PortError::NotFound`] names the devices there are.
    pub fn capabilities_of(eal: &Arc<Eal>, name: &str) -> Result<Capabilities, PortError> {
        // Holding EAL is what makes the look-up sound.
        let _ = eal;
        let id = find(name)?;
        Ok(capabilities(id, &device_info(id, name)?))
    }

    /// Configures and starts the device, and hands out its queues, once. It receives into `pool`
    /// and has no means to send.
    ///
    /// Time stamps and frames of several mbufs are switched on where the device offers them; with
    /// several queues, the best hash that it takes (see [`Steering`]). The queue of N4, if one was
    /// asked for and obtained, is the last. Where frames carry a
    /// device's clock this takes 20 ms a queue to look at it.
    ///
    /// # Errors
    /// [`PortError::Queues`] says how many queues there are when that is too few.
    pub fn open(
        name: &str,
        config: &PortConfig,
        pool: Arc<Pool>,
    ) -> Result<(Self, Vec<RxQueue>), PortError> {
        let id = find(name)?;
        let info = device_info(id, name)?;
        let capabilities = capabilities(id, &info);
        check(name, config, &capabilities, &pool)?;
        if !pool.eal().claim_port(name) {
            return Err(PortError::AlreadyOpen { name: name.into() });
        }
        // From here on an early return closes the device.
        let mut inner = PortInner {
            id,
            name: name.into(),
            promiscuous: false,
            started: false,
            key: symmetric_key(info.hash_key_size),
            rules: Vec::new(),
            sockets: Sockets::None,
            pool,
        };
        let before = Sockets::before(&capabilities.driver);
        let steering = inner.steer(config, &info)?;
        inner.sockets = Sockets::of(&capabilities.driver, info.if_index, &before);
        let mtu = inner.mtu()?;
        let inner = Arc::new(inner);
        let queues = (0..config.queues + u16::from(steering.n4_queue.is_some()))
            .map(|queue| {
                let stamps = Stamps::of(id.0, &capabilities.driver);
                RxQueue::new(Arc::clone(&inner), QueueId(queue), stamps)
            })
            .collect();
        Ok((Self { capabilities, mtu, steering, inner }, queues))
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// DPDK's number of it.
    pub fn id(&self) -> PortId {
        self.inner.id
    }

    /// The driver's name.
    pub fn driver(&self) -> &str {
        &self.capabilities.driver
    }

    /// What the device can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The NUMA node, where there is one.
    pub fn socket(&self) -> Option<u16> {
        self.capabilities.socket
    }

    /// How it spreads frames over its queues.
    pub fn steering(&self) -> &Steering {
        &self.steering
    }

    /// The MTU that it came to.
    pub fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Whether frames to any address are received; false too where the driver can't.
    pub fn promiscuous(&self) -> bool {
        // SAFETY: the port is open; an integer is read.
        unsafe { sys::rte_eth_promiscuous_get(self.inner.id.0) == 1 }
    }

    #[cfg(feature = "inject")]
    pub(crate) fn inner(&self) -> &Arc<PortInner> {
        &self.inner
    }

    /// The driver's counters. Any thread may ask while others poll.
    ///
    /// # Errors
    /// When the driver can't tell, as when the interface below it is gone.
    pub fn stats(&self) -> Result<PortStats, PortError> {
        let mut stats = sys::rte_eth_stats::default();
        // SAFETY: the port is open, and the driver fills the structure.
        let result = unsafe { sys::rte_eth_stats_get(self.inner.id.0, &mut stats) };
        self.inner.done("reading its counters", result)?;
        Ok(PortStats {
            received_packets: stats.ipackets,
            received_bytes: stats.ibytes,
            missed: stats.imissed + self.inner.sockets.rings_full(),
            no_buffer: stats.rx_nombuf,
            errors: stats.ierrors,
        })
    }
}

impl PortInner {
    pub(crate) fn id(&self) -> PortId {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) fn hash_key(&self) -> &[u8] {
        &self.key
    }

    /// Configures and starts the device with so many queues, and the best hash that it takes.
    pub(crate) fn bring_up(
        &mut self,
        config: &PortConfig,
        queues: u16,
        info: &sys::rte_eth_dev_info,
    ) -> Result<Steering, PortError> {
        let capabilities = capabilities(self.id, info);
        let mut refused = Vec::new();
        for hash in Hash::choices(queues, info.flow_type_rss_offloads) {
            match self.configure(config, queues, hash, info, &capabilities) {
                Ok(()) => {
                    self.start(config.promiscuous)?;
                    return Ok(Steering { spreading: hash.spreading, n4_queue: None, refused });
                }
                Err(error) if hash.bits == 0 => return Err(error),
                Err(error) => refused.push(format!("hash {:?} refused: {error}", hash.spreading)),
            }
        }
        let (asked, has) = (queues, capabilities.max_rx_queues);
        Err(PortError::Queues { name: self.name.clone(), asked, has })
    }

    /// Stops the device, so that it can be configured anew.
    pub(crate) fn take_down(&mut self) {
        for rule in std::mem::take(&mut self.rules) {
            rule.end(self.id);
        }
        if std::mem::take(&mut self.started) {
            // SAFETY: the port is started, and no queue of it is handed out.
            unsafe { sys::rte_eth_dev_stop(self.id.0) };
        }
    }

    fn configure(
        &mut self,
        config: &PortConfig,
        queues: u16,
        hash: Hash,
        info: &sys::rte_eth_dev_info,
        capabilities: &Capabilities,
    ) -> Result<(), PortError> {
        let tx_queues = if PAIRED.contains(&&*capabilities.driver) { queues } else { 0 };
        let conf = device_conf(config, hash, info, capabilities, &mut self.key);
        // SAFETY: the structures are whole, and `key` outlives the call, which copies it.
        let result = unsafe { sys::rte_eth_dev_configure(self.id.0, queues, tx_queues, &conf) };
        self.done("configuring it", result)?;

        let (mut rx, mut tx) = (config.descriptors, config.descriptors);
        // SAFETY: two integers are read and written.
        let result = unsafe { sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.id.0, &mut rx, &mut tx) };
        self.done("choosing descriptors", result)?;

        // The driver knows the device's node and takes any (−1).
        let socket = capabilities.socket.map_or(u32::MAX, u32::from);
        for queue in 0..queues {
            let pool = self.pool.raw().as_ptr();
            let defaults = std::ptr::null();
            // SAFETY: the pool outlives the port, which holds it; null asks for the defaults.
            let result = unsafe {
                sys::rte_eth_rx_queue_setup(self.id.0, queue, rx, socket, defaults, pool)
            };
            self.done("setting up a receive queue", result)?;
        }
        for queue in 0..tx_queues {
            // SAFETY: as above.
            let result = unsafe {
                sys::rte_eth_tx_queue_setup(self.id.0, queue, tx, socket, std::ptr::null())
            };
            self.done("setting up the transmit queue that the driver asks for", result)?;
        }
        Ok(())
    }

    fn start(&mut self, promiscuous: bool) -> Result<(), PortError> {
        // SAFETY: the port is configured and its queues are set up.
        let result = unsafe { sys::rte_eth_dev_start(self.id.0) };
        self.done("starting it", result)?;
        self.started = true;
        if promiscuous {
            // SAFETY: the port is started. A driver that filters nothing may know no such mode.
            let result = unsafe { sys::rte_eth_promiscuous_enable(self.id.0) };
            if result != -(nix::errno::Errno::ENOTSUP as c_int) {
                self.done("receiving frames to any address", result)?;
                self.promiscuous = true;
            }
        }
        Ok(())
    }

    fn mtu(&self) -> Result<u16, PortError> {
        let mut mtu = 0;
        // SAFETY: one integer is written.
        let result = unsafe { sys::rte_eth_dev_get_mtu(self.id.0, &mut mtu) };
        self.done("reading its MTU", result)?;
        Ok(mtu)
    }

    fn done(&self, step: &'static str, result: c_int) -> Result<(), PortError> {
        if result >= 0 {
            return Ok(());
        }
        Err(PortError::Refused { name: self.name.clone(), step, why: errno_text(result) })
    }
}

impl Drop for PortInner {
    fn drop(&mut self) {
        for rule in std::mem::take(&mut self.rules) {
            rule.end(self.id);
        }
        // SAFETY: the queues hold an Arc of self, so nobody polls. What these answer could not be
        // acted upon: the device is given up whatever it says. A kernel's interface goes on after
        // the port, so the mode is taken back. Pool and EAL outlive this, since the field does.
        unsafe {
            if self.promiscuous {
                sys::rte_eth_promiscuous_disable(self.id.0);
            }
            if self.started {
                sys::rte_eth_dev_stop(self.id.0);
            }
            sys::rte_eth_dev_close(self.id.0);
        }
    }
}

fn check(
    name: &str,
    config: &PortConfig,
    capabilities: &Capabilities,
    pool: &Pool,
) -> Result<(), PortError> {
    let (asked, has) = (config.queues, capabilities.max_rx_queues);
    if asked == 0 || asked > has {
        return Err(PortError::Queues { name: name.into(), asked, has });
    }
    // Other drivers say that memory does not suffice; this one tears down halfway and crashes.
    if capabilities.driver == "net_af_xdp" {
        let (needs, has) = (u32::from(asked) * (XDP_FILL + BURST as u32), pool.available());
        if needs > has {
            return Err(PortError::PoolTooSmall { name: name.into(), needs, has });
        }
    }
    Ok(())
}

fn device_conf(
    config: &PortConfig,
    hash: Hash,
    info: &sys::rte_eth_dev_info,
    capabilities: &Capabilities,
    key: &mut [u8],
) -> sys::rte_eth_conf {
    let wanted = sys::WEIR_RX_OFFLOAD_SCATTER | sys::WEIR_RX_OFFLOAD_TIMESTAMP;
    let mut conf = sys::rte_eth_conf::default();
    conf.rxmode.offloads = wanted & info.rx_offload_capa;
    // 0 leaves the MTU to DPDK.
    conf.rxmode.mtu = config.mtu.map_or(0, |mtu| u32::from(mtu.min(capabilities.max_mtu)));
    if hash.bits != 0 {
        conf.rxmode.mq_mode = sys::rte_eth_rx_mq_mode::RTE_ETH_MQ_RX_RSS;
        let rss = &mut conf.rx_adv_conf.rss_conf;
        rss.rss_hf = hash.bits;
        if !key.is_empty() {
            rss.rss_key = key.as_mut_ptr();
            rss.rss_key_len = info.hash_key_size;
        }
    }
    conf
}

fn hashed(info: &sys::rte_eth_dev_info) -> u64 {
    (sys::WEIR_RSS_IP | sys::WEIR_RSS_UDP | sys::WEIR_RSS_TCP) & info.flow_type_rss_offloads
}

fn symmetric_key(len: u8) -> Vec<u8> {
    SYMMETRIC_KEY.into_iter().cycle().take(usize::from(len)).collect()
}

pub(crate) fn capabilities(id: PortId, info: &sys::rte_eth_dev_info) -> Capabilities {
    // SAFETY: a driver's name is a static C string.
    let driver = unsafe { CStr::from_ptr(info.driver_name) }.to_string_lossy().into_owned();
    // SAFETY: the port exists; an integer is read, −1 for no node or no port.
    let socket = unsafe { sys::rte_eth_dev_socket_id(id.0) };
    let offers = |offload| info.rx_offload_capa & offload != 0;
    Capabilities {
        driver,
        max_rx_queues: info.max_rx_queues,
        max_mtu: max_mtu(info.max_mtu, info.max_rx_pktlen),
        scatter: offers(sys::WEIR_RX_OFFLOAD_SCATTER),
        rss: hashed(info) != 0,
        timestamps: offers(sys::WEIR_RX_OFFLOAD_TIMESTAMP),
        socket: u16::try_from(socket).ok(),
    }
}

/// Drivers tell an MTU, a frame length or both; the same way as DPDK reckons when it configures.
fn max_mtu(mtu: u16, frame: u32) -> u16 {
    if mtu != u16::MAX {
        return mtu;
    }
    u16::try_from(frame.saturating_sub(ETHERNET_OVERHEAD)).unwrap_or(u16::MAX)
}

pub(crate) fn device_info(id: PortId, name: &str) -> Result<sys::rte_eth_dev_info, PortError> {
    let mut info = sys::rte_eth_dev_info::default();
    // SAFETY: the driver fills the structure.
    match unsafe { sys::rte_eth_dev_info_get(id.0, &mut info) } {
        0 => Ok(info),
        number => Err(PortError::Refused {
            name: name.into(),
            step: "reading what it can do",
            why: errno_text(number),
        }),
    }
}

pub(crate) fn find(name: &str) -> Result<PortId, PortError> {
    let mut id = 0;
    let found = CString::new(name).is_ok_and(|name| {
        // SAFETY: the name is a C string; one integer is written.
        unsafe { sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &mut id) == 0 }
    });
    if found {
        return Ok(PortId(id));
    }
    let names = names();
    let present = if names.is_empty() { "none".into() } else { names.join(", ") };
    Err(PortError::NotFound { name: name.into(), present })
}

fn names() -> Vec<String> {
    let next = |from| {
        // SAFETY: any number may be asked about; beyond the last port the answer is no port's.
        let id = unsafe { sys::rte_eth_find_next(from) };
        (u32::from(id) < sys::RTE_MAX_ETHPORTS).then_some(id)
    };
    std::iter::successors(next(0), |&id| next(id + 1)).filter_map(name_of).collect()
}

fn name_of(id: u16) -> Option<String> {
    let mut name: [c_char; sys::RTE_ETH_NAME_MAX_LEN as usize] =
        [0; sys::RTE_ETH_NAME_MAX_LEN as usize];
    // SAFETY: the array is as long as DPDK's longest name with its NUL.
    let found = unsafe { sys::rte_eth_dev_get_name_by_port(id, name.as_mut_ptr()) == 0 };
    // SAFETY: DPDK ended the name with a NUL, and the array began as zeros.
    found.then(|| unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_repeats_every_two_bytes_hashes_both_directions_alike() {
        assert_eq!(symmetric_key(40).len(), 40);
        assert_eq!(symmetric_key(52).len(), 52);
        assert!(symmetric_key(40).chunks(2).all(|pair| pair == SYMMETRIC_KEY));
        assert!(symmetric_key(0).is_empty());

        let key = symmetric_key(40);
        let there = [10, 0, 0, 1, 10, 0, 1, 1, 0x08, 0x68, 0x9c, 0x40];
        let back = [10, 0, 1, 1, 10, 0, 0, 1, 0x9c, 0x40, 0x08, 0x68];
        let other = [10, 0, 0, 2, 10, 0, 1, 1, 0x08, 0x68, 0x9c, 0x40];
        assert_eq!(toeplitz(&key, &there), toeplitz(&key, &back));
        assert_ne!(toeplitz(&key, &there), toeplitz(&key, &other));
    }

    /// The hash of the RSS specification, bit by bit.
    fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
        let window = |bit: usize| {
            (0..32).fold(0, |window, i| {
                let at = bit + i;
                window << 1 | u32::from(key[at / 8] >> (7 - at % 8) & 1)
            })
        };
        (0..input.len() * 8)
            .filter(|bit| input[bit / 8] >> (7 - bit % 8) & 1 == 1)
            .fold(0, |hash, bit| hash ^ window(bit))
    }

    #[test]
    fn the_largest_mtu_is_what_the_driver_tells_one_way_or_the_other() {
        assert_eq!(max_mtu(9_000, 9_018), 9_000);
        assert_eq!(max_mtu(u16::MAX, 1_518), 1_500);
        assert_eq!(max_mtu(u16::MAX, u32::MAX), u16::MAX);
        assert_eq!(max_mtu(u16::MAX, 0), 0);
    }

    #[test]
    fn rss_is_asked_for_only_with_several_queues_and_where_it_is_offered() {
        let info = sys::rte_eth_dev_info {
            hash_key_size: 40,
            flow_type_rss_offloads: sys::WEIR_RSS_IP | sys::WEIR_RSS_UDP,
            ..Default::default()
        };
        let offered = Capabilities {
            driver: "net_test".into(),
            max_rx_queues: 4,
            max_mtu: 9_000,
            scatter: false,
            rss: true,
            timestamps: false,
            socket: None,
        };
        let mut key = symmetric_key(40);
        let mut mode = |queues, capabilities: &Capabilities| {
            let hash = Hash::choices(queues, info.flow_type_rss_offloads)[0];
            let conf = device_conf(&PortConfig::default(), hash, &info, capabilities, &mut key);
            (conf.rxmode.mq_mode, conf.rx_adv_conf.rss_conf.rss_hf)
        };
        use sys::rte_eth_rx_mq_mode::{RTE_ETH_MQ_RX_NONE, RTE_ETH_MQ_RX_RSS};
        assert_eq!(mode(1, &offered), (RTE_ETH_MQ_RX_NONE, 0));
        let hashes = sys::WEIR_RSS_IP | sys::WEIR_RSS_UDP;
        assert_eq!(mode(2, &offered), (RTE_ETH_MQ_RX_RSS, hashes));
    }
}
