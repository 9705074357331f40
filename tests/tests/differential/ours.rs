//! The readings of `weir decode`.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;
use weir_tests::text;

use crate::field::{Field, Reading};

/// A frame as `weir decode` sees it.
pub(crate) struct Ours {
    pub(crate) line: Value,
    pub(crate) reading: Reading,
}

impl Ours {
    /// What the decoding ended with: the layer and the kind.
    pub(crate) fn error(&self) -> Option<(&str, &str)> {
        let error = &self.line["error"];
        error["layer"].as_str().zip(error["kind"].as_str())
    }

    /// The names of the layers.
    pub(crate) fn layers(&self) -> Vec<&str> {
        self.line["layers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// The first `most` frames of a capture.
///
/// # Panics
/// If `weir` does not start or says what is no JSON.
pub(crate) fn read(capture: &Path, most: usize) -> Vec<Ours> {
    let mut child = weir_tests::weir(&["decode", text(capture)]).spawn().expect("weir starts");
    let output = child.stdout.take().expect("its output is piped");
    let frames = BufReader::new(output)
        .lines()
        .take(most)
        .map(|line| {
            let line = line.expect("the lines are text");
            let line: Value = serde_json::from_str(&line).expect("a line is JSON");
            Ours { reading: reading(&line), line }
        })
        .collect();
    // What goes beyond `most` is of no interest: the end need not be awaited.
    let _ = child.kill();
    let _ = child.wait();
    frames
}

fn reading(line: &Value) -> Reading {
    let mut reading = Reading::default();
    let layers = line["layers"].as_array().expect("layers is a list");
    let carries = layers.iter().find(|layer| *layer == "gtpu" || *layer == "pfcp");
    reading.put(Field::Carries, carries.and_then(Value::as_str).unwrap_or("neither"));
    reading.put_list(Field::Vlan, items(&line["vlan"]));
    reading.put_list(Field::Mpls, items(&line["mpls"]));
    outer(&line["outer"], &mut reading);
    gtpu(&line["gtpu"], &mut reading);
    inner(&line["inner"], &mut reading);
    pfcp(items(&line["pfcp"]), &mut reading);
    reading
}

fn outer(ends: &Value, reading: &mut Reading) {
    reading.put_some(Field::OuterSource, plain(&ends["src"]));
    reading.put_some(Field::OuterDestination, plain(&ends["dst"]));
    reading.put_some(Field::OuterProtocol, plain(&ends["proto"]));
    reading.put_some(Field::OuterSourcePort, plain(&ends["sport"]));
    reading.put_some(Field::OuterDestinationPort, plain(&ends["dport"]));
    reading.put_some(Field::Fragment, plain(&ends["frag"]));
}

fn inner(ends: &Value, reading: &mut Reading) {
    reading.put_some(Field::InnerSource, plain(&ends["src"]));
    reading.put_some(Field::InnerDestination, plain(&ends["dst"]));
    reading.put_some(Field::InnerProtocol, plain(&ends["proto"]));
    reading.put_some(Field::InnerSourcePort, plain(&ends["sport"]));
    reading.put_some(Field::InnerDestinationPort, plain(&ends["dport"]));
}

fn gtpu(header: &Value, reading: &mut Reading) {
    reading.put_some(Field::GtpuType, plain(&header["type"]));
    reading.put_some(Field::GtpuTeid, plain(&header["teid"]));
    reading.put_some(Field::GtpuLength, plain(&header["length"]));
    reading.put_some(Field::GtpuSequence, plain(&header["seq"]));
    reading.put_some(Field::GtpuNPdu, plain(&header["npdu"]));
    let extensions = items(&header["ext"]);
    reading.put_list(Field::Extensions, extensions.iter().map(|one| &one["type"]));
    reading.put_list(Field::ExtensionLengths, extensions.iter().map(|one| &one["len"]));
    // The first that is one: the type 133 alone need not be readable.
    let Some(container) = extensions.iter().find(|one| !one["pdu_type"].is_null()) else { return };
    reading.put_some(Field::ContainerType, plain(&container["pdu_type"]));
    reading.put_some(Field::Qfi, plain(&container["qfi"]));
    reading.put_some(Field::Rqi, plain(&container["rqi"]));
    reading.put_some(Field::Ppp, plain(&container["ppp"]));
    reading.put_some(Field::Ppi, plain(&container["ppi"]));
    reading.put_some(Field::Qmp, plain(&container["qmp"]));
    reading.put_some(Field::Snp, plain(&container["snp"]));
}

fn pfcp(messages: &[Value], reading: &mut Reading) {
    let of = |key: &'static str| messages.iter().filter_map(move |one| plain(&one[key]));
    reading.put_list(Field::PfcpType, of("type"));
    reading.put_list(Field::PfcpSeid, of("seid"));
    reading.put_list(Field::PfcpSequence, of("seq"));
    reading.put_list(Field::PfcpLength, of("length"));
    let elements: Vec<u64> = messages
        .iter()
        .flat_map(|one| items(&one["ie"]))
        .map(|kind| kind.as_u64().expect("an element's type is a number"))
        .collect();
    reading.put_elements(&elements);
}

/// A text without its quotes, any other value as it is written; none of null.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
