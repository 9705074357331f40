//! The message to the sensor: it survives the way, and nothing that a hostile control sends gets
//! past.

use std::time::{Duration, Instant};

use weir_policy::{
    AllowRule, End, EquipmentId, EquipmentRule, FORMAT, InstancePool, Inventory, Link, MAGIC,
    MAX_BYTES, MessageError, Order, Policy, PolicyDiff, PolicyMessage, QuirkRule, RoleSet,
    ServiceMatch, Slice, interception_from_str, inventory_from_str, policy_from_str,
};

const INVENTORY: &str = include_str!("../examples/inventory.toml");
const POLICY: &str = include_str!("../examples/policy.toml");

fn checked(inventory: &str, policy: &str) -> (Inventory, Policy) {
    let inventory = inventory_from_str("inventory.toml", inventory).unwrap().value;
    let policy = policy_from_str("policy.toml", policy, &inventory).unwrap().value;
    (inventory, policy)
}

fn compiled(inventory: &str, policy: &str) -> PolicyMessage {
    let (inventory, policy) = checked(inventory, policy);
    PolicyMessage::compile(&inventory, &policy, 7)
}

/// The message with these interceptions authorised.
fn authorising(message: PolicyMessage, interception: &str) -> PolicyMessage {
    let (inventory, _) = checked(INVENTORY, POLICY);
    let read = interception_from_str("li.toml", interception, Some(&inventory)).unwrap();
    message.authorising(&read.value)
}

fn orders(message: &mut PolicyMessage) -> &mut Vec<Order> {
    message.authorised.as_mut().unwrap()
}

const INTERCEPTION: &str = "[[authorised]]\nupf = \"upf-1\"\nto = \"10.9.9.9\"\nsessions = 2\n\
                            [[authorised]]\nto = \"10.9.9.8\"\nsessions = 1\n";

fn example() -> PolicyMessage {
    authorising(compiled(INVENTORY, POLICY), INTERCEPTION)
}

#[test]
fn a_compiled_policy_is_valid_and_survives_the_way() {
    let message = example();
    message.validate().unwrap();
    let decoded = PolicyMessage::decode(&message.encode().unwrap()).unwrap();
    assert_eq!(decoded, message);
    assert_eq!(decoded.version, 7);
    assert_eq!(decoded.equipment.len(), 5);
    assert_eq!(decoded.equipment[2].cohort, decoded.equipment[3].cohort, "both SMFs are one build");
    assert_eq!(decoded.ue_pools, ["10.60.0.0/16".parse().unwrap()]);
    let iot =
        InstancePool { prefix: "10.60.0.0/16".parse().unwrap(), network_instance: "iot".into() };
    assert_eq!(decoded.instance_pools, [iot]);
    assert_eq!(decoded.dnns.as_deref().unwrap(), ["ims", "internet"]);
    assert_eq!(decoded.slices.as_deref().unwrap(), [Slice { sst: 1, sd: Some([1, 2, 3]) }]);
    assert_eq!(decoded.smf_sets, [[EquipmentId(2), EquipmentId(3)]]);
    assert_eq!(decoded.import_grace_seconds, 3600);
    let upf = decoded.equipment.iter().position(|rule| rule.roles.contains(weir_policy::Role::Upf));
    let order = |upf, to: &str, sessions| Order { upf, to: to.parse().unwrap(), sessions };
    let upf = upf.map(|index| EquipmentId(index as u32));
    assert_eq!(
        decoded.authorised.unwrap(),
        [order(None, "10.9.9.8", 1), order(upf, "10.9.9.9", 2)]
    );
    assert_eq!(decoded.nat, [(Link::N6, "203.0.113.0/28".parse().unwrap())]);
    assert_eq!(decoded.allow.len(), 3);
    assert_eq!(decoded.allow[0].services[0].ports, Some((2152, 2152)));
    let net = |text: &str| text.parse().unwrap();
    assert_eq!(decoded.infrastructure, [net("10.0.0.0/16")]);
    assert_eq!(decoded.esp_only, [(net("10.0.0.0/24"), net("10.0.1.0/24"))]);
    let [quirk] = decoded.quirks.as_slice() else { panic!("{:?}", decoded.quirks) };
    assert_eq!((quirk.detection.as_str(), quirk.value.as_str()), ("GTP-HDRCOV", "ext 0x40"));
    assert_eq!(decoded.sets[quirk.set as usize], [EquipmentId(0)], "of that build");
}

