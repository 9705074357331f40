//! What equipment hears and says of names: DNS answers and ClientHellos.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::report::Speech;
use weir_engine::rules::{EquipmentId, RuleSet};
use weir_engine::{Judge, Nanos, Report, Rules, Signalling, SignallingSetup};
use weir_wire::Address;

static RULES: LazyLock<Arc<Rules>> =
    LazyLock::new(|| Arc::new(Rules::compile(RuleSet { version: 1, ..RuleSet::default() }).unwrap()));

fuzz_target!(|input: &[u8]| {
    let [which, message @ ..] = input else { return };
    let speech = if which & 1 == 0 {
        Speech::DnsAnswer
    } else {
        Speech::ClientHello(Address::v4([192, 0, 2, 1]))
    };
    let mut report = Report::with_room();
    report.policy = RULES.identity();
    report.hear(Nanos(1), EquipmentId(0), speech, message);
    let small = SignallingSetup { tunnels: 4096, ..SignallingSetup::default() };
    let signalling = Signalling::new(&small).unwrap();
    let mut judge = Judge::new([], signalling);
    judge.set_rules(RULES.clone(), Nanos(0), &mut |_| {});
    judge.slice(Nanos(0), Nanos(2), &[report], &Vitals::default(), &mut |_| {});
});
