//! Inventory and policy: read from their files, sent to the sensor, and kept by
//! hash, so that a finding made under an older policy is told with its inventory.

mod settings;
mod shown;

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_analytics::Cohort;
use weir_engine::Nanos;
use weir_engine::rules::EquipmentId;
use weir_policy::{
    Diagnostic, Equipment, Inventory, LawfulIntercept, MAX_FILE_BYTES, Paths, Policy,
    PolicyMessage, inventory_from_str, inventory_of, load_interception, policy_from_str,
};

use crate::refusal::Refusal;
use crate::site::ranges::Ranges;

/// An inventory and the policy that was checked against it.
#[derive(Debug)]
pub struct Rulebook {
    /// Counts up with each different policy of a state directory, from 1.
    pub version: u64,
    /// The hash of the policy message, which tells nothing of what is authorised.
    pub sha256: [u8; 32],
    /// By what the sensor names it: another hash as soon as anybody says what is authorised.
    pub fingerprint: [u8; 32],
    /// What is installed.
    pub inventory: Inventory,
    /// What it may do.
    pub policy: Policy,
    /// What may be intercepted, if a file says so. It is never stored.
    pub interception: Option<LawfulIntercept>,
    /// The texts of the two files, which are what is stored.
    pub texts: Texts,
    /// How the policy sets the detections that control makes.
    pub settings: weir_analytics::Settings,
    /// How many entries each vendor has, of those that name their build.
    vendors: HashMap<String, u32>,
    /// How many entries stand in inventory.toml; those behind them were imported.
    of_file: u32,
    /// The entry that holds an address.
    holders: Ranges<u32>,
    /// Addresses behind which subscribers are.
    subscribers: Ranges<()>,
}

/// How the texts are called in diagnostics.
struct Names<'a> {
    inventory: &'a str,
    imported: &'a str,
    policy: &'a str,
}

/// The texts of inventory.toml and policy.toml, and of what was imported.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Texts {
    /// inventory.toml.
    pub inventory: String,
    /// The equipment that was imported, whose entries stand behind those of inventory.toml.
    pub imported: String,
    /// policy.toml; empty if there is none.
    pub policy: String,
}

/// Where the files are.
#[derive(Clone, Debug)]
pub struct Files {
    /// inventory.toml.
    pub inventory: Option<PathBuf>,
    /// policy.toml.
    pub policy: Option<PathBuf>,
    /// li.toml.
    pub interception: Option<PathBuf>,
    /// What was imported, in the state directory; control writes it, and it may not be there.
    pub imported: PathBuf,
}

/// The file of a state directory that has what was imported.
pub fn imported(state_dir: &Path) -> PathBuf {
    state_dir.join("imported.toml")
}

impl Files {
    /// Reads and checks the files; none without an inventory. `warn` gets what
    /// is worth saying about files that can be used, or that are not there.
    ///
    /// # Errors
    /// Every mistake of the first file that has any.
    pub fn read(&self, warn: &mut impl FnMut(&Diagnostic)) -> Result<Option<Rulebook>, Refusal> {
        let Self { inventory, policy, interception, .. } = self.clone();
        let paths = Paths { inventory, policy, lawful_intercept: interception };
        paths.unpaired().iter().for_each(&mut *warn);
        let Some(inventory_path) = &self.inventory else {
            // A file that others may read is refused though nothing is judged by it.
            self.interception(None, warn)?;
            return Ok(None);
        };
        let texts = Texts {
            inventory: text(inventory_path)?,
            policy: self.policy.as_deref().map_or(Ok(String::new()), text)?,
            imported: match self.imported.exists() {
                true => text(&self.imported)?,
                false => String::new(),
            },
        };
        let rulebook = self.check(texts, warn).map_err(Refusal::files)?;
        Ok(Some(self.authorise(rulebook, warn)?))
    }

    /// Checks other texts than those of the files, under their names.
    ///
    /// # Errors
    /// Every mistake of the first text that has any.
    pub fn check(
        &self,
        texts: Texts,
        warn: &mut impl FnMut(&Diagnostic),
    ) -> Result<Rulebook, Vec<Diagnostic>> {
        let name = |path: &Option<PathBuf>, other: &str| {
            path.as_ref().map_or_else(|| other.to_owned(), |path| path.display().to_string())
        };
        let names = Names {
            inventory: &name(&self.inventory, "inventory.toml"),
            imported: &self.imported.display().to_string(),
            policy: &name(&self.policy, "policy.toml"),
        };
        Rulebook::check(&names, texts, warn)
    }

