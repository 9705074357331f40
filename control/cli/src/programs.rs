//! The processes that `weir` runs: where their programs are, and becoming one of them.

use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, execv};

use crate::failure::Failure;

/// The dataplane process.
pub(crate) const SENSOR: &str = "weir-sensor";
/// The control process.
pub(crate) const CONTROL: &str = "weir-control";

/// What replays captures into a port.
pub(crate) const SENDER: &str = "weir-sender";

/// Finds a program beside the running one, so that a build or package runs its own parts, else in
/// PATH.
pub(crate) fn find(name: &str) -> Result<PathBuf, Failure> {
    let beside = env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
    let path = env::var_os("PATH").unwrap_or_default();
    let absolute = env::split_paths(&path).filter(|directory| directory.is_absolute());
    beside
        .iter()
        .cloned()
        .chain(absolute)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file() && access(program, AccessFlags::X_OK).is_ok())
        .ok_or_else(|| {
            let place = beside.unwrap_or_default();
            Failure::work(format!(
                "{name} is not installed; neither in {} nor in PATH; build all programs with \
                 `make build`, or install the package whole",
                place.display()
            ))
        })
}

/// Becomes the program `name` with these arguments.
pub(crate) fn become_program(name: &str, arguments: Vec<OsString>) -> Result<Infallible, Failure> {
    let program = find(name)?;
    let words = std::iter::once(OsString::from(name)).chain(arguments);
    // The system handed the arguments over as C strings, so that none holds a NUL.
    let words: Vec<CString> = words.filter_map(|word| CString::new(word.into_vec()).ok()).collect();
    let path = CString::new(program.as_os_str().as_bytes()).unwrap_or_default();
    execv(&path, &words).map_err(|why| {
        Failure::work(format!(
            "can't run {name}: {why}; {}; check that it is a program of this machine",
            program.display()
        ))
    })
}