#[test]
fn detections_carry_what_the_policy_sets_and_else_the_catalogue() {
    let text = POLICY.to_owned() + "[detections.INV-UNKNOWN]\nenabled = false\nmin_packets = 5\n";
    let message = compiled(INVENTORY, &text);
    assert!(!message.enabled("INV-UNKNOWN") && message.enabled("EGR-NOTALLOWED"));
    assert_eq!(message.parameter("INV-UNKNOWN", "min_packets"), Some(5.0));
    assert_eq!(message.parameter("INV-UNKNOWN", "window_seconds"), Some(60.0));
    assert_eq!(message.parameter("INV-UNKNOWN", "nonsense"), None);
    let bare = PolicyMessage { detections: Vec::new(), ..message };
    assert!(bare.enabled("INV-UNKNOWN"));
    assert_eq!(bare.parameter("OPS-BLIND", "n4_coverage"), Some(0.9));
}

#[test]
fn the_hash_follows_the_meaning_and_not_the_version() {
    let (inventory, policy) = checked(INVENTORY, POLICY);
    let first = PolicyMessage::compile(&inventory, &policy, 1);
    let later = PolicyMessage::compile(&inventory, &policy, u64::MAX);
    assert_eq!(first.sha256, later.sha256);
    let commented = compiled(INVENTORY, &POLICY.replace("periodic = true", "# never mind"));
    assert_ne!(first.sha256, commented.sha256, "a rule lost its heartbeat");
    let reworded = compiled(INVENTORY, &POLICY.replace("note = \"N3\"", "note = \"user plane\""));
    assert_eq!(first.sha256, reworded.sha256, "a note means nothing to the sensor");
    let hidden = POLICY.replace("peer = \"198.51.100.7\"", "peer = \"198.51.100.0/24\"");
    assert_ne!(first.sha256, compiled(INVENTORY, &hidden).sha256, "other findings are hidden");
    let excused = compiled(INVENTORY, &POLICY.replace("case 4711", "case 4712"));
    assert_eq!(first.sha256, excused.sha256, "a reason hides nothing");
    for (said, otherwise) in [
        ("\"internet\", \"ims\"", "\"internet\""),
        ("1-010203", "1-010204"),
        ("network_instance = \"iot\"", "network_instance = \"mtc\""),
        ("import_grace_seconds = 3600", "import_grace_seconds = 3601"),
        ("subscriber_payload = false", "subscriber_payload = true"),
        ("\"smf-1\", \"smf-2\"", "\"smf-1\""),
    ] {
        let text = POLICY.replace(said, otherwise);
        assert_ne!(text, POLICY, "{said}");
        assert_ne!(first.sha256, compiled(INVENTORY, &text).sha256, "{said}");
    }
    let renamed = compiled(&INVENTORY.replace("AAU5613", "AAU5614"), POLICY);
    assert_ne!(first.sha256, renamed.sha256, "alerts would name another inventory entry");
}

#[test]
fn what_silences_a_restricted_detection_does_not_show_in_the_hash() {
    let plain = compiled(INVENTORY, POLICY);
    let silenced = |detection: &str| {
        let entry = format!(
            "[[suppress]]\ndetection = \"{detection}\"\nequipment = \"upf-1\"\nreason = \"known\"\n"
        );
        compiled(INVENTORY, &format!("{POLICY}{entry}")).sha256
    };
    assert_eq!(silenced("PFCP-DUPL"), plain.sha256);
    assert_eq!(silenced("LI-UNMATCHED"), plain.sha256);
    assert_ne!(silenced("GTP-ORPHAN"), plain.sha256);
}

#[test]
fn what_is_authorised_does_not_show_in_the_hash_that_events_tell() {
    let plain = compiled(INVENTORY, POLICY);
    let one = authorising(plain.clone(), INTERCEPTION);
    let other = authorising(plain.clone(), &INTERCEPTION.replace("sessions = 2", "sessions = 3"));
    assert_eq!((one.sha256, other.sha256), (plain.sha256, plain.sha256));
    assert_eq!(plain.fingerprint(), plain.sha256);
    assert!(one.fingerprint() != plain.sha256 && one.fingerprint() != other.fingerprint());
    assert_eq!(PolicyDiff::between(Some(&one), &other), PolicyDiff::between(Some(&one), &one));
    // The order of the file means nothing, and nothing of it is in debug output.
    let (first, second) = INTERCEPTION.split_at(INTERCEPTION.rfind("[[").unwrap());
    assert_eq!(authorising(plain, &[second, first].concat()), one);
    assert!(!format!("{one:?}").contains("10.9.9.9"));
    let mut forged = one.clone();
    forged.authorised.as_mut().unwrap()[1].sessions = 9;
    assert_eq!(PolicyMessage::decode(&forged.encode().unwrap()), Err(MessageError::Hash));
}

