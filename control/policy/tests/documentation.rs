//! What the pages about detections tell people to write is accepted, without a warning.

use std::fs;
use std::path::Path;

use weir_policy::{
    DETECTIONS, config_from_str, interception_from_str, inventory_from_str, policy_from_str,
};

/// The blocks of TOML in a page of Markdown, each with the line that it begins on.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        match &mut open {
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some((_, text)) => *text += &format!("{line}\n"),
            None if line == "```toml" => open = Some((number + 1, String::new())),
            None => {}
        }
    }
    blocks
}

#[test]
fn every_policy_in_the_pages_about_detections_is_accepted_without_a_warning() {
    let inventory = include_str!("../examples/inventory.toml");
    let inventory = inventory_from_str("inventory.toml", inventory).unwrap().value;
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/detections");
    let mut checked = 0;
    for page in fs::read_dir(pages).unwrap() {
        let path = page.unwrap().path();
        for (line, text) in blocks(&fs::read_to_string(&path).unwrap()) {
            let name = format!("{}, from line {line}", path.display());
            let policy = policy_from_str(&name, &text, &inventory);
            let warnings = policy.unwrap_or_else(|found| panic!("{name}: {found:?}")).warnings;
            assert_eq!(warnings, [], "{name}");
            checked += 1;
        }
    }
    assert!(checked >= 13, "{checked} policies");
}

#[test]
fn the_example_of_interception_is_accepted() {
    let inventory = include_str!("../examples/inventory.toml");
    let inventory = inventory_from_str("inventory.toml", inventory).unwrap().value;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sessions.md");
    let found = blocks(&fs::read_to_string(page).unwrap());
    let [(_, config), (_, interception)] = found.as_slice() else { panic!("{found:?}") };
    let config = config_from_str("weir.toml", config).unwrap();
    assert!(config.value.paths.lawful_intercept.is_some());
    let read = interception_from_str("li.toml", interception, Some(&inventory)).unwrap();
    assert_eq!((read.warnings.len(), read.value.orders().len()), (0, 1));
}

#[test]
fn every_page_names_a_detection_and_all_its_parameters() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/detections");
    let table = fs::read_to_string(pages.join("README.md")).unwrap();
    for row in table.lines().filter(|line| line.contains("| 5290")) {
        let id = row.split('|').nth(1).unwrap().trim();
        let detection = DETECTIONS.iter().find(|known| known.id == id).unwrap();
        let page = fs::read_to_string(pages.join(format!("{}.md", id.to_lowercase()))).unwrap();
        assert!(page.starts_with(&format!("# {id}\n")));
        for parameter in detection.parameters {
            assert!(page.contains(&format!("`{}`", parameter.name)), "{id} {}", parameter.name);
        }
    }
}