    /// With what is authorised, as its file says it now.
    ///
    /// # Errors
    /// Mistakes of that file.
    pub fn authorise(
        &self,
        rulebook: Rulebook,
        warn: &mut impl FnMut(&Diagnostic),
    ) -> Result<Rulebook, Refusal> {
        let interception = self.interception(Some(&rulebook.inventory), warn)?;
        Ok(rulebook.authorising(interception))
    }

    fn interception(
        &self,
        inventory: Option<&Inventory>,
        warn: &mut impl FnMut(&Diagnostic),
    ) -> Result<Option<LawfulIntercept>, Refusal> {
        let Some(path) = &self.interception else { return Ok(None) };
        let read = load_interception(path, inventory).map_err(Refusal::files)?;
        read.warnings.iter().for_each(warn);
        Ok(Some(read.value))
    }
}

fn text(path: &Path) -> Result<String, Refusal> {
    let refused = |what: String| {
        Refusal::new(&what, &path.display().to_string(), "name a readable file of UTF-8 text")
    };
    let bytes = fs::metadata(path).map_err(|error| refused(error.to_string()))?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(refused(format!("{bytes} bytes are more than {MAX_FILE_BYTES}")));
    }
    fs::read_to_string(path).map_err(|error| refused(error.to_string()))
}

impl Rulebook {
    fn check(
        names: &Names<'_>,
        texts: Texts,
        warn: &mut impl FnMut(&Diagnostic),
    ) -> Result<Self, Vec<Diagnostic>> {
        let from_file = inventory_from_str(names.inventory, &texts.inventory)?;
        let of_file = from_file.value.equipment().len() as u32;
        let inventory = match texts.imported.is_empty() {
            true => from_file,
            false => inventory_of(&[
                (names.inventory, &texts.inventory),
                (names.imported, &texts.imported),
            ])?,
        };
        inventory.warnings.iter().for_each(&mut *warn);
        let inventory = inventory.value;
        let policy = policy_from_str(names.policy, &texts.policy, &inventory)?;
        policy.warnings.iter().for_each(warn);
        let policy = policy.value;
        let sha256 = PolicyMessage::compile(&inventory, &policy, 0).sha256;
        let interception = None;
        let fingerprint = sha256;
        let mut vendors = HashMap::new();
        for entry in inventory.equipment().iter().filter(|entry| names_build(entry)) {
            *vendors.entry(entry.vendor.clone()).or_default() += 1;
        }
        let (version, settings) = (0, settings::settings(&policy));
        let entries = (0..).zip(inventory.equipment());
        let holders = entries
            .flat_map(|(number, entry)| entry.addresses.iter().map(move |net| (*net, number)));
        let holders = Ranges::of(holders);
        let hidden = policy.nat.iter().flat_map(|nat| &nat.addresses);
        let subscribers = policy.ue_pools.iter().map(|pool| &pool.cidr).chain(hidden);
        let subscribers = Ranges::of(subscribers.map(|net| (*net, ())));
        Ok(Self {
            version,
            sha256,
            fingerprint,
            inventory,
            policy,
            interception,
            texts,
            settings,
            vendors,
            of_file,
            holders,
            subscribers,
        })
    }

    fn authorising(self, interception: Option<LawfulIntercept>) -> Self {
        let rulebook = Self { interception, ..self };
        Self { fingerprint: rulebook.compiled().fingerprint(), ..rulebook }
    }

    fn compiled(&self) -> PolicyMessage {
        let message = PolicyMessage::compile(&self.inventory, &self.policy, self.version);
        match &self.interception {
            Some(interception) => message.authorising(interception),
            None => message,
        }
    }

    /// From stored texts, which were checked when they were stored; none if
    /// this version finds fault with them.
    pub fn restore(version: u64, texts: Texts) -> Option<Self> {
        let names =
            Names { inventory: "inventory.toml", imported: "imported.toml", policy: "policy.toml" };
        let rulebook = Self::check(&names, texts, &mut |_| {}).ok()?;
        Some(Self { version, ..rulebook })
    }

    /// The message that the sensor is sent.
    ///
    /// # Errors
    /// If the policy is larger than the sensor accepts.
    pub fn message(&self) -> Result<Vec<u8>, Refusal> {
        self.compiled().encode().map_err(|error| {
            Refusal::new(&error.to_string(), "policy.toml", "select by role or by network")
        })
    }

    /// The id of the entry that holds an address: of several the one with the longest prefix.
    pub fn holder(&self, address: IpAddr) -> Option<&str> {
        let number = weir_policy::EquipmentId(self.holders.find(address)?);
        self.inventory.entry(number).map(|entry| entry.id.as_str())
    }

    /// Whether the policy says that an address is a subscriber's, or hides some.
    pub fn is_subscribers(&self, address: IpAddr) -> bool {
        self.subscribers.find(address).is_some()
    }

