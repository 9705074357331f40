//! What is told of addresses and frames that do not belong on their link.

use super::{About, Story};

pub(super) fn unknown_address(about: &About<'_>) -> Story {
    let About { alert, peer, tap, .. } = about;
    Story::of(
        format!("{peer} sends on the {} link at tap {tap}.", alert.link.name()),
        format!(
            "{peer} is in no inventory entry, subscriber pool or declared range, and exchanges packets on an infrastructure link."
        ),
    )
    .expected("Only declared equipment, subscribers and partners on this link.")
    .ruled_out(&[
        "multicast, link-local and the link's own housekeeping",
        "a peer that a more specific detection names",
    ])
    .next(format!(
        "Find the box behind {peer} by its switch port; add it to inventory.toml if it is yours."
    ))
}

pub(super) fn new_mac(about: &About<'_>, mac: [u8; 6]) -> Story {
    let suspect = about.suspect;
    let mac = weir_policy::mac_text(mac);
    let story = Story::of(
        format!("Frames with an address of {suspect} came from the MAC address {mac}."),
        format!("The entry of {suspect} lists its MAC addresses, and {mac} is none of them."),
    );
    changed(about, story)
        .expected(format!("Only the MAC addresses that the entry of {suspect} lists."))
}

pub(super) fn new_vlan(about: &About<'_>, id: u16) -> Story {
    let suspect = about.suspect;
    let story = Story::of(
        format!("{suspect} sent in VLAN {id}."),
        format!("{suspect} had not used VLAN {id} before."),
    );
    changed(about, story).expected(format!("The VLANs that {suspect} has used so far."))
}

pub(super) fn new_ether_type(about: &About<'_>, kind: u16) -> Story {
    let suspect = about.suspect;
    let story = Story::of(
        format!("{suspect} sent frames of EtherType {kind:#06x}."),
        format!("EtherType {kind:#06x} is uncommon on such links and new for {suspect}."),
    );
    changed(about, story).expected("IPv4, IPv6, ARP and the link's own housekeeping.")
}

fn changed(about: &About<'_>, story: Story) -> Story {
    story.next(format!(
        "Ask who changed the cabling or the cards of {}; update its entry if it was planned.",
        about.suspect
    ))
}
