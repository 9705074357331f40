//! `weir decode` against decoders that somebody else wrote, over every capture there is.
//!
//! Each frame is read by tshark, some by scapy, and the headers around the first
//! tunnel by etherparse; every field that both know must be the same. What an oracle is known to
//! get wrong stands in [`limits`], one by one. The counts go to standard output and to
//! `target/differential.txt`: this test has no harness, since cargo would swallow them.

mod corpus;
mod field;
mod headers;
mod ledger;
mod limits;
mod oracle;
mod ours;
mod scapy;
mod tshark;

use std::process::ExitCode;

use corpus::Capture;
use ledger::Ledger;
use oracle::Oracle;

fn main() -> ExitCode {
    if !asked_for() {
        return ExitCode::SUCCESS;
    }
    let scratch = tempfile::tempdir().expect("there is room for scratch files");
    let mut ledger = Ledger::default();
    for capture in corpus::captures(scratch.path()) {
        judge(&capture, &mut ledger);
    }
    let text = ledger.to_string();
    println!("{text}");
    let programs = weir_tests::program("weir");
    let target = programs.ancestors().nth(2).expect("programs stand in target/debug or so");
    std::fs::write(target.join("differential.txt"), &text).expect("the counts can be written");
    if ledger.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the arguments, which are those of a harness, name this test or none.
fn asked_for() -> bool {
    let mut names = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let lists = std::env::args().any(|argument| argument == "--list");
    !lists && names.all(|name| "differential".contains(&name))
}

/// Compares the frames of a capture with every oracle's.
fn judge(capture: &Capture, ledger: &mut Ledger) {
    let Capture { name, path, most } = capture;
    let (ours, tshark, scapy) = std::thread::scope(|scope| {
        let tshark = scope.spawn(|| tshark::read(path, *most));
        let ours = ours::read(path, *most);
        let scapy = scapy::read(path, *most, ours.len());
        (ours, tshark.join().expect("tshark can be read"), scapy)
    });
    ledger.capture(ours.len());
    let place = |n: usize| format!("{name} frame {}", n + 1);
    match tshark {
        None => println!("skipped: tshark is not installed"),
        Some(tshark) => {
            if tshark.len() != ours.len() {
                let (ours, theirs) = (ours.len(), tshark.len());
                ledger.fault(format!("{name}: weir {ours} frames, tshark {theirs}"));
            }
            let fields = tshark::fields();
            for (n, (ours, theirs)) in ours.iter().zip(&tshark).enumerate() {
                ledger.frame(Oracle::Tshark, &fields, ours, theirs, || place(n));
            }
        }
    }
    match scapy {
        None => println!("skipped: scapy is not installed"),
        Some(scapy) => {
            for (n, theirs) in &scapy {
                let fields = scapy::fields(theirs);
                ledger.frame(Oracle::Scapy, &fields, &ours[*n], theirs, || place(*n));
            }
        }
    }
    for (n, (ours, theirs)) in ours.iter().zip(headers::read(path, *most)).enumerate() {
        if let Some(theirs) = theirs {
            let fields = headers::fields(ours);
            ledger.frame(Oracle::Etherparse, &fields, ours, &theirs, || place(n));
        }
    }
}
