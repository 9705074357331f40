//! `[[quirk]]`: a vendor's harmless oddities, by the names that the detection gives them.

use crate::diagnostic::Mistake;
use crate::nearest::{nearest, quoted};

/// One `[[quirk]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quirk {
    /// The detection that it silences.
    pub detection: String,
    /// For whom: the number of a set of equipment.
    pub set: u32,
    /// Which oddity, as that detection names it.
    pub value: String,
}

/// What GTP-HDRCOV finds besides extension headers.
const IN_HEADERS: [&str; 5] =
    ["spare bit", "trailing bytes", "private extension", "echo padding", "echo rate"];

/// What COV-TIME finds besides NTP modes and PTP elements, and what it asks about.
const OF_TIME: [&str; 4] = ["ntp server", "ntp extensions", "ntp authentication", "ntp rate"];

/// Whether a detection asks for quirks at all.
pub(crate) fn are_known_to(detection: &str) -> bool {
    ["GTP-HDRCOV", "COV-TIME"].contains(&detection)
}

/// The oddity that `value` means, in the one form that the detection prints.
pub(crate) fn canonical(detection: &str, value: &str) -> Result<String, Mistake> {
    if detection == "COV-TIME" { of_time(value) } else { in_header(value) }
}

fn of_time(value: &str) -> Result<String, Mistake> {
    let is_mode = |mode: &str| matches!(mode.as_bytes(), [b'0'..=b'7']);
    let is_kind = |kind: &str| {
        let digits = kind.strip_prefix("0x").unwrap_or_default();
        digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    if OF_TIME.contains(&value)
        || value.strip_prefix("ntp mode ").is_some_and(is_mode)
        || value.strip_prefix("ptp tlv ").is_some_and(is_kind)
    {
        return Ok(value.to_ascii_lowercase());
    }
    let remedy = format!("use one of: {}, `ntp mode 6` or `ptp tlv 0x0003`", OF_TIME.join(", "));
    Err(Mistake::new(format!("COV-TIME knows no {}", quoted(value)), remedy))
}

fn in_header(value: &str) -> Result<String, Mistake> {
    if IN_HEADERS.contains(&value) {
        return Ok(value.into());
    }
    if let Some(kind) = value.strip_prefix("ext ") {
        let digits = kind.strip_prefix("0x").unwrap_or_default();
        if digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(value.to_ascii_lowercase());
        }
        let message = format!("{} is not the type of an extension header", quoted(kind));
        return Err(Mistake::new(message, "write two hexadecimal digits, as in `ext 0x40`"));
    }
    let remedy = match nearest(value, IN_HEADERS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use one of: {}, or `ext 0x40`", IN_HEADERS.join(", ")),
    };
    Err(Mistake::new(format!("GTP-HDRCOV knows no {}", quoted(value)), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oddity_has_one_form() {
        for known in IN_HEADERS.into_iter().chain(["ext 0x40", "ext 0xff"]) {
            assert_eq!(canonical("GTP-HDRCOV", known).unwrap(), known);
        }
        assert_eq!(canonical("GTP-HDRCOV", "ext 0xC0").unwrap(), "ext 0xc0");
        for known in ["ntp authentication", "ntp mode 6", "ptp tlv 0x0003", "ptp tlv 0xFFab"] {
            let one = canonical("COV-TIME", known).unwrap();
            assert_eq!(one, known.to_ascii_lowercase());
        }
    }

    #[test]
    fn what_the_detection_never_prints_is_refused_with_what_it_does() {
        let remedy = |value| canonical("GTP-HDRCOV", value).unwrap_err().remedy;
        for wrong in ["ext 64", "ext 0x4", "ext 0x040", "ext 0x+4", "ext ", "ext 0xé"] {
            assert_eq!(remedy(wrong), "write two hexadecimal digits, as in `ext 0x40`", "{wrong}");
        }
        assert_eq!(remedy("trailing byte"), "did you mean `trailing bytes`?");
        for wrong in ["ntp mode 8", "ntp mode 66", "ptp tlv 3", "ptp tlv 0x003", "ext 0x40"] {
            assert!(canonical("COV-TIME", wrong).is_err(), "{wrong}");
        }
        assert!(remedy("everything").ends_with("echo rate, or `ext 0x40`"));
    }
}
