//! Taps: which frames of a source are whose.

use weir_capture::LinkType;
use weir_engine::TapId;
use weir_engine::contract::greeting::TapName;
use weir_engine::contract::words::Reason;
use weir_wire::ethernet::{self, Ethernet, Vlan};

/// A tap's share of a source.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) tap: TapId,
    /// Its broker's VLAN tags; empty: every frame that no other share claims.
    pub(crate) vlans: Vec<u16>,
    /// Bytes that the broker appends to each frame.
    pub(crate) trailer: usize,
}

/// All taps of one source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares(pub(crate) Vec<Share>);

impl Shares {
    /// A source that is one tap, whole.
    pub(crate) fn whole(tap: TapId) -> Self {
        Self(vec![Share { tap, vlans: Vec::new(), trailer: 0 }])
    }

    /// The tap of a frame, and the frame without its broker's trailer. Only
    /// Ethernet has tags: what begins otherwise belongs to a tap without any.
    #[inline]
    pub(crate) fn claim<'a>(
        &self,
        frame: &'a [u8],
        link_type: LinkType,
        stripped_vlan: Option<u16>,
    ) -> Result<(TapId, &'a [u8]), Reason> {
        let share = match self.0.as_slice() {
            [only] if only.vlans.is_empty() => only,
            shares => {
                let vlan = match link_type {
                    LinkType::Ethernet => stripped_vlan.or_else(|| outermost_vlan(frame)),
                    _ => None,
                };
                shares
                    .iter()
                    .find(|share| vlan.is_some_and(|id| share.vlans.contains(&id)))
                    .or_else(|| shares.iter().find(|share| share.vlans.is_empty()))
                    .ok_or(Reason::Untapped)?
            }
        };
        let whole = frame.len().saturating_sub(share.trailer);
        Ok((share.tap, frame.get(..whole).unwrap_or(frame)))
    }
}

fn outermost_vlan(frame: &[u8]) -> Option<u16> {
    let ethernet = Ethernet::parse(frame).ok()?;
    if !ethernet::is_vlan(ethernet.ether_type()) {
        return None;
    }
    Vlan::parse(ethernet.payload()).ok().map(|vlan| vlan.id())
}

/// A tap as configured.
#[derive(Clone, Debug)]
pub(crate) struct Tap {
    pub(crate) name: TapName,
    /// Whether both directions are expected on it, so that silence of one means something.
    pub(crate) two_way: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(id: u16) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x81, 0, (id >> 8) as u8, id as u8, 8, 0, 1, 2, 3, 4]);
        frame
    }

    #[test]
    fn a_brokers_tag_names_the_tap() {
        let share =
            |tap, vlans: &[u16], trailer| Share { tap: TapId(tap), vlans: vlans.to_vec(), trailer };
        let shares = Shares(vec![share(0, &[100, 101], 4), share(1, &[200], 0)]);
        let ethernet = LinkType::Ethernet;
        let frame = tagged(101);
        assert_eq!(shares.claim(&frame, ethernet, None), Ok((TapId(0), &frame[..18])));
        assert_eq!(shares.claim(&tagged(200), ethernet, None).unwrap().0, TapId(1));
        assert_eq!(shares.claim(&tagged(300), ethernet, None), Err(Reason::Untapped));
        assert_eq!(shares.claim(&[0; 60], ethernet, None), Err(Reason::Untapped));
        assert_eq!(shares.claim(&[0; 60], ethernet, Some(200)).unwrap().0, TapId(1));
        // What looks like a tag there is none.
        assert_eq!(shares.claim(&frame, LinkType::Raw, None), Err(Reason::Untapped));
        let mut with_rest = shares.0;
        with_rest.push(share(2, &[], 0));
        let with_rest = Shares(with_rest);
        assert_eq!(with_rest.claim(&[0; 60], ethernet, None).unwrap().0, TapId(2));
        assert_eq!(with_rest.claim(&frame, LinkType::Raw, None).unwrap().0, TapId(2));
        assert_eq!(Shares::whole(TapId(7)).claim(&tagged(9), ethernet, None).unwrap().0, TapId(7));
    }
}
