//! The process `weir-control`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use weir_control::control::Control;
use weir_control::http;
use weir_control::live::{self, Shared};
use weir_control::options::{Options, Plan};
use weir_control::refusal::Refusal;

fn main() -> ExitCode {
    let control = match Options::parse().plan().and_then(start) {
        Ok(control) => control,
        Err(refusal) => return complain(&refusal, 2),
    };
    match control.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => complain(&refusal, 1),
    }
}

fn start(plan: Plan) -> Result<Control, Refusal> {
    let shared = Shared::default();
    // The port first: whoever finds it taken should not have touched any state.
    let listener = plan.listen.map(http::bind).transpose()?;
    let control = Control::start(plan, shared.clone())?;
    if let Some(listener) = listener {
        let refused = |error: std::io::Error| {
            Refusal::new(
                &format!("can't serve HTTP: {error}"),
                "weir-control",
                "free memory and files",
            )
        };
        let address = listener.local_addr().map_err(refused)?;
        http::serve(listener, shared.clone()).map_err(refused)?;
        eprintln!("listening on http://{address}");
    }
    live::keep_beating(&shared);
    Ok(control)
}

fn complain(refusal: &Refusal, code: u8) -> ExitCode {
    eprintln!("{refusal}");
    ExitCode::from(code)
}
