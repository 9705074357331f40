//! Every kind of mistake in a policy is reported with its line, column and remedy, all of them at
//! once.

use weir_policy::{
    Inventory, Policy, Severity, inventory_from_str, load_policy_as_of, policy_from_str,
};

const INVENTORY: &str = r#"
[[equipment]]
id = "gnb-1"
vendor = "Vendor A"
model = "AAU"
build = "3"
location = "site 17, rack 2"
roles = ["gnb"]
addresses = ["10.0.0.1"]
[[equipment]]
id = "gnb-2"
vendor = "Vendor A"
model = "AAU"
build = "4"
location = "site 170"
roles = ["gnb", "cu"]
addresses = ["10.0.0.2"]
[[equipment]]
id = "upf-1"
vendor = "Vendor B"
model = "UPF"
build = "3"
location = "core"
roles = ["upf"]
addresses = ["10.0.1.1"]
"#;

fn inventory() -> Inventory {
    inventory_from_str("inventory.toml", INVENTORY).unwrap().value
}

fn mistakes(text: &str) -> Vec<String> {
    let found = policy_from_str("policy.toml", text, &inventory()).unwrap_err();
    found.iter().map(ToString::to_string).collect()
}

fn accepted(text: &str) -> (Policy, Vec<String>) {
    let checked = policy_from_str("policy.toml", text, &inventory()).unwrap();
    assert!(checked.warnings.iter().all(|warning| warning.severity == Severity::Warning));
    (checked.value, checked.warnings.iter().map(ToString::to_string).collect())
}

/// The ids that the `from` of a rule with this selector names.
fn selected(selector: &str) -> Vec<String> {
    let rule = format!(
        "[[allow]]\nfrom = {selector}\nto = {{ cidr = \"::/0\" }}\nservices = [\"icmp\"]\n"
    );
    let (policy, _) = accepted(&rule);
    let set = policy.allow[0].rule.from.set.expect("a selector of equipment");
    let inventory = inventory();
    let id = |number| inventory.entry(number).unwrap().id.clone();
    policy.members(set).iter().map(|number| id(*number)).collect()
}

#[test]
fn lists_and_networks() {
    let text = r#"
ue_pools = ["10.60.0.0/16", { cidr = "10.60.0.0/16" }, { network_instance = "iot" }, 7]
infrastructure = "10.0.0.0/16"
link_defaults = { "10.0.0.1/24" = "n3", "10.1.0.0/24" = "n33" }
dnns = ["internet", ""]
slices = ["1-01020"]
esp_only = [{ from = "10.0.0.0/24" }]
import_grace_seconds = -1
infrastructures = []
[[smf_set]]
members = ["upf-2"]
[[nat]]
addresses = ["203.0.113.0/28", "203.0.113.0/28"]
[[mec]]
[[roaming_peer]]
plmn = "262-01"
addresses = ["198.51.100.7/24"]
"#;
    assert_eq!(
        mistakes(text),
        [
            "error: 10.60.0.0/16 is already in `ue_pools` on line 2; policy.toml:2:29; \
             remove one of them",
            "error: ue_pools has no `cidr`; policy.toml:2:56; add `cidr = …`",
            "error: `ue_pools` should be text, not a whole number; policy.toml:2:86; \
             put it in quotation marks",
            "error: `infrastructure` should be a list of text, not text; policy.toml:3:18; \
             put it in brackets: […]",
            "error: `10.0.0.1/24` has host bits set; policy.toml:4:19; \
             write 10.0.0.0/24, or 10.0.0.1 for the one address",
            "error: unknown link `n33`; policy.toml:4:57; did you mean `n3`?",
            "error: the text is empty; policy.toml:5:21; write something or leave the key out",
            "error: `1-01020` is not a slice; policy.toml:6:11; write SST-SD, as in 1-010203",
            "error: esp_only has no `to`; policy.toml:7:13; add `to = …`",
            "error: `import_grace_seconds` is out of range: `-1`; policy.toml:8:24; \
             write a whole number from 0 to 2678400",
            "error: unknown key `infrastructures` in policy.toml; policy.toml:9:1; \
             did you mean `infrastructure`?",
            "error: no equipment has the id `upf-2`; policy.toml:11:12; did you mean `upf-1`?",
            "error: [[nat]] has no `link`; policy.toml:12:1; add `link = …`",
            "error: 203.0.113.0/28 is already in `addresses` on line 13; policy.toml:13:32; \
             remove one of them",
            "error: [[mec]] has no `addresses`; policy.toml:14:1; add `addresses = …`",
            "error: `262-01` is not a PLMN; policy.toml:16:8; \
             write MCC and MNC together, as in 26201",
            "error: `198.51.100.7/24` has host bits set; policy.toml:17:14; \
             write 198.51.100.0/24, or 198.51.100.7 for the one address",
        ]
    );
}

