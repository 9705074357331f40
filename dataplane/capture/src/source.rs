//! Where a capture's bytes come from: a file or standard input.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::Path;

use weir_mem::FileMap;

use crate::packing::Packing;

/// An opened capture, whose format nobody has looked at yet.
#[derive(Debug)]
pub enum Source {
    /// A plain file, for [`crate::Reader`].
    Mapped(FileMap),
    /// What must be read in order, for [`crate::Stream`]: a compressed file,
    /// or standard input, of which nothing has been read yet.
    Stream(File),
}

/// Whether a path means standard input.
pub fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a capture; `-` is standard input. Does not wait for a byte of it.
///
/// # Errors
/// What opening says; `InvalidInput` for what is no regular file, and for a
/// standard input that is a terminal.
pub fn open(path: &Path) -> io::Result<Source> {
    let invalid = |why| Err(io::Error::new(ErrorKind::InvalidInput, why));
    if is_standard_input(path) {
        let input = io::stdin();
        if input.is_terminal() {
            return invalid("standard input is a terminal, not a pipe or file");
        }
        return Ok(Source::Stream(File::from(input.as_fd().try_clone_to_owned()?)));
    }
    // A pipe without a writer would block its opening.
    if !path.metadata()?.is_file() {
        return invalid("not a regular file");
    }
    let mut head = Vec::with_capacity(4);
    File::open(path)?.take(4).read_to_end(&mut head)?;
    if Packing::of(&head).is_some() {
        return Ok(Source::Stream(File::open(path)?));
    }
    FileMap::open(path).map(Source::Mapped)
}
