//! Sensor and control as two real processes, and either of them killed, hung or hostile.
//!
//! A child is this very test program, run again with its role in the environment. The parent
//! always listens, whichever side it plays.
#![cfg(not(loom))]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, hint, thread};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, SealFlag, fallocate, fcntl, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mprotect};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, ftruncate};
use weir_shm::channel::{ChannelError, Connection, Listener};
use weir_shm::{Attachment, Handover, Loss, PAYLOAD_BYTES, Position, RecordError, Segment, Shape};

const SHAPE: Shape =
    Shape { blocks: 1, words_per_block: 64, ring_slots: 64, evidence_slots: 64, schema: 0xabcd };
const PATIENCE: Duration = Duration::from_secs(60);
const HANDOVER: u8 = 1;
const REPORT: u8 = 2;
const DONE: u8 = 3;

const ROLE: &str = "WEIR_SHM_TEST_ROLE";
const PLACE: &str = "WEIR_SHM_TEST_PLACE";

/// A child process that does not outlive its test.
struct Process(Child);

impl Process {
    fn start(role: &str, place: &Path) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(ROLE, role)
            .env(PLACE, place)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id() as i32)
    }

    /// `kill -9`, and waits until it is gone.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it is already gone, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn child() {
    let Ok(role) = env::var(ROLE) else { return };
    let place = PathBuf::from(env::var(PLACE).unwrap());
    let mut connection = Connection::connect(place.join("socket")).unwrap();
    connection.set_timeout(PATIENCE);
    match role.as_str() {
        "reader" => read_and_log(&mut connection, &place.join("log")),
        "sensor" => write_for_ever(&mut connection),
        "hostile" => attack(&mut connection),
        "starved" => starve(&mut connection),
        other => panic!("no role {other}"),
    }
}

fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting until {what}");
        thread::yield_now();
    }
}

fn hand_over(connection: &mut Connection, segment: &Handover) {
    connection.send(HANDOVER, b"", &[segment.data(), segment.cursor()]).unwrap();
}

fn receive_memory(connection: &mut Connection) -> (OwnedFd, OwnedFd) {
    let frame = connection.receive(0).unwrap();
    assert_eq!(frame.kind, HANDOVER);
    let [data, cursor] = <[OwnedFd; 2]>::try_from(frame.fds).unwrap();
    (data, cursor)
}

/// Bytes of record `sequence`, whose length varies with it.
fn payload(sequence: u64) -> Vec<u8> {
    let length = 8 + sequence as usize * 37 % (PAYLOAD_BYTES - 7);
    let mixed = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    sequence.to_le_bytes().into_iter().chain(mixed.into_iter().cycle()).take(length).collect()
}

// A reader that is killed.

const RECORDS: u64 = 20_000;
const LOG_LINE: usize = 34;

/// What the log says of one record: its sequence and what was lost before it.
fn line(sequence: u64, lost_before: u64) -> String {
    format!("{sequence:016x} {lost_before:016x}\n")
}

/// Control in small: the log is its store, and the log's length the position that it stores
/// in the same transaction.
fn read_and_log(connection: &mut Connection, log: &Path) {
    let (data, cursor) = receive_memory(connection);
    let mut attachment = Attachment::open(data, cursor, SHAPE.schema).unwrap();
    let mut log = OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut position = attachment.position(log.metadata().unwrap().len() / LOG_LINE as u64);
    while position.sequence < RECORDS {
        let mut lines = String::new();
        let mut records = attachment.records(position);
        for record in records.by_ref().take(16) {
            let record = record.unwrap();
            assert_eq!(record.payload(), payload(record.sequence));
            lines.push_str(&line(record.sequence, record.lost_before));
        }
        position = records.position();
        log.write_all(lines.as_bytes()).unwrap();
        attachment.release(position).unwrap();
        if lines.is_empty() {
            thread::yield_now();
        }
    }
    connection.send(DONE, b"", &[]).unwrap();
}

#[test]
fn a_new_reader_goes_on_at_the_exact_record_after_the_old_one_was_killed() {
    let place = tempfile::tempdir().unwrap();
    let listener = Listener::bind(place.path().join("socket")).unwrap();
    let Segment { mut ring, handover, .. } = Segment::create(&SHAPE, 0).unwrap();
    let attach = || {
        let process = Process::start("reader", place.path());
        let mut connection = listener.accept(PATIENCE).unwrap();
        hand_over(&mut connection, &handover);
        connection.set_timeout(PATIENCE);
        (process, connection)
    };

    let mut expected = String::new();
    let (mut reader, mut connection) = attach();
    let mut kills = [3_000, 9_000, 15_000].into_iter().peekable();
    while ring.written() < RECORDS {
        await_that("the ring has room", || ring.has_room());
        let sequence = ring.written();
        expected.push_str(&line(sequence, ring.lost().total()));
        assert_eq!(ring.push(0, 0, &payload(sequence)), Ok(sequence));

        if kills.next_if(|at| ring.acknowledged() >= *at).is_some() {
            reader.kill();
            assert!(matches!(connection.receive(0), Err(ChannelError::Closed)));
            while ring.has_room() && ring.written() < RECORDS - 1 {
                let sequence = ring.written();
                expected.push_str(&line(sequence, ring.lost().total()));
                ring.push(0, 0, &payload(sequence)).unwrap();
            }
            for _ in 0..10 {
                assert_eq!(ring.push(0, 0, b"lost"), Err(Loss::Full));
            }
            (reader, connection) = attach();
        }
    }
    assert_eq!(connection.receive(0).unwrap().kind, DONE);
    assert_eq!(ring.lost().by(Loss::Full), 30, "every kill came to pass");
    let log = fs::read_to_string(place.path().join("log")).unwrap();
    assert!(log == expected, "every record once, in order, with what was lost before it");
    drop(reader);
}

