//! How a command ends without success: the message, and the exit code that says whose fault it is.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do its work. Messages say what; where; what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was asked for something that can't be: exit code 2.
    Usage(String),
    /// It was asked rightly, and the work failed: exit code 1.
    Work(String),
    /// The reasons already stand on stderr.
    Said(u8),
}

impl Failure {
    /// A refusal of what was asked.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::Usage(message.to_string())
    }

    /// A failure of the work.
    pub(crate) fn work(message: impl fmt::Display) -> Self {
        Self::Work(message.to_string())
    }

    /// Prints what was not said yet and gives the code to exit with.
    pub(crate) fn report(&self) -> ExitCode {
        let code = match self {
            Self::Usage(message) => {
                eprintln!("error: {message}");
                2
            }
            Self::Work(message) => {
                eprintln!("error: {message}");
                1
            }
            Self::Said(code) => *code,
        };
        ExitCode::from(code)
    }
}
