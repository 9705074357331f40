//! From control's message to the engine's rules, and the last good one on disk.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use weir_engine::Nanos;
use weir_engine::contract::session::Slice;
use weir_engine::detect::CATALOGUE;
use weir_engine::lpm::Prefix;
use weir_engine::rules::{
    Allow, Authorised, End, Equipment, EquipmentId, Link, Quirk, Roles, RuleSet, Rules, RulesError,
    Service, Settings,
};
use weir_policy::{MessageError, Order, PolicyMessage, QuirkRule};
use weir_wire::Address;

/// The rules in force: written by the courier, read by everybody who judges.
#[derive(Debug, Default)]
pub(crate) struct PolicySlot {
    rules: Mutex<Option<Arc<Rules>>>,
    /// Counts changes, so that a burst asks for one word only.
    epoch: AtomicU64,
}

impl PolicySlot {
    pub(crate) fn put(&self, rules: Arc<Rules>) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = Some(rules);
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// The rules, if they have changed since the epoch `seen`, which is moved on.
    #[inline]
    pub(crate) fn changed(&self, seen: &mut u64) -> Option<Arc<Rules>> {
        let epoch = self.epoch.load(Ordering::Acquire);
        if epoch == *seen {
            return None;
        }
        *seen = epoch;
        self.current()
    }

