//! What must hold between the parts of a message before the sensor builds tables from it. The
//! sensor does not trust control: whoever has taken over control may send anything.

use std::collections::HashSet;

use ipnet::IpNet;

use super::{
    AllowRule, DetectionSetting, End, EquipmentRule, MessageError, Order, PolicyMessage, Slice,
};
use crate::catalogue::Detection;
use crate::closed::RoleSet;
use crate::inventory::EquipmentId;
use crate::limits::{
    MAX_DETECTIONS, MAX_EQUIPMENT, MAX_IMPORT_GRACE_SECONDS, MAX_MEMBERS, MAX_ORDERS,
    MAX_PARAMETERS, MAX_PREFIXES, MAX_RULES, MAX_SERVICES, MAX_SETS,
};
use crate::policy::quirk;
use crate::service::ServiceMatch;

type Outcome = Result<(), MessageError>;

fn ensure(holds: bool, what: &'static str, index: usize) -> Outcome {
    if holds { Ok(()) } else { Err(MessageError::Invalid { what, index }) }
}

impl PolicyMessage {
    /// Checks the message as a whole: counts bounded, indices in range, prefixes without host bits,
    /// sorted and distinct, ports in order, detections of the catalogue with values in range.
    /// Unknown links cannot get this far, since they have no encoding.
    ///
    /// # Errors
    /// [`MessageError::Invalid`] for the first thing that does not hold.
    pub fn validate(&self) -> Result<(), MessageError> {
        ensure(self.equipment.len() <= MAX_EQUIPMENT, "too much equipment", self.equipment.len())?;
        ensure(self.sets.len() <= MAX_SETS, "too many sets", self.sets.len())?;
        ensure(self.allow.len() <= MAX_RULES, "too many rules", self.allow.len())?;
        let detections = self.detections.len();
        ensure(detections <= MAX_DETECTIONS, "too many detections", detections)?;

        let mut owned = HashSet::new();
        for (index, equipment) in self.equipment.iter().enumerate() {
            self.validate_equipment(equipment, index, &mut owned)?;
        }
        let mut members = 0;
        for (index, set) in self.sets.iter().enumerate() {
            members += set.len();
            self.validate_set(set, index)?;
        }
        ensure(members <= MAX_MEMBERS, "the sets have too many members", members)?;
        let pools = self.ue_pools.len() + self.instance_pools.len();
        ensure(pools <= MAX_PREFIXES, "too many `ue_pools`", pools)?;
        validate_prefixes(&self.ue_pools, "`ue_pools` is not sorted prefixes")?;
        validate_prefixes(&self.infrastructure, "`infrastructure` is not sorted prefixes")?;
        validate_prefixes(&self.mec, "`mec` is not sorted prefixes")?;
        validate_prefixes(&self.roaming, "`roaming` is not sorted prefixes")?;
        let nat = first_improper(&self.nat, |(_, net)| *net);
        ensure(nat.is_none(), "`nat` is not sorted prefixes", nat.unwrap_or(0))?;
        let defaults = first_improper(&self.link_defaults, |(net, _)| *net);
        let what = "`link_defaults` is not sorted prefixes";
        ensure(defaults.is_none(), what, defaults.unwrap_or(0))?;
        let twice = self.link_defaults.windows(2).position(|pair| pair[0].0 == pair[1].0);
        ensure(twice.is_none(), "two links for one prefix", twice.unwrap_or(0))?;
        for (index, rule) in self.allow.iter().enumerate() {
            self.validate_rule(rule, index)?;
        }
        ensure(self.esp_only.len() <= MAX_RULES, "too many paths", self.esp_only.len())?;
        let improper = first_improper(&self.esp_only, |(from, _)| *from)
            .or_else(|| self.esp_only.iter().position(|(_, to)| *to != to.trunc()));
        let what = "`esp_only` is not sorted prefixes";
        ensure(improper.is_none(), what, improper.unwrap_or(0))?;
        self.validate_quirks()?;
        self.validate_sessions()?;
        self.validate_orders()?;
        let mut ids = HashSet::new();
        for (index, setting) in self.detections.iter().enumerate() {
            ensure(ids.insert(&setting.id), "a detection is set twice", index)?;
            validate_setting(setting, index)?;
        }
        Ok(())
    }

    fn validate_equipment(
        &self,
        equipment: &EquipmentRule,
        index: usize,
        owned: &mut HashSet<IpNet>,
    ) -> Outcome {
        let roles = equipment.roles;
        let known = RoleSet::from_bits(roles.bits()).is_some() && !roles.is_empty();
        ensure(known, "equipment has no role or an unknown one", index)?;
        let cohort = (equipment.cohort as usize) < self.equipment.len();
        ensure(cohort, "the cohort of equipment does not exist", index)?;
        let proper = first_improper(&equipment.prefixes, |net| *net).is_none();
        ensure(proper, "the prefixes of equipment are not sorted prefixes", index)?;
        ensure(equipment.macs.len() <= MAX_PREFIXES, "equipment has too many MACs", index)?;
        for prefix in &equipment.prefixes {
            ensure(owned.insert(*prefix), "a prefix belongs to two pieces of equipment", index)?;
        }
        Ok(())
    }

    fn validate_set(&self, set: &[EquipmentId], index: usize) -> Outcome {
        let rising = set.windows(2).all(|pair| pair[0] < pair[1]);
        ensure(rising, "the members of a set are not sorted", index)?;
        let in_range = set.last().is_none_or(|last| last.index() < self.equipment.len());
        ensure(in_range, "a set names equipment that does not exist", index)
    }

