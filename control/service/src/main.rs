//! The process `weir-control`.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::{Arc, mpsc};

use clap::Parser;
use weir_control::api::Api;
use weir_control::control::Control;
use weir_control::door::Limits;
use weir_control::door::tls::Tls;
use weir_control::http;
use weir_control::live::{self, Shared};
use weir_control::options::{Options, Plan};
use weir_control::refusal::Refusal;

/// Orders that wait to be carried out.
const DESK: usize = 256;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(asked) = options.token() {
        return match asked.and_then(|asked| asked.issue()) {
            Ok(token) => {
                println!("{token}");
                ExitCode::SUCCESS
            }
            Err(refusal) => complain(&refusal, 2),
        };
    }
    let control = match options.plan().and_then(start) {
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
    let tls = plan.tls.clone().map(Tls::read).transpose()?.map(Arc::new);
    live::lock(&shared).tls.clone_from(&tls);
    // The port first: whoever finds it taken should not have touched any state.
    let listener = plan.listen.map(http::bind).transpose()?;
    let (desk, orders) = mpsc::sync_channel(DESK);
    let state_dir = plan.state_dir.clone();
    let evidence = plan.evidence.as_ref().map(|(directory, _)| directory.clone());
    let control = Control::start(plan, shared.clone(), orders)?;
    if let Some(listener) = listener {
        let refused = |error: std::io::Error| {
            Refusal::new(
                &format!("can't serve HTTP: {error}"),
                "weir-control",
                "free memory and files",
            )
        };
        let address = listener.local_addr().map_err(refused)?;
        let limits = Arc::new(Limits::new(Arc::clone(&live::lock(&shared).door)));
        let door = (Arc::clone(&limits), address.ip().is_loopback());
        let api = Api::new(state_dir.clone(), evidence, desk, shared.clone(), door);
        let api = api.map_err(|error| {
            let place = state_dir.join("tokens.toml");
            let remedy = "mend it, or move it away and make tokens anew with --new-token";
            Refusal::new(&error.to_string(), &place.display().to_string(), remedy)
        })?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        http::serve(listener, shared.clone(), api, (tls, limits)).map_err(refused)?;
        eprintln!("listening on {scheme}://{address}");
    }
    live::keep_beating(&shared);
    Ok(control)
}

fn complain(refusal: &Refusal, code: u8) -> ExitCode {
    eprintln!("{refusal}");
    ExitCode::from(code)
}
