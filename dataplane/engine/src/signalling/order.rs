//! What a request orders: the rules in it, read element by element.

use weir_wire::Address;
use weir_wire::pfcp::{Element, Elements};
use weir_wire::pfcp_ie::{
    ApplyAction, FTeid, FarId, FramedRoute, Interface, Name, OuterHeaderCreation, PdrId,
    Precedence, RedirectInformation, TrafficEndpointId, UeIp, UrrId, kind,
};

use super::session::{EndAddresses, RemoteEnd};

/// The elements of a group that can be read; those behind a cut one are lost.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = Element<'_>> {
    Elements::new(value).map_while(Result::ok).filter(|element| element.enterprise.is_none())
}

/// URRs that a PDR names and that are kept.
pub(crate) const PDR_URRS: usize = 2;

/// A Create or Update PDR.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PdrOrder<'a> {
    pub(crate) id: Option<PdrId>,
    pub(crate) precedence: Option<u32>,
    pub(crate) source: Option<Interface>,
    pub(crate) end: Option<FTeid>,
    pub(crate) endpoint: Option<u8>,
    pub(crate) ue: Option<UeIp>,
    pub(crate) instance: Option<Name<'a>>,
    pub(crate) urrs: [Option<u32>; PDR_URRS],
    pub(crate) route: Option<FramedRoute<'a>>,
}

impl<'a> PdrOrder<'a> {
    pub(crate) fn read(value: &'a [u8]) -> Self {
        let mut order = Self::default();
        for element in members(value) {
            let value = element.value;
            match element.kind {
                kind::PDR_ID => order.id = PdrId::parse(value).ok(),
                kind::PRECEDENCE => {
                    order.precedence = Precedence::parse(value).ok().map(|given| given.0);
                }
                kind::URR_ID => {
                    let id = UrrId::parse(value).ok().map(|id| id.0);
                    if let Some(place) = order.urrs.iter_mut().find(|urr| urr.is_none()) {
                        *place = id;
                    }
                }
                kind::PDI => order.read_pdi(value),
                // Created PDRs carry these at their top.
                kind::F_TEID => order.end = FTeid::parse(value).ok(),
                kind::UE_IP_ADDRESS => order.ue = UeIp::parse(value).ok(),
                _ => {}
            }
        }
        order
    }

    fn read_pdi(&mut self, value: &'a [u8]) {
        for element in members(value) {
            let value = element.value;
            match element.kind {
                kind::SOURCE_INTERFACE => self.source = Interface::parse(value).ok(),
                kind::F_TEID => self.end = FTeid::parse(value).ok(),
                // A second one adds the other family.
                kind::UE_IP_ADDRESS => self.ue = merge(self.ue, UeIp::parse(value).ok()),
                kind::NETWORK_INSTANCE => self.instance = Name::parse(value).ok(),
                kind::TRAFFIC_ENDPOINT_ID => {
                    self.endpoint = TrafficEndpointId::parse(value).ok().map(|id| id.0);
                }
                kind::FRAMED_ROUTE | kind::FRAMED_IPV6_ROUTE => {
                    self.route = FramedRoute::parse(value).ok();
                }
                _ => {}
            }
        }
    }
}

fn merge(first: Option<UeIp>, second: Option<UeIp>) -> Option<UeIp> {
    match (first, second) {
        (Some(first), Some(second)) => Some(UeIp {
            v4: first.v4.or(second.v4),
            v6: first.v6.or(second.v6),
            prefix_len: first.prefix_len.or(second.prefix_len),
            ..first
        }),
        (first, second) => first.or(second),
    }
}

/// The F-TEID and the user of a PDR or Traffic Endpoint that a request creates or updates.
pub(crate) fn place_of(of: u16, value: &[u8]) -> (Option<FTeid>, Option<UeIp>) {
    let inside = match of {
        kind::CREATE_PDR | kind::UPDATE_PDR => {
            members(value).find(|member| member.kind == kind::PDI).map_or(&[][..], |pdi| pdi.value)
        }
        _ => value,
    };
    let (mut end, mut ue) = (None, None);
    for element in members(inside) {
        match element.kind {
            kind::F_TEID => end = end.or(FTeid::parse(element.value).ok()),
            kind::UE_IP_ADDRESS => ue = ue.or(UeIp::parse(element.value).ok()),
            _ => {}
        }
    }
    (end, ue)
}

