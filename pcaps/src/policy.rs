//! `policy.toml` of a scenario: what its equipment does on a good day, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net};
use serde::Serialize;
use toml::Spanned;

use crate::lookalike::Lookalikes;
use crate::n4_confounder::Upheavals;
use crate::scenario::{Role, Scenario};
use crate::visits::{Declared, Visits};

#[derive(Serialize)]
struct Policy<'a> {
    ue_pools: Vec<Pool<'a>>,
    infrastructure: Vec<IpNet>,
    dnns: Vec<&'a str>,
    slices: BTreeSet<String>,
    link_defaults: BTreeMap<String, &'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    smf_set: Vec<Members<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nat: Vec<Nat>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mec: Vec<Mec>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    esp_only: Vec<EspOnly>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    detections: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Pool<'a> {
    Everywhere(IpNet),
    Of { cidr: IpNet, network_instance: &'a str },
}

#[derive(Serialize)]
struct Members<'a> {
    members: Vec<&'a str>,
}

#[derive(Serialize)]
struct Mec {
    addresses: [Ipv4Net; 1],
}

#[derive(Serialize)]
struct EspOnly {
    from: Ipv4Net,
    to: Ipv4Net,
}

struct Allow {
    from: Selector,
    to: Selector,
    services: Vec<&'static str>,
    note: &'static str,
    /// Whether a timer opens such flows.
    periodic: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Selector {
    Role(Role),
    Id(String),
    Cidr(Ipv4Net),
}

#[derive(Serialize)]
struct Nat {
    link: &'static str,
    addresses: [Ipv4Net; 1],
}

/// The rules between the roles that are there, each with the reason that an operator would note.
fn allowed(installed: &BTreeSet<Role>) -> Vec<Allow> {
    use Role::{Dns, Gnb, Ntp, Oam, Router, Smf, Syslog, Upf};
    let mut rules: Vec<(Role, Role, Vec<&'static str>, &'static str)> = vec![
        (Gnb, Upf, vec!["gtpu"], "N3"),
        (Upf, Gnb, vec!["gtpu"], "N3"),
        (Smf, Upf, vec!["pfcp"], "N4"),
        (Upf, Smf, vec!["pfcp"], "N4: heartbeats and reports"),
        (Oam, Gnb, vec!["netconf", "icmp"], "configuration and supervision"),
        (Oam, Upf, vec!["netconf", "icmp"], "configuration and supervision"),
    ];
    for client in [Gnb, Upf, Smf, Router] {
        rules.push((client, Dns, vec!["dns"], "the operator's resolver"));
        rules.push((client, Ntp, vec!["ntp"], "time"));
        rules.push((client, Syslog, vec!["syslog"], "logs"));
    }
    let there = |role: &Role| installed.contains(role);
    rules
        .into_iter()
        .filter(|(from, to, ..)| there(from) && there(to))
        .map(|(from, to, services, note)| Allow {
            from: Selector::Role(from),
            to: Selector::Role(to),
            periodic: from == Oam || [Dns, Ntp, Syslog].contains(&to),
            services,
            note,
        })
        .collect()
}

/// The text of `policy.toml`.
pub(crate) fn text(scenario: &Scenario) -> Result<String, toml::ser::Error> {
    let plan = &scenario.plan;
    let roles: BTreeSet<Role> = scenario.equipment.iter().map(|e| e.role).collect();
    let mut allow = allowed(&roles);
    let confounders = &scenario.confounders;
    allow.extend(confounders.scanner.as_ref().map(|scanner| Allow {
        from: Selector::Cidr(Ipv4Net::from(scanner.get_ref().address)),
        to: Selector::Role(Role::Gnb),
        services: vec!["icmp"],
        note: "security scanner: may ping, and is to be refused elsewhere",
        periodic: false,
    }));
    let mut link_defaults: BTreeMap<String, &'static str> =
        [(&plan.n3, "n3"), (&plan.n4, "n4"), (&plan.n6, "n6"), (&plan.oam, "oam")]
            .map(|(net, link)| (net.get_ref().to_string(), link))
            .into();
    let six = scenario.equipment.iter().filter_map(|equipment| equipment.n3_v6.as_ref());
    link_defaults.extend(six.map(|address| (format!("{}/128", address.get_ref()), "n3")));
    let nat = confounders.nat.as_ref().map(|nat| *nat.get_ref().addresses.get_ref());
    link_defaults.extend(nat.map(|net| (net.to_string(), "n6")));
    let six = scenario.equipment.iter().filter_map(|equipment| equipment.n4_v6.as_ref());
    link_defaults.extend(six.map(|address| (format!("{}/128", address.get_ref()), "n4")));
    if let Some(place) = &confounders.sessions {
        let beside = place.get_ref();
        for (ends, link) in [(&beside.f1, "f1"), (&beside.s1, "s1u")] {
            let own = scenario.equipment.iter().filter(|e| ends.iter().any(|id| id == &e.id));
            let own = own.filter_map(|equipment| equipment.n3.as_ref());
            link_defaults.extend(own.map(|address| (format!("{}/32", address.get_ref()), link)));
        }
        allow.extend(upheavals(beside, confounders.lookalikes.is_none()));
    }
    let said = confounders.lookalikes.as_ref().map(|place| place.get_ref());
    if let Some(said) = said {
        allow.extend(lookalikes(scenario, said));
    }
    allow.extend(visits(scenario));
    allow.extend(confounders.content.as_ref().map(|content| Allow {
        from: Selector::Role(Role::Dns),
        to: Selector::Cidr(Ipv4Net::from(*content.get_ref().upstream.get_ref())),
        services: vec!["dns"],
        note: "the resolver asks for others",
        periodic: true,
    }));
    let second = plan.second.as_ref();
    let mut ue_pools = vec![
        Pool::Everywhere((*plan.ue4.get_ref()).into()),
        Pool::Everywhere((*plan.ue6.get_ref()).into()),
    ];
    let cidr = IpNet::from(*plan.ue4.get_ref());
    ue_pools.extend(second.map(|realm| Pool::Of { cidr, network_instance: &realm.dnn }));
    let grace = scenario.n4.as_ref().and_then(|place| place.get_ref().start_grace_seconds);
    let graces = grace.into_iter().flat_map(|grace| {
        ["GTP-ORPHAN", "GTP-TEIDSCAN"].map(|id| (id, "start_grace_seconds", grace))
    });
    let interception = scenario.interception.as_ref().map(|place| place.get_ref());
    let lag = interception.map(|said| ("LI-UNMATCHED", "feed_lag_seconds", said.feed_lag_seconds));
    let mut text = toml::to_string(&Policy {
        ue_pools,
        infrastructure: plan.infrastructure.iter().map(|net| *net.get_ref()).collect(),
        dnns: [&plan.dnn]
            .into_iter()
            .chain(second.map(|realm| &realm.dnn))
            .map(|d| d.as_str())
            .collect(),
        slices: [plan.slice]
            .into_iter()
            .chain(second.map(|realm| realm.slice))
            .map(|s| s.to_string())
            .collect(),
        link_defaults,
        smf_set: scenario
            .smf_set
            .iter()
            .map(|set| Members {
                members: set.members.iter().map(|m| m.get_ref().as_str()).collect(),
            })
            .collect(),
        nat: nat.map(|net| Nat { link: "n6", addresses: [net] }).into_iter().collect(),
        mec: said.map(|said| Mec { addresses: [*said.mec.get_ref()] }).into_iter().collect(),
        esp_only: scenario
            .equipment
            .iter()
            .filter_map(|equipment| equipment.backhaul.as_ref())
            .map(|own| EspOnly { from: Ipv4Net::from(*own.get_ref()), to: *plan.n3.get_ref() })
            .collect(),
        detections: graces
            .chain(lag)
            .map(|(id, name, value)| (id, [(name, value)].into()))
            .collect(),
    })?;
    for rule in allow {
        text.push_str(&rule.text()?);
    }
    for routine in &scenario.confounders.routine {
        if routine.declared == Declared::InWindows {
            windows(&mut text, scenario, &routine.visits);
        }
    }
    Ok(text)
}

/// What is declared for routines that look like thefts, and for thefts that somebody was persuaded
/// to allow: one rule for each end.
fn visits(scenario: &Scenario) -> Vec<Allow> {
    let routines = scenario.confounders.routine.iter();
    let routines = routines
        .map(|routine| (&routine.visits, routine.declared == Declared::Periodic, "a routine"));
    let thefts = scenario.theft.patient.iter().filter(|theft| theft.allowed);
    let thefts = thefts.map(|theft| (&theft.visits, false, "the vendor asked for it"));
    let mut rules = Vec::new();
    for (visits, periodic, note) in routines.chain(thefts) {
        for equipment in &visits.equipment {
            for peer in &visits.peers {
                let own = Selector::Id(equipment.get_ref().clone());
                let peer = Selector::Cidr(Ipv4Net::from(*peer.get_ref()));
                let (from, to) = if visits.incoming { (peer, own) } else { (own, peer) };
                let services = visits.service().into_iter().collect();
                rules.push(Allow { from, to, services, note, periodic });
            }
        }
    }
    rules
}

/// How long before a visit its change window opens, and how long after it closes.
const WINDOW_SECONDS: (u64, u64) = (600, 3_600);

/// A change window for each visit.
fn windows(text: &mut String, scenario: &Scenario, visits: &Visits) {
    let seconds = std::time::Duration::from_secs;
    for equipment in &visits.equipment {
        for time in visits.times() {
            let at = scenario.start + seconds(time);
            let (start, end) = (at - seconds(WINDOW_SECONDS.0), at + seconds(WINDOW_SECONDS.1));
            text.push_str(&format!(
                "\n[[change_window]]\nequipment = {{ id = \"{}\" }}\nstart = {start}\nend = {end}\n\
                 reason = \"planned work\"\n",
                equipment.get_ref()
            ));
        }
    }
}

/// What is declared for the look-alikes of evasions, so that they are none.
fn lookalikes(scenario: &Scenario, said: &Lookalikes) -> [Allow; 4] {
    let role = Selector::Role;
    let id = |id: &Spanned<String>| Selector::Id(id.get_ref().clone());
    let rule = |from, to, services, note| Allow { from, to, services, note, periodic: false };
    let subscribers = Selector::Cidr(*scenario.plan.ue4.get_ref());
    [
        rule(role(Role::Gnb), role(Role::Secgw), vec!["ipsec"], "backhaul"),
        rule(role(Role::Gnb), role(Role::Gnb), vec!["gtpu"], "Xn: forwarding at handover"),
        rule(subscribers, role(Role::Dns), vec!["dns"], "subscribers' resolver"),
        rule(id(&said.mirror), id(&said.broker), vec!["gre"], "ERSPAN to the packet broker"),
    ]
}

/// What is declared for the upheavals of sessions: N9, the interfaces beside N3, and Xn where
/// nothing else declares it.
fn upheavals(said: &Upheavals, xn: bool) -> Vec<Allow> {
    let among = |role, note| Allow {
        from: Selector::Role(role),
        to: Selector::Role(role),
        services: vec!["gtpu"],
        note,
        periodic: false,
    };
    let mut rules = vec![among(Role::Upf, "N9")];
    rules.extend(xn.then(|| among(Role::Gnb, "Xn: forwarding at handover")));
    for (ends, note) in [(&said.f1, "F1-U"), (&said.s1, "S1-U")] {
        let [one, other] = ends.each_ref().map(|id| id.get_ref().clone());
        for (from, to) in [(one.clone(), other.clone()), (other, one)] {
            let (from, to) = (Selector::Id(from), Selector::Id(to));
            rules.push(Allow { from, to, services: vec!["gtpu"], note, periodic: false });
        }
    }
    rules
}

impl Allow {
    /// The rule with its selectors in one line each, as an operator would write it.
    fn text(&self) -> Result<String, toml::ser::Error> {
        let (from, to) = (toml::Value::try_from(&self.from)?, toml::Value::try_from(&self.to)?);
        let services = toml::Value::try_from(&self.services)?;
        let note = toml::Value::from(self.note);
        let periodic = if self.periodic { "periodic = true\n" } else { "" };
        Ok(format!(
            "\n[[allow]]\nfrom = {from}\nto = {to}\nservices = {services}\nnote = {note}\n{periodic}"
        ))
    }
}
