//! The socket between the two, and peers that do not keep to it.
#![cfg(not(loom))]

use std::fs::{self, File, Permissions};
use std::io::{self, IoSlice, PipeReader, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use weir_shm::channel::{ChannelError, Connection, Listener, MOST_FDS};

const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("run/weir.sock")
    }

    fn pair(&self) -> (Connection, Connection) {
        let listener = Listener::bind(self.socket()).unwrap();
        let client = Connection::connect(self.socket()).unwrap();
        (listener.accept(PATIENCE).unwrap(), client)
    }

    /// A connection whose other end speaks raw bytes.
    fn raw(&self) -> (Connection, UnixStream) {
        let listener = Listener::bind(self.socket()).unwrap();
        let raw = UnixStream::connect(self.socket()).unwrap();
        (listener.accept(PATIENCE).unwrap(), raw)
    }
}

fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn send_raw(stream: &UnixStream, bytes: &[u8], fds: &[RawFd]) {
    let rights = [ControlMessage::ScmRights(fds)];
    let sent =
        sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(bytes)], &rights, MsgFlags::empty(), None);
    assert_eq!(sent, Ok(bytes.len()));
}

/// Waits for the end of a pipe, which comes only when no copy of its writer is open.
fn assert_all_closed(mut reader: PipeReader) {
    let closing = thread::spawn(move || reader.read(&mut [0]));
    let deadline = Instant::now() + PATIENCE;
    while !closing.is_finished() {
        assert!(Instant::now() < deadline, "a descriptor of a refused frame is still open");
        thread::yield_now();
    }
    assert_eq!(closing.join().unwrap().unwrap(), 0);
}

#[test]
fn socket_and_directory_are_closed_to_others() {
    let place = Place::new();
    let listener = Listener::bind(place.socket()).unwrap();
    assert_eq!(mode(place.socket()), 0o600);
    assert_eq!(mode(place.directory.path().join("run")), 0o700);
    assert_eq!(listener.path(), place.socket());
    drop(listener);
    assert!(!place.socket().exists());
}

#[test]
fn a_live_socket_is_in_use_and_stays_so() {
    let place = Place::new();
    let listener = Listener::bind(place.socket()).unwrap();
    let error = Listener::bind(place.socket()).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "socket in use; {}; stop the other sensor or choose another",
            place.socket().display()
        )
    );
    let _client = Connection::connect(place.socket()).unwrap();
    listener.accept(PATIENCE).expect("the first listener is unharmed");
}

#[test]
fn a_socket_of_another_program_is_in_use_while_it_lives_and_replaced_afterwards() {
    let place = Place::new();
    fs::create_dir(place.directory.path().join("run")).unwrap();
    let foreign = UnixListener::bind(place.socket()).unwrap();
    assert!(matches!(Listener::bind(place.socket()), Err(ChannelError::InUse(_))));
    drop(foreign);
    assert!(place.socket().exists());
    let (mut server, mut client) = place.pair();
    client.send(1, b"through the new socket", &[]).unwrap();
    assert_eq!(server.receive(100).unwrap().payload, b"through the new socket");
}

#[test]
fn a_file_in_the_way_is_kept() {
    let place = Place::new();
    fs::create_dir(place.directory.path().join("run")).unwrap();
    fs::write(place.socket(), "precious").unwrap();
    assert!(matches!(Listener::bind(place.socket()), Err(ChannelError::NotASocket(_))));
    assert_eq!(fs::read(place.socket()).unwrap(), b"precious");
}

#[test]
fn paths_that_no_socket_can_have_are_refused() {
    let long = format!("/tmp/{}", "x".repeat(200));
    for path in ["", "/", long.as_str()] {
        assert!(matches!(Listener::bind(path), Err(ChannelError::Path { .. })), "{path:?}");
    }
}

#[test]
fn nobody_to_accept_or_to_connect_to_is_said_in_time() {
    let place = Place::new();
    let error = Connection::connect(place.socket()).unwrap_err();
    assert!(matches!(error, ChannelError::Path { .. }), "{error}");
    let listener = Listener::bind(place.socket()).unwrap();
    assert!(matches!(listener.accept(SHORT), Err(ChannelError::Idle)));
}

