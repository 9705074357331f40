//! What equipment's packets say that they should not.

use weir_engine::contract::verdict::{CryptoNews, EchoOddity, TimeOddity};

use super::{About, Story, counted};

pub(super) fn names(about: &About<'_>, names: u32, octets: u32, first_label: u8) -> Story {
    let About { suspect, .. } = about;
    let domain = match about.alert.peer_name.as_deref() {
        None | Some("") => "many domains at once",
        Some(domain) => domain,
    };
    let names = counted(names, "different name");
    Story::of(
        format!(
            "{suspect} asked the DNS for {names} under {domain} within a day; they carry about {octets} octets, and the longest first label has {first_label}."
        ),
        format!(
            "Whoever runs the name servers of {domain} reads what is asked for, whichever resolver is used: so many or such long names are a way to carry data out."
        ),
    )
    .expected(format!("A few short names under a domain, or an entry of `dns_zones` that names {domain}."))
    .ruled_out(&[
        "a resolver that asks for others: the equipment has not the role dns",
        "names of mobile networks (3gppnetwork.org) and of content delivery",
        "the same name again and again: each counts once",
    ])
    .next(format!(
        "Look at the questions in the resolver's log, and ask the vendor what {domain} is for; list it in `dns_zones` of policy.toml if it is wanted, else block it at the resolver."
    ))
}

pub(super) fn echoes(about: &About<'_>, oddity: EchoOddity) -> Story {
    let About { suspect, peer, .. } = about;
    let (observed, why, expected) = match oddity {
        EchoOddity::Changing => (
            format!(
                "ICMP echoes between {suspect} and {peer} carry another content each time, and none by which a ping fills its own."
            ),
            "A ping repeats one filling; what changes with every packet is data.",
            "A filling that counts up, stays the same, or comes again and again, behind a time stamp.",
        ),
        EchoOddity::Unlike => (
            format!(
                "ICMP echo replies between {suspect} and {peer} do not repeat what the requests carried."
            ),
            "Who answers an echo sends the content back; another content is an answer to something else.",
            "Replies with the content of their requests.",
        ),
        EchoOddity::Large => (
            format!(
                "{suspect} and {peer}, which nobody declared, exchange ICMP echoes of a size that a ping does not need."
            ),
            "A ping to a stranger is small; large ones carry data out or commands in.",
            "Large echoes between declared nodes only.",
        ),
    };
    Story::of(observed, why)
        .expected(expected)
        .ruled_out(&[
            "pings of the usual makers and IP-SLA: their fillings count up or stay the same",
            "a time stamp in front: it is left out",
            "a search for the path's MTU between declared nodes: size alone is silent there",
        ])
        .next(format!(
            "Look which process of {suspect} sends raw ICMP, keep some of the packets, and block ICMP to {peer} at the router meanwhile."
        ))
}

pub(super) fn time(about: &About<'_>, oddity: TimeOddity) -> Story {
    let About { suspect, peer, .. } = about;
    let (observed, why) = match oddity {
        TimeOddity::Unlisted => (
            format!("{suspect} and {peer} exchange NTP; {peer} is no server that the inventory or a rule of the policy names."),
            "Whoever tells the time can move it, and the time stamps of a question carry data.".to_owned(),
        ),
        TimeOddity::Mode(mode) => (
            format!("NTP in mode {mode} between {suspect} and {peer}."),
            "Clients ask in mode 3 and servers answer in mode 4; other modes configure, list or carry what they like.".to_owned(),
        ),
        TimeOddity::Length(octets) => (
            format!("NTP of {octets} octets between {suspect} and {peer}."),
            "A question and its answer have 48 octets; nobody declared that this equipment authenticates, or what else stands behind.".to_owned(),
        ),
        TimeOddity::Rate(asked) => (
            format!("{suspect} asked {peer} for the time {asked} times without ever slowing down to one question in 16 s."),
            "A clock that is set asks every minute or less; a stream of questions is a channel.".to_owned(),
        ),
        TimeOddity::Element(kind) => (
            format!("{suspect} sends PTP with an element (TLV) of type {kind:#06x}."),
            "The profiles of telecom networks do not ask for it: an element of one's own carries what its sender likes.".to_owned(),
        ),
    };
    Story::of(observed, why)
        .expected("NTP of 48 octets in modes 3 and 4 with listed servers; PTP with the elements of its profile.")
        .ruled_out(&[
            "a start (iburst): some questions in a row are no rate",
            "servers of the inventory, and what a [[quirk]] declares",
        ])
        .next(format!(
            "Ask the vendor what it is for; declare it as [[quirk]] of COV-TIME with value = \"{oddity}\" if it is wanted, else correct the time sources of {suspect}."
        ))
}

pub(super) fn crypto(about: &About<'_>, news: CryptoNews) -> Story {
    let About { suspect, peer, .. } = about;
    let service = about.service();
    let name = about.alert.peer_name.as_deref().unwrap_or("no name");
    let text = |parts: &[&[u8]]| {
        parts.iter().map(|part| String::from_utf8_lossy(part)).collect::<Vec<_>>().join("_")
    };
    let (observed, why, listing) = match news {
        CryptoNews::Name => (
            format!(
                "{suspect} said a TLS hello to {peer} on {service}, under the name {name}, which it has not used before."
            ),
            "After its first weeks an equipment turns to the names that it turned to then.",
            format!("`sni {name}`"),
        ),
        CryptoNews::Ja4(a, b, c) => {
            let ja4 = text(&[&a, &b, &c]);
            (
                format!(
                    "{suspect} said a TLS hello to {peer} on {service} whose offers (JA4 {ja4}) are of no library that it has used before."
                ),
                "A build has the TLS libraries that it came with; another one is another program.",
                format!("`ja4 {ja4}`"),
            )
        }
        CryptoNews::Ssh(hassh) => {
            let hassh: String = hassh.iter().map(|octet| format!("{octet:02x}")).collect();
            (
                format!(
                    "{suspect} exchanged SSH keys with {peer} on {service} with offers (HASSH {hassh}) that it has not made before."
                ),
                "A build has the SSH program that it came with; other offers are another program.",
                format!("`hassh {hassh}`"),
            )
        }
        CryptoNews::Entropy { hundredths, octets } => (
            format!(
                "The first {octets} octets that {suspect} sent to {peer} on {service} have {}.{:02} bits of entropy each.",
                hundredths / 100,
                hundredths % 100
            ),
            "The policy allows a service in clear text; what is sent is encrypted or compressed.",
            "another service, if it is meant to be encrypted".to_owned(),
        ),
        CryptoNews::Doh => (
            format!(
                "{suspect} asks for names over HTTPS at {peer} on {service}, under the name {name}."
            ),
            "Names that are asked for over HTTPS pass the operator's resolver and its log by.",
            format!("`sni {name}`"),
        ),
    };
    Story::of(observed, why)
        .expected(format!("The names, libraries and offers of the first weeks of {suspect}, or what `known_crypto` of the policy lists."))
        .ruled_out(&[
            "a new certificate: certificates are not looked at",
            "declared work: no change window is open",
        ])
        .next(format!(
            "Ask the vendor which program of {suspect} talks to {peer}; list {listing} in policy.toml if it is wanted, else block it."
        ))
}