    /// The inventory entry with the sensor's number.
    pub fn entry(&self, number: EquipmentId) -> Option<&Equipment> {
        self.inventory.entry(weir_policy::EquipmentId(number.0))
    }

    /// Whether an entry was imported, and does not stand in inventory.toml.
    pub fn is_imported(&self, number: EquipmentId) -> bool {
        number.0 >= self.of_file
    }

    /// The equals of an entry that names vendor and build, and whom to hold against them.
    pub fn cohort(&self, number: EquipmentId) -> Option<Cohort> {
        let entry = self.entry(number).filter(|entry| names_build(entry))?;
        let of_vendor = self.vendors.get(&entry.vendor).copied().unwrap_or(0);
        let all = self.vendors.values().sum();
        let names = [&entry.vendor, &entry.model, &entry.build].map(String::as_str);
        Some(Cohort::of(names, [self.same_build(number), of_vendor, all]))
    }

    /// Whether the policy declares work on an entry at that time.
    pub fn is_in_change_window(&self, number: EquipmentId, at: Nanos) -> bool {
        let number = weir_policy::EquipmentId(number.0);
        let Some(entry) = self.inventory.entry(number) else { return false };
        self.policy.change_windows.iter().any(|window| {
            let (set, cidr) = (window.equipment.set, window.equipment.cidr);
            let is_member = |set| self.policy.members(set).binary_search(&number).is_ok();
            (window.start..window.end).contains(&at.0)
                && set.is_none_or(is_member)
                && cidr.is_none_or(|cidr| entry.addresses.iter().any(|net| cidr.contains(net)))
        })
    }

    /// How many entries of the same vendor, model and build are installed.
    pub fn same_build(&self, number: EquipmentId) -> u32 {
        let number = weir_policy::EquipmentId(number.0);
        self.inventory.entry(number).map_or(0, |_| self.inventory.same_build(number))
    }
}

/// Whether an entry says whose build it is.
fn names_build(entry: &Equipment) -> bool {
    !entry.vendor.is_empty() && !entry.build.is_empty()
}

pub use shown::shown;

/// A rulebook that several alerts share.
pub type Shared = Arc<Rulebook>;

