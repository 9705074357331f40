//! The readings of scapy: GTP-U and PFCP of some frames of every capture, since it is slow.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::field::{ALL, Field, OUTER, Reading};
use crate::oracle::Theirs;

/// How many frames of a capture it is asked about.
const ASKED: usize = 1_500;

const SCRIPT: &str = include_str!("scapy.py");

/// Debian's scapy belongs to Debian's Python.
const PYTHON: &str = "/usr/bin/python3";

/// What scapy can be asked about in this frame: the IP header only where it found a tunnel.
pub(crate) fn fields(theirs: &Theirs) -> Vec<Field> {
    let tunnel = theirs.reading.of(Field::Carries) != Some("neither");
    let asked = |field: &Field| match field {
        Field::Vlan | Field::Mpls | Field::Fragment => false,
        field => tunnel || !OUTER.contains(field),
    };
    ALL.iter().copied().filter(asked).collect()
}

/// Some of the first `most` frames of a capture, which has `frames`, by their index; none if
/// there is no scapy.
///
/// # Panics
/// If the script fails.
pub(crate) fn read(capture: &Path, most: usize, frames: usize) -> Option<Vec<(usize, Theirs)>> {
    let step = frames.div_ceil(ASKED).max(1);
    let output = Command::new(PYTHON)
        .args(["-c", SCRIPT])
        .arg(capture)
        .args([step.to_string(), most.to_string()])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("No module named 'scapy'") {
        return None;
    }
    assert!(output.status.success(), "scapy, {}: {complaint}", capture.display());
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().map(theirs).collect())
}

fn theirs(line: &str) -> (usize, Theirs) {
    let line: Value = serde_json::from_str(line).expect("the script prints JSON");
    let mut reading = Reading::default();
    for (name, value) in line["reading"].as_object().expect("a reading has keys") {
        let field = ALL.iter().find(|field| field.name() == name).expect("the key is a field's");
        let value = value.as_str().expect("its value is text");
        // Python writes booleans with a capital.
        let value = match value {
            "True" => "true",
            "False" => "false",
            other => other,
        };
        reading.put(*field, value);
    }
    let elements = reading.of(Field::PfcpElements).unwrap_or_default().split(',');
    let elements: Vec<u64> = elements.filter_map(|kind| kind.parse().ok()).collect();
    reading.put_elements(&elements);
    let n = line["n"].as_u64().expect("it says which frame") as usize;
    let layers = line["layers"].as_str().expect("and which layers").to_owned();
    let versions = line["versions"].as_array().expect("and of which versions");
    let versions = versions.iter().filter_map(Value::as_u64).collect();
    (n, Theirs { reading, layers, versions, ..Theirs::default() })
}
