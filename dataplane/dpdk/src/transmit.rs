//! A port that sends: for loading another device with captures, never for a tap.
//!
//! It is there only with the feature `transmit`, which the sensor does not ask for.

use std::ffi::c_int;
use std::sync::Arc;

use weir_dpdk_sys as sys;

use crate::error::{PortError, errno_text};
use crate::pool::Pool;
use crate::port::{Capabilities, PortId, capabilities, device_info, find};
use crate::queue::BURST;

/// Frames that the device may hold; taken to what it allows.
const DESCRIPTORS: u16 = 1_024;
/// Ethernet header and one VLAN tag, which an MTU does not count.
const AROUND_MTU: usize = 18;

/// An open port with one queue to send from. It closes when it is dropped, and then the device is
/// gone: in this process it can't be opened again.
#[derive(Debug)]
pub struct TxPort {
    id: PortId,
    name: String,
    longest: usize,
    started: bool,
    pool: Arc<Pool>,
}

/// Counters since the port was opened, as the driver has them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TxStats {
    /// Frames that the device sent.
    pub sent_packets: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames that it could not send.
    pub errors: u64,
}

impl TxPort {
    /// Configures and starts the device of that name; frames are written to mbufs of `pool`. `mtu`
    /// is the largest payload of a frame, taken down to what the device allows; none leaves it
    /// at 1,500.
    ///
    /// # Errors
    /// [`PortError::NotFound`] names the devices there are.
    pub fn open(name: &str, mtu: Option<u16>, pool: Arc<Pool>) -> Result<Self, PortError> {
        let id = find(name)?;
        let info = device_info(id, name)?;
        let capabilities = capabilities(id, &info);
        if !pool.eal().claim_port(name) {
            return Err(PortError::AlreadyOpen { name: name.into() });
        }
        // From here on an early return closes the device.
        let mut port = Self { id, name: name.into(), longest: 0, started: false, pool };
        port.configure(mtu, &capabilities)?;
        // SAFETY: the port is configured and its queue is set up.
        let result = unsafe { sys::rte_eth_dev_start(id.0) };
        port.done("starting it", result)?;
        port.started = true;
        port.longest = port.longest(&capabilities)?;
        Ok(port)
    }

    /// The longest frame that it takes, bytes without FCS.
    pub fn longest_frame(&self) -> usize {
        self.longest
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends at most [`BURST`] frames, none longer than [`longest_frame`](Self::longest_frame), in
    /// order. Gives how many the device took: the first so many. What it does not take at once it
    /// is offered again, `tries` times in all.
    ///
    /// # Errors
    /// [`PortError::Refused`] when the pool has no mbuf for them left: the device keeps too many.
    pub fn send(&mut self, frames: &[&[u8]], tries: u32) -> Result<usize, PortError> {
        let (mut mbufs, count) =
            write(&self.pool, frames).map_err(|number| self.refused(WRITING, number))?;
        let mut sent = 0;
        for _ in 0..tries.max(1) {
            if sent == count {
                break;
            }
            let left = &mut mbufs[sent..count];
            // SAFETY: the port is started, its only queue is set up, and `&mut self` makes this
            // its only user; the mbufs are whole and ours until the device takes them.
            let taken =
                unsafe { sys::weir_tx_burst(self.id.0, left.as_mut_ptr(), left.len() as u16) };
            sent += usize::from(taken);
            if taken == 0 {
                std::hint::spin_loop();
            }
        }
        free(&mut mbufs[sent..count]);
        Ok(sent)
    }

    /// The driver's counters.
    ///
    /// # Errors
    /// When the driver can't tell, as when the interface below it is gone.
    pub fn stats(&self) -> Result<TxStats, PortError> {
        let mut stats = sys::rte_eth_stats::default();
        // SAFETY: the port is open, and the driver fills the structure.
        let result = unsafe { sys::rte_eth_stats_get(self.id.0, &mut stats) };
        self.done("reading its counters", result)?;
        Ok(TxStats {
            sent_packets: stats.opackets,
            sent_bytes: stats.obytes,
            errors: stats.oerrors,
        })
    }

    fn configure(&self, mtu: Option<u16>, capabilities: &Capabilities) -> Result<(), PortError> {
        // The AF_XDP driver has its queues in pairs; what its other half receives is never looked
        // at.
        let rx_queues = u16::from(capabilities.driver == "net_af_xdp");
        let mut conf = sys::rte_eth_conf::default();
        // 0 leaves the MTU to DPDK.
        conf.rxmode.mtu = mtu.map_or(0, |mtu| u32::from(mtu.min(capabilities.max_mtu)));
        // SAFETY: the structure is whole.
        let result = unsafe { sys::rte_eth_dev_configure(self.id.0, rx_queues, 1, &conf) };
        self.done("configuring it", result)?;
        let (mut rx, mut tx) = (DESCRIPTORS, DESCRIPTORS);
        // SAFETY: two integers are read and written.
        let result = unsafe { sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.id.0, &mut rx, &mut tx) };
        self.done("choosing descriptors", result)?;
        // Else the device could keep all that frames are written to.
        let (needs, has) = (u32::from(tx) + BURST as u32, self.pool.available());
        if needs > has {
            return Err(PortError::PoolTooSmall { name: self.name.clone(), needs, has });
        }
        let socket = capabilities.socket.map_or(u32::MAX, u32::from);
        if rx_queues > 0 {
            let pool = self.pool.raw().as_ptr();
            // SAFETY: the pool outlives the port, which holds it; null asks for the defaults.
            let result = unsafe {
                sys::rte_eth_rx_queue_setup(self.id.0, 0, rx, socket, std::ptr::null(), pool)
            };
            self.done("setting up the receive queue that the driver asks for", result)?;
        }
        // SAFETY: null asks for the defaults.
        let result =
            unsafe { sys::rte_eth_tx_queue_setup(self.id.0, 0, tx, socket, std::ptr::null()) };
        self.done("setting up its queue", result)
    }

