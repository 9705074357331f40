//! What the tests of learning share: a site of two makers, and flows in it.

use std::net::IpAddr;

use weir_engine::Nanos;
use weir_policy::Inventory;

use super::seen::Record;

/// Two gNBs of each maker, a UPF, a resolver and a management system; ids and names that want quoting.
pub(super) fn inventory() -> Inventory {
    let entry = |id: &str, role: &str, vendor: &str, last: u32| {
        format!(
            "[[equipment]]\nid = '{id}'\nvendor = '{vendor}'\nmodel = '{role} \"{vendor}\" \\x'\n\
             build = '1.0'\nroles = [\"{role}\"]\naddresses = [\"10.0.0.{last}\"]\n"
        )
    };
    let text = [
        entry("gnb-a1", "gnb", "A", 1),
        entry("gnb-a2", "gnb", "A", 2),
        entry("gnb-b1", "gnb", "B", 3),
        entry("gnb-b2", "gnb", "B", 4),
        entry("upf-1", "upf", "A", 11),
        entry("dns \"1\"", "dns", "Operator", 21),
        entry("ems-1", "oam", "Operator", 31),
    ]
    .concat();
    weir_policy::inventory_from_str("inventory.toml", &text).expect("it is valid").value
}

/// The id behind an address of the site.
fn id(address: &str) -> Option<String> {
    let id = match address {
        "10.0.0.1" => "gnb-a1",
        "10.0.0.2" => "gnb-a2",
        "10.0.0.3" => "gnb-b1",
        "10.0.0.4" => "gnb-b2",
        "10.0.0.11" => "upf-1",
        "10.0.0.21" => "dns \"1\"",
        "10.0.0.31" => "ems-1",
        _ => return None,
    };
    Some(id.into())
}

/// A flow that was opened so many seconds after midnight, with an answer that carries data.
pub(super) fn flow(from: &str, to: &str, protocol: u8, port: u16, seconds: u64) -> Record {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let (own, peer) = match id(from) {
        Some(own) => (own, (address(to), id(to))),
        None => (id(to).expect("one end is equipment"), (address(from), None)),
    };
    let first = Nanos::from_secs(1_767_571_200 + seconds);
    Record {
        flow_id: format!("{from} {to} {protocol} {port} {seconds}"),
        source: (address(from), 40_000),
        destination: (address(to), port),
        protocol,
        equipment: own,
        peer,
        name: None,
        is_opener_known: true,
        is_allowed: false,
        goes_on: false,
        first,
        last: first.plus(Nanos::from_secs(1)),
        to_server: (10, 2_000),
        to_client: (10, 3_000),
        answer_flags: 0x18,
    }
}
