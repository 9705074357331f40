//! Numbers, times and foreign texts as comments write them.

use weir_engine::Nanos;

/// Characters of a text from outside that are shown.
const SHOWN: usize = 200;

/// A text from outside, made harmless: one line of letters, digits and ASCII's signs, of a bounded
/// length. What names a peer is its own choice, and a line break in a comment would begin an entry.
pub(crate) fn plain(text: &str) -> String {
    let is_harmless = |it: char| matches!(it, ' '..='~') || it.is_alphanumeric();
    let shown = text.chars().take(SHOWN);
    let mut plain: String = shown.map(|it| if is_harmless(it) { it } else { '?' }).collect();
    if text.chars().nth(SHOWN).is_some() {
        plain += "...";
    }
    plain
}

/// A text of the inventory as TOML writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for it in text.chars() {
        match it {
            '"' | '\\' => quoted.extend(['\\', it]),
            it if it.is_control() => quoted += &format!("\\u{:04X}", it as u32),
            it => quoted.push(it),
        }
    }
    quoted + "\""
}

/// Bytes in the unit that shows them best.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    let mut scaled = count as f64 / 1e3;
    let mut unit = 0;
    while scaled >= 999.95 && unit + 1 < UNITS.len() {
        (scaled, unit) = (scaled / 1e3, unit + 1);
    }
    if count < 1_000 { format!("{count} B") } else { format!("{scaled:.1} {}", UNITS[unit]) }
}

/// A length of time in the unit that shows it best.
pub(crate) fn span(span: Nanos) -> String {
    let seconds = span.0 as f64 / 1e9;
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

/// A moment in whole seconds, UTC.
pub(crate) fn moment(time: Nanos) -> String {
    let moment = jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or_default();
    let mut text = format!("{moment:.0}");
    if let Some(at) = text.find('T') {
        text.replace_range(at..=at, " ");
    }
    text.trim_end_matches('Z').to_owned()
}

/// A count with its noun.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_from_outside_leaves_its_comment() {
        let hostile = "a\n[[allow]]\r\u{85}\u{2028}b\u{202e}\u{7f}\t\"\\#é";
        let shown = plain(hostile);
        assert_eq!(shown, "a?[[allow]]???b???\"\\#é");
        assert_eq!(plain(&"x".repeat(5_000)).len(), SHOWN + 3);
    }

    #[test]
    fn quoted_texts_are_read_back_as_they_were() {
        assert_eq!(quoted("a \"b\" \\ c"), r#""a \"b\" \\ c""#);
        assert_eq!(quoted("a\u{7}"), "\"a\\u0007\"");
    }

    #[test]
    fn numbers_have_the_unit_that_fits() {
        assert_eq!(
            [999, 1_500, 999_960, 5 << 30].map(bytes),
            ["999 B", "1.5 kB", "1.0 MB", "5.4 GB"]
        );
        assert_eq!(bytes(u64::MAX), "18446.7 PB");
        assert_eq!(span(Nanos::from_secs(30)), "30 s");
        assert_eq!(span(Nanos::from_secs(840)), "14 min");
        assert_eq!(moment(Nanos::from_secs(1_700_000_000)), "2023-11-14 22:13:20");
    }
}
