//! The Unix socket between sensor and control: frames of bytes, with descriptors.
//!
//! A frame is its length (u32, little-endian), its kind (u8) and that many bytes; what the
//! kinds mean is the callers' agreement. Nothing that a peer sends makes this side allocate
//! more than it asked for, keep a descriptor that it did not ask for, or wait for longer than
//! the timeout for one frame.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, bind,
    connect, getsockopt, listen, recv, sendmsg, shutdown, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::geteuid;

use crate::ancillary;

/// Most descriptors that one frame carries.
pub const MOST_FDS: usize = 4;

/// How long one frame may take until [`Connection::set_timeout`] says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(5);

const HEADER_BYTES: usize = 5;

/// What went wrong on the socket. After any error but [`ChannelError::Idle`] the connection
/// is shut down: the stream has lost its frames' boundaries.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Another sensor listens there.
    #[error("socket in use; {}; stop the other sensor or choose another", .0.display())]
    InUse(PathBuf),
    /// Something else is in the way.
    #[error("not a socket; {}; move it away or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The system refused something about the path.
    #[error("can't {action}; {}; {source}", path.display())]
    Path {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The peer is neither root nor the user that this process runs as.
    #[error(
        "user {uid} on the other end of the socket is a stranger; run sensor and control as one user or root"
    )]
    Stranger {
        /// Its user id.
        uid: u32,
    },
    /// Nothing came within the timeout. The connection is as good as before.
    #[error("nothing came over the socket within the timeout; ask again or give the peer up")]
    Idle,
    /// The peer began a frame, or let this side begin one, and did not finish within the timeout.
    #[error("the peer stopped within a frame; restart it")]
    Stalled,
    /// The peer is gone.
    #[error("the peer closed the socket; wait for it to come back")]
    Closed,
    /// The frame is longer than was asked for.
    #[error(
        "the peer announced a frame of {length} bytes, at most {limit} are accepted; install one release of both"
    )]
    TooLong {
        /// Announced, or given to `send`.
        length: usize,
        /// Accepted.
        limit: usize,
    },
    /// The frame carries too many descriptors.
    #[error(
        "a frame with {count} descriptors, at most {MOST_FDS} are accepted; install one release of both"
    )]
    TooManyFds {
        /// Carried, or given to `send`.
        count: usize,
    },
    /// The system refused.
    #[error("the socket failed; {0}; reconnect")]
    Io(#[from] io::Error),
}

impl From<Errno> for ChannelError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EPIPE | Errno::ECONNRESET => Self::Closed,
            other => Self::Io(other.into()),
        }
    }
}

/// One message.
#[derive(Debug)]
pub struct Frame {
    /// What the payload is, by the callers' agreement.
    pub kind: u8,
    /// The bytes.
    pub payload: Vec<u8>,
    /// The descriptors that came with it, at most [`MOST_FDS`], closed on exec.
    pub fds: Vec<OwnedFd>,
}

/// Who is on the other end, as the kernel says: for a listener's connections whoever
/// connected, for a client's whoever bound the socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Process id at that time.
    pub pid: i32,
    /// User id at that time.
    pub uid: u32,
    /// Group id at that time.
    pub gid: u32,
}

/// A bound socket. It has the path for itself: a lock beside it (`PATH.lock`) is held until
/// this is dropped, and then the socket file is removed.
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    _lock: File,
}