/// Where a FAR leads. One that names more than one end may mean any of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// G-PDUs are sent there.
    Sent(RemoteEnd),
    /// Users are redirected there.
    Redirected(Address),
    /// Copies go there.
    Copied(RemoteEnd),
}

/// A Create or Update FAR.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FarOrder {
    pub(crate) id: Option<u32>,
    pub(crate) apply: Option<ApplyAction>,
    pub(crate) destination: Option<Interface>,
    /// Where it sends, and where copies go: the first end that is named.
    pub(crate) to: Option<RemoteEnd>,
    pub(crate) copies_to: Option<RemoteEnd>,
    /// Whether there are Duplicating Parameters at all.
    pub(crate) duplicates: bool,
    /// Whether it leads to more than `to`: see [`targets`].
    pub(crate) has_more: bool,
}

impl FarOrder {
    pub(crate) fn read(value: &[u8]) -> Self {
        let mut order = Self::default();
        for element in members(value) {
            let value = element.value;
            match element.kind {
                kind::FAR_ID => order.id = FarId::parse(value).ok().map(|id| id.0),
                kind::APPLY_ACTION => order.apply = ApplyAction::parse(value).ok(),
                kind::FORWARDING_PARAMETERS | kind::UPDATE_FORWARDING_PARAMETERS => {
                    order.read_parameters(value);
                }
                kind::DUPLICATING_PARAMETERS | kind::UPDATE_DUPLICATING_PARAMETERS => {
                    (order.duplicates, order.has_more) = (true, true);
                    order.copies_to = order.copies_to.or_else(|| ends(value).next());
                }
                _ => {}
            }
        }
        order.duplicates |= order.apply.is_some_and(|apply| apply.has(ApplyAction::DUPL));
        order
    }

    fn read_parameters(&mut self, value: &[u8]) {
        for element in members(value) {
            let value = element.value;
            match element.kind {
                kind::DESTINATION_INTERFACE => self.destination = Interface::parse(value).ok(),
                kind::OUTER_HEADER_CREATION if self.to.is_none() => self.to = remote(value),
                kind::OUTER_HEADER_CREATION | kind::REDIRECT_INFORMATION => self.has_more = true,
                _ => {}
            }
        }
    }
}

/// Everything that a Create or Update FAR leads to, however often it names something.
pub(crate) fn targets(value: &[u8]) -> impl Iterator<Item = Target> {
    members(value).flat_map(|group| {
        let (sends, copies) = match group.kind {
            kind::FORWARDING_PARAMETERS | kind::UPDATE_FORWARDING_PARAMETERS => (true, false),
            kind::DUPLICATING_PARAMETERS | kind::UPDATE_DUPLICATING_PARAMETERS => (false, true),
            _ => (false, false),
        };
        let inside = if sends || copies { group.value } else { &[] };
        let ends = ends(inside).map(
            move |end| {
                if copies { Target::Copied(end) } else { Target::Sent(end) }
            },
        );
        let redirects = if sends { inside } else { &[] };
        ends.chain(redirected(redirects).map(Target::Redirected))
    })
}

/// The ends of Outer Header Creations in a group.
fn ends(group: &[u8]) -> impl Iterator<Item = RemoteEnd> {
    let headers = members(group).filter(|member| member.kind == kind::OUTER_HEADER_CREATION);
    headers.filter_map(|member| remote(member.value))
}

/// The addresses that users are redirected to, as far as they are named by address: a name
/// that has to be looked up is nobody's yet (TS 29.244 §8.2.20).
fn redirected(group: &[u8]) -> impl Iterator<Item = Address> {
    members(group)
        .filter(|member| member.kind == kind::REDIRECT_INFORMATION)
        .filter_map(|member| RedirectInformation::parse(member.value).ok())
        .flat_map(|to| [Some(to.address), to.other])
        .flatten()
        .filter_map(|text| address_in(std::str::from_utf8(text).ok()?))
}

/// The address in a redirect's text: it itself, or the host of a URL or SIP URI, in any of the
/// ways in which browsers read a number as an IPv4 address.
fn address_in(text: &str) -> Option<Address> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let rest = match text.split_once("://") {
        Some((_, rest)) => rest,
        None => match text.split_once(':') {
            Some((scheme, rest)) if is_sip(scheme) => rest,
            _ => text,
        },
    };
    let host = rest.split(['/', '?', '#', ';', '\\']).next()?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let bare = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        // A port stands behind one colon; more are an IPv6 address.
        None if host.matches(':').count() == 1 => host.split(':').next()?,
        None => host,
    };
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return Some(address.into());
    }
    let number = match bare.strip_prefix("0x").or(bare.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => bare.parse::<u32>().ok()?,
    };
    Some(Address::v4(number.to_be_bytes()))
}