    pub(crate) fn current(&self) -> Option<Arc<Rules>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Why a policy is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Rules(#[from] RulesError),
}

/// Validates the bytes of a message and compiles them.
pub(crate) fn compile(bytes: &[u8]) -> Result<Rules, PolicyError> {
    let message = PolicyMessage::decode(bytes)?;
    Ok(Rules::compile(rule_set(&message))?)
}

fn rule_set(message: &PolicyMessage) -> RuleSet {
    let prefixes = |nets: &[IpNet]| nets.iter().map(prefix).collect();
    RuleSet {
        version: message.version,
        // Rules that differ in what is authorised alone are other rules, too.
        sha256: message.fingerprint(),
        equipment: message
            .equipment
            .iter()
            .map(|rule| Equipment {
                roles: Roles(rule.roles.bits()),
                prefixes: prefixes(&rule.prefixes),
                macs: rule.macs.clone(),
            })
            .collect(),
        ue_pools: prefixes(&message.ue_pools),
        instance_pools: message
            .instance_pools
            .iter()
            .map(|pool| (prefix(&pool.prefix), pool.network_instance.clone()))
            .collect(),
        dnns: message.dnns.clone(),
        slices: message.slices.as_ref().map(|slices| {
            slices.iter().map(|slice| Slice { sst: slice.sst, sd: slice.sd }).collect()
        }),
        smf_sets: message.smf_sets.iter().map(|set| numbers(set)).collect(),
        authorised: message.authorised.as_ref().map(|orders| {
            let authorised = |order: &Order| Authorised {
                upf: order.upf.map(|upf| EquipmentId(upf.0)),
                to: order.to.into(),
                sessions: order.sessions,
            };
            orders.iter().map(authorised).collect()
        }),
        import_grace: Nanos::from_secs(message.import_grace_seconds),
        mec: prefixes(&message.mec),
        infrastructure: prefixes(&message.infrastructure),
        roaming: prefixes(&message.roaming),
        nat: message.nat.iter().map(|(on, net)| (link(*on), prefix(net))).collect(),
        link_defaults: message
            .link_defaults
            .iter()
            .map(|(net, on)| (prefix(net), link(*on)))
            .collect(),
        esp_only: message.esp_only.iter().map(|(from, to)| (prefix(from), prefix(to))).collect(),
        allow: message
            .allow
            .iter()
            .map(|rule| Allow {
                from: end(&rule.from, message),
                to: end(&rule.to, message),
                services: rule
                    .services
                    .iter()
                    .map(|service| Service {
                        protocol: service.protocol,
                        ports: service.ports,
                        either_way: service.either_way,
                    })
                    .collect(),
                not_after: rule.not_after.map(Nanos),
                is_periodic: rule.periodic,
            })
            .collect(),
        quirks: message.quirks.iter().filter_map(|rule| quirk(rule, message)).collect(),
        settings: settings(message),
    }
}

/// None for a detection that this sensor does not have.
fn quirk(rule: &QuirkRule, message: &PolicyMessage) -> Option<Quirk> {
    let detection = CATALOGUE.iter().position(|known| known.id == rule.detection)?;
    Some(Quirk {
        detection: detection as u16,
        equipment: members(rule.set, message),
        value: rule.value.clone(),
    })
}

/// A set's members by ascending number, as validation demands.
fn members(set: u32, message: &PolicyMessage) -> Vec<EquipmentId> {
    let members = message.sets.get(set as usize).map_or(&[][..], Vec::as_slice);
    numbers(members)
}

fn numbers(ids: &[weir_policy::EquipmentId]) -> Vec<EquipmentId> {
    ids.iter().map(|id| EquipmentId(id.0)).collect()
}

fn prefix(net: &IpNet) -> Prefix {
    let address = Address::from(net.network());
    // A validated prefix is never longer than its family's addresses.
    Prefix::new(address, net.prefix_len()).unwrap_or_else(|| Prefix::host(address))
}

fn link(link: weir_policy::Link) -> Link {
    Link::from_code(link.code()).unwrap_or_default()
}

fn end(end: &weir_policy::End, message: &PolicyMessage) -> End {
    End {
        equipment: end.set.map(|set| members(set, message)),
        prefix: end.cidr.as_ref().map(prefix),
    }
}

fn settings(message: &PolicyMessage) -> Settings {
    let subscriber_payload = message.subscriber_payload;
    let mut settings = Settings { subscriber_payload, ..Settings::default() };
    for (enabled, detection) in settings.enabled.iter_mut().zip(&CATALOGUE) {
        *enabled = message.enabled(detection.id);
    }
    // A name that the catalogue of policies does not know leaves the engine's default; a test
    // compares the two catalogues.
    let count = |target: &mut u64, detection, name| {
        if let Some(number) = message.parameter(detection, name) {
            *target = number as u64;
        }
    };
    let number = |target: &mut f64, detection, name| {
        if let Some(number) = message.parameter(detection, name) {
            *target = number;
        }
    };
    let seconds = |target: &mut Nanos, detection, name| {
        if let Some(seconds) = message.parameter(detection, name) {
            *target = Nanos((seconds * 1e9) as u64);
        }
    };
    let s = &mut settings;
    count(&mut s.unknown_min_packets, "INV-UNKNOWN", "min_packets");
    seconds(&mut s.unknown_window, "INV-UNKNOWN", "window_seconds");
    count(&mut s.echo_responses, "GTP-HDRCOV", "echo_responses");
    seconds(&mut s.echo_window, "GTP-HDRCOV", "echo_window_seconds");

    count(&mut s.orphan_min_packets, "GTP-ORPHAN", "min_packets");
    seconds(&mut s.orphan_grace, "GTP-ORPHAN", "grace_seconds");
    seconds(&mut s.orphan_start_grace, "GTP-ORPHAN", "start_grace_seconds");
    count(&mut s.scan_min_teids, "GTP-TEIDSCAN", "min_teids");
    count(&mut s.scan_min_errors, "GTP-TEIDSCAN", "min_error_indications");
    seconds(&mut s.scan_window, "GTP-TEIDSCAN", "window_seconds");
    seconds(&mut s.scan_start_grace, "GTP-TEIDSCAN", "start_grace_seconds");
    // A tunnel waits for N4 once, whoever judges it then: the longer wait holds for both.
    let mut scan_grace = Nanos(0);
    seconds(&mut scan_grace, "GTP-TEIDSCAN", "grace_seconds");
    s.orphan_grace = s.orphan_grace.max(scan_grace);
    count(&mut s.clone_min_equipment, "GTP-TEIDCLONE", "min_equipment");
    seconds(&mut s.clone_window, "GTP-TEIDCLONE", "window_seconds");
    count(&mut s.spoof_min_packets, "GTP-UESPOOF", "min_packets");
    number(&mut s.spoof_cohort_factor, "GTP-UESPOOF", "cohort_factor");

    seconds(&mut s.peer_interleave, "PFCP-PEER", "interleave_seconds");
    seconds(&mut s.redir_uplink, "PFCP-REDIR", "uplink_seconds");
    number(&mut s.flood_factor, "PFCP-FLOOD", "median_factor");
    number(&mut s.flood_requests, "PFCP-FLOOD", "min_requests_per_second");
    number(&mut s.flood_heartbeats, "PFCP-FLOOD", "min_heartbeats_per_second");
    seconds(&mut s.flood_sustained, "PFCP-FLOOD", "sustained_seconds");
    number(&mut s.flood_failed_share, "PFCP-FLOOD", "min_failed_share");
    count(&mut s.flood_establishments, "PFCP-FLOOD", "min_establishments");
    number(&mut s.ghost_user_id_share, "PFCP-GHOST", "user_id_share");
    if let Some(minutes) = message.parameter("PFCP-GHOST", "one_way_minutes") {
        s.ghost_one_way = Nanos((minutes * 60e9) as u64);
    }

    number(&mut s.balance_max_ratio, "CNS-BALANCE", "max_ratio");
    number(&mut s.balance_sigmas, "CNS-BALANCE", "sigmas");
    count(&mut s.balance_windows, "CNS-BALANCE", "windows");
    seconds(&mut s.balance_window, "CNS-BALANCE", "window_seconds");
    // A shorter one would be none: it divides time.
    s.balance_window = s.balance_window.max(Nanos::SECOND);
    number(&mut s.balance_max_mebibytes, "CNS-BALANCE", "max_mebibytes_per_minute");
    count(&mut s.dup_min_digests, "CNS-DUP", "min_digests");
    seconds(&mut s.dup_window, "CNS-DUP", "window_seconds");
    count(&mut s.icmp_min_packets, "COV-ICMP", "min_packets");
    count(&mut s.icmp_min_bytes, "COV-ICMP", "min_bytes");
    if let Some(rate) = message.parameter("COV-TIME", "max_packets_per_second") {
        s.ntp_pause = Nanos((1e9 / rate) as u64);
    }

    number(&mut s.crypto_entropy, "EGR-CRYPTO", "min_entropy_bits");
    if let Some(octets) = message.parameter("EGR-CRYPTO", "entropy_bytes") {
        s.crypto_octets = octets as usize;
    }

    number(&mut s.blind_coverage, "OPS-BLIND", "n4_coverage");
    count(&mut s.blind_transactions, "OPS-BLIND", "min_n4_transactions");
    number(&mut s.blind_loss_ratio, "OPS-BLIND", "loss_ratio");
    seconds(&mut s.blind_loss_window, "OPS-BLIND", "loss_window_seconds");
    seconds(&mut s.blind_silent, "OPS-BLIND", "silent_seconds");
    seconds(&mut s.blind_control_away, "OPS-BLIND", "control_away_seconds");
    settings
}

/// The last good policy in the sensor's own directory.
#[derive(Clone, Debug)]
pub(crate) struct LastGood {
    path: PathBuf,
}

impl LastGood {
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self { path: directory.join("policy.last") }
    }

