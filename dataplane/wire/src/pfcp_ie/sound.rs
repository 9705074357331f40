//! What every reader's test asks for.

extern crate std;

use core::fmt::Debug;
use std::vec::Vec;

use super::cursor::TRUNCATED;
use crate::WireError;

/// Asserts that the octets are read as `want`, that every truncation of them is
/// told, and that octets behind them change nothing.
pub(super) fn sound<T: Debug + PartialEq>(
    octets: &[u8],
    parse: impl Fn(&'static [u8]) -> Result<T, WireError>,
    want: T,
) {
    // A reader borrows from its value, so that the values outlive the test.
    let leaked: &'static [u8] = octets.to_vec().leak();
    assert_eq!(parse(leaked).as_ref(), Ok(&want), "{octets:02x?}");
    for end in 0..octets.len() {
        assert_eq!(parse(&leaked[..end]), Err(TRUNCATED), "{octets:02x?} to {end}");
    }
    let mut trailed: Vec<u8> = octets.to_vec();
    trailed.extend([0xff, 0, 0xa5]);
    assert_eq!(parse(trailed.leak()).as_ref(), Ok(&want), "{octets:02x?} with octets behind");
}
