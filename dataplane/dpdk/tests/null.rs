//! EAL, a pool and a port that is nothing but frames of zeros: how they start, refuse and end.

use std::collections::BTreeSet;
use std::fs;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use weir_dpdk::{
    BURST, Eal, EalConfig, EalError, Hugepages, Memory, Pool, PoolError, Port, PortConfig,
    PortError,
};

const MBUFS: u32 = 4_095;
const MEMORY_MIB: u32 = 256;

#[test]
fn everything_taken_is_given_back() {
    let (files, before) = (open_files(), writable_mib());
    let affinity = affinity();
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs: vec!["net_null0,size=60".into(), "net_null1,size=1500".into()],
        core: Some(0),
        memory_mib: MEMORY_MIB,
        ..EalConfig::default()
    })
    .unwrap();
    assert_eq!(eal.memory(), Memory::OrdinaryPages);
    assert_eq!(affinity, self::affinity(), "EAL kept the thread on its own core");
    assert!(matches!(Eal::init(&EalConfig::default()), Err(EalError::AlreadyStarted)));

    let running = writable_mib();
    pools_refuse(&eal);
    let pool = Pool::new(&eal, "null", MBUFS, Pool::DEFAULT_DATA_ROOM, None).unwrap();
    ports_refuse(&eal, &pool);

    let config = PortConfig { queues: 2, ..PortConfig::default() };
    let (port, mut queues) = Port::open("net_null0", &config, pool.clone()).unwrap();
    assert_eq!((port.name(), port.driver(), queues.len()), ("net_null0", "net_null", 2));
    let again = Port::open("net_null0", &config, pool.clone());
    assert!(matches!(again, Err(PortError::AlreadyOpen { .. })), "{again:?}");

    let burst = queues[0].poll();
    assert_eq!((burst.len(), pool.in_use()), (BURST, BURST as u32));
    for frame in &burst {
        assert_eq!((frame.bytes, frame.wire_len), (&[0; 60][..], 60));
        assert_eq!((frame.time, frame.stripped_vlan), (None, None));
    }
    drop(burst);
    assert_eq!(pool.in_use(), 0);

    workers_poll_their_own_queue(&eal, &mut queues);
    assert_eq!(pool.in_use(), 0, "a worker's cache is part of what is available");
    let stats = port.stats().unwrap();
    assert_eq!(stats.received_packets, (1 + 2 * 1_000) * BURST as u64);
    assert_eq!((stats.missed, stats.no_buffer, stats.errors), (0, 0, 0));

    // The port outlives its own handle, EAL's and the pool's, as long as a queue is there.
    drop(port);
    drop(eal);
    let weak = std::sync::Arc::downgrade(&pool);
    drop(pool);
    let last = queues.pop().unwrap();
    drop(queues);
    let mut last = std::thread::spawn(move || last).join().unwrap();
    assert_eq!(last.poll().len(), BURST);
    assert_eq!(weak.upgrade().unwrap().in_use(), 0);
    drop(last);
    assert!(weak.upgrade().is_none(), "the last queue takes port, pool and EAL along");
    // 22.11 ends neither its interrupt thread nor what that waits on, once in a process.
    let left: BTreeSet<String> = open_files().difference(&files).map(|link| kind(link)).collect();
    let thread = ["anon_inode:[eventpoll]", "anon_inode:[timerfd]", "pipe"];
    assert_eq!(left, BTreeSet::from(thread.map(String::from)));
    assert!(running >= before + u64::from(MEMORY_MIB), "{running} {before}");
    assert!(writable_mib() < before + u64::from(MEMORY_MIB) / 2, "{} {before}", writable_mib());
}

fn pools_refuse(eal: &std::sync::Arc<Eal>) {
    let small = Pool::new(eal, "small", 63, 100, None);
    assert!(matches!(small, Err(PoolError::DataRoom { least: 192, .. })), "{small:?}");
    let huge = Pool::new(eal, "huge", 1_000_000, Pool::DEFAULT_DATA_ROOM, None).unwrap_err();
    assert!(huge.to_string().contains("Cannot allocate memory"), "{huge}");
}

fn ports_refuse(eal: &std::sync::Arc<Eal>, pool: &std::sync::Arc<Pool>) {
    let missing = Port::open("0000:3b:00.0", &PortConfig::default(), pool.clone()).unwrap_err();
    assert!(missing.to_string().contains("there are: net_null0, net_null1;"), "{missing}");

    let has = Port::capabilities_of(eal, "net_null1").unwrap().max_rx_queues;
    let config = |queues| PortConfig { queues, ..PortConfig::default() };
    for asked in [0, has + 1] {
        let error = Port::open("net_null1", &config(asked), pool.clone()).unwrap_err();
        assert!(matches!(error, PortError::Queues { has: said, .. } if said == has), "{error}");
    }
    // What was refused can be asked for again, rightly.
    assert!(Port::open("net_null1", &config(1), pool.clone()).is_ok());
    // A port that closed is gone.
    let closed = Port::open("net_null1", &config(1), pool.clone()).unwrap_err();
    assert!(closed.to_string().contains("there are: net_null0;"), "{closed}");
}

fn workers_poll_their_own_queue(eal: &std::sync::Arc<Eal>, queues: &mut [weir_dpdk::RxQueue]) {
    let main = eal.register_thread().unwrap_err().to_string();
    assert!(main.contains("registered"), "{main}");
    std::thread::scope(|scope| {
        for queue in queues {
            scope.spawn(move || {
                let registration = eal.register_thread().unwrap();
                assert!(eal.register_thread().is_err());
                assert_ne!(registration.lcore(), u32::MAX);
                for _ in 0..1_000 {
                    assert_eq!(queue.poll().len(), BURST);
                }
                drop(registration);
                for _ in 0..1_000 {
                    eal.register_thread().expect("the places of those before are free");
                }
            });
        }
    });
}

fn affinity() -> CpuSet {
    sched_getaffinity(Pid::from_raw(0)).unwrap()
}

/// What the process has open, less the descriptor that reads the list.
fn open_files() -> BTreeSet<String> {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let links = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    let links = links.map(|link| link.to_string_lossy().into_owned());
    links.filter(|link| !link.ends_with("/fd")).collect()
}

/// A pipe without its number.
fn kind(link: &str) -> String {
    link.strip_suffix(']')
        .and_then(|link| link.split_once(":["))
        .map_or(
            link,
            |(kind, rest)| {
                if rest.bytes().all(|byte| byte.is_ascii_digit()) { kind } else { link }
            },
        )
        .into()
}

/// All memory that the process could write to.
fn writable_mib() -> u64 {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let writable = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        rest.starts_with("rw").then(|| address(to) - address(from))
    });
    writable.sum::<u64>() >> 20
}
