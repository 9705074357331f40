//! The captures: what others recorded, what is committed, what every scenario generates.

use std::path::{Path, PathBuf};

use weir_pcaps::Scenario;

/// A scenario is read up to here; what follows repeats it.
const GENERATED: usize = 40_000;

/// More frames than a capture has; tshark counts no further.
const WHOLE: usize = i32::MAX as usize;

/// A capture to read.
pub(crate) struct Capture {
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// How many of its frames to read.
    pub(crate) most: usize,
}

/// All captures; scenarios are played into `scratch`.
///
/// # Panics
/// If a folder can't be read or a scenario not be played.
pub(crate) fn captures(scratch: &Path) -> Vec<Capture> {
    let mut captures = Vec::new();
    if std::env::var("DIFF_ONLY").is_err()
        && let Some(shared) = weir_tests::shared()
    {
        add(&shared, "shared", &mut captures);
    }
    let pcaps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps");
    add(&pcaps.join("captures"), "committed", &mut captures);
    for path in sorted(&pcaps.join("scenarios")) {
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let scenario = Scenario::load(&path).expect("a committed scenario is sound");
        let report = scenario.write_to(scratch.join(&name), |_| ()).expect("it can be written");
        captures.extend(report.captures.into_iter().map(|path| Capture {
            name: format!("generated/{name}/{}", path.file_name().unwrap().to_string_lossy()),
            path,
            most: GENERATED,
        }));
    }
    captures
}

/// Adds the captures of a folder and of those in it.
fn add(folder: &Path, name: &str, captures: &mut Vec<Capture>) {
    for path in sorted(folder) {
        let file = path.file_name().expect("a file has a name").to_string_lossy();
        let name = format!("{name}/{file}");
        if path.is_dir() {
            add(&path, &name, captures);
        } else if file.contains(".pcap") {
            captures.push(Capture { name, path, most: WHOLE });
        }
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("its entries too").path()).collect();
    paths.sort();
    paths
}
