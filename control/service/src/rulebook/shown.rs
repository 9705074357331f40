//! policy.toml as it is shown to whom: a `[[suppress]]` or a `[[quirk]]` of a restricted detection
//! names whose interception it is about, and is there for a named role alone.

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};
use weir_engine::detect::CATALOGUE;

/// Sections whose entries name a detection.
const SECTIONS: [&str; 2] = ["suppress", "quirk"];

fn is_restricted(detection: &str) -> bool {
    CATALOGUE.iter().any(|known| known.restricted && known.id == detection)
}

/// The text without what only a named role may see, and without a trace of it. Comments above it go,
/// too.
pub fn shown(text: &str) -> String {
    let mut shown = text.to_owned();
    while let Some(cut) = next(&shown) {
        shown.replace_range(cut, "");
    }
    let shown = without_remarks(&shown);
    if is_clean(&shown) { shown } else { String::new() }
}

fn names_restricted(text: &str) -> bool {
    CATALOGUE.iter().any(|known| known.restricted && text.contains(known.id))
}

/// Without comments about a restricted detection, such as an entry that was put out of force. Comments
/// in lines that follow each other go together.
fn without_remarks(text: &str) -> String {
    let is_comment = |line: &&str| line.trim_start().starts_with('#');
    let mut kept = String::with_capacity(text.len());
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if is_comment(&line) {
            let mut block = line.to_owned();
            while let Some(next) = lines.next_if(is_comment) {
                block.push_str(next);
            }
            if !names_restricted(&block) {
                kept.push_str(&block);
            }
            continue;
        }
        match line.find('#') {
            Some(at) if names_restricted(&line[at..]) => {
                kept.push_str(line[..at].trim_end());
                kept.push('\n');
            }
            _ => kept.push_str(line),
        }
    }
    kept
}

/// Whether it is a policy that names no restricted detection in these sections.
fn is_clean(text: &str) -> bool {
    let Ok(table) = text.parse::<Table>() else { return false };
    let entries = SECTIONS.iter().filter_map(|key| table.get(*key)?.as_array()).flatten();
    let mut named = entries.filter_map(|entry| entry.get("detection").and_then(Value::as_str));
    !named.any(is_restricted)
}

/// What is to be cut out first.
fn next(text: &str) -> Option<std::ops::Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    for section in SECTIONS {
        let Some(entries) = root.get_ref().get(section) else { continue };
        let DeValue::Array(entries) = entries.get_ref() else { continue };
        for entry in entries.iter() {
            let DeValue::Table(table) = entry.get_ref() else { continue };
            let detection = table.get("detection").map(Spanned::get_ref);
            if detection.and_then(DeValue::as_str).is_some_and(is_restricted) {
                return Some(block(text, entry.span(), end(table)));
            }
        }
    }
    None
}

/// Where the last value of a table ends, however deep.
fn end(table: &DeTable<'_>) -> usize {
    let ends = table.iter().map(|(_, value)| match value.get_ref() {
        DeValue::Table(inner) => value.span().end.max(end(inner)),
        _ => value.span().end,
    });
    ends.max().unwrap_or(0)
}

/// An entry from the comments above it to the end of its last line; of a list within brackets, the
/// entry and the comma behind it.
fn block(text: &str, entry: std::ops::Range<usize>, last: usize) -> std::ops::Range<usize> {
    if text[entry.clone()].starts_with('{') {
        let rest = &text[entry.end..];
        let gap = rest.len() - rest.trim_start().len();
        let comma = usize::from(rest[gap..].starts_with(','));
        return entry.start..entry.end + if comma > 0 { gap + comma } else { 0 };
    }
    let end = entry.end.max(last);
    let end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    let mut start = text[..entry.start].rfind('\n').map_or(0, |at| at + 1);
    while start > 0 {
        let above = text[..start - 1].rfind('\n').map_or(0, |at| at + 1);
        if !text[above..start].trim_start().starts_with('#') {
            break;
        }
        start = above;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "# Ours.\nue_pools = [\"10.60.0.0/16\"]\n\n[[suppress]]\n\
        detection = \"EGR-VOLUME\" # known\nequipment = \"gnb-1\"\n\n";

    #[test]
    fn a_policy_without_secrets_is_shown_as_it_is() {
        assert_eq!(shown(OPEN), OPEN);
        assert_eq!(shown(""), "");
    }

    #[test]
    fn what_names_an_interception_goes_with_its_comments_and_leaves_no_trace() {
        let secret = "# Case 4711,\n  # since May\n[[suppress]]\nequipment = \"upf-1\"\ndetection = \"PFCP-DUPL\"\n\
            reason = \"\"\"\n[[allow]]\nnot a header\n\"\"\" # so\n";
        let behind = "[[allow]]\nfrom = { role = \"gnb\" }\nto = { role = \"upf\" }\nservices = [\"gtpu\"]\n";
        let cut = shown(&format!("{OPEN}{secret}{behind}{secret}"));
        assert_eq!(cut, format!("{OPEN}{behind}"));
        let quirk = "[[quirk]]\ndetection = \"LI-UNMATCHED\"\nequipment = { id = \"upf-1\" }\nvalue = \"x\"\n";
        assert_eq!(shown(&format!("{OPEN}{quirk}")), OPEN);
        let listed = "suppress = [{ detection = \"PFCP-DUPL\", equipment = \"upf-1\" }, \
            { detection = \"EGR-VOLUME\", equipment = \"gnb-1\" }]\n";
        let left = shown(listed);
        assert!(
            left.contains("EGR-VOLUME") && !left.contains("DUPL") && !left.contains("upf-1"),
            "{left}"
        );
    }

    #[test]
    fn what_can_not_be_read_is_not_shown() {
        assert_eq!(shown("suppress = ["), "");
    }

    #[test]
    fn comments_about_what_is_restricted_are_not_shown_and_others_are() {
        let text = "# Ours.\n\n# since May\n# [[suppress]]\n# detection = \"PFCP-DUPL\"\n\
                    # equipment = \"upf-1\"\n\nue_pools = [\"10.60.0.0/16\"] # not for PFCP-DUPL\n\
                    infrastructure = [\"10.0.0.0/16\"] # ours\n";
        let expected = "# Ours.\n\n\nue_pools = [\"10.60.0.0/16\"]\n\
                        infrastructure = [\"10.0.0.0/16\"] # ours\n";
        assert_eq!(shown(text), expected);
        // A sign that begins no comment: rather nothing than a policy that nobody wrote.
        let odd = "dns_zones = [\"a\"]\n[[suppress]]\ndetection = \"COV-DNS\"\nequipment = \"#LI-UNMATCHED\"\nreason = \"x\"\n";
        assert_eq!(shown(odd), "");
    }
}
