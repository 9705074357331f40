//! The documented examples are complete, accepted without a warning, and mean what they say.

use std::path::{Path, PathBuf};

use weir_policy::{
    Direction, EquipmentId, Link, PacketSource, PolicyMessage, Role, Slice, load_config,
    load_inventory, load_policy,
};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn the_examples_are_accepted_without_a_warning_and_mean_what_they_say() {
    let config = load_config(&example("weir.toml")).unwrap();
    assert_eq!(config.warnings, []);
    let config = config.value;
    assert_eq!(config.site, "lab");
    let tap = &config.taps[0];
    assert_eq!(
        (tap.name.as_str(), tap.link, tap.direction),
        ("n3-east", Link::N3, Direction::Both)
    );
    assert!(matches!(tap.source, PacketSource::Pci(address) if address.bus == 0x3b));
    assert_eq!((tap.vlans.as_slice(), tap.complete, tap.trailer_bytes), (&[100][..], true, 0));
    assert_eq!(
        (config.sensor.workers.as_slice(), config.sensor.control_core),
        (&[2, 3][..], Some(1))
    );
    assert_eq!(config.paths.lawful_intercept, None);

    let inventory = load_inventory(&config.paths.inventory.unwrap()).unwrap();
    assert_eq!(inventory.warnings, []);
    let inventory = inventory.value;
    let gnb = &inventory.equipment()[0];
    assert!(gnb.roles.contains(Role::Gnb) && !gnb.roles.contains(Role::Upf));
    assert_eq!(gnb.addresses, ["10.0.0.1/32".parse().unwrap(), "2001:db8:1::/64".parse().unwrap()]);
    assert_eq!(gnb.macs, [[0, 0x11, 0x22, 0x33, 0x44, 0x55]]);
    assert_eq!(gnb.components[0].supplier, "Vendor A");
    assert_eq!(inventory.same_build(inventory.find("smf-1").unwrap()), 2);

    let policy = load_policy(&config.paths.policy.unwrap(), &inventory).unwrap();
    assert_eq!(policy.warnings, []);
    let policy = policy.value;
    assert_eq!(policy.ue_pools[1].network_instance.as_deref(), Some("iot"));
    assert_eq!(policy.link_defaults, [("10.0.0.0/24".parse().unwrap(), Link::N3)]);
    assert_eq!(policy.dnns.as_deref().unwrap(), ["internet", "ims"]);
    let slice = Slice { sst: 1, sd: Some([1, 2, 3]) };
    assert_eq!(policy.slices.as_deref().unwrap(), [slice]);
    assert_eq!(policy.esp_only[0].to, "10.0.1.0/24".parse().unwrap());
    assert_eq!(policy.smf_sets, [[EquipmentId(2), EquipmentId(3)]]);
    let trial = &policy.allow[2].rule;
    assert_eq!(policy.members(trial.from.set.unwrap()), [EquipmentId(0)]);
    assert_eq!(trial.not_after, Some(1_798_761_600 * SECOND - 1), "the end of 2026");
    assert!(policy.allow[1].rule.periodic);
    assert_eq!(policy.nat[0].link, Link::N6);
    assert_eq!(policy.roaming_peers[0].plmn, "26201");
    let window = &policy.change_windows[0];
    assert_eq!(window.end - window.start, 4 * 3600 * SECOND);
    assert_eq!(policy.quirks[0].value, "ext 0x40");
    assert_eq!(policy.suppressions()[0].until, Some(1_798_761_600 * SECOND - 1));

    let message = PolicyMessage::compile(&inventory, &policy, 1);
    let decoded = PolicyMessage::decode(&message.encode().unwrap()).unwrap();
    assert_eq!(decoded, message);
    assert_eq!(decoded.parameter("GTP-ORPHAN", "start_grace_seconds"), Some(300.0));
}