impl Listener {
    /// Listens at `path`, mode 0600. Its directory is created, mode 0700, if there is none; a
    /// socket file on which nobody listens any more is replaced.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, ChannelError> {
        let path = path.as_ref();
        let failed = |action| {
            move |source: io::Error| ChannelError::Path { action, path: path.to_owned(), source }
        };
        if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(failed("create the socket's directory"))?;
        }
        if path.file_name().is_none() {
            return Err(failed("use this as a socket's path")(io::ErrorKind::InvalidInput.into()));
        }
        let address =
            UnixAddr::new(path).map_err(|e| failed("use this as a socket's path")(e.into()))?;
        let lock = lock(path)?;

        let socket = stream_socket()?;
        // The file that bind creates takes the socket's mode: it is never open to others, not
        // even between two calls.
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
        remove_stale(path, &address)?;
        bind(socket.as_raw_fd(), &address).map_err(|e| failed("bind the socket")(e.into()))?;
        listen(&socket, Backlog::new(8)?)?;
        Ok(Self { socket: socket.into(), path: path.to_owned(), _lock: lock })
    }

    /// The next connection of the same user or root; [`ChannelError::Idle`] when none comes
    /// within `wait`, [`ChannelError::Stranger`] when another user's was turned away.
    pub fn accept(&self, wait: Duration) -> Result<Connection, ChannelError> {
        let deadline = Instant::now() + wait;
        loop {
            match self.socket.accept() {
                Ok((stream, _)) => return Connection::over(stream.into()),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock
                    | io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionAborted => {}
                    _ => return Err(error.into()),
                },
            }
            if !ready(self.socket.as_fd(), PollFlags::POLLIN, deadline)? {
                return Err(ChannelError::Idle);
            }
        }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A file that stays behind is replaced by the next listener, so that there is nothing
        // to do about a failure.
        let _ = fs::remove_file(&self.path);
    }
}

/// One end of a connection. It belongs to one thread at a time.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    peer: Peer,
    timeout: Duration,
    shut: bool,
}

impl Connection {
    /// Connects to the listener at `path`, if that runs as the same user or root.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self, ChannelError> {
        let path = path.as_ref();
        let failed = |errno: Errno| ChannelError::Path {
            action: "connect to the sensor's socket",
            path: path.to_owned(),
            source: errno.into(),
        };
        let socket = stream_socket()?;
        let address = UnixAddr::new(path).map_err(failed)?;
        connect(socket.as_raw_fd(), &address).map_err(failed)?;
        Self::over(socket)
    }

    fn over(socket: OwnedFd) -> Result<Self, ChannelError> {
        let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
        let peer = Peer { pid: credentials.pid(), uid: credentials.uid(), gid: credentials.gid() };
        if !familiar(peer.uid, geteuid().as_raw()) {
            return Err(ChannelError::Stranger { uid: peer.uid });
        }
        Ok(Self { socket, peer, timeout: TIMEOUT, shut: false })
    }

    /// Who is on the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// How long one `send` or `receive` may take, from its beginning to its end.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Sends one frame; the descriptors stay open on this side.
    pub fn send(
        &mut self,
        kind: u8,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        let result = self.send_frame(kind, payload, fds);
        self.judge(result)
    }

    /// The next frame, if it is no longer than `limit`. [`ChannelError::Idle`] means that no
    /// frame began within the timeout.
    pub fn receive(&mut self, limit: usize) -> Result<Frame, ChannelError> {
        let result = self.receive_frame(limit);
        self.judge(result)
    }

    /// Passes a result on, and ends the connection over any error but idleness. What may
    /// still lie in the socket is never taken for a frame.
    fn judge<T>(&mut self, result: Result<T, ChannelError>) -> Result<T, ChannelError> {
        if let Err(error) = &result
            && !matches!(error, ChannelError::Idle)
        {
            self.shut = true;
            // It fails only on a connection that the peer has already ended.
            let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
        }
        result
    }

    fn send_frame(
        &self,
        kind: u8,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        if self.shut {
            return Err(ChannelError::Closed);
        }
        let Ok(length) = u32::try_from(payload.len()) else {
            return Err(ChannelError::TooLong { length: payload.len(), limit: u32::MAX as usize });
        };
        if fds.len() > MOST_FDS {
            return Err(ChannelError::TooManyFds { count: fds.len() });
        }
        let mut header = [kind; HEADER_BYTES];
        header[..4].copy_from_slice(&length.to_le_bytes());
        self.send_all(&header, payload, fds)
    }

    fn send_all(
        &self,
        header: &[u8; HEADER_BYTES],
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        let deadline = Instant::now() + self.timeout;
        let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let total = HEADER_BYTES + payload.len();
        let mut sent = 0;
        while sent < total {
            // The descriptors go with the frame's first byte, and only once.
            let rights = if sent == 0 && !raw.is_empty() { &rights[..] } else { &[] };
            let parts = [
                IoSlice::new(&header[sent.min(HEADER_BYTES)..]),
                IoSlice::new(&payload[sent.saturating_sub(HEADER_BYTES)..]),
            ];
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match sendmsg::<()>(self.socket.as_raw_fd(), &parts, rights, flags, None) {
                Ok(count) => sent += count,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            if sent < total && !ready(self.as_fd(), PollFlags::POLLOUT, deadline)? {
                return Err(ChannelError::Stalled);
            }
        }
        Ok(())
    }

    fn receive_frame(&self, limit: usize) -> Result<Frame, ChannelError> {
        if self.shut {
            return Err(ChannelError::Closed);
        }
        let deadline = Instant::now() + self.timeout;
        let mut fds = Vec::new();
        let mut header = [0; HEADER_BYTES];
        self.fill(&mut header, deadline, ChannelError::Idle, |socket, into| {
            let count = ancillary::receive(socket, into, &mut fds)?;
            match fds.len() {
                0..=MOST_FDS => Ok(count),
                count => Err(ChannelError::TooManyFds { count }),
            }
        })?;
        let [l0, l1, l2, l3, kind] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > limit {
            return Err(ChannelError::TooLong { length, limit });
        }
        let mut payload = vec![0; length];
        // A plain read drops whatever descriptors a peer may have put between the bytes.
        self.fill(&mut payload, deadline, ChannelError::Stalled, |socket, into| {
            recv(socket.as_raw_fd(), into, MsgFlags::MSG_DONTWAIT).map_err(ChannelError::from)
        })?;
        Ok(Frame { kind, payload, fds })
    }

    /// Reads until `into` is full. `late` is the error for a deadline that passes before the
    /// first byte.
    fn fill(
        &self,
        into: &mut [u8],
        deadline: Instant,
        late: ChannelError,
        mut read: impl FnMut(BorrowedFd<'_>, &mut [u8]) -> Result<usize, ChannelError>,
    ) -> Result<(), ChannelError> {
        let mut filled = 0;
        while filled < into.len() {
            match read(self.as_fd(), &mut into[filled..]) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(count) => filled += count,
                Err(ChannelError::Io(error)) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    io::ErrorKind::ConnectionReset => return Err(ChannelError::Closed),
                    _ => return Err(error.into()),
                },
                Err(error) => return Err(error),
            }
            if filled < into.len() && !ready(self.as_fd(), PollFlags::POLLIN, deadline)? {
                return Err(if filled > 0 { ChannelError::Stalled } else { late });
            }
        }
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn stream_socket() -> Result<OwnedFd, ChannelError> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(AddressFamily::Unix, SockType::Stream, flags, None)?)
}