#[test]
fn another_user_is_turned_away() {
    if !nix::unistd::geteuid().is_root() {
        return; // Only root can become somebody else.
    }
    let place = Place::new();
    let listener = Listener::bind(place.socket()).unwrap();
    for path in [place.directory.path().into(), place.directory.path().join("run"), place.socket()]
    {
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    let path = place.socket();
    let stranger = thread::spawn(move || {
        const SAME: libc::c_long = -1;
        // SAFETY: the raw call changes the user of this thread alone, which ends soon.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, SAME, 65534, SAME) };
        assert_eq!(changed, 0);
        let mut stream = UnixStream::connect(path).unwrap();
        stream.read(&mut [0])
    });
    assert!(matches!(listener.accept(PATIENCE), Err(ChannelError::Stranger { uid: 65534 })));
    assert_eq!(stranger.join().unwrap().unwrap(), 0, "the stranger's connection is closed");
}

#[test]
fn frames_arrive_as_they_were_sent_in_both_directions() {
    let place = Place::new();
    let (mut server, mut client) = place.pair();
    assert_eq!(server.peer().pid, std::process::id() as i32);
    assert_eq!(client.peer().uid, nix::unistd::geteuid().as_raw());
    let large: Vec<u8> = (0..1 << 20).map(|i: u32| ((i * 31) >> 3) as u8).collect();
    let expected = large.clone();
    let sending = thread::spawn(move || {
        client.send(7, b"", &[]).unwrap();
        client.send(255, &large, &[]).unwrap();
        client.receive(5).unwrap().payload
    });
    let empty = server.receive(0).unwrap();
    assert_eq!((empty.kind, empty.payload.len(), empty.fds.len()), (7, 0, 0));
    let frame = server.receive(1 << 20).unwrap();
    assert_eq!(frame.kind, 255);
    assert!(frame.payload == expected, "a megabyte arrives unchanged");
    server.send(0, b"reply", &[]).unwrap();
    assert_eq!(sending.join().unwrap(), b"reply");
}

#[test]
fn descriptors_come_with_their_frame_and_close_on_exec() {
    let place = Place::new();
    let (mut server, mut client) = place.pair();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"the same file").unwrap();
    client.send(1, b"none", &[]).unwrap();
    client.send(2, b"most", &[file.as_fd(); MOST_FDS]).unwrap();
    client.send(3, b"none", &[]).unwrap();
    let counts: Vec<_> = (0..3).map(|_| server.receive(4).unwrap()).collect();
    assert_eq!(counts.iter().map(|f| f.fds.len()).collect::<Vec<_>>(), [0, MOST_FDS, 0]);
    for fd in &counts[1].fds {
        let flags = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD).unwrap());
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
        let mut received = File::from(fd.try_clone().unwrap());
        received.rewind().unwrap();
        assert_eq!(io::read_to_string(received).unwrap(), "the same file");
    }
    let fd: BorrowedFd<'_> = file.as_fd();
    let error = client.send(1, b"", &[fd; MOST_FDS + 1]).unwrap_err();
    assert!(matches!(error, ChannelError::TooManyFds { count } if count == MOST_FDS + 1));
}

#[test]
fn a_hostile_length_is_refused_before_anything_is_allocated() {
    let place = Place::new();
    for (announced, limit) in [(u32::MAX, 1 << 20), (101, 100), (1, 0)] {
        let (mut server, mut raw) = place.raw();
        raw.write_all(&[&announced.to_le_bytes()[..], &[9, 0, 0]].concat()).unwrap();
        let error = server.receive(limit).unwrap_err();
        assert!(
            matches!(error, ChannelError::TooLong { length, .. } if length == announced as usize),
            "{error}"
        );
        assert!(matches!(server.receive(9), Err(ChannelError::Closed)), "no second chance");
        raw.write_all(&[0]).expect_err("the connection is shut down");
    }
}