// A sensor that is killed or hung.

fn write_for_ever(connection: &mut Connection) {
    let Segment { mut blocks, mut ring, status, handover, .. } =
        Segment::create(&SHAPE, 1000).unwrap();
    hand_over(connection, &handover);
    for tick in 1001.. {
        status.heartbeat(tick);
        blocks[0].publish(&[tick; 64]);
        // Full sooner or later, since nobody releases: then it is counted.
        let _ = ring.push(0, 0, &payload(ring.written()));
    }
}

#[test]
fn a_sensor_that_is_killed_or_hung_is_noticed_and_what_it_left_is_whole() {
    let place = tempfile::tempdir().unwrap();
    let listener = Listener::bind(place.path().join("socket")).unwrap();
    let mut earlier: Option<Position> = None;
    for _ in 0..3 {
        let sensor = Process::start("sensor", place.path());
        let mut connection = listener.accept(PATIENCE).unwrap();
        let (data, cursor) = receive_memory(&mut connection);
        let attachment = Attachment::open(data, cursor, SHAPE.schema).unwrap();
        assert_eq!(attachment.started(), 1000);
        assert_eq!(attachment.pid(), sensor.0.id());
        if let Some(position) = earlier {
            assert_eq!(attachment.record(position).err(), Some(RecordError::OtherBoot));
        }
        await_that("the sensor lives", || attachment.heartbeat() > 2000);
        await_that("it has lost records", || attachment.lost().total() > 0);

        kill(sensor.pid(), Signal::SIGSTOP).unwrap();
        let stopped = waitpid(sensor.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(stopped, WaitStatus::Stopped(sensor.pid(), Signal::SIGSTOP));
        let hung = attachment.heartbeat();
        connection.set_timeout(Duration::from_millis(50));
        assert!(matches!(connection.receive(0), Err(ChannelError::Idle)));
        assert_eq!(attachment.heartbeat(), hung, "only the heartbeat tells that it hangs");
        kill(sensor.pid(), Signal::SIGCONT).unwrap();
        await_that("the sensor goes on", || attachment.heartbeat() > hung);

        sensor.kill();
        let last = attachment.heartbeat();
        connection.set_timeout(PATIENCE);
        assert!(matches!(connection.receive(0), Err(ChannelError::Closed)));
        assert_eq!(attachment.written(), SHAPE.ring_slots as u64);
        for (sequence, record) in (0..).zip(attachment.records(attachment.position(0))) {
            assert_eq!(record.unwrap().payload(), payload(sequence));
        }
        let mut words = [0; 64];
        if attachment.snapshot(0, &mut words).is_ok() {
            assert_eq!(words, [words[0]; 64]);
        }
        assert_eq!(attachment.heartbeat(), last);
        earlier = Some(attachment.position(attachment.written()));
    }
}

// A hostile control.

/// Tries whatever could hurt the sensor, reports how each attempt ended, then scribbles
/// over the cursor page until it is killed.
fn attack(connection: &mut Connection) {
    let (data, cursor) = receive_memory(connection);
    let page = NonZeroUsize::new(4096).unwrap();
    let map = |fd: &OwnedFd, protection| {
        // SAFETY: a new mapping at an address of the kernel's choice replaces no other.
        unsafe { mmap(None, page, protection, MapFlags::MAP_SHARED, fd, 0) }
    };
    let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let reopened = |fd: &OwnedFd, flags| {
        open(format!("/proc/self/fd/{}", fd.as_raw_fd()).as_str(), flags, Mode::empty())
    };
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let read_only = map(&data, ProtFlags::PROT_READ).unwrap();
    let attempts: Vec<(&str, Result<(), Errno>)> = vec![
        ("truncate data to nothing", ftruncate(&data, 0)),
        ("truncate data to more", ftruncate(&data, 1 << 30)),
        ("truncate cursor to nothing", ftruncate(&cursor, 0)),
        ("truncate cursor to more", ftruncate(&cursor, 1 << 20)),
        ("write data", nix::unistd::write(&data, &[0xff; 64]).map(drop)),
        ("punch a hole into data", fallocate(&data, punch, 0, 4096)),
        ("map data writable", map(&data, both).map(drop)),
        ("make the mapping of data writable", {
            // SAFETY: the mapping is this function's own and no reference points into it.
            unsafe { mprotect(read_only, page.get(), both) }
        }),
        ("map data writable by another descriptor", {
            map(&reopened(&data, OFlag::O_RDWR).unwrap(), both).map(drop)
        }),
        ("open data and truncate", reopened(&data, OFlag::O_RDWR | OFlag::O_TRUNC).map(drop)),
        ("open cursor and truncate", reopened(&cursor, OFlag::O_RDWR | OFlag::O_TRUNC).map(drop)),
        ("seal data", add_write_seal(&data)),
        ("seal cursor", add_write_seal(&cursor)),
    ];
    let report: String =
        attempts.iter().map(|(attempt, result)| format!("{attempt}: {result:?}\n")).collect();
    connection.send(REPORT, report.as_bytes(), &[]).unwrap();

    let page_address = map(&cursor, both).unwrap().cast::<u64>();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        for word in 0..512 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let lie = [random, u64::MAX, 0, random >> 50][random as usize % 4];
            // SAFETY: the word lies within the page mapped above, which nothing here refers to.
            unsafe { page_address.add(word).write_volatile(lie) };
        }
        fallocate(&cursor, punch, 0, 4096).expect("the cursor is control's own to ruin");
    }
}