fn is_sip(scheme: &str) -> bool {
    ["sip", "sips"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// None for a creation that is empty, cut or names no address: it moves nothing.
fn remote(value: &[u8]) -> Option<RemoteEnd> {
    let creation = OuterHeaderCreation::parse(value).ok()?;
    let end = RemoteEnd {
        teid: creation.teid.map(|teid| teid.0),
        addresses: EndAddresses::new(creation.v4, creation.v6),
    };
    end.addresses.iter().next().map(|_| end)
}

/// A Create or Update Traffic Endpoint, or a created one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EndpointOrder<'a> {
    pub(crate) id: Option<u8>,
    pub(crate) end: Option<FTeid>,
    pub(crate) ue: Option<UeIp>,
    pub(crate) instance: Option<Name<'a>>,
    pub(crate) route: Option<FramedRoute<'a>>,
}

impl<'a> EndpointOrder<'a> {
    pub(crate) fn read(value: &'a [u8]) -> Self {
        let mut order = Self::default();
        for element in members(value) {
            let value = element.value;
            match element.kind {
                kind::TRAFFIC_ENDPOINT_ID => {
                    order.id = TrafficEndpointId::parse(value).ok().map(|id| id.0);
                }
                kind::F_TEID => order.end = FTeid::parse(value).ok(),
                kind::UE_IP_ADDRESS => order.ue = merge(order.ue, UeIp::parse(value).ok()),
                kind::NETWORK_INSTANCE => order.instance = Name::parse(value).ok(),
                kind::FRAMED_ROUTE | kind::FRAMED_IPV6_ROUTE => {
                    order.route = FramedRoute::parse(value).ok();
                }
                _ => {}
            }
        }
        order
    }
}

/// The number in a PDR, FAR, URR or Traffic Endpoint, the first if there are several.
pub(crate) fn rule_id(value: &[u8], wanted: u16) -> Option<u32> {
    let element = members(value).find(|member| member.kind == wanted)?;
    match wanted {
        kind::PDR_ID => PdrId::parse(element.value).ok().map(|id| u32::from(id.0)),
        kind::FAR_ID => FarId::parse(element.value).ok().map(|id| id.0),
        kind::URR_ID => UrrId::parse(element.value).ok().map(|id| id.0),
        kind::TRAFFIC_ENDPOINT_ID => {
            TrafficEndpointId::parse(element.value).ok().map(|id| u32::from(id.0))
        }
        _ => None,
    }
}

/// A framed route's prefix: the first word of its text (RFC 2865 §5.22, RFC 3162 §2.5).
pub(crate) fn route(route: &FramedRoute<'_>) -> Option<(Address, u8)> {
    let text = std::str::from_utf8(route.0).ok()?;
    let first = text.split_ascii_whitespace().next()?;
    let (address, bits) = match first.split_once('/') {
        Some((address, bits)) => (address, bits.parse().ok()),
        None => (first, None),
    };
    let address: std::net::IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    Some((address.into(), bits.unwrap_or(most).min(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_redirect_is_found_where_it_is_an_address() {
        let v4 = Some(Address::v4([198, 51, 100, 7]));
        for text in [
            "198.51.100.7",
            " 198.51.100.7 ",
            "http://198.51.100.7",
            "https://198.51.100.7:8443/login?to=http://10.0.0.1/",
            "http://user@198.51.100.7#x",
            "sip:alice@198.51.100.7:5060;transport=tcp",
            "SIPS:198.51.100.7",
            "198.51.100.7\0",
            "http://198.51.100.7./",
            "http://3325256711/",
            "http://0xc6336407/x",
        ] {
            assert_eq!(address_in(text), v4, "{text}");
        }
        let v6 = Some(Address(0x2001_0db8 << 96 | 7));
        for text in ["2001:db8::7", "http://[2001:db8::7]:80/x", "[2001:db8::7]"] {
            assert_eq!(address_in(text), v6, "{text}");
        }
        for text in ["", "http://", "portal.example", "sip:alice@example.org", "http://[::1", "é"]
        {
            assert!(address_in(text).is_none_or(|it| it == Address(1)), "{text}");
        }
    }
}
