//! One table of a configuration file, read key by key. Unknown keys are refused when it is opened;
//! a key of the wrong type is reported and the reading goes on, so that one run names every
//! mistake.
//!
//! A derived deserializer would stop at the first mistake and know nothing of the nearest key,
//! which is why the tables are walked here.

use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Mistake;
use crate::document::Findings;
use crate::limits::MAX_PREFIXES;
use crate::nearest::{quoted, remedy};
use crate::values::{Day, nanoseconds};

type Value<'a> = Spanned<DeValue<'a>>;

/// A table and where its findings go.
pub(crate) struct Section<'a> {
    pub(crate) findings: &'a Findings<'a>,
    name: &'static str,
    span: Range<usize>,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// Opens `value` as the table `name`, which may hold `keys` and nothing else.
    pub(crate) fn open(
        findings: &'a Findings<'a>,
        name: &'static str,
        value: &'a Value<'a>,
        keys: &[&'static str],
    ) -> Option<Self> {
        let section = Self::open_any(findings, name, value)?;
        for (key, _) in section.table.iter() {
            let written: &str = key.get_ref();
            if !keys.contains(&written) {
                let message = format!("unknown key {} in {name}", quoted(written));
                let remedy = remedy(written, keys.iter().copied());
                findings.error(key.span(), Mistake::new(message, remedy));
            }
        }
        Some(section)
    }

    /// Opens `value` as a table whose keys are data.
    fn open_any(
        findings: &'a Findings<'a>,
        name: &'static str,
        value: &'a Value<'a>,
    ) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            let remedy = format!("write {name} as a table of `key = value`");
            findings.error(value.span(), mismatch(name, "a table", value, remedy));
            return None;
        };
        Some(Self { findings, name, span: value.span(), table })
    }

    /// Where the table begins: its header or its opening brace.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Whether no key is given.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether `key` is given, and where its value stands.
    pub(crate) fn place(&self, key: &str) -> Option<Range<usize>> {
        self.table.get(key).map(Spanned::span)
    }

    /// Records an error about the value of `key`, or about the table when the key is absent.
    pub(crate) fn error(&self, key: &str, mistake: Mistake) {
        self.findings.error(self.place(key).unwrap_or(self.span()), mistake);
    }

    /// Passes on what `key` held. A key that is absent is an error, one that was wrong was reported
    /// already.
    pub(crate) fn required<T>(&self, key: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && self.place(key).is_none() {
            let message = format!("{} has no `{key}`", self.name);
            self.findings.error(self.span(), Mistake::new(message, format!("add `{key} = …`")));
        }
        value
    }

    /// The text of `key`, parsed.
    pub(crate) fn parsed<T: FromStr<Err = Mistake>>(&self, key: &str) -> Option<Spanned<T>> {
        self.parse_value(key, self.table.get(key)?)
    }

    /// The texts in the list of `key`, each parsed; none when the key is absent.
    pub(crate) fn list<T: FromStr<Err = Mistake>>(&self, key: &str) -> Vec<Spanned<T>> {
        self.values(key, "text").filter_map(|value| self.parse_value(key, value)).collect()
    }

    /// Like [`list`](Self::list), but an absent or empty list is an error.
    pub(crate) fn required_list<T: FromStr<Err = Mistake>>(&self, key: &str) -> Vec<Spanned<T>> {
        self.required(key, self.place(key));
        if let Some(value) = self.table.get(key)
            && value.get_ref().as_array().is_some_and(|array| array.is_empty())
        {
            let message = format!("`{key}` of {} is empty", self.name);
            self.findings.error(value.span(), Mistake::new(message, "name at least one"));
        }
        self.list(key)
    }

    /// The whole numbers in the list of `key`, within `range`; none when the key is absent.
    pub(crate) fn integers(&self, key: &str, range: RangeInclusive<u64>) -> Vec<Spanned<u64>> {
        let values = self.values(key, "numbers");
        values.filter_map(|value| self.integer_value(key, value, &range)).collect()
    }

    /// The whole number of `key`, within `range`.
    pub(crate) fn integer(&self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.integer_value(key, self.table.get(key)?, &range).map(Spanned::into_inner)
    }

    /// The number of `key`, whole or not. It may be infinite or NaN, which TOML can write.
    pub(crate) fn number(&self, key: &str) -> Option<Spanned<f64>> {
        let value = self.table.get(key)?;
        let number = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .map(|whole| whole as f64),
            _ => None,
        };
        if number.is_none() {
            let mistake = mismatch(key, "a number", value, "write it without quotation marks");
            self.findings.error(value.span(), mistake);
        }
        number.map(|number| Spanned::new(value.span(), number))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, key: &str) -> Option<bool> {
        let value = self.table.get(key)?;
        let DeValue::Boolean(boolean) = value.get_ref() else {
            let remedy = "write true or false, without quotation marks";
            self.findings.error(value.span(), mismatch(key, "true or false", value, remedy));
            return None;
        };
        Some(*boolean)
    }

    /// A date or a time with offset, in nanoseconds since 1970 UTC. `day` says which end of it a
    /// bare date means.
    pub(crate) fn instant(&self, key: &str, day: Day) -> Option<u64> {
        let value = self.table.get(key)?;
        let DeValue::Datetime(datetime) = value.get_ref() else {
            let remedy = "write 2027-01-01 or 2027-01-01T00:00:00Z, without quotation marks";
            self.findings.error(value.span(), mismatch(key, "a date", value, remedy));
            return None;
        };
        let instant = nanoseconds(datetime, day);
        instant.map_err(|mistake| self.findings.error(value.span(), mistake)).ok()
    }

    /// The table under `key`, which may hold `keys` and nothing else.
    pub(crate) fn table(
        &self,
        key: &str,
        name: &'static str,
        keys: &[&'static str],
    ) -> Option<Section<'a>> {
        Section::open(self.findings, name, self.table.get(key)?, keys)
    }

    /// The tables in the list of `key` (`[[key]]`, or inline), each of which may hold `keys` and no
    /// other.
    pub(crate) fn tables(
        &self,
        key: &str,
        name: &'static str,
        keys: &'static [&'static str],
        most: usize,
    ) -> Vec<Section<'a>> {
        let Some(value) = self.table.get(key) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            let remedy = format!("write [[{key}]] with two brackets, once for each");
            self.findings.error(value.span(), mismatch(key, "a list of tables", value, remedy));
            return Vec::new();
        };
        self.check_length(key, value, array.len(), most);
        let opened = array.iter().take(most);
        opened.filter_map(|value| Section::open(self.findings, name, value, keys)).collect()
    }

    /// The entries of the table under `key`, whose keys are data.
    pub(crate) fn entries(
        &self,
        key: &str,
        name: &'static str,
    ) -> impl Iterator<Item = (Range<usize>, &'a str, &'a Value<'a>)> {
        let value = self.table.get(key);
        let section = value.and_then(|value| Section::open_any(self.findings, name, value));
        section.into_iter().flat_map(|section| {
            section.table.iter().map(|(key, value)| (key.span(), key.get_ref().as_ref(), value))
        })
    }

    /// The values in the list of `key`, of whatever type; `of` says what they should be.
    pub(crate) fn values(
        &self,
        key: &str,
        of: &'static str,
    ) -> impl Iterator<Item = &'a Value<'a>> + use<'a> {
        let array = self.table.get(key).and_then(|value| {
            let array = value.get_ref().as_array();
            match array {
                Some(array) => self.check_length(key, value, array.len(), MAX_PREFIXES),
                None => {
                    let expected = format!("a list of {of}");
                    let mistake = mismatch(key, &expected, value, "put it in brackets: […]");
                    self.findings.error(value.span(), mistake);
                }
            }
            array
        });
        array.into_iter().flat_map(|array| array.iter().take(MAX_PREFIXES))
    }

    /// The text of `value`, parsed; `key` names it in findings.
    pub(crate) fn parse_value<T: FromStr<Err = Mistake>>(
        &self,
        key: &str,
        value: &Value<'_>,
    ) -> Option<Spanned<T>> {
        let DeValue::String(text) = value.get_ref() else {
            let remedy = "put it in quotation marks";
            self.findings.error(value.span(), mismatch(key, "text", value, remedy));
            return None;
        };
        let parsed = text.parse().map_err(|mistake| self.findings.error(value.span(), mistake));
        parsed.ok().map(|parsed| Spanned::new(value.span(), parsed))
    }

    fn integer_value(
        &self,
        key: &str,
        value: &Value<'_>,
        range: &RangeInclusive<u64>,
    ) -> Option<Spanned<u64>> {
        let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(integer) = value.get_ref() else {
            self.findings.error(value.span(), mismatch(key, "a whole number", value, remedy));
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix());
        match number.ok().filter(|number| range.contains(number)) {
            Some(number) => Some(Spanned::new(value.span(), number)),
            None => {
                let message = format!("`{key}` is out of range: {}", quoted(integer.as_str()));
                self.findings.error(value.span(), Mistake::new(message, remedy));
                None
            }
        }
    }

    fn check_length(&self, key: &str, value: &Value<'_>, length: usize, most: usize) {
        if length > most {
            let message = format!("`{key}` has {length} entries, more than {most}");
            let remedy = "name networks instead of single addresses, or split the site";
            self.findings.error(value.span(), Mistake::new(message, remedy));
        }
    }
}

/// The value of `key` is of another type than `expected`.
pub(crate) fn mismatch(
    key: &str,
    expected: &str,
    found: &Value<'_>,
    remedy: impl Into<String>,
) -> Mistake {
    let found = match found.get_ref() {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Mistake::new(format!("{} should be {expected}, not {found}", quoted(key)), remedy)
}
