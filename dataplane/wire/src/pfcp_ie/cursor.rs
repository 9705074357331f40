//! Octets taken from the front of an element's value, each with its check.

use crate::{Address, Layer, WireError};

pub(super) const TRUNCATED: WireError = WireError::truncated(Layer::Pfcp);

/// What is left of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (octets, rest) = self.0.split_first_chunk().ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(*octets)
    }

    pub(super) fn octet(&mut self) -> Result<u8, WireError> {
        self.array().map(|[octet]| octet)
    }

    pub(super) fn word(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn slice(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (octets, rest) = self.0.split_at_checked(length).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(octets)
    }

    /// What a flag says is there, read by `read`.
    pub(super) fn given<T>(
        &mut self,
        flag: bool,
        read: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if flag { read(self).map(Some) } else { Ok(None) }
    }

    /// An IPv4 address, if the flag says that there is one.
    pub(super) fn v4(&mut self, flag: bool) -> Result<Option<Address>, WireError> {
        self.given(flag, |cursor| cursor.array().map(Address::v4))
    }

    /// An IPv6 address, if the flag says that there is one.
    pub(super) fn v6(&mut self, flag: bool) -> Result<Option<Address>, WireError> {
        self.given(flag, |cursor| cursor.array().map(Address::v6))
    }

    /// Octets behind a length of one octet.
    pub(super) fn short_field(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.octet()?;
        self.slice(usize::from(length))
    }

    /// Octets behind a length of two octets.
    pub(super) fn long_field(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.word()?;
        self.slice(usize::from(length))
    }
}
