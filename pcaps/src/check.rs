//! Whether the parts of a scenario fit together, so that generating can't fail.

mod covert;
mod interception;
mod n4;
mod visits;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use toml::Spanned;

use crate::plan::Link;
use crate::scenario::{Equipment, LONGEST_SECONDS, Role, Scenario, Target};

/// A mistake in a scenario and its byte offset in the text.
pub(crate) struct Fault {
    pub at: usize,
    pub what: String,
    pub remedy: String,
}

fn fault<T>(place: &Spanned<T>, what: impl Display, remedy: impl Display) -> Fault {
    Fault { at: place.span().start, what: what.to_string(), remedy: remedy.to_string() }
}

impl Scenario {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if !(1..=LONGEST_SECONDS).contains(self.duration_seconds.get_ref()) {
            return Err(fault(
                &self.duration_seconds,
                "the duration is out of range",
                format!("give 1 to {LONGEST_SECONDS} seconds"),
            ));
        }
        self.check_plan()?;
        self.check_equipment()?;
        self.check_subscribers()?;
        self.check_background()?;
        self.check_confounders()?;
        self.check_thefts()?;
        self.check_evasions()?;
        self.check_visits()?;
        self.check_leaks()?;
        self.check_covert()?;
        self.check_shapes()?;
        self.check_n4()?;
        self.check_interception()?;
        if let Some(imix) = &self.imix {
            if imix.get_ref().tunnels == 0 || imix.get_ref().frames == 0 {
                return Err(fault(imix, "an IMIX of nothing", "give tunnels and frames above 0"));
            }
            if u64::from(imix.get_ref().tunnels) > self.subscriber_room() {
                return Err(fault(imix, "more tunnels than addresses in ue4", "widen plan.ue4"));
            }
            self.need(imix, Role::Gnb, "n3", |e| e.n3.is_some())?;
            self.need(imix, Role::Upf, "n3", |e| e.n3.is_some())?;
        }
        Ok(())
    }

    fn check_plan(&self) -> Result<(), Fault> {
        let plan = &self.plan;
        for net in [&plan.n3, &plan.n4, &plan.n6, &plan.oam, &plan.ue4, &plan.internet4] {
            no_host_bits(net, IpNet::V4(*net.get_ref()))?;
        }
        if self.subscriber_room() == 0 {
            return Err(fault(&plan.ue4, "ue4 has no room for a subscriber", "widen it"));
        }
        for net in [&plan.ue6, &plan.internet6] {
            no_host_bits(net, IpNet::V6(*net.get_ref()))?;
            if net.get_ref().prefix_len() > 64 {
                return Err(fault(net, "an IPv6 range below /64", "every host takes a /64"));
            }
        }
        plan.infrastructure.iter().try_for_each(|net| no_host_bits(net, *net.get_ref()))
    }

    fn check_equipment(&self) -> Result<(), Fault> {
        let (mut ids, mut addresses, mut macs) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for equipment in &self.equipment {
            let octets = equipment.id.get_ref().len();
            if !(1..=64).contains(&octets) {
                return Err(fault(
                    &equipment.id,
                    format!("an id of {octets} octets"),
                    "give one of 1 to 64",
                ));
            }
            if !ids.insert(equipment.id.get_ref()) {
                return Err(fault(&equipment.id, "this id is taken", "give every box its own"));
            }
            let interfaces = [
                (&equipment.n3, "n3", &self.plan.n3),
                (&equipment.n4, "n4", &self.plan.n4),
                (&equipment.n6, "n6", &self.plan.n6),
                (&equipment.oam, "oam", &self.plan.oam),
                (&equipment.backhaul, "n3", &self.plan.n3),
            ];
            for (address, link, net) in interfaces {
                let Some(address) = address else { continue };
                inside(address, link, net)?;
                if !addresses.insert(*address.get_ref()) {
                    return Err(fault(address, "this address is taken", "give a free one"));
                }
            }
            let mac = equipment.mac.get_ref();
            for interface in 0..4 {
                let Some(last) = mac.5.checked_add(interface) else {
                    return Err(fault(
                        &equipment.mac,
                        "no room for four consecutive MAC addresses",
                        "let the last octet be fc or less",
                    ));
                };
                if !macs.insert([mac.0, mac.1, mac.2, mac.3, mac.4, last]) {
                    return Err(fault(
                        &equipment.mac,
                        "one of these four MAC addresses is taken",
                        "leave four between the first ones of two boxes",
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_subscribers(&self) -> Result<(), Fault> {
        let Some(place) = &self.subscribers else { return Ok(()) };
        let subscribers = place.get_ref();
        self.need(place, Role::Gnb, "n3", |e| e.n3.is_some())?;
        self.need(place, Role::Upf, "n3, n4 and n6", |e| {
            e.n3.is_some() && e.n4.is_some() && e.n6.is_some()
        })?;
        self.need(place, Role::Smf, "n4", |e| e.n4.is_some())?;
        self.need(place, Role::Router, "n6", |e| e.n6.is_some())?;
        if u64::from(subscribers.count) > self.subscriber_room() {
            return Err(fault(
                &self.plan.ue4,
                format!("{} subscribers do not fit", subscribers.count),
                "widen ue4 or lower subscribers.count",
            ));
        }
        let shares = [
            subscribers.ipv6_share,
            subscribers.sequence_share,
            subscribers.reflective_share,
            subscribers.handover_share,
        ];
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err(fault(place, "a share is out of range", "give 0.0 to 1.0"));
        }
        if subscribers.mix.total() == 0 {
            return Err(fault(place, "the mix is empty", "give one kind of flow a weight"));
        }
        seconds(place, subscribers.pause_seconds)?;
        seconds(place, subscribers.hold_seconds)?;
        seconds(place, subscribers.attach_seconds)?;
        if !(576..=9_000).contains(&subscribers.inner_mtu)
            || subscribers.outer_mtu.is_some_and(|mtu| !(576..=9_000).contains(&mtu))
        {
            return Err(fault(place, "an MTU is out of range", "give 576 to 9000"));
        }
        Ok(())
    }

    /// How many subscribers ue4 has addresses for, without its first and last.
    fn subscriber_room(&self) -> u64 {
        (1u64 << (32 - self.plan.ue4.get_ref().prefix_len())).saturating_sub(2)
    }

    fn check_background(&self) -> Result<(), Fault> {
        let background = &self.background;
        let services = [
            (&background.dns_seconds, Some(Role::Dns)),
            (&background.ntp_seconds, Some(Role::Ntp)),
            (&background.syslog_seconds, Some(Role::Syslog)),
            (&background.netconf_seconds, Some(Role::Oam)),
            (&background.ping_seconds, Some(Role::Oam)),
            (&background.arp_seconds, None),
            (&background.lldp_seconds, None),
        ];
        for (period, server) in services {
            let Some(period) = period else { continue };
            positive(period)?;
            if let Some(role) = server {
                self.need(period, role, "oam", |e| e.oam.is_some())?;
            }
        }
        if let Some(period) = &background.echo_seconds {
            positive(period)?;
            self.need(period, Role::Gnb, "n3", |e| e.n3.is_some())?;
            self.need(period, Role::Upf, "n3", |e| e.n3.is_some())?;
        }
        if let Some(period) = &background.heartbeat_seconds {
            positive(period)?;
            self.need(period, Role::Smf, "n4", |e| e.n4.is_some())?;
            self.need(period, Role::Upf, "n4", |e| e.n4.is_some())?;
        }
        Ok(())
    }

    fn check_confounders(&self) -> Result<(), Fault> {
        let confounders = &self.confounders;
        if let Some(place) = &confounders.scanner {
            let scanner = place.get_ref();
            seconds(place, scanner.start_seconds)?;
            let address = Spanned::new(place.span(), scanner.address);
            inside(&address, "oam", &self.plan.oam)?;
            self.undeclared(&address)?;
        }
        if let Some(rate) = &confounders.n6_scans_per_minute {
            seconds(rate, *rate.get_ref())?;
            self.need(rate, Role::Upf, "n6", |e| e.n6.is_some())?;
            self.need(rate, Role::Router, "n6", |e| e.n6.is_some())?;
        }
        if let Some(period) = &confounders.icmp_errors_seconds {
            positive(period)?;
            for role in [Role::Syslog, Role::Router, Role::Gnb] {
                self.need(period, role, "oam", |e| e.oam.is_some())?;
            }
        }
        if let Some(period) = &confounders.link_protocols_seconds {
            positive(period)?;
            self.need(period, Role::Router, "oam", |e| e.oam.is_some())?;
        }
        if let Some(nat) = &confounders.nat {
            let net = &nat.get_ref().addresses;
            no_host_bits(net, IpNet::V4(*net.get_ref()))?;
            self.need(nat, Role::Router, "n6", |e| e.n6.is_some())?;
            if nat.get_ref().flows_per_minute == 0 {
                return Err(fault(nat, "NAT without flows", "give flows_per_minute above 0"));
            }
        }
        Ok(())
    }

    fn check_thefts(&self) -> Result<(), Fault> {
        let thefts = &self.theft;
        let mut ids = BTreeSet::new();
        let mut once = |id: &Spanned<String>| match ids.insert(id.get_ref().clone()) {
            true => Ok(()),
            false => Err(fault(id, "two thefts have this id", "give each its own")),
        };
        for theft in &thefts.call_home {
            once(&theft.id)?;
            seconds(&theft.id, theft.start_seconds)?;
            seconds(&theft.id, theft.every_seconds)?;
            self.reached_from_outside(&theft.equipment, &theft.peer)?;
            self.need(&theft.equipment, Role::Dns, "oam", |e| e.oam.is_some())?;
            if !(1..=1_300).contains(&theft.report_bytes) {
                return Err(fault(
                    &theft.id,
                    "report_bytes do not fit one segment",
                    "give 1 to 1300",
                ));
            }
        }
        for theft in &thefts.reverse_shell {
            once(&theft.id)?;
            seconds(&theft.id, theft.start_seconds)?;
            self.reached_from_outside(&theft.equipment, &theft.peer)?;
        }
        for theft in &thefts.backdoor {
            once(&theft.id)?;
            seconds(&theft.id, theft.start_seconds)?;
            self.reached_from_outside(&theft.equipment, &theft.peer)?;
        }
        for theft in &thefts.gtp_peer {
            once(&theft.id)?;
            seconds(&theft.id, theft.start_seconds)?;
            seconds(&theft.id, theft.every_milliseconds)?;
            let equipment = self.known(&theft.equipment)?;
            if equipment.n3.is_none() {
                return Err(fault(&theft.equipment, "it has no N3 address", "name a UPF"));
            }
            self.undeclared(&theft.peer)?;
            self.need(&theft.peer, Role::Router, "n3", |e| e.n3.is_some())?;
        }
        for id in thefts.evasion.iter().map(|evasion| &evasion.id) {
            once(id)?;
        }
        for id in thefts.session.iter().map(|attack| &attack.id) {
            once(id)?;
        }
        for id in thefts.patient.iter().map(|theft| &theft.id) {
            once(id)?;
        }
        for id in thefts.covert.iter().map(|theft| &theft.id) {
            once(id)?;
        }
        for theft in &thefts.unknown_box {
            once(&theft.id)?;
            seconds(&theft.id, theft.start_seconds)?;
            seconds(&theft.id, theft.every_milliseconds)?;
            inside(&theft.address, "oam", &self.plan.oam)?;
            self.undeclared(&theft.address)?;
            match theft.to.get_ref() {
                Target::Address(IpAddr::V4(_)) => {}
                Target::Address(IpAddr::V6(_)) => {
                    return Err(fault(&theft.to, "the box speaks IPv4", "give an IPv4 address"));
                }
                Target::Equipment(id) => {
                    self.managed(&Spanned::new(theft.to.span(), id.clone()))?;
                }
            }
        }
        Ok(())
    }

    fn check_evasions(&self) -> Result<(), Fault> {
        for evasion in &self.theft.evasion {
            seconds(&evasion.id, evasion.start_seconds)?;
            seconds(&evasion.id, evasion.every_milliseconds)?;
            let equipment = self.known(&evasion.equipment)?;
            match evasion.how.link() {
                Some(Link::Oam) => self.reached_from_outside(&evasion.equipment, &evasion.peer)?,
                Some(_) if equipment.n3.is_none() => {
                    return Err(fault(&evasion.equipment, "it has no N3 address", "name a gNB"));
                }
                None if equipment.backhaul.is_none() => {
                    return Err(fault(&evasion.equipment, "it has no backhaul", "give it one"));
                }
                _ => {}
            }
        }
        let Some(place) = &self.confounders.lookalikes else { return Ok(()) };
        let said = place.get_ref();
        for time in [said.every_seconds, said.lost_at_seconds, said.lost_seconds] {
            seconds(place, time)?;
        }
        no_host_bits(&said.mec, IpNet::V4(*said.mec.get_ref()))?;
        if said.mec.get_ref().prefix_len() > 28 {
            return Err(fault(&said.mec, "too narrow for its servers", "give a /28 or wider"));
        }
        if self.known(&said.secured)?.backhaul.is_none() {
            return Err(fault(&said.secured, "it has no backhaul", "give it one"));
        }
        for id in [&said.gateway, &said.lost] {
            if self.known(id)?.n3.is_none() {
                return Err(fault(id, "it has no N3 address", "give it one"));
            }
        }
        self.managed(&said.mirror)?;
        self.managed(&said.broker)?;
        self.need(place, Role::Gnb, "n3", |e| e.n3.is_some())?;
        self.need(place, Role::Gnb, "oam", |e| e.oam.is_some())?;
        self.need(place, Role::Upf, "n3", |e| e.n3.is_some())?;
        self.need(place, Role::Dns, "oam", |e| e.oam.is_some())
    }

    fn check_leaks(&self) -> Result<(), Fault> {
        for leak in &self.theft.leak {
            seconds(&leak.id, leak.start_seconds)?;
            seconds(&leak.id, leak.every_milliseconds)?;
            seconds(&leak.id, leak.packets)?;
            self.has(&leak.equipment, Role::Upf, &[Link::N3, Link::N4, Link::N6])?;
            self.need(&leak.id, Role::Gnb, "n3", |e| e.n3.is_some())?;
            self.need(&leak.id, Role::Smf, "n4", |e| e.n4.is_some())?;
            match &leak.peer {
                Some(peer) => self.undeclared(peer)?,
                None if leak.how.needs_peer() => {
                    let remedy = "give the address of nobody that takes part: peer = \"192.0.2.1\"";
                    return Err(fault(&leak.id, "this leak has a far end", remedy));
                }
                None => {}
            }
        }
        let Some(place) = &self.confounders.followed else { return Ok(()) };
        let said = place.get_ref();
        for time in [said.start_seconds, said.every_milliseconds, said.packets] {
            seconds(place, time)?;
        }
        self.has(&said.upf, Role::Upf, &[Link::N3, Link::N4, Link::N6])?;
        self.need(place, Role::Gnb, "n3", |e| e.n3.is_some())?;
        self.need(place, Role::Smf, "n4", |e| e.n4.is_some())
    }

    fn check_shapes(&self) -> Result<(), Fault> {
        let Some(place) = &self.shapes else { return Ok(()) };
        let shapes = place.get_ref();
        seconds(place, shapes.every_milliseconds)?;
        for id in [&shapes.gnb, &shapes.upf] {
            let equipment = self.known(id)?;
            if equipment.n3.is_none() || equipment.n3_v6.is_none() {
                return Err(fault(id, "it lacks an address of N3", "give it n3 and n3_v6"));
            }
        }
        for id in [&shapes.upf, &shapes.smf] {
            if self.known(id)?.n4.is_none() {
                return Err(fault(id, "it has no N4 address", "give it n4"));
            }
        }
        Ok(())
    }

    fn reached_from_outside(
        &self,
        equipment: &Spanned<String>,
        peer: &Spanned<Ipv4Addr>,
    ) -> Result<(), Fault> {
        self.managed(equipment)?;
        self.undeclared(peer)?;
        self.need(peer, Role::Router, "oam", |e| e.oam.is_some())
    }

    fn known(&self, id: &Spanned<String>) -> Result<&Equipment, Fault> {
        self.equipment.iter().find(|e| e.id.get_ref() == id.get_ref()).ok_or_else(|| {
            fault(id, format!("no equipment {:?}", id.get_ref()), "name one of [[equipment]]")
        })
    }

    fn managed(&self, id: &Spanned<String>) -> Result<(), Fault> {
        match self.known(id)?.oam {
            Some(_) => Ok(()),
            None => Err(fault(id, "it has no O&M address", "give that equipment an oam address")),
        }
    }

    fn undeclared(&self, address: &Spanned<Ipv4Addr>) -> Result<(), Fault> {
        let taken = self.equipment.iter().any(|e| {
            [&e.n3, &e.n4, &e.n6, &e.oam]
                .into_iter()
                .flatten()
                .any(|own| own.get_ref() == address.get_ref())
        });
        match taken || self.plan.ue4.get_ref().contains(address.get_ref()) {
            true => Err(fault(
                address,
                "this address belongs to equipment or a subscriber",
                "give one that is nobody's",
            )),
            false => Ok(()),
        }
    }

    fn need<T>(
        &self,
        place: &Spanned<T>,
        role: Role,
        interfaces: &str,
        fits: impl Fn(&Equipment) -> bool,
    ) -> Result<(), Fault> {
        match self.equipment.iter().any(|e| e.role == role && fits(e)) {
            true => Ok(()),
            false => Err(fault(
                place,
                format!("this needs equipment of the role {role:?}").to_lowercase(),
                format!("add one with an address on {interfaces}"),
            )),
        }
    }
}

fn positive(period: &Spanned<u64>) -> Result<(), Fault> {
    seconds(period, *period.get_ref())
}

/// Times in a scenario are counted in microseconds: an absurd one must not overflow them.
fn seconds<T>(place: &Spanned<T>, value: u64) -> Result<(), Fault> {
    match (1..=LONGEST_SECONDS).contains(&value) {
        true => Ok(()),
        false => Err(fault(
            place,
            format!("{value} is out of range"),
            format!("give 1 to {LONGEST_SECONDS}, or leave an optional key out"),
        )),
    }
}

fn no_host_bits<T>(place: &Spanned<T>, net: IpNet) -> Result<(), Fault> {
    match net.trunc() == net {
        true => Ok(()),
        false => Err(fault(
            place,
            format!("{net} has bits set beyond its prefix"),
            format!("write {}", net.trunc()),
        )),
    }
}

fn inside(address: &Spanned<Ipv4Addr>, link: &str, net: &Spanned<Ipv4Net>) -> Result<(), Fault> {
    match net.get_ref().contains(address.get_ref()) {
        true => Ok(()),
        false => Err(fault(
            address,
            format!("{} is not in the range of {link}, {}", address.get_ref(), net.get_ref()),
            format!("give an address of plan.{link}"),
        )),
    }
}