#[test]
fn interception_is_sent_to_its_own_file_and_not_repeated() {
    let entry = |name| format!("[[{name}]]\nupf = \"upf-1\"\nto = \"10.9.9.9\"\nsessions = 2\n");
    for name in ["lawful_intercept", "authorised"] {
        let found = mistakes(&entry(name));
        assert_eq!(
            found,
            ["error: lawful interception does not belong into policy.toml, which many may read; \
              policy.toml:1:1; move it to li.toml, a file of mode 0600 that `lawful_intercept` \
              under [paths] of weir.toml names, as [[authorised]]"]
        );
    }
}

#[test]
fn rules_and_selectors() {
    let text = r#"
[[allow]]
from = { role = "gmb" }
to = { id = "upf-9" }
services = ["gtpv", "udp/0"]
expires = "2027-01-01"
[[allow]]
from = {}
to = { vendr = "Vendor A" }
services = []
periodic = 1
[[allow]]
from = "gnb-1"
notes = "N3"
expires = 2027-01-01T00:00:00
"#;
    assert_eq!(
        mistakes(text),
        [
            "error: unknown role `gmb`; policy.toml:3:17; did you mean `gnb`?",
            "error: no equipment has the id `upf-9`; policy.toml:4:13; did you mean `upf-1`?",
            "error: unknown service `gtpv`; policy.toml:5:13; did you mean `gtpu`?",
            "error: `0` is neither a port nor a range of ports; policy.toml:5:21; \
             write a port from 1 to 65535, or a range as in udp/5000-5010",
            "error: `expires` should be a date, not text; policy.toml:6:11; \
             write 2027-01-01 or 2027-01-01T00:00:00Z, without quotation marks",
            "error: `from` selects everything; policy.toml:8:8; \
             give at least one of role, vendor, id, model, build, location, cidr",
            "error: unknown key `vendr` in to; policy.toml:9:8; did you mean `vendor`?",
            "error: `services` of [[allow]] is empty; policy.toml:10:12; name at least one",
            "error: `periodic` should be true or false, not a whole number; policy.toml:11:12; \
             write true or false, without quotation marks",
            "error: [[allow]] has no `to`; policy.toml:12:1; add `to = …`",
            "error: [[allow]] has no `services`; policy.toml:12:1; add `services = …`",
            "error: `from` should be a table, not text; policy.toml:13:8; \
             write from as a table of `key = value`",
            "error: unknown key `notes` in [[allow]]; policy.toml:14:1; did you mean `note`?",
            "error: 2027-01-01T00:00:00 does not say in which time zone; policy.toml:15:11; \
             add the offset: 2027-01-01T00:00:00Z for UTC",
        ]
    );
}

