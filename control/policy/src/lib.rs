//! What is installed and what it may do: the three configuration files, checked, and the message
//! that takes them to the sensor.
//!
//! `weir.toml` becomes a [`Config`], `inventory.toml` an [`Inventory`], `policy.toml` a [`Policy`].
//! Reading reports every mistake of a file at once, each as a [`Diagnostic`] with line, column and
//! remedy; what comes out is checked and needs no second look. [`PolicyMessage::compile`] turns
//! inventory and policy into the one message that the sensor accepts, and [`PolicyMessage::decode`]
//! is the sensor's side of it, which trusts nothing.
#![forbid(unsafe_code)]

mod bounded;
mod catalogue;
mod closed;
mod config;
mod diagnostic;
mod difference;
mod document;
mod evidence;
mod interception;
mod inventory;
mod limits;
mod message;
mod nearest;
mod policy;
mod section;
mod selector;
mod service;
mod serving;
mod sinks;
mod source;
mod values;
mod written;

pub use catalogue::{DETECTIONS, Detection, Parameter};
pub use closed::{Direction, EventFormat, EventType, Link, Role, RoleSet, Transport, Wrapper};
pub use config::{
    Config, ControlConfig, Paths, SensorConfig, Tap, config_from_str, load_config, load_paths,
};
pub use diagnostic::{Checked, Diagnostic, Mistake, Severity};
pub use difference::{Became, Change, policy_changes};
pub use evidence::EvidenceConfig;
pub use interception::{LawfulIntercept, interception_from_str, load_interception};
pub use inventory::{
    Component, Equipment, EquipmentId, Inventory, inventory_from_str, inventory_of, load_inventory,
};
pub use limits::{
    MAX_DETECTIONS, MAX_EQUIPMENT, MAX_FILE_BYTES, MAX_MEMBERS, MAX_ORDERS, MAX_PARAMETERS,
    MAX_PREFIXES, MAX_RULES, MAX_SERVICES, MAX_SETS, MAX_TEXT_BYTES,
};
pub use message::{
    AllowRule, DetectionSetting, End, EquipmentRule, FORMAT, InstancePool, MAGIC, MAX_BYTES,
    MessageError, Order, PolicyDiff, PolicyMessage, QuirkRule, Slice,
};
pub use nearest::{nearest, remedy};
pub use policy::{
    Allow, ChangeWindow, EspOnly, Nat, Policy, Quirk, RoamingPeer, Suppression, UePool,
    load_policy, load_policy_as_of, policy_from_str,
};
pub use service::ServiceMatch;
pub use serving::{Retention, ServerTls, Serving};
pub use sinks::{Collector, IpfixConfig, Rotation, SinksConfig, SyslogConfig, TlsConfig};
pub use source::{PacketSource, PciAddress};
pub use written::{inventory_text, mac_text};
