//! What somebody probably meant to write.

/// Texts longer than this are not compared: nobody mistypes them by a letter or two, and the cost
/// grows with the product of both lengths.
const LONGEST: usize = 64;

/// The known text nearest to `wanted` in letters exchanged, dropped, added or swapped, if one is
/// near; of several the first by name, whatever the order that they come in.
pub fn nearest<'k>(wanted: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if wanted.len() > LONGEST {
        return None;
    }
    let wanted = wanted.to_lowercase();
    let tolerance = (wanted.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(wanted.len()) <= tolerance * 4)
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (strsim::osa_distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The remedy for an unknown word: the nearest known one, else all of them when they fit on a line.
pub fn remedy<'k>(wanted: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    match nearest(wanted, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use one of: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// `text` in backquotes, shortened and with control characters escaped, so that a hostile or broken
/// file cannot write to the terminal through its own error message.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        let known = ["vendor", "model", "build", "addresses"];
        assert_eq!(nearest("vender", known), Some("vendor"));
        assert_eq!(nearest("adresses", known), Some("addresses"));
        assert_eq!(nearest("BUILD", known), Some("build"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn quotes_without_letting_control_characters_through() {
        assert_eq!(quoted("a\u{1b}[2Jb"), "`a\\u{1b}[2Jb`");
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), 64 + 3);
    }
}