#[test]
fn windows_quirks_detections_and_suppressions() {
    let text = r#"
[[change_window]]
equipment = { location = "core" }
start = 2026-11-24T04:00:00Z
end = 2026-11-24T00:00:00Z
[[quirk]]
detection = "GTP-HDRCOW"
equipment = { id = "gnb-3" }
[detections.GTP-ORPHANS]
enabled = true
[detections.GTP-ORPHAN]
grace_second = 2
enabled = "no"
[detections.INV-UNKNOWN]
min_packets = 2.5
window_seconds = "60"
[detections.OPS-BLIND]
n4_coverage = 90
loss_ratio = nan
[detections.EGR-NOTALLOWED]
window_seconds = 1
[[suppress]]
detection = "egr-notallowed"
equipment = "gmb-1"
until = 2026-12-32
"#;
    assert_eq!(
        mistakes(&text.replace("2026-12-32", "12:00:00")),
        [
            "error: the change window ends before it starts; policy.toml:5:7; \
             exchange `start` and `end`",
            "error: [[quirk]] has no `value`; policy.toml:6:1; add `value = …`",
            "error: unknown detection `GTP-HDRCOW`; policy.toml:7:13; did you mean `GTP-HDRCOV`?",
            "error: no equipment has the id `gnb-3`; policy.toml:8:20; did you mean `gnb-1`?",
            "error: unknown detection `GTP-ORPHANS`; policy.toml:9:13; did you mean `GTP-ORPHAN`?",
            "error: unknown key `grace_second` in GTP-ORPHAN; policy.toml:12:1; \
             did you mean `grace_seconds`?",
            "error: `enabled` should be true or false, not text; policy.toml:13:11; \
             write true or false, without quotation marks",
            "error: `min_packets` of INV-UNKNOWN cannot be 2.5; policy.toml:15:15; \
             write a whole number from 1 to 1000000000",
            "error: `window_seconds` should be a number, not text; policy.toml:16:18; \
             write it without quotation marks",
            "error: `n4_coverage` of OPS-BLIND cannot be 90; policy.toml:18:15; \
             write a number from 0 to 1",
            "error: `loss_ratio` of OPS-BLIND cannot be NaN; policy.toml:19:14; \
             write a number from 0 to 1",
            "error: unknown key `window_seconds` in EGR-NOTALLOWED; policy.toml:21:1; \
             use one of: enabled",
            "error: unknown detection `egr-notallowed`; policy.toml:23:13; \
             did you mean `EGR-NOTALLOWED`?",
            "error: no equipment has the id `gmb-1`; policy.toml:24:13; did you mean `gnb-1`?",
            "error: 12:00:00 has no date; policy.toml:25:9; write 2027-01-01 or 2027-01-01T00:00:00Z",
        ]
    );
    let syntax = mistakes(text);
    assert_eq!(syntax.len(), 1, "a day that the calendar lacks is no TOML: {syntax:?}");
    assert!(syntax[0].contains("policy.toml:25:"));
}

#[test]
fn a_suppression_must_not_silence_everything_and_should_end() {
    let text = "[[suppress]]\ndetection = \"COV-DNS\"\n";
    assert_eq!(
        mistakes(text),
        [
            "error: [[suppress]] names neither `equipment` nor `peer`; policy.toml:1:1; \
             name one; to silence a detection wholly set `enabled = false`",
            "warning: [[suppress]] has no end; policy.toml:1:1; \
             add `until = 2026-12-31`, lest it be forgotten",
        ]
    );
    let (policy, warnings) = accepted(&(text.to_owned() + "peer = \"192.0.2.0/24\"\n"));
    assert_eq!(warnings.len(), 1);
    let peer = "192.0.2.9".parse().ok();
    assert!(policy.suppressions()[0].matches("COV-DNS", Some("gnb-1"), peer, u64::MAX));
}

#[test]
fn who_is_no_smf_is_in_no_smf_set() {
    let (policy, warnings) = accepted("[[smf_set]]\nmembers = [\"upf-1\"]\n");
    assert_eq!(
        warnings,
        ["warning: `upf-1` has not the role smf; policy.toml:2:12; \
          name SMFs only: members may use each other's sessions"]
    );
    assert_eq!(policy.smf_sets.len(), 1);
}

#[test]
fn a_suppression_must_not_show_what_is_intercepted() {
    let entry = |detection| {
        format!(
            "[[suppress]]\ndetection = \"{detection}\"\npeer = \"10.9.9.9\"\nuntil = 2027-01-01\n"
        )
    };
    for restricted in ["PFCP-DUPL", "LI-UNMATCHED"] {
        let (_, warnings) = accepted(&entry(restricted));
        assert_eq!(
            warnings,
            ["warning: [[suppress]] shows who reads policy.toml what is intercepted; \
              policy.toml:1:1; remove it, and authorise what is lawful in li.toml"]
        );
    }
    assert_eq!(accepted(&entry("PFCP-REDIR")).1, [""; 0]);
}