fn add_write_seal(fd: &OwnedFd) -> Result<(), Errno> {
    fcntl(fd, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)).map(drop)
}

#[test]
fn a_hostile_control_can_lose_its_own_records_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let listener = Listener::bind(place.path().join("socket")).unwrap();
    let Segment { mut blocks, mut ring, status, handover, .. } =
        Segment::create(&SHAPE, 0).unwrap();
    let hostile = Process::start("hostile", place.path());
    let mut connection = listener.accept(PATIENCE).unwrap();
    hand_over(&mut connection, &handover);
    connection.set_timeout(PATIENCE);
    let report = String::from_utf8(connection.receive(1 << 16).unwrap().payload).unwrap();
    assert_eq!(report.lines().count(), 13);
    for attempt in report.lines() {
        let refused = attempt.ends_with("Err(EPERM)") || attempt.ends_with("Err(EACCES)");
        assert!(refused, "hostile control could {attempt}");
    }

    await_that("it scribbles", || status.control_heartbeat() != 0);
    let (mut pushed, mut lies, mut acknowledged, mut seen) = (0, 0, 0, 0);
    await_that("it lied often", || {
        for _ in 0..1000 {
            let written = ring.written();
            match ring.push(0, 0, &payload(written)) {
                Ok(sequence) => assert_eq!(sequence, written),
                Err(loss) => assert_eq!(loss, Loss::Full),
            }
            pushed += 1;
            blocks[0].publish(&[pushed; 64]);
            let believed = ring.acknowledged();
            assert!(believed >= acknowledged, "the cursor moved the sensor back");
            assert!(believed <= ring.written(), "the cursor moved the sensor ahead");
            acknowledged = believed;
            let heartbeat = status.control_heartbeat();
            lies += u64::from(heartbeat != seen);
            seen = heartbeat;
            hint::spin_loop();
        }
        pushed >= 300_000 && lies >= 1_000
    });
    hostile.kill();

    assert_eq!(ring.written() + ring.lost().total(), pushed, "every record written or counted");
    assert!(ring.written() > SHAPE.ring_slots as u64, "the lies made room");
    let cursor: File = handover.cursor().try_clone_to_owned().unwrap().into();
    let attachment = Attachment::open(handover.data(), cursor.as_fd(), SHAPE.schema).unwrap();
    assert_eq!(attachment.written(), ring.written());
    assert_eq!(attachment.lost(), ring.lost());
    let oldest = attachment.written() - SHAPE.ring_slots as u64;
    for sequence in oldest..attachment.written() {
        let record = attachment.record(attachment.position(sequence)).unwrap().unwrap();
        assert_eq!(record.payload(), payload(sequence));
    }
    let mut words = [0; 64];
    attachment.snapshot(0, &mut words).unwrap();
    assert_eq!(words, [pushed; 64]);
}

// A process without room for descriptors.

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Receives more descriptors than this process may have.
fn starve(connection: &mut Connection) {
    let before = open_descriptors();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // The lowest free number is where the first one goes: leave room for it and one more.
    let free = File::open("/dev/null").unwrap().as_raw_fd() as u64;
    setrlimit(Resource::RLIMIT_NOFILE, free + 2, hard).unwrap();
    let error = connection.receive(0).unwrap_err();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert!(
        matches!(&error, ChannelError::Io(e) if e.raw_os_error() == Some(Errno::EMFILE as i32)),
        "{error}"
    );
    assert_eq!(open_descriptors(), before);
}

#[test]
fn descriptors_that_find_no_room_are_an_error_and_not_a_leak() {
    let place = tempfile::tempdir().unwrap();
    let listener = Listener::bind(place.path().join("socket")).unwrap();
    let mut starved = Process::start("starved", place.path());
    let mut connection = listener.accept(PATIENCE).unwrap();
    let file = tempfile::tempfile().unwrap();
    connection.send(HANDOVER, b"", &[file.as_fd(); 4]).unwrap();
    assert!(starved.0.wait().unwrap().success());
}