#[test]
fn what_is_not_this_format_is_named() {
    let bytes = example().encode().unwrap();
    assert_eq!(PolicyMessage::decode(b""), Err(MessageError::NotAPolicy));
    assert_eq!(PolicyMessage::decode(MAGIC), Err(MessageError::NotAPolicy));
    assert_eq!(PolicyMessage::decode(&bytes[1..]), Err(MessageError::NotAPolicy));
    let mut other = bytes.clone();
    other[MAGIC.len()] = FORMAT + 1;
    assert_eq!(PolicyMessage::decode(&other), Err(MessageError::Format { found: FORMAT + 1 }));
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(PolicyMessage::decode(&longer), Err(MessageError::Trailing { bytes: 1 }));
    let huge = vec![0; MAX_BYTES + 1];
    assert_eq!(PolicyMessage::decode(&huge), Err(MessageError::TooLarge { bytes: MAX_BYTES + 1 }));
    let mut forged = example();
    forged.allow[0].periodic ^= true;
    assert_eq!(PolicyMessage::decode(&forged.encode().unwrap()), Err(MessageError::Hash));
}

#[test]
fn no_truncation_and_no_changed_byte_gets_through() {
    let bytes = example().encode().unwrap();
    for length in 0..bytes.len() {
        assert!(PolicyMessage::decode(&bytes[..length]).is_err(), "cut to {length}");
    }
    let version = MAGIC.len() + 1;
    for at in (0..bytes.len()).filter(|at| *at != version) {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            assert!(PolicyMessage::decode(&changed).is_err(), "byte {at} ^ {flip:#x}");
        }
    }
}