/// A hash as text.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVENTORY: &str = "[[equipment]]\nid = \"gnb-1\"\nvendor = \"A\"\nmodel = \"M\"\n\
        build = \"1\"\nroles = [\"gnb\"]\naddresses = [\"10.0.0.1\"]\n";

    fn files(inventory: &Path) -> Files {
        Files {
            inventory: Some(inventory.into()),
            policy: None,
            interception: None,
            imported: inventory.with_file_name("imported.toml"),
        }
    }

    #[test]
    fn what_was_imported_stands_behind_the_file_and_is_told_from_it() {
        let directory = tempfile::tempdir().unwrap();
        let inventory = directory.path().join("inventory.toml");
        fs::write(&inventory, INVENTORY).unwrap();
        let files = files(&inventory);
        let alone = files.read(&mut |_| {}).unwrap().unwrap();
        let more = INVENTORY.replace("gnb-1", "gnb-2").replace("10.0.0.1", "10.0.0.2");
        fs::write(&files.imported, &more).unwrap();
        let both = files.read(&mut |_| {}).unwrap().unwrap();
        assert_ne!(both.sha256, alone.sha256);
        assert_eq!(both.entry(EquipmentId(1)).unwrap().id, "gnb-2");
        assert_eq!([0, 1].map(|number| both.is_imported(EquipmentId(number))), [false, true]);
        assert_eq!(Rulebook::restore(1, both.texts.clone()).unwrap().sha256, both.sha256);
        fs::write(&files.imported, INVENTORY).unwrap();
        let clash = files.read(&mut |_| {}).unwrap_err().to_string();
        let told = format!("`gnb-1` is already on line 2 of {}", inventory.display());
        assert!(clash.contains(&told) && clash.contains("imported.toml:2:6"), "{clash}");
    }

    #[test]
    fn stored_texts_give_the_same_rulebook() {
        let directory = tempfile::tempdir().unwrap();
        let inventory = directory.path().join("inventory.toml");
        fs::write(&inventory, INVENTORY).unwrap();
        let files = files(&inventory);
        let read = files.read(&mut |_| {}).unwrap().unwrap();
        let restored = Rulebook::restore(7, read.texts.clone()).unwrap();
        assert_eq!(restored.sha256, read.sha256);
        assert_eq!(restored.version, 7);
        assert_eq!(restored.entry(EquipmentId(0)).unwrap().id, "gnb-1");
        assert_eq!(restored.same_build(EquipmentId(9)), 0);
    }

    #[test]
    fn what_is_hidden_makes_another_policy_and_what_is_missing_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let inventory = directory.path().join("inventory.toml");
        let policy = directory.path().join("policy.toml");
        fs::write(&inventory, INVENTORY).unwrap();
        let read = |files: &Files| {
            let mut warnings = Vec::new();
            let read = files.read(&mut |warning| warnings.push(warning.message.clone()));
            (read.unwrap().map(|rulebook| rulebook.sha256), warnings)
        };
        let both = Files { policy: Some(policy.clone()), ..files(&inventory) };
        fs::write(&policy, "").unwrap();
        let (plain, warnings) = read(&both);
        assert_eq!(warnings, [""; 0]);
        let suppress = "[[suppress]]\ndetection = \"GTP-NEST\"\nequipment = \"gnb-1\"\n\
                        until = 2500-01-01\n";
        fs::write(&policy, suppress).unwrap();
        assert_ne!(read(&both).0, plain);
        let alone = Files { policy: None, ..both.clone() };
        assert_eq!(
            read(&alone),
            (
                plain,
                vec!["an inventory without a policy: no flow of its equipment is allowed".into()]
            )
        );
        let unfounded = Files { inventory: None, ..both };
        let (none, warnings) = read(&unfounded);
        assert!(none.is_none() && warnings[0].contains("nothing can be judged"), "{warnings:?}");
    }

    #[test]
    fn what_is_authorised_makes_another_message_and_no_other_policy() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("inventory.toml"), INVENTORY).unwrap();
        fs::write(path("li.toml"), "[[authorised]]\nto = \"10.9.9.9\"\nsessions = 2\n").unwrap();
        let mode = |mode| fs::set_permissions(path("li.toml"), PermissionsExt::from_mode(mode));
        mode(0o600).unwrap();
        let plain = files(&path("inventory.toml"));
        let files = Files { interception: Some(path("li.toml")), ..plain.clone() };
        let read = |files: &Files| files.read(&mut |_| {}).unwrap().unwrap();
        let (plain, authorising) = (read(&plain), read(&files));
        assert_eq!(plain.sha256, authorising.sha256);
        assert_eq!(plain.fingerprint, plain.sha256);
        assert_ne!(authorising.fingerprint, plain.sha256);
        assert_ne!(plain.message().unwrap(), authorising.message().unwrap());
        let message = PolicyMessage::decode(&authorising.message().unwrap()).unwrap();
        let authorised = message.authorised.as_deref().unwrap();
        assert_eq!((authorised.len(), authorised[0].sessions), (1, 2));
        assert_eq!(message.fingerprint(), authorising.fingerprint);
        // That nothing is authorised is something else than that nobody says what is.
        fs::write(path("li.toml"), "").unwrap();
        let nothing = read(&files);
        assert_eq!(nothing.sha256, plain.sha256);
        assert!(![plain.fingerprint, authorising.fingerprint].contains(&nothing.fingerprint));
        let message = PolicyMessage::decode(&nothing.message().unwrap()).unwrap();
        assert_eq!(message.authorised, Some(Vec::new()));
        mode(0o644).unwrap();
        for inventory in [files.inventory.clone(), None] {
            let files = Files { inventory, ..files.clone() };
            let refused = files.read(&mut |_| {}).unwrap_err().to_string();
            assert!(refused.contains("mode 0644") && refused.contains("chmod 600"), "{refused}");
            assert!(!refused.contains("10.9.9.9"), "{refused}");
        }
    }

    #[test]
    fn the_longest_prefix_holds_an_address() {
        let texts = Texts {
            inventory: INVENTORY.replace("[\"10.0.0.1\"]", "[\"10.0.0.0/24\"]")
                + &INVENTORY.replace("gnb-1", "gnb-2"),
            ..Texts::default()
        };
        let rulebook = Rulebook::restore(1, texts).unwrap();
        let holder = |address: [u8; 4]| rulebook.holder(address.into());
        assert_eq!(holder([10, 0, 0, 1]), Some("gnb-2"));
        assert_eq!((holder([10, 0, 0, 2]), holder([10, 0, 1, 2])), (Some("gnb-1"), None));
    }

    #[test]
    fn mistakes_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let inventory = directory.path().join("inventory.toml");
        fs::write(&inventory, "[[equipment]]\nid = 5\n").unwrap();
        let files = files(&inventory);
        let refused = files.read(&mut |_| {}).unwrap_err().to_string();
        assert!(refused.contains("inventory.toml:2:"), "{refused}");
        let absent = Files { inventory: Some(directory.path().join("none")), ..files };
        assert!(absent.read(&mut |_| {}).unwrap_err().to_string().contains("none; name"));
    }
}
