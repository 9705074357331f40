//! JSON text, written straight into a page of memory: a line has some forty keys, and to take
//! them through a serializer that fits every format costs more than decoding the frame.
//!
//! What is written is numbers, addresses and names of Weir's own, none of which needs an escape.

use std::io::Write;
use std::net::IpAddr;

use weir_engine::Nanos;

/// Writes values. Each leaves a comma behind it, whose place the end of what it stands in takes.
pub(super) struct Json<'p>(&'p mut Vec<u8>);

impl<'p> Json<'p> {
    /// At the end of a page.
    pub(super) fn at_end(page: &'p mut Vec<u8>) -> Self {
        Self(page)
    }

    /// A line of one object.
    pub(super) fn line(mut self, fields: impl FnOnce(&mut Json<'_>)) {
        self.object(fields);
        self.end(b'\n');
    }

    /// The name of the field whose value is written next.
    #[inline]
    pub(super) fn key(&mut self, key: &'static str) -> &mut Self {
        self.put(b"\"");
        self.put(key.as_bytes());
        self.put(b"\":");
        self
    }

    pub(super) fn object(&mut self, fields: impl FnOnce(&mut Json<'_>)) {
        self.put(b"{");
        fields(self);
        self.end(b'}');
        self.put(b",");
    }

    pub(super) fn list(&mut self, values: impl FnOnce(&mut Json<'_>)) {
        self.put(b"[");
        values(self);
        self.end(b']');
        self.put(b",");
    }

    #[inline]
    pub(super) fn number(&mut self, number: impl itoa::Integer) {
        self.digits(number);
        self.put(b",");
    }

    pub(super) fn numbers(&mut self, numbers: impl IntoIterator<Item = impl itoa::Integer>) {
        self.list(|json| numbers.into_iter().for_each(|number| json.number(number)));
    }

    pub(super) fn number_or_null(&mut self, number: Option<impl itoa::Integer>) {
        match number {
            Some(number) => self.number(number),
            None => self.put(b"null,"),
        }
    }

    /// A field that is absent without a number.
    #[inline]
    pub(super) fn number_if_any(&mut self, key: &'static str, number: Option<impl itoa::Integer>) {
        if let Some(number) = number {
            self.key(key).number(number);
        }
    }

    pub(super) fn truth(&mut self, truth: bool) {
        self.put(if truth { b"true," } else { b"false," });
    }

    /// One of Weir's own names.
    #[inline]
    pub(super) fn name(&mut self, name: &'static str) {
        self.put(b"\"");
        self.put(name.as_bytes());
        self.put(b"\",");
    }

    pub(super) fn address(&mut self, address: IpAddr) {
        self.put(b"\"");
        match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                self.digits(a);
                for octet in [b, c, d] {
                    self.put(b".");
                    self.digits(octet);
                }
            }
            IpAddr::V6(v6) => self.show(format_args!("{v6}")),
        }
        self.put(b"\",");
    }

    /// A 64-bit number as a hexadecimal string.
    pub(super) fn hex(&mut self, number: u64) {
        self.show(format_args!("\"{number:#x}\","));
    }

    /// Seconds with nine decimals, as a string.
    pub(super) fn seconds(&mut self, time: Nanos) {
        const SECOND: u64 = 1_000_000_000;
        self.put(b"\"");
        self.digits(time.0 / SECOND);
        // A second more makes ten digits, of which the last nine are the decimals.
        let decimals = self.0.len();
        self.digits(SECOND + time.0 % SECOND);
        self.0[decimals] = b'.';
        self.put(b"\",");
    }

    #[inline]
    fn digits(&mut self, number: impl itoa::Integer) {
        self.put(itoa::Buffer::new().format(number).as_bytes());
    }

    fn show(&mut self, text: std::fmt::Arguments<'_>) {
        // Memory takes every byte.
        let _ = self.0.write_fmt(text);
    }

    /// Ends a list, an object or a line in the place of its last comma.
    fn end(&mut self, mark: u8) {
        self.0.pop_if(|last| *last == b',');
        self.0.push(mark);
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(fields: impl FnOnce(&mut Json<'_>)) -> String {
        let mut page = Vec::new();
        Json::at_end(&mut page).line(fields);
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn commas_stand_between_values_and_nowhere_else() {
        assert_eq!(line(|_| {}), "{}\n");
        let text = line(|json| {
            json.key("a").numbers([0_u8; 0]);
            json.key("b").numbers([1, 23]);
            json.key("c").list(|json| {
                json.object(|json| json.key("d").truth(false));
                json.object(|json| json.key("e").number_or_null(None::<u8>));
            });
            json.number_if_any("f", None::<u8>);
            json.number_if_any("g", Some(u64::MAX));
        });
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            parsed,
            serde_json::json!({
                "a": [], "b": [1, 23], "c": [{ "d": false }, { "e": null }], "g": u64::MAX
            })
        );
    }

    #[test]
    fn times_addresses_and_identifiers_are_strings() {
        let text = line(|json| {
            json.key("a").seconds(Nanos(1_700_000_000_000_000_120));
            json.key("b").seconds(Nanos(7));
            json.key("c").seconds(Nanos(u64::MAX));
            json.key("d").hex(0x2a);
            json.key("e").address("10.0.255.1".parse().unwrap());
            json.key("f").address("2001:db8::1".parse().unwrap());
            json.key("g").name("none");
        });
        assert_eq!(
            text,
            "{\"a\":\"1700000000.000000120\",\"b\":\"0.000000007\",\
             \"c\":\"18446744073.709551615\",\"d\":\"0x2a\",\"e\":\"10.0.255.1\",\
             \"f\":\"2001:db8::1\",\"g\":\"none\"}\n"
        );
    }
}
