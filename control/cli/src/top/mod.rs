//! `weir top`: whether Weir sees, and what is open, on a terminal.

mod access;
mod asker;
mod board;
mod client;
mod draw;
mod list;
mod page;
mod palette;
#[cfg(test)]
mod samples;
mod terminal;
mod told;
mod words;

use std::env;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use self::access::Access;
use self::asker::Asker;
use self::client::{Client, Trouble};
use self::page::PlainPage;
use self::palette::Palette;
use crate::failure::Failure;
use crate::output::print;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where weir-control is: http:// on this machine alone, else https://
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9810")]
    address: String,
    /// A file with the token, which nobody else may read [default: the variable WEIR_TOKEN, if there is one]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The authority of control's certificate, as PEM; needed for https
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate to show to a control that wants one (client_ca), as PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, which nobody else may read
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Print one page of plain text, as without a terminal, and end
    #[arg(long)]
    once: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let access = Access::of(options)?;
    let address = access.address.clone();
    let client = Client::new(access);
    if options.once || !has_terminal() {
        let refused = |trouble: Trouble| {
            let (what, remedy) = trouble.parts();
            Failure::work(format!("{what}; {address}; {remedy}"))
        };
        let state = client.state().map_err(refused)?;
        let incidents = client.incidents().map_err(refused)?;
        return print(PlainPage { state: &state, incidents: &incidents });
    }
    terminal::show(&Asker::start(client), Palette::of_environment())
}

fn has_terminal() -> bool {
    io::stdout().is_terminal() && env::var_os("TERM").is_some_and(|name| name != "dumb")
}
