//! Safe owners over DPDK: [`Eal`], [`Pool`], [`Port`], [`RxQueue`], [`Burst`].
//!
//! Each owner holds what it stands on, so that any order of dropping them is the right order:
//! a [`Burst`] borrows its [`RxQueue`], queues and their [`Port`] share the port, which holds the
//! [`Pool`], which holds the [`Eal`]. The last of them to go stops and closes the port, frees the
//! pool and cleans up EAL, in that order.
//!
//! Between threads frames go through rings: a [`Fan`] deals a burst out, a [`RingReceiver`] takes
//! frames out again. A ring holds the pools of its frames, as a port does.
//!
//! With several queues a port asks for the best spreading that its device takes, and says what it
//! obtained: [`Steering`].
//!
//! The sensor only listens: a [`Port`] has no means to send. What sends is a type of its own,
//! `TxPort`, of the feature `transmit`, which the sensor does not ask for; nor does it for `inject`,
//! whose `RingFeeder` puts frames into a port's ring in place of a wire.
//!
//! ```no_run
//! use weir_dpdk::{Eal, EalConfig, Pool, Port, PortConfig};
//!
//! let eal = Eal::init(&EalConfig {
//!     vdevs: vec!["net_pcap0,rx_pcap=tap.pcap".into()],
//!     ..EalConfig::default()
//! })?;
//! let pool = Pool::new(&eal, "frames", 8_191, Pool::DEFAULT_DATA_ROOM, None)?;
//! let (port, mut queues) = Port::open("net_pcap0", &PortConfig::default(), pool)?;
//! for frame in queues[0].poll().frames() {
//!     println!("{} bytes at {:?}", frame.bytes.len(), frame.time);
//! }
//! println!("{:?}", port.stats()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod burst;
mod clock;
mod eal;
mod error;
mod fan;
#[cfg(feature = "inject")]
mod feeder;
mod pci;
mod pool;
mod port;
mod queue;
mod ring;
mod rule;
mod sockets;
mod spsc;
mod steering;
mod thread;
#[cfg(feature = "transmit")]
mod transmit;
pub mod vdev;

pub use burst::{Burst, Frames, RxFrame};
pub use eal::{Eal, EalConfig, Hugepages, Memory};
pub use error::{EalError, PoolError, PortError, VdevFault};
pub use fan::{Deal, Fan};
#[cfg(feature = "inject")]
pub use feeder::RingFeeder;
pub use pci::{BadPciAddress, PciAddress};
pub use pool::Pool;
pub use port::{Capabilities, Port, PortConfig, PortId, PortStats};
pub use queue::{BURST, LONGEST_FRAME, QueueId, RxQueue};
pub use ring::{RingReceiver, Taken};
pub use steering::{Spreading, Steering};
pub use thread::ThreadRegistration;
#[cfg(feature = "transmit")]
pub use transmit::{TxPort, TxStats};