#[test]
fn too_many_descriptors_are_refused_and_closed() {
    let place = Place::new();
    for count in [MOST_FDS + 1, 253] {
        let (mut server, raw) = place.raw();
        let (reader, writer) = io::pipe().unwrap();
        send_raw(&raw, &[0, 0, 0, 0, 1], &vec![writer.as_raw_fd(); count]);
        drop(writer);
        let error = server.receive(10).unwrap_err();
        assert!(matches!(error, ChannelError::TooManyFds { count: c } if c == count), "{error}");
        assert_all_closed(reader);
    }
}

#[test]
fn descriptors_spread_over_a_header_do_not_add_up_beyond_the_limit() {
    let place = Place::new();
    let (mut server, raw) = place.raw();
    let (reader, writer) = io::pipe().unwrap();
    for byte in [0, 0, 0, 0, 1] {
        send_raw(&raw, &[byte], &[writer.as_raw_fd()]);
    }
    drop(writer);
    assert!(matches!(server.receive(10), Err(ChannelError::TooManyFds { count: 5 })));
    assert_all_closed(reader);
}

#[test]
fn descriptors_between_the_bytes_of_a_payload_are_dropped() {
    let place = Place::new();
    let (mut server, mut raw) = place.raw();
    let (reader, writer) = io::pipe().unwrap();
    raw.write_all(&[4, 0, 0, 0, 1, b'a', b'b']).unwrap();
    send_raw(&raw, b"cd", &[writer.as_raw_fd(); 9]);
    drop(writer);
    let frame = server.receive(4).unwrap();
    assert_eq!((frame.payload.as_slice(), frame.fds.len()), (&b"abcd"[..], 0));
    assert_all_closed(reader);
}

#[test]
fn an_idle_peer_is_no_error_of_the_connection() {
    let place = Place::new();
    let (mut server, mut client) = place.pair();
    server.set_timeout(SHORT);
    assert!(matches!(server.receive(9), Err(ChannelError::Idle)));
    client.send(4, b"later", &[]).unwrap();
    assert_eq!(server.receive(9).unwrap().payload, b"later");
}

#[test]
fn a_peer_that_stops_within_a_frame_is_given_up() {
    for sent in 1..7 {
        let place = Place::new();
        let (mut server, mut raw) = place.raw();
        server.set_timeout(SHORT);
        raw.write_all(&[2, 0, 0, 0, 1, b'a', b'b'][..sent]).unwrap();
        assert!(matches!(server.receive(9), Err(ChannelError::Stalled)), "after {sent} bytes");
        assert!(matches!(server.receive(9), Err(ChannelError::Closed)), "no second chance");
    }
}

#[test]
fn a_peer_that_drips_does_not_outlast_the_timeout() {
    let place = Place::new();
    let (mut server, mut raw) = place.raw();
    server.set_timeout(SHORT);
    let dripping = thread::spawn(move || {
        raw.write_all(&[0, 0, 0, 1, 1]).unwrap();
        while raw.write_all(&[0]).is_ok() {
            thread::sleep(Duration::from_millis(2));
        }
    });
    assert!(matches!(server.receive(1 << 24), Err(ChannelError::Stalled)));
    dripping.join().unwrap();
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let place = Place::new();
    let (mut server, _raw) = place.raw();
    server.set_timeout(SHORT);
    assert!(matches!(server.send(1, &vec![0; 8 << 20], &[]), Err(ChannelError::Stalled)));
    assert!(matches!(server.send(1, b"", &[]), Err(ChannelError::Closed)));
}

#[test]
fn a_peer_that_goes_is_closed_between_frames_and_within() {
    let place = Place::new();
    for sent in [0, 3, 6] {
        let (mut server, mut raw) = place.raw();
        raw.write_all(&[2, 0, 0, 0, 1, b'a'][..sent]).unwrap();
        drop(raw);
        assert!(matches!(server.receive(9), Err(ChannelError::Closed)), "after {sent} bytes");
    }
}
