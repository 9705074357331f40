//! Standard output: the result of a command, and nothing else.

use std::fmt;
use std::io::{self, Write};

use crate::failure::Failure;

/// Prints lines of the result. Who no longer reads has seen enough; a full disk is a failure.
pub(crate) fn print(lines: impl fmt::Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(writeln!(out, "{lines}").and_then(|()| out.flush()))
}

/// What became of writing a result.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => Err(Failure::work(format!(
            "can't write the result: {why}; standard output; make room or redirect it"
        ))),
        _ => Ok(()),
    }
}