#[test]
fn a_quirk_is_one_that_its_detection_knows() {
    let quirk = |detection: &str, equipment: &str, value: &str| {
        format!(
            "[[quirk]]\ndetection = \"{detection}\"\nequipment = {equipment}\nvalue = \"{value}\"\n"
        )
    };
    let by_build = "{ build = \"3\" }";
    assert_eq!(
        mistakes(
            &(quirk("GTP-HDRCOV", by_build, "ext 0x4")
                + &quirk("GTP-HDRCOV", by_build, "sparebit"))
        ),
        [
            "error: `0x4` is not the type of an extension header; policy.toml:4:9; \
             write two hexadecimal digits, as in `ext 0x40`",
            "error: GTP-HDRCOV knows no `sparebit`; policy.toml:8:9; did you mean `spare bit`?",
        ]
    );
    let (policy, warnings) = accepted(&quirk("GTP-NEST", by_build, "lab"));
    assert!(policy.quirks.is_empty());
    assert_eq!(
        warnings,
        ["warning: GTP-NEST has no quirks: the entry has no effect; policy.toml:1:1; \
          use [[suppress]] for a finding that is known"]
    );
    let members = |equipment: &str| {
        let (policy, warnings) = accepted(&quirk("GTP-HDRCOV", equipment, "ext 0xC0"));
        assert_eq!(policy.quirks[0].value, "ext 0xc0");
        let members = policy.members(policy.quirks[0].set);
        (members.iter().map(|number| number.0).collect::<Vec<_>>(), warnings)
    };
    assert_eq!(members(by_build).0, [0, 2]);
    assert_eq!(members("{ cidr = \"10.0.0.0/24\" }").0, [0, 1], "who has an address in it");
    assert_eq!(members("{ build = \"3\", cidr = \"10.0.0.0/24\" }").0, [0]);
    let (nobody, warnings) = members("{ cidr = \"192.0.2.0/24\" }");
    assert_eq!(nobody, [0; 0]);
    assert!(warnings[0].contains("no equipment has an address in 192.0.2.0/24; policy.toml:3:13"));
}

#[test]
fn what_is_said_twice_is_warned_of() {
    let allow = |from: &str, services: &str, more: &str| {
        format!(
            "[[allow]]\nfrom = {{ {from} }}\nto = {{ role = \"upf\" }}\nservices = [{services}]\n{more}"
        )
    };
    let gnbs = "role = \"gnb\"";
    let twice = allow(gnbs, "\"gtpu\", \"ssh\"", "")
        + &allow("vendor = \"Vendor A\"", "\"ssh\", \"gtpu\"", "expires = 2026-01-01\n");
    assert_eq!(
        accepted(&twice).1,
        ["warning: [[allow]] repeats the one on line 1; policy.toml:5:1; \
          keep one of them, with the later `expires` if they have any"]
    );
    let different = allow(gnbs, "\"gtpu\"", "") + &allow(gnbs, "\"ssh\"", "");
    assert_eq!(accepted(&different).1, [""; 0]);
    let nobody = allow("role = \"amf\"", "\"ssh\"", "") + &allow("role = \"smf\"", "\"ssh\"", "");
    assert!(accepted(&nobody).1.iter().all(|warning| warning.contains("no equipment has")));
    let suppress =
        "[[suppress]]\ndetection = \"COV-DNS\"\npeer = \"192.0.2.1\"\nuntil = 2027-01-01\n";
    let quirk = "[[quirk]]\ndetection = \"GTP-HDRCOV\"\nequipment = { id = \"gnb-1\" }\n\
                 value = \"spare bit\"\n";
    for (section, line) in [(suppress, 5), (quirk, 5)] {
        let (_, warnings) = accepted(&section.repeat(2));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(&format!("the one on line 1; policy.toml:{line}:1")));
    }
}

