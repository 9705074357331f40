//! How much of anything there may be. The reader of the files and the sensor's reader of the
//! message hold to the same numbers, so that a file which passes never makes a message that is
//! refused.

/// The largest configuration file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Entries of an inventory.
pub const MAX_EQUIPMENT: usize = 131_072;
/// Prefixes (or MACs, or members) in any one list.
pub const MAX_PREFIXES: usize = 65_536;
/// `[[allow]]` rules.
pub const MAX_RULES: usize = 16_384;
/// Authorised interceptions.
pub const MAX_ORDERS: usize = 4096;
/// The longest grace after an import, in seconds.
pub(crate) const MAX_IMPORT_GRACE_SECONDS: u64 = 31 * 86_400;
/// Services of one rule, after names such as `ipsec` were taken apart.
pub const MAX_SERVICES: usize = 256;
/// Distinct sets of equipment that the selectors of a policy name.
pub const MAX_SETS: usize = 65_536;
/// Members of all those sets together: bounds both the message and the work of resolving selectors.
pub const MAX_MEMBERS: usize = 4_000_000;
/// Detections that a message may carry settings for.
pub const MAX_DETECTIONS: usize = 64;
/// Parameters of one detection.
pub const MAX_PARAMETERS: usize = 32;
/// Bytes of one name, note or other text.
pub const MAX_TEXT_BYTES: usize = 256;
