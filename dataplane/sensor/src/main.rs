//! weir-sensor: the dataplane process. Packets in, verdicts out.
//!
//! Threads: a worker per core (`station`), fed by its own DPDK queues (`watch`), by receive
//! threads over rings (`receive`, `serve`) or by the capture reader (`reader`); the judge
//! (`court`); the socket's (`courier`); and the main one, which watches ports and progress.

#![forbid(unsafe_code)]

mod clock;
mod courier;
mod court;
#[cfg(feature = "dpdk")]
mod device;
mod evidence;
mod fitness;
#[cfg(feature = "dpdk")]
mod idle;
#[cfg(feature = "dpdk")]
mod link;
#[cfg(feature = "dpdk")]
mod numa;
mod options;
mod plan;
mod policy;
mod reader;
#[cfg(feature = "dpdk")]
mod receive;
#[cfg(feature = "dpdk")]
mod relay;
mod run;
#[cfg(feature = "dpdk")]
mod serve;
mod site_key;
#[cfg(feature = "dpdk")]
mod slicer;
mod station;
mod stop;
mod tap;
#[cfg(feature = "dpdk")]
mod threads;
#[cfg(feature = "dpdk")]
mod watch;

use std::process::ExitCode;

use clap::Parser;
use options::Options;
use plan::Plan;
use stop::Stop;

/// The work failed.
const FAILED: u8 = 1;
/// Usage or configuration.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    let config = match options.config.as_deref().map(weir_policy::load_config).transpose() {
        Ok(config) => config.map(|checked| {
            checked.warnings.iter().for_each(|warning| eprintln!("{warning}"));
            checked.value
        }),
        Err(diagnostics) => {
            diagnostics.iter().for_each(|diagnostic| eprintln!("{diagnostic}"));
            return ExitCode::from(REFUSED);
        }
    };
    let prepared = Plan::of(&options, config.as_ref()).and_then(|plan| {
        let stop = Stop::by_signal()?;
        run::Sensor::prepare(plan, stop)
    });
    let sensor = match prepared {
        Ok(sensor) => sensor,
        Err(error) => return report(&error, REFUSED),
    };
    match sensor.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, FAILED),
    }
}

fn report(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