/// Takes the lock beside the socket. With it, what lies at the path is ours to judge: two
/// sensors that start at once can't remove each other's socket.
fn lock(path: &Path) -> Result<File, ChannelError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let failed =
        |source| ChannelError::Path { action: "lock the socket", path: beside.clone(), source };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(&beside)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ChannelError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Removes a socket file on which nobody listens. One that answers belongs to a program that
/// does not know our lock, and stays.
fn remove_stale(path: &Path, address: &UnixAddr) -> Result<(), ChannelError> {
    let failed = |action| {
        move |source: io::Error| ChannelError::Path { action, path: path.to_owned(), source }
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at the socket")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ChannelError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match connect(stream_socket()?.as_raw_fd(), address) {
        Err(Errno::ECONNREFUSED) => {
            fs::remove_file(path).map_err(failed("remove the socket that nobody listens on"))
        }
        Err(Errno::ENOENT) => Ok(()),
        Ok(()) | Err(Errno::EAGAIN) => Err(ChannelError::InUse(path.to_owned())),
        Err(errno) => Err(failed("ask who listens on the socket")(errno.into())),
    }
}

/// Whether a process of user `peer` may be spoken to by one of user `own`.
fn familiar(peer: u32, own: u32) -> bool {
    peer == 0 || peer == own
}

/// Waits until the socket is ready; false once the deadline has passed, ready or not, so that
/// a peer that always has one more byte can't outlast it.
fn ready(
    socket: BorrowedFd<'_>,
    flags: PollFlags,
    deadline: Instant,
) -> Result<bool, ChannelError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // Rounded up: with less than a millisecond left poll must not spin.
        let milliseconds = i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(socket, flags)], timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_same_user_are_spoken_to() {
        assert!(familiar(0, 1000));
        assert!(familiar(1000, 1000));
        assert!(!familiar(1001, 1000));
        assert!(!familiar(1000, 0));
    }
}
