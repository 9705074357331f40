//! The three configuration files: what is wrong is told at a place inside the
//! text, and what is right reaches the sensor as it was meant.
//!
//! Text with a NUL, which no TOML file has, is an inventory and a policy on
//! either side of it; other text is a weir.toml.
#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use weir_policy::{
    Checked, Diagnostic, Inventory, PolicyMessage, Severity, config_from_str, inventory_from_str,
    policy_from_str,
};

/// What policies are checked against that come with no sound inventory.
static INSTALLED: LazyLock<Inventory> = LazyLock::new(|| {
    let text = include_str!("../../../control/policy/examples/inventory.toml");
    inventory_from_str("inventory.toml", text).unwrap().value
});

/// The value, if the text says one; every finding has its place in it.
fn told<T: Debug>(
    name: &str,
    text: &str,
    read: impl Fn() -> Result<Checked<T>, Vec<Diagnostic>>,
) -> Option<T> {
    let (value, found) = match read() {
        Ok(checked) => (Some(checked.value), checked.warnings),
        Err(found) => (None, found),
    };
    let has_error = found.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(has_error, value.is_none());
    let mut at = (0, 0);
    for finding in &found {
        assert!(finding.file == name && !finding.message.is_empty() && !finding.remedy.is_empty());
        assert!(!finding.to_string().contains('\n'), "{finding}");
        if finding.line == 0 {
            // That there are more of them has no place.
            assert_eq!(finding.column, 0);
            continue;
        }
        let line = text.split('\n').nth(finding.line as usize - 1).expect("the line is there");
        assert!((1..=line.chars().count() + 1).contains(&(finding.column as usize)), "{finding}");
        assert!((finding.line, finding.column) >= at, "findings are told in file order");
        at = (finding.line, finding.column);
    }
    value
}

fuzz_target!(|text: &str| {
    let Some((inventory_text, policy_text)) = text.split_once('\0') else {
        told("weir.toml", text, || config_from_str("weir.toml", text));
        return;
    };
    let name = "inventory.toml";
    let inventory = told(name, inventory_text, || inventory_from_str(name, inventory_text));
    let inventory = inventory.as_ref().unwrap_or(&INSTALLED);
    let name = "policy.toml";
    let read = || policy_from_str(name, policy_text, inventory);
    let Some(policy) = told(name, policy_text, read) else { return };
    let message = PolicyMessage::compile(inventory, &policy, 7);
    message.validate().expect("what was checked is valid");
    let Ok(bytes) = message.encode() else { return };
    assert_eq!(PolicyMessage::decode(&bytes).expect("the sensor takes it"), message);
    let again = policy_from_str(name, policy_text, inventory).expect("it was read before").value;
    assert_eq!(PolicyMessage::compile(inventory, &again, 8).sha256, message.sha256);
});