#[test]
fn what_is_over_is_warned_of_by_whoever_asks_for_the_day() {
    let text = "[[allow]]\nfrom = { role = \"gnb\" }\nto = { role = \"upf\" }\n\
                services = [\"gtpu\"]\nexpires = 2027-01-01\n\
                [[suppress]]\ndetection = \"COV-DNS\"\npeer = \"192.0.2.1\"\nuntil = 2026-12-31\n";
    assert_eq!(accepted(text).1, [""; 0], "a replay of an old capture judges by its own time");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.toml");
    std::fs::write(&path, text).unwrap();
    // The first nanosecond of 2027.
    let new_year = 1_798_761_600_000_000_000;
    let warnings = |moment| load_policy_as_of(&path, &inventory(), moment).unwrap().warnings;
    assert_eq!(warnings(new_year - 1), []);
    let over = warnings(new_year);
    assert_eq!((over[0].message.as_str(), over[0].line), ("[[allow]] is over", 5));
    assert_eq!(over[0].remedy, "remove it, or set a later `expires` if it is still wanted");
    assert_eq!((over[1].message.as_str(), over[1].line), ("[[suppress]] is over", 9));
}

#[test]
fn selectors_combine_with_and_and_a_location_includes_what_is_inside() {
    assert_eq!(selected("{ role = \"gnb\" }"), ["gnb-1", "gnb-2"]);
    assert_eq!(selected("{ role = \"gnb\", build = \"3\" }"), ["gnb-1"]);
    assert_eq!(selected("{ build = \"3\" }"), ["gnb-1", "upf-1"]);
    assert_eq!(selected("{ id = \"gnb-2\", vendor = \"Vendor A\" }"), ["gnb-2"]);
    assert_eq!(selected("{ location = \"site 17\" }"), ["gnb-1"], "not site 170");
    assert_eq!(selected("{ location = \"site 17, rack 2\" }"), ["gnb-1"]);
    assert_eq!(selected("{ id = \"gnb-2\", role = \"upf\" }"), [""; 0]);
}

#[test]
fn a_selector_that_matches_nothing_is_warned_of() {
    let rule = |from: &str| {
        accepted(&format!(
            "[[allow]]\nfrom = {from}\nto = {{ role = \"upf\" }}\nservices = [\"gtpu\"]\n"
        ))
        .1
    };
    assert_eq!(
        rule("{ vendor = \"Vendor C\" }"),
        ["warning: no equipment has the vendor `Vendor C`; policy.toml:2:19; \
          did you mean `Vendor A`?"]
    );
    assert_eq!(
        rule("{ role = \"amf\" }"),
        ["warning: no equipment has the role `amf`; policy.toml:2:17; \
          it selects nothing until some has"]
    );
    assert_eq!(
        rule("{ location = \"elsewhere\" }"),
        ["warning: no equipment has the location `elsewhere`; policy.toml:2:21; \
          it selects nothing until some has"]
    );
    assert_eq!(
        rule("{ role = \"gnb\", vendor = \"Vendor B\" }"),
        ["warning: no equipment has all of these attributes; policy.toml:2:8; \
          check them against the inventory: it selects nothing until some has"]
    );
    assert_eq!(rule("{ role = \"gnb\" }"), [""; 0]);
    let twice =
        "[[allow]]\nfrom = { role = \"amf\" }\nto = { role = \"amf\" }\nservices = [\"ssh\"]\n";
    assert_eq!(accepted(twice).1.len(), 2, "each place is named, not the first only");
}

#[test]
fn rules_over_the_same_equipment_share_a_set() {
    let rule = |from: &str| {
        format!("[[allow]]\nfrom = {from}\nto = {{ role = \"upf\" }}\nservices = [\"gtpu\"]\n")
    };
    let same = rule("{ role = \"gnb\" }") + &rule("{ vendor = \"Vendor A\" }");
    let (policy, _) = accepted(&(same + &rule("{ role = \"gnb\", cidr = \"10.0.0.0/31\" }")));
    assert_eq!(policy.sets.len(), 2, "gNBs are all of Vendor A's equipment");
    let ends: Vec<_> = policy.allow.iter().map(|allow| allow.rule.from).collect();
    assert!(ends.iter().all(|end| end.set == ends[0].set));
    assert_eq!(ends[2].cidr, Some("10.0.0.0/31".parse().unwrap()));
}
