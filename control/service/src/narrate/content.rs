//! What equipment's packets say that they should not.

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
