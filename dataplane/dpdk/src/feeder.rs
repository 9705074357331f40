//! What stands for the wire of a net_ring port: frames are put into the ring that the port receives
//! from, by another thread of the process.

use std::ffi::CString;
use std::sync::Arc;

use weir_dpdk_sys as sys;

use crate::error::{PortError, errno_text};
use crate::pool::Pool;
use crate::port::{Port, PortInner};
use crate::transmit::{WRITING, free, write};

/// The one end that frames are put into; the port is the other.
#[derive(Debug)]
pub struct RingFeeder {
    ring: CString,
    pool: Arc<Pool>,
    port: Arc<PortInner>,
}

impl RingFeeder {
    /// The feeder of that port's first queue, once; frames are written to mbufs of the port's pool,
    /// which must hold as many as the ring and the port's bursts do.
    ///
    /// # Errors
    /// [`PortError::AlreadyOpen`] when the port has a feeder; [`PortError::Refused`] when it is no
    /// net_ring.
    pub fn of(port: &Port) -> Result<Self, PortError> {
        let name = port.name();
        let refused = |why: &str| PortError::Refused {
            name: name.into(),
            step: "feeding it",
            why: why.into(),
        };
        if port.driver() != "net_ring" {
            return Err(refused("only a net_ring is fed from within the process"));
        }
        // What the driver calls the ring of its first queue, which it sends to and receives from.
        let ring = CString::new(format!("ETH_RXTX0_{name}"))
            .map_err(|_| refused("its name has a NUL byte"))?;
        let pool = Arc::clone(port.inner().pool());
        if !pool.eal().claim_port(&format!("the feeder of {name}")) {
            return Err(PortError::AlreadyOpen { name: name.into() });
        }
        Ok(Self { ring, pool, port: Arc::clone(port.inner()) })
    }

    /// Offers at most [`BURST`](crate::BURST) frames. Gives how many of them the ring had room for:
    /// the first so many; a wire would have lost the others at a full port.
    ///
    /// # Errors
    /// [`PortError::Refused`] when the pool has no mbufs left, or a frame is longer than one.
    pub fn offer(&mut self, frames: &[&[u8]]) -> Result<usize, PortError> {
        let (mut mbufs, count) = write(&self.pool, frames).map_err(|number| {
            let why = errno_text(number);
            PortError::Refused { name: self.port.name().into(), step: WRITING, why }
        })?;
        // SAFETY: the mbufs are whole and ours until the ring takes them. It has one producer, since
        // a port has one feeder, whose `&mut` this is, and no means to send; it is there as long as
        // the port, which `port` holds.
        let taken =
            unsafe { sys::weir_inject_burst(self.ring.as_ptr(), mbufs.as_mut_ptr(), count as u16) };
        free(&mut mbufs[usize::from(taken)..count]);
        Ok(usize::from(taken))
    }
}