    /// Keeps a policy, whole or not at all.
    pub(crate) fn keep(&self, bytes: &[u8]) -> std::io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)
    }

    /// The policy that was kept, compiled; none if there is none.
    pub(crate) fn load(&self) -> anyhow::Result<Option<Rules>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Some(compile(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::detect::OF_CONTROL;

    use weir_policy::{inventory_from_str, policy_from_str};

    const INVENTORY: &str = r#"
[[equipment]]
id = "upf-1"
vendor = "A"
model = "M"
build = "1"
roles = ["upf"]
addresses = ["10.0.1.1"]
[[equipment]]
id = "gnb-1"
vendor = "A"
model = "M"
build = "1"
roles = ["gnb"]
addresses = ["10.0.0.1", "2001:db8:1::/64"]
"#;

    const POLICY: &str = r#"
ue_pools = ["10.60.0.0/16"]
infrastructure = ["10.0.0.0/16"]
esp_only = [{ from = "10.0.0.0/24", to = "10.0.1.0/24" }]
link_defaults = { "10.0.0.0/24" = "n3" }
[[allow]]
from = { role = "gnb" }
to = { role = "upf" }
services = ["gtpu"]
[detections.INV-UNKNOWN]
min_packets = 7
[detections.GTP-PEER]
enabled = false
[detections.GTP-HDRCOV]
echo_responses = 5
echo_window_seconds = 30
"#;

    fn encoded(policy: &str) -> Vec<u8> {
        let inventory = inventory_from_str("inventory.toml", INVENTORY).unwrap().value;
        let policy = policy_from_str("policy.toml", policy, &inventory).unwrap().value;
        PolicyMessage::compile(&inventory, &policy, 4).encode().unwrap()
    }

    fn address(text: &str) -> Address {
        text.parse::<std::net::IpAddr>().unwrap().into()
    }

    #[test]
    fn what_the_files_say_is_what_the_engine_knows() {
        use weir_engine::rules::Party;
        let rules = compile(&encoded(POLICY)).unwrap();
        let party = |text| Party::unpack(rules.party(address(text)));
        let (gnb, upf) = (Party::Equipment(EquipmentId(1)), Party::Equipment(EquipmentId(0)));
        assert_eq!(party("2001:db8:1::77"), gnb);
        assert_eq!(party("10.0.1.1"), upf);
        assert_eq!(party("10.60.9.9"), Party::Subscriber);
        assert_eq!(rules.link_default(address("10.0.0.200")), Some(Link::N3));
        assert!(rules.equipment(EquipmentId(1)).unwrap().roles.any(Roles::RADIO));
        let ends = ((upf, address("10.0.1.1")), (gnb, address("10.0.0.1")));
        assert!(rules.allows(ends.0, ends.1, 17, Some(2152), Nanos(1)));
        assert!(!rules.allows(ends.0, ends.1, 6, Some(2152), Nanos(1)));
        assert_eq!(rules.settings().unknown_min_packets, 7);
        for (position, enabled) in rules.settings().enabled.iter().enumerate() {
            assert_eq!(*enabled, CATALOGUE[position].id != "GTP-PEER");
        }
        assert_eq!(rules.settings().echo_responses, 5);
        assert_eq!(rules.settings().echo_window, Nanos::from_secs(30));
        assert!(rules.closes_infrastructure(|| Some(address("10.0.1.1"))));
        assert!(!rules.closes_infrastructure(|| Some(address("10.60.1.1"))));
        assert!(rules.is_esp_only(address("10.0.1.1"), address("10.0.0.1")));
        assert!(!rules.is_esp_only(address("10.0.1.1"), address("10.0.2.1")));
        assert_eq!(rules.version(), 4);
    }

    #[test]
    fn what_is_said_of_sessions_is_what_the_engine_knows() {
        let text = r#"
ue_pools = ["10.60.0.0/16", { cidr = "10.61.0.0/16", network_instance = "iot" }]
infrastructure = ["10.0.0.0/8"]
dnns = ["internet"]
slices = ["1-010203", "2"]
import_grace_seconds = 60
[[smf_set]]
members = ["upf-1", "gnb-1"]
"#;
        let rules = compile(&encoded(text)).unwrap();
        assert!(rules.is_in_pool(address("10.60.0.1"), None));
        assert!(!rules.is_in_pool(address("10.61.0.1"), Some("internet")));
        assert!(rules.is_in_pool(address("10.61.0.1"), Some("iot")));
        assert!(rules.is_dnn("internet") && !rules.is_dnn("ims"));
        let slice = |sst, sd| Slice { sst, sd };
        assert!(rules.is_slice(slice(1, Some([1, 2, 3]))) && rules.is_slice(slice(2, None)));
        assert!(!rules.is_slice(slice(1, None)));
        assert!(rules.share_sessions(EquipmentId(0), EquipmentId(1)));
        assert!(rules.is_own(address("10.60.0.1")) && !rules.is_own(address("192.0.2.1")));
        assert_eq!(rules.import_grace(), Nanos::from_secs(60));
        let silent = compile(&encoded("")).unwrap();
        assert!(silent.is_dnn("ims") && silent.is_slice(slice(1, None)));
        assert!(!silent.share_sessions(EquipmentId(0), EquipmentId(1)));
        assert_eq!(silent.import_grace(), Nanos::from_secs(3600));
    }

    #[test]
    fn what_is_authorised_is_known_and_makes_other_rules() {
        let inventory = inventory_from_str("inventory.toml", INVENTORY).unwrap().value;
        let policy = policy_from_str("policy.toml", "", &inventory).unwrap().value;
        let with = |sessions: u32| {
            let text = format!(
                "[[authorised]]\nupf = \"upf-1\"\nto = \"10.9.9.9\"\nsessions = {sessions}\n"
            );
            let read = weir_policy::interception_from_str("li.toml", &text, Some(&inventory));
            let message = PolicyMessage::compile(&inventory, &policy, 4);
            compile(&message.authorising(&read.unwrap().value).encode().unwrap()).unwrap()
        };
        let (two, three) = (with(2), with(3));
        assert_eq!(two.authorised_copies(Some(EquipmentId(0)), address("10.9.9.9")), 2);
        assert_eq!(three.authorised_copies(Some(EquipmentId(0)), address("10.9.9.9")), 3);
        assert_eq!(two.authorised_copies(Some(EquipmentId(1)), address("10.9.9.9")), 0);
        assert_eq!(two.authorised_copies(Some(EquipmentId(0)), address("10.9.9.8")), 0);
        // Of all UPFs together as many, and of who is not named none; nobody says so where no file does.
        assert_eq!(two.authorised_anywhere(address("10.9.9.9")), 2);
        assert_eq!(two.authorised_anywhere(address("10.9.9.8")), 0);
        assert!(
            two.declares_interception() && !compile(&encoded("")).unwrap().declares_interception()
        );
        // Rules of the same hash are not taken again.
        assert_ne!(two.sha256(), three.sha256());
    }

    #[test]
    fn every_parameter_of_a_detection_of_the_engine_arrives() {
        let settings = |text: &str| format!("{:?}", compile(&encoded(text)).unwrap().settings());
        let default = settings("");
        assert_ne!(settings("subscriber_payload = true\n"), default);
        for (position, detection) in (0..).zip(&CATALOGUE) {
            let known = weir_policy::Detection::find(detection.id).unwrap();
            for parameter in known.parameters {
                let (id, name) = (detection.id, parameter.name);
                // Half a year, a ratio of 1, or a count that no default is.
                let other = if parameter.most <= 1.0 { 1.0 } else { 15_552_001.0_f64 };
                let other = other.min(parameter.most);
                let set = settings(&format!("[detections.{id}]\n{name} = {other}\n"));
                let of_sensor = ["min_entropy_bits", "entropy_bytes"].contains(&name);
                let elsewhere = OF_CONTROL.contains(&position) && !of_sensor;
                assert_eq!(set != default, !elsewhere, "{id} {name}");
            }
        }
        let both = |orphan: u64, scan: u64| {
            let text = format!(
                "[detections.GTP-ORPHAN]\ngrace_seconds = {orphan}\n\
                 [detections.GTP-TEIDSCAN]\ngrace_seconds = {scan}\n"
            );
            compile(&encoded(&text)).unwrap().settings().orphan_grace
        };
        assert_eq!((both(5, 3), both(1, 3)), (Nanos::from_secs(5), Nanos::from_secs(3)));
    }

    #[test]
    fn both_rooms_know_the_same_detections_parameters_and_wrappers() {
        for detection in &CATALOGUE {
            let known = weir_policy::Detection::find(detection.id).unwrap();
            assert_eq!(known.is_restricted(), detection.restricted, "{}", detection.id);
            let text = format!("[detections.{}]\nenabled = false\n", detection.id);
            let rules = compile(&encoded(&text)).unwrap();
            for (enabled, other) in rules.settings().enabled.iter().zip(&CATALOGUE) {
                assert_eq!(*enabled, other.id != detection.id, "{} {}", detection.id, other.id);
            }
        }
        let unset = compile(&encoded("")).unwrap();
        let (set, default) = (unset.settings(), Settings::default());
        assert_eq!(format!("{set:?}"), format!("{default:?}"));
        use weir_engine::decode::Wrapper;
        let names: Vec<_> = weir_policy::Wrapper::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(names, Wrapper::ALL.map(Wrapper::name));
    }

    #[test]
    fn every_oddity_that_gtp_hdrcov_prints_can_be_declared() {
        use weir_engine::contract::verdict::Hidden;
        use weir_engine::detect::{GTP_HDRCOV, GTP_NEST};
        let kinds = [0, 9, 0x40, 0xff].map(Hidden::Extension);
        let others = [
            Hidden::SpareBit,
            Hidden::Trailing,
            Hidden::PrivateExtension,
            Hidden::Padding,
            Hidden::EchoRate,
        ];
        let (upf, gnb) = (EquipmentId(0), EquipmentId(1));
        for hidden in kinds.into_iter().chain(others) {
            let rules = compile(&encoded(&format!(
                "[[quirk]]\ndetection = \"GTP-HDRCOV\"\nequipment = {{ role = \"gnb\" }}\n\
                 value = \"{hidden}\"\n"
            )))
            .unwrap();
            assert!(rules.is_quirk(GTP_HDRCOV, gnb, &hidden.to_string()), "{hidden}");
            assert!(!rules.is_quirk(GTP_HDRCOV, upf, &hidden.to_string()), "{hidden}");
            assert!(!rules.is_quirk(GTP_NEST, gnb, &hidden.to_string()), "{hidden}");
            assert!(!rules.is_quirk(GTP_HDRCOV, gnb, "ext 0x41"), "{hidden}");
        }
    }

    #[test]
    fn links_and_roles_have_one_code_in_both_rooms() {
        for link in weir_policy::Link::ALL {
            assert_eq!(Link::from_code(link.code()).unwrap().name(), link.name());
        }
        let bit = |role: weir_policy::Role| Roles(1 << role.code());
        use weir_policy::Role;
        assert_eq!(bit(Role::Upf), Roles::UPF);
        assert_eq!(bit(Role::Smf), Roles::SMF);
        assert_eq!(bit(Role::Mediation), Roles::MEDIATION);
        for radio in [Role::Gnb, Role::Cu, Role::Du] {
            assert!(Roles::RADIO.any(bit(radio)));
        }
        for oam in [Role::Oam, Role::Dns, Role::Ntp, Role::Syslog, Role::Mediation] {
            assert!(Roles::OAM.any(bit(oam)));
        }
        assert!(!Roles::OAM.any(bit(Role::Router)) && !Roles::OAM.any(bit(Role::Other)));
    }

    #[test]
    fn the_last_good_policy_survives_and_damage_is_refused() {
        let directory = std::env::temp_dir().join(format!("weir-last-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let last = LastGood::in_directory(&directory);
        assert!(last.load().unwrap().is_none());
        let mut bytes = encoded(POLICY);
        last.keep(&bytes).unwrap();
        assert_eq!(last.load().unwrap().unwrap().version(), 4);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        last.keep(&bytes).unwrap();
        assert!(last.load().is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