    fn validate_rule(&self, rule: &AllowRule, index: usize) -> Outcome {
        for End { set, cidr } in [rule.from, rule.to] {
            ensure(set.is_some() || cidr.is_some(), "a rule has an end without condition", index)?;
            let exists = set.is_none_or(|set| (set as usize) < self.sets.len());
            ensure(exists, "a rule names a set that does not exist", index)?;
            let canonical = cidr.is_none_or(|net| net == net.trunc());
            ensure(canonical, "a rule has a prefix with host bits", index)?;
        }
        let services = (1..=MAX_SERVICES).contains(&rule.services.len());
        ensure(services, "a rule has no services or too many", index)?;
        for ServiceMatch { protocol, ports, .. } in &rule.services {
            let ordered = ports.is_none_or(|(first, last)| 0 < first && first <= last);
            ensure(ordered, "the ports of a rule are not in order", index)?;
            let fitting = ports.is_some() == ServiceMatch::has_ports(*protocol);
            ensure(fitting, "a rule has ports without such a protocol, or none with one", index)?;
        }
        Ok(())
    }

    /// What the policy says of sessions.
    fn validate_sessions(&self) -> Outcome {
        let pools = first_improper(&self.instance_pools, |pool| pool.prefix);
        let what = "`ue_pools` of instances are not sorted prefixes";
        ensure(pools.is_none(), what, pools.unwrap_or(0))?;
        let dnns = self.dnns.as_deref().unwrap_or_default();
        ensure(is_list(dnns), "`dnns` is not a sorted list", dnns.len())?;
        let slices = self.slices.as_deref().unwrap_or_default();
        ensure(is_list(slices), "`slices` is not a sorted list", slices.len())?;
        let spelt_out = |slice: &Slice| slice.sd == Some([0xff; 3]);
        let odd = slices.iter().position(spelt_out);
        ensure(odd.is_none(), "a slice spells out that it has no SD", odd.unwrap_or(0))?;
        ensure(self.smf_sets.len() <= MAX_RULES, "too many SMF sets", self.smf_sets.len())?;
        let mut members = 0;
        for (index, set) in self.smf_sets.iter().enumerate() {
            members += set.len();
            self.validate_set(set, index)?;
        }
        ensure(members <= MAX_MEMBERS, "the SMF sets have too many members", members)?;
        let grace = self.import_grace_seconds <= MAX_IMPORT_GRACE_SECONDS;
        ensure(grace, "the grace after an import is too long", 0)
    }

    fn validate_orders(&self) -> Outcome {
        let orders = self.authorised.as_deref().unwrap_or_default();
        ensure(orders.len() <= MAX_ORDERS, "too many authorised interceptions", orders.len())?;
        let rising = orders.windows(2).all(|pair| pair[0] <= pair[1]);
        ensure(rising, "the authorised interceptions are not sorted", 0)?;
        for (index, Order { upf, sessions, .. }) in orders.iter().enumerate() {
            let exists = upf.is_none_or(|upf| upf.index() < self.equipment.len());
            ensure(exists, "an authorised interception names no equipment", index)?;
            ensure(*sessions > 0, "an authorised interception is of no session", index)?;
        }
        Ok(())
    }

    fn validate_quirks(&self) -> Outcome {
        ensure(self.quirks.len() <= MAX_RULES, "too many quirks", self.quirks.len())?;
        let mut members = 0;
        for (index, rule) in self.quirks.iter().enumerate() {
            let set = self.sets.get(rule.set as usize);
            ensure(set.is_some(), "a quirk names a set that does not exist", index)?;
            // The sensor spells the sets out.
            members += set.map_or(0, Vec::len);
            ensure(members <= MAX_MEMBERS, "the quirks name too much equipment", index)?;
            let known = quirk::are_known_to(&rule.detection)
                && quirk::canonical(&rule.detection, &rule.value).as_ref() == Ok(&rule.value);
            ensure(known, "a quirk is none that its detection knows", index)?;
        }
        Ok(())
    }
}

fn validate_prefixes(prefixes: &[IpNet], what: &'static str) -> Outcome {
    let improper = first_improper(prefixes, |net| *net);
    ensure(improper.is_none(), what, improper.unwrap_or(0))
}

/// Whether entries are sorted, distinct and not too many.
fn is_list<T: Ord>(entries: &[T]) -> bool {
    entries.len() <= MAX_PREFIXES && entries.windows(2).all(|pair| pair[0] < pair[1])
}

/// The first entry that has host bits, is not larger than the one before, or is one too many.
fn first_improper<T: Ord>(entries: &[T], prefix: impl Fn(&T) -> IpNet) -> Option<usize> {
    let proper = |(at, entry): (usize, &T)| {
        let net = prefix(entry);
        let rising = at == 0 || entries[at - 1] < *entry;
        at < MAX_PREFIXES && rising && net == net.trunc()
    };
    entries.iter().enumerate().position(|entry| !proper(entry))
}

fn validate_setting(setting: &DetectionSetting, index: usize) -> Outcome {
    let detection = Detection::find(&setting.id);
    let Some(detection) = detection else {
        return ensure(false, "a detection is not in the catalogue", index);
    };
    ensure(setting.parameters.len() <= MAX_PARAMETERS, "too many parameters", index)?;
    let mut names = HashSet::new();
    for (name, value) in &setting.parameters {
        ensure(names.insert(name), "a parameter is set twice", index)?;
        let accepted = detection.parameter(name).is_some_and(|known| known.accepts(*value));
        ensure(accepted, "a parameter is unknown or out of range", index)?;
    }
    Ok(())
}