/// xorshift64*: enough for noise, and the same every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[test]
fn noise_and_lying_lengths_neither_panic_nor_take_memory_or_time() {
    let start = Instant::now();
    let message = example();
    let valid = message.encode().unwrap();
    let mut noise = Noise(1);
    let (mut parsed, mut refused) = (0, 0);
    for round in 0..4_000 {
        let mut bytes = valid.clone();
        for _ in 0..=noise.next() % 8 {
            // The byte after the header is the version, which may be any.
            let at = 9 + noise.next() as usize % (bytes.len() - 9);
            bytes[at] = noise.next() as u8;
        }
        if round % 4 == 0 {
            bytes.truncate(8 + noise.next() as usize % 400);
        }
        assert!(bytes == valid || PolicyMessage::decode(&bytes).is_err());
        // Whoever holds control can make the hash fit, so what is behind it is tried without.
        if let Ok(hostile) = postcard::from_bytes::<PolicyMessage>(&bytes[8..]) {
            parsed += 1;
            refused += usize::from(hostile.validate().is_err());
            PolicyDiff::between(Some(&hostile), &message);
            PolicyDiff::between(Some(&message), &hostile);
        }
        let mut random: Vec<u8> = (0..noise.next() % 300).map(|_| noise.next() as u8).collect();
        random.splice(0..0, valid[..8].iter().copied());
        assert!(PolicyMessage::decode(&random).is_err());
    }
    assert!(parsed > 500 && refused > 200, "{parsed} parsed, {refused} of them refused");
    // After version and hashes, a list of 2^63 entries: no byte of them is there.
    let mut lying = valid[..8 + 1 + 96].to_vec();
    lying.extend([0xff; 9]);
    lying.push(1);
    assert!(matches!(PolicyMessage::decode(&lying), Err(MessageError::Malformed(_))));
    // A list that states one entry more than may be, all of them there.
    let mut many = valid[..8 + 1 + 96].to_vec();
    many.extend([0x81, 0x80, 0x08]);
    many.resize(MAX_BYTES, 0);
    assert!(matches!(PolicyMessage::decode(&many), Err(MessageError::Malformed(_))));
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_contradiction_with_a_fitting_hash_is_refused_on_decoding() {
    let (_, policy) = checked(INVENTORY, POLICY);
    let orphaned = PolicyMessage::compile(&Inventory::default(), &policy, 1);
    let decoded = PolicyMessage::decode(&orphaned.encode().unwrap());
    assert!(matches!(decoded, Err(MessageError::Invalid { .. })), "{decoded:?}");
}

/// What `validate` says of the example after `change`.
fn verdict(change: impl FnOnce(&mut PolicyMessage)) -> &'static str {
    let mut message = example();
    change(&mut message);
    match message.validate() {
        Err(MessageError::Invalid { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_contradiction_is_refused() {
    let net = |text: &str| text.parse().unwrap();
    let end = |set, cidr: Option<&str>| End { set, cidr: cidr.map(net) };
    let service = |protocol, ports| ServiceMatch { protocol, ports, either_way: false };
    let rule = |message: &mut PolicyMessage, change: &dyn Fn(&mut AllowRule)| {
        change(&mut message.allow[0])
    };

    assert_eq!(
        verdict(|m| m.equipment[0].roles = RoleSet::default()),
        "equipment has no role or an unknown one"
    );
    assert_eq!(verdict(|m| m.equipment[1].cohort = 5), "the cohort of equipment does not exist");
    assert_eq!(
        verdict(|m| m.equipment[1].prefixes = vec![net("10.0.0.1/32")]),
        "a prefix belongs to two pieces of equipment"
    );
    let unsorted = "the prefixes of equipment are not sorted prefixes";
    assert_eq!(verdict(|m| m.equipment[0].prefixes.reverse()), unsorted);
    assert_eq!(verdict(|m| m.equipment[0].prefixes[0] = net("10.0.0.1/24")), unsorted);
    assert_eq!(
        verdict(|m| m.sets[0] = vec![EquipmentId(5)]),
        "a set names equipment that does not exist"
    );
    assert_eq!(
        verdict(|m| m.sets[0] = vec![EquipmentId(1), EquipmentId(1)]),
        "the members of a set are not sorted"
    );
    assert_eq!(
        verdict(|m| m.ue_pools = vec![net("10.60.0.1/16")]),
        "`ue_pools` is not sorted prefixes"
    );
    assert_eq!(verdict(|m| m.mec.push(net("10.0.8.0/24"))), "`mec` is not sorted prefixes");
    assert_eq!(verdict(|m| m.roaming.push(net("10.0.8.0/24"))), "`roaming` is not sorted prefixes");
    assert_eq!(verdict(|m| m.nat[0].1 = net("10.0.8.1/24")), "`nat` is not sorted prefixes");
    assert_eq!(
        verdict(|m| m.infrastructure = vec![net("10.0.0.0/8"); 70_000]),
        "`infrastructure` is not sorted prefixes"
    );
    assert_eq!(
        verdict(|m| m.link_defaults =
            vec![(net("10.0.0.0/24"), Link::N3), (net("10.0.0.0/24"), Link::N4)]),
        "two links for one prefix"
    );
    assert_eq!(
        verdict(|m| rule(m, &|r| r.to = end(None, None))),
        "a rule has an end without condition"
    );
    assert_eq!(
        verdict(|m| rule(m, &|r| r.from = end(Some(99), None))),
        "a rule names a set that does not exist"
    );
    assert_eq!(
        verdict(|m| rule(m, &|r| r.to = end(Some(0), Some("10.0.0.1/8")))),
        "a rule has a prefix with host bits"
    );
    assert_eq!(verdict(|m| rule(m, &|r| r.services.clear())), "a rule has no services or too many");
    for ports in [(2, 1), (0, 1)] {
        let change = |r: &mut AllowRule| r.services = vec![service(17, Some(ports))];
        assert_eq!(verdict(|m| rule(m, &change)), "the ports of a rule are not in order");
    }
    for wrong in [service(50, Some((1, 1))), service(6, None)] {
        let change = |r: &mut AllowRule| r.services = vec![wrong.clone()];
        let what = "a rule has ports without such a protocol, or none with one";
        assert_eq!(verdict(|m| rule(m, &change)), what);
    }
    let unsorted = "`esp_only` is not sorted prefixes";
    assert_eq!(verdict(|m| m.esp_only.push(m.esp_only[0])), unsorted);
    assert_eq!(verdict(|m| m.esp_only[0].0 = net("10.0.0.1/24")), unsorted);
    assert_eq!(verdict(|m| m.esp_only[0].1 = net("10.0.1.1/24")), unsorted);
    assert_eq!(
        verdict(|m| m.instance_pools[0].prefix = net("10.60.0.1/16")),
        "`ue_pools` of instances are not sorted prefixes"
    );
    assert_eq!(
        verdict(|m| m.instance_pools = vec![m.instance_pools[0].clone(); 65_536]),
        "too many `ue_pools`"
    );
    let dnns = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    for wrong in [&["ims", "ims"][..], &["internet", "ims"]] {
        assert_eq!(verdict(|m| m.dnns = dnns(wrong)), "`dnns` is not a sorted list");
    }
    let slice = |sst, sd| Slice { sst, sd };
    assert_eq!(
        verdict(|m| m.slices = Some(vec![slice(1, None); 2])),
        "`slices` is not a sorted list"
    );
    assert_eq!(
        verdict(|m| m.slices = Some(vec![slice(1, Some([0xff; 3]))])),
        "a slice spells out that it has no SD"
    );
    assert_eq!(
        verdict(|m| m.smf_sets[0] = vec![EquipmentId(99)]),
        "a set names equipment that does not exist"
    );
    assert_eq!(verdict(|m| m.smf_sets[0].reverse()), "the members of a set are not sorted");
    assert_eq!(verdict(|m| m.smf_sets = vec![Vec::new(); 16_385]), "too many SMF sets");
    assert_eq!(
        verdict(|m| m.import_grace_seconds = u64::MAX),
        "the grace after an import is too long"
    );
    assert_eq!(
        verdict(|m| *orders(m) = vec![orders(m)[0]; 4097]),
        "too many authorised interceptions"
    );
    assert_eq!(verdict(|m| orders(m).reverse()), "the authorised interceptions are not sorted");
    assert_eq!(
        verdict(|m| orders(m)[1].upf = Some(EquipmentId(99))),
        "an authorised interception names no equipment"
    );
    assert_eq!(
        verdict(|m| orders(m)[0].sessions = 0),
        "an authorised interception is of no session"
    );
    assert_eq!(verdict(|m| m.quirks[0].set = 99), "a quirk names a set that does not exist");
    let unknown = "a quirk is none that its detection knows";
    assert_eq!(verdict(|m| m.quirks[0].detection = "GTP-NEST".into()), unknown);
    assert_eq!(verdict(|m| m.quirks[0].value = "ext 0xAB".into()), unknown);
    let many = |m: &mut PolicyMessage| {
        let equipment = m.equipment.pop().unwrap();
        // Every entry needs only what is its own: no address, no MAC.
        let bare = EquipmentRule { prefixes: Vec::new(), macs: Vec::new(), ..equipment };
        m.equipment.resize(100_000, bare);
        m.sets.push((0..100_000).map(EquipmentId).collect());
        let of_all = QuirkRule { set: m.sets.len() as u32 - 1, ..m.quirks[0].clone() };
        m.quirks = vec![of_all; 41];
    };
    assert_eq!(verdict(many), "the quirks name too much equipment");
    assert_eq!(
        verdict(|m| m.detections[0].id = "NONE".into()),
        "a detection is not in the catalogue"
    );
    assert_eq!(
        verdict(|m| m.detections[1].id = m.detections[0].id.clone()),
        "a detection is set twice"
    );
    for value in [f64::NAN, -1.0, f64::INFINITY] {
        let what = "a parameter is unknown or out of range";
        assert_eq!(verdict(|m| m.detections[0].parameters[0].1 = value), what);
    }
    let twice = |m: &mut PolicyMessage| {
        let parameter = m.detections[0].parameters[0].clone();
        m.detections[0].parameters.push(parameter);
    };
    assert_eq!(verdict(twice), "a parameter is set twice");
}

#[test]
fn a_diff_counts_what_changed_however_the_numbers_shift() {
    let before = example();
    let first = PolicyDiff::between(None, &before);
    let counts = |diff: &PolicyDiff| {
        (diff.equipment_added, diff.equipment_removed, diff.rules_added, diff.rules_removed)
    };
    assert_eq!((first.before, first.after), (None, before.sha256));
    assert_eq!(counts(&first), (5, 0, 3, 0));
    assert_eq!(counts(&PolicyDiff::between(Some(&before), &before)), (0, 0, 0, 0));

    // A new entry in front shifts every number; no rule selects it.
    let amf = "[[equipment]]\nid = \"amf-1\"\nvendor = \"V\"\nmodel = \"AMF\"\nbuild = \"1\"\n\
               roles = [\"amf\"]\naddresses = [\"10.0.4.1\"]\n";
    let shifted = compiled(&(amf.to_owned() + INVENTORY), POLICY);
    assert_eq!(counts(&PolicyDiff::between(Some(&before), &shifted)), (1, 0, 0, 0));
    assert_eq!(counts(&PolicyDiff::between(Some(&shifted), &before)), (0, 1, 0, 0));

    // A second gNB widens the rule that selects gNBs, but not the one of site 17.
    let gnb = amf.replace("amf-1", "gnb-2").replace("amf", "gnb");
    let wider = compiled(&(gnb + INVENTORY), POLICY);
    assert_eq!(counts(&PolicyDiff::between(Some(&before), &wider)), (1, 0, 1, 1));

    // What is said of sessions counts apart, and follows its SMFs whatever their numbers.
    let sessions = |diff: PolicyDiff| (diff.sessions_added, diff.sessions_removed);
    assert_eq!(sessions(first), (8, 0), "two pools, two networks, a slice, a set, grace, payload");
    assert_eq!(sessions(PolicyDiff::between(Some(&before), &shifted)), (0, 0));
    let text = POLICY.replace("\"internet\", \"ims\"", "\"internet\"").replace("3600", "60");
    let narrower = compiled(INVENTORY, &text);
    assert_eq!(sessions(PolicyDiff::between(Some(&before), &narrower)), (1, 2));

    let more = POLICY.to_owned()
        + "[[allow]]\nfrom = { role = \"gnb\" }\nto = { role = \"upf\" }\nservices = [\"gtpu\"]\n";
    let repeated = compiled(INVENTORY, &more);
    assert_eq!(counts(&PolicyDiff::between(Some(&before), &repeated)), (0, 0, 1, 0));
}

#[test]
fn a_hundred_thousand_entries_and_a_thousand_rules_take_seconds() {
    use std::fmt::Write;
    let mut inventory = String::new();
    for n in 0..100_000u32 {
        let role = if n % 7 == 0 { "upf" } else { "gnb" };
        let _ = write!(
            inventory,
            "[[equipment]]\nid = \"ne-{n}\"\nvendor = \"Vendor {}\"\nmodel = \"M\"\nbuild = \"{}\"\n\
             location = \"site {}, rack {}\"\nroles = [\"{role}\"]\naddresses = [\"10.{}.{}.{}\", \
             \"2001:db8:{:x}:{:x}::/64\"]\n",
            n % 3,
            n % 7,
            n % 500,
            n % 4,
            n >> 16,
            n >> 8 & 255,
            n & 255,
            n >> 16,
            n & 0xffff,
        );
    }
    let mut policy = String::new();
    for n in 0..1_000 {
        let _ = write!(
            policy,
            "[[allow]]\nfrom = {{ role = \"gnb\", location = \"site {}\" }}\nto = {{ role = \"upf\" }}\n\
             services = [\"gtpu\", \"udp/{}\"]\n[[suppress]]\ndetection = \"COV-DNS\"\n\
             equipment = \"ne-{n}\"\nuntil = 2027-01-01\n",
            n % 500,
            n + 1,
        );
    }
    let start = Instant::now();
    let message = compiled(&inventory, &policy);
    let bytes = message.encode().unwrap();
    assert_eq!(PolicyMessage::decode(&bytes).unwrap(), message);
    let diff = PolicyDiff::between(Some(&message), &message);
    assert_eq!((diff.equipment_added, diff.rules_added), (0, 0));
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
    assert!(bytes.len() < MAX_BYTES / 2, "takes {} bytes", bytes.len());

    // As many mistakes as entries, with thousands of unknown names to look for.
    let start = Instant::now();
    let inventory = inventory_from_str("inventory.toml", &inventory).unwrap().value;
    let wrong = policy.replace("\"ne-", "\"na-").replace("udp/", "udb/");
    let found = policy_from_str("policy.toml", &wrong, &inventory).unwrap_err();
    assert_eq!(found.len(), 2_000);
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
}
