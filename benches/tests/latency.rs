//! The whole sensor on a veth pair: every alert comes and is in the histogram, and every frame is
//! accounted for. How long it took is not asserted.

use std::time::Duration;

use weir_benches::machine;
use weir_benches::search::Plan as Search;
use weir_benches::site::{Cores, Site};
use weir_benches::whole_sensor::{Plan, measure};

#[test]
fn every_alert_of_the_whole_sensor_is_in_its_histogram() {
    if let Some(why) = Site::obstacle() {
        return eprintln!("skipped: {why}");
    }
    let cores = machine::cores().unwrap();
    let [others, .., worker] = *cores.as_slice() else {
        return eprintln!("skipped: a sender needs a core beside the worker's");
    };
    // So few frames that a machine with much else to do loses none.
    let measured = measure(&Plan {
        ring: 8_192,
        cores: Cores { worker, others },
        tunnels: 200,
        frames: 4_096,
        search: Search {
            trial: Duration::from_millis(200),
            resolution: 0.5,
            most: 10_000.0,
            attempts: 5,
        },
        span: Duration::from_secs(1),
    })
    .unwrap()
    .expect("a few frames are not lost");
    let said = format!("{measured:?}");
    assert!(measured.provoking > 20, "{said}");
    assert_eq!(measured.unknown(), 0.0, "what was sent arrived: {said}");
    assert_eq!(measured.received, measured.inspected + measured.not_inspected, "{said}");
    assert_eq!(measured.inspected, measured.received, "nothing was left out: {said}");
    assert_eq!(measured.egress_alerts, measured.provoking as f64, "one alert each: {said}");
    assert_eq!(measured.alerts, measured.egress_alerts, "and no others: {said}");
    assert_eq!(measured.latency.count(), measured.alerts, "{said}");
    assert!(measured.latency.mean() > 0.0, "{said}");
    assert!(measured.latency.bound(0.5) <= measured.latency.bound(0.99), "{said}");
}
