//! The whole way up and down under valgrind: no memory is lost, none is used after it was freed.

mod capture;
mod pattern;

use std::env;
use std::process::Command;

use capture::Capture;
use pattern::frame;
use weir_dpdk::{Eal, EalConfig, Hugepages, Pool, Port, PortConfig};

const CHILD: &str = "WEIR_TEST_TEARDOWN";
const FOUND: i32 = 9;

#[test]
fn nothing_is_lost_on_the_way_down() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return println!("skipped: valgrind is not installed");
    }
    let output = Command::new("valgrind")
        .args(["--leak-check=full", "--errors-for-leak-kinds=definite", "--num-callers=30"])
        .arg(format!("--error-exitcode={FOUND}"))
        .arg(concat!("--suppressions=", env!("CARGO_MANIFEST_DIR"), "/tests/teardown.supp"))
        .arg(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("went down"), "{said}");
}

/// Frames in one mbuf and in several, polled by a worker that is registered, and the owners
/// dropped in the order that is worst for C.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let mut capture = Capture::new();
    for len in [60, 9_000, 1_514, 65_535] {
        capture.push(1_700_000_000_000_000, &frame(len));
    }
    let path = capture.write("teardown.pcap");
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs: vec![
            format!("net_pcap0,rx_pcap={}", path.display()),
            "net_null0".into(),
            "net_ring0".into(),
        ],
        memory_mib: 64,
        ..EalConfig::default()
    })
    .unwrap();
    let pool = Pool::new(&eal, "teardown", 4_095, Pool::DEFAULT_DATA_ROOM, None).unwrap();
    for name in ["net_null0", "net_ring0", "net_pcap0"] {
        let open = Port::open(name, &PortConfig::default(), pool.clone()).unwrap();
        let (port, mut queues) = open;
        drop(port);
        let eal = &eal;
        let frames = std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let _registration = eal.register_thread().unwrap();
                let burst = queues[0].poll();
                burst.frames().filter(|frame| frame.bytes[..] == *frame.bytes.to_vec()).count()
            });
            worker.join().unwrap()
        });
        assert_eq!(
            frames,
            match name {
                "net_null0" => 64,
                "net_pcap0" => 4,
                _ => 0,
            }
        );
    }
    drop(eal);
    assert_eq!(pool.in_use(), 0);
    drop(pool);
    println!("went down");
}