    /// Frames are written whole to one mbuf each. Where a kernel or a wire is behind the device, its
    /// MTU bounds them too.
    fn longest(&self, capabilities: &Capabilities) -> Result<usize, PortError> {
        let room = usize::from(self.pool.data_room()) - sys::RTE_PKTMBUF_HEADROOM as usize;
        if ["net_pcap", "net_ring", "net_null"].contains(&capabilities.driver.as_str()) {
            return Ok(room);
        }
        let mut mtu = 0;
        // SAFETY: one integer is written.
        let result = unsafe { sys::rte_eth_dev_get_mtu(self.id.0, &mut mtu) };
        self.done("reading its MTU", result)?;
        Ok(room.min(usize::from(mtu) + AROUND_MTU))
    }

    fn done(&self, step: &'static str, result: c_int) -> Result<(), PortError> {
        if result >= 0 { Ok(()) } else { Err(self.refused(step, result)) }
    }

    fn refused(&self, step: &'static str, number: c_int) -> PortError {
        PortError::Refused { name: self.name.clone(), step, why: errno_text(number) }
    }
}

/// The step in which mbufs may run out.
pub(crate) const WRITING: &str = "writing frames to mbufs";

/// Writes at most [`BURST`] frames to mbufs of the pool, which the caller then owns, and gives how
/// many there are.
///
/// # Errors
/// The error's number, when the pool has not so many, or a frame is longer than an mbuf.
pub(crate) fn write(
    pool: &Pool,
    frames: &[&[u8]],
) -> Result<([*mut sys::rte_mbuf; BURST], usize), c_int> {
    let mut written = [sys::weir_tx_frame::default(); BURST];
    let count = frames.len().min(BURST);
    for (place, frame) in written.iter_mut().zip(frames) {
        // A longer one than an mbuf does not get by its writing.
        let len = u16::try_from(frame.len()).unwrap_or(u16::MAX);
        *place = sys::weir_tx_frame { data: frame.as_ptr(), len };
    }
    let mut mbufs = [std::ptr::null_mut(); BURST];
    // SAFETY: the first `count` frames are slices that live, each as long as told or longer; the
    // arrays have room for a burst; the pool lives meanwhile.
    let result = unsafe {
        let pool = pool.raw().as_ptr();
        sys::weir_tx_write(pool, written.as_ptr(), mbufs.as_mut_ptr(), count as u16)
    };
    if result < 0 { Err(result) } else { Ok((mbufs, count)) }
}

/// Frees what [`write()`] gave and nobody took.
pub(crate) fn free(left: &mut [*mut sys::rte_mbuf]) {
    if !left.is_empty() {
        // SAFETY: nobody took these, so they are the caller's, who gives them up.
        unsafe { sys::rte_pktmbuf_free_bulk(left.as_mut_ptr(), left.len() as u32) };
    }
}

impl Drop for TxPort {
    fn drop(&mut self) {
        // SAFETY: nobody sends any more. What these answer could not be acted upon: the device is
        // given up whatever it says. Pool and EAL outlive this, since the field does.
        unsafe {
            if self.started {
                sys::rte_eth_dev_stop(self.id.0);
            }
            sys::rte_eth_dev_close(self.id.0);
        }
    }
}
