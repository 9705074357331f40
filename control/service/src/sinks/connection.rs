//! A way to a collector: a datagram socket, a stream, or a stream in TLS. Every wait has an end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket,
};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use weir_policy::{Collector, TlsConfig, Transport};

use super::{Failure, tls};

/// How long the collector may take to accept a connection, and for each step of TLS.
const ACCEPT: Duration = Duration::from_secs(5);
/// How long it may take nothing before the connection is given up.
const STUCK: Duration = Duration::from_secs(10);
/// How long it may take to close its side.
const FAREWELL: Duration = Duration::from_millis(500);
/// Datagrams that go out at once, and the rest after them: what comes faster than a collector reads is
/// lost in its socket, which as a rule holds some fifty of ours.
const BURST: u32 = 8;
const REST: Duration = Duration::from_millis(1);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// A way to a collector.
pub(super) enum Connection {
    /// The socket, and how many datagrams went out since the last rest.
    Udp(UdpSocket, u32),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    /// Finds the collector and connects to it.
    pub(super) fn open(
        collector: &Collector,
        transport: Transport,
        files: Option<&TlsConfig>,
    ) -> Result<Self, Failure> {
        let found = (collector.host.as_str(), collector.port).to_socket_addrs();
        let addresses: Vec<_> = found.map_err(|_| Failure::Resolve)?.take(ADDRESSES).collect();
        if addresses.is_empty() {
            return Err(Failure::Resolve);
        }
        if transport == Transport::Udp {
            let socket = addresses.iter().find_map(|address| datagrams(*address).ok());
            return socket.map(|socket| Self::Udp(socket, 0)).ok_or(Failure::Connect);
        }
        let connected = |address| TcpStream::connect_timeout(address, ACCEPT).ok();
        let stream = addresses.iter().find_map(connected).ok_or(Failure::Connect)?;
        let prepared = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(ACCEPT)))
            .and_then(|()| stream.set_write_timeout(Some(STUCK)));
        prepared.map_err(|_| Failure::Connect)?;
        match files {
            None => Ok(Self::Tcp(stream)),
            Some(files) => encrypted(collector, stream, files),
        }
    }

    /// Sends a datagram, or as much of a stream. After an error a stream is of no use any more.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let sent = match self {
            Self::Udp(socket, burst) => {
                *burst += 1;
                if *burst >= BURST {
                    *burst = 0;
                    thread::sleep(REST);
                }
                socket.send(bytes).map(drop)
            }
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        };
        sent.map_err(|error| match (error.kind(), self) {
            (ErrorKind::ConnectionRefused, Self::Udp(..)) => Failure::Refused,
            _ => Failure::Send,
        })
    }

    /// Whether the collector closed the connection: what is written then is lost without an error.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        match self {
            Self::Udp(..) => Ok(()),
            Self::Tcp(stream) => at_once(stream, discard).map_err(|_| Failure::Closed),
            Self::Tls(stream) => {
                let StreamOwned { conn, sock } = &mut **stream;
                at_once(sock, |sock| take(conn, sock)).map_err(|_| Failure::Closed)
            }
        }
    }

    /// Says good-bye, and waits for a moment until the collector has: a socket that is closed with
    /// something unread in it (TLS's tickets, say) takes back what the collector has not read yet.
    pub(super) fn close(self) {
        let mut stream = match self {
            Self::Udp(..) => return,
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => {
                let (mut session, mut stream) = stream.into_parts();
                session.send_close_notify();
                // Who does not hear it any more has closed already.
                let _ = session.write_tls(&mut stream);
                stream
            }
        };
        let deadline = Instant::now() + FAREWELL;
        let parting =
            stream.shutdown(Shutdown::Write).and_then(|()| stream.set_read_timeout(Some(FAREWELL)));
        if parting.is_ok() {
            while Instant::now() < deadline && discard(&mut stream).is_ok() {}
        }
    }
}

fn datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    socket.set_write_timeout(Some(STUCK))?;
    Ok(socket)
}

fn encrypted(
    collector: &Collector,
    mut stream: TcpStream,
    files: &TlsConfig,
) -> Result<Connection, Failure> {
    let config = tls::client(files).map_err(|_| Failure::Files)?;
    let name = collector.host.trim_end_matches('.').to_owned();
    let name = ServerName::try_from(name).map_err(|_| Failure::Certificate)?;
    let mut session = ClientConnection::new(config, name).map_err(|_| Failure::Tls)?;
    while session.is_handshaking() {
        session.complete_io(&mut stream).map_err(|error| tls::failure(&error))?;
    }
    Ok(Connection::Tls(Box::new(StreamOwned::new(session, stream))))
}

/// Reads what is there without waiting.
fn at_once(
    stream: &mut TcpStream,
    mut read: impl FnMut(&mut TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let found = read(stream);
    stream.set_nonblocking(false)?;
    match found {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        other => other,
    }
}

/// Collectors of syslog and IPFIX say nothing; whatever one says is dropped.
fn discard(stream: &mut TcpStream) -> io::Result<()> {
    match stream.read(&mut [0; 4096])? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// TLS itself says something now and then: new tickets, and that it is over.
fn take(session: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<()> {
    if session.read_tls(stream)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let state = session.process_new_packets().map_err(io::Error::other)?;
    if state.peer_has_closed() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let mut said = [0; 4096];
    let waiting = state.plaintext_bytes_to_read().min(said.len());
    session.reader().read_exact(&mut said[..waiting])
}
