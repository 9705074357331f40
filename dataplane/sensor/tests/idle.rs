//! A sensor on a quiet link lets go of its cores, whoever polls.

mod control;

use std::path::Path;
use std::time::{Duration, Instant};

use control::*;
use weir_engine::contract::words::{ReceiverWords, WorkerWords};

/// How long load is measured.
const WINDOW: Duration = Duration::from_millis(1500);

fn live(directory: &Path, sensor: &str) -> String {
    let config = directory.join("weir.toml");
    let text = format!(
        "[[tap]]\nname = \"quiet\"\nlink = \"n3\"\nsource = \"vdev:net_ring0\"\n[sensor]\n{sensor}\n"
    );
    std::fs::write(&config, text).unwrap();
    config.to_str().unwrap().to_owned()
}

/// Time that the process spent on cores.
fn spent(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let behind = stat.rsplit(") ").next().unwrap();
    let field = |number: usize| behind.split(' ').nth(number).unwrap().parse::<u64>().unwrap();
    // Fields 14 and 15, in clock ticks, of which Linux tells 100 a second.
    Duration::from_millis((field(11) + field(12)) * 10)
}

/// Time spent on frames and all time, of each thread that polls.
fn polled(control: &Control) -> Vec<(u64, u64)> {
    let greeting = &control.greeting;
    let workers = (0..usize::from(greeting.workers)).map(|worker| {
        let words: WorkerWords = control.words(greeting.worker_block(worker));
        (words.busy_ns, words.total_ns)
    });
    let receivers = (0..usize::from(greeting.receivers)).map(|receiver| {
        let words: ReceiverWords = control.words(greeting.receiver_block(receiver));
        (words.busy_ns, words.total_ns)
    });
    workers.chain(receivers).collect()
}

/// The share of one core that the process took, and of their time that its threads were busy.
fn load(sensor: &str) -> (f64, Vec<f64>) {
    let state = tempfile::tempdir().unwrap();
    let sensor = Sensor::start(&["--config", &live(state.path(), sensor)]);
    let mut control = Control::attach(&sensor.socket());
    control.send(weir_engine::contract::greeting::message::NO_POLICY, &[]);
    control.await_the_judge();
    let pid = sensor.child.id();
    let (began, before, polls) = (Instant::now(), spent(pid), polled(&control));
    std::thread::sleep(WINDOW);
    let share = (spent(pid) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let busy = polls.into_iter().zip(polled(&control)).map(|(before, after)| {
        assert!(after.1 > before.1, "a thread does not poll");
        (after.0 - before.0) as f64 / (after.1 - before.1) as f64
    });
    let busy = busy.collect();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid as i32),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    control.follow_to_the_end();
    control.release();
    let output = sensor.wait();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (share, busy)
}

#[test]
fn a_quiet_link_costs_no_core_and_nobody_is_busy() {
    // What polls that never rest cost on this machine, which may have other work.
    let (spinning, busy) = load("workers = [0]\nidle_nap_us = 0");
    assert!(busy[0] < 0.05, "who spins is not busy: {busy:?}");
    for (sensor, threads) in [("workers = [0]", 1), ("workers = [0]\nreceive_cores = [1]", 2)] {
        let (share, busy) = load(sensor);
        println!("{sensor:?}: {share:.3} of a core; spinning: {spinning:.3}");
        assert_eq!(busy.len(), threads, "{sensor}");
        assert!(busy.iter().all(|busy| *busy < 0.05), "{sensor}: {busy:?}");
        let each = share / threads as f64;
        assert!(each < spinning / 3.0, "{sensor}: {each:.2} of a core; spinning: {spinning:.2}");
    }
}
