//! Clients that mean harm: the process goes on serving the others, and counts what it refused.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpSocket;

use super::cases::{Desk, token};
use super::fake::*;

fn refused(address: &str, reason: &str) -> f64 {
    let metrics = fetch(address, "/metrics").1;
    series(&metrics, &format!("weir_control_http_refused_total{{reason=\"{reason}\"}}"))
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// What comes until the other side ends it, one way or the other.
fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the other side does not end it: {error}"),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends an octet now and then, until the other side has enough of it.
fn trickle(mut stream: TcpStream) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while stream.write_all(b"a").is_ok() {
            thread::sleep(Duration::from_millis(500));
        }
    })
}

#[test]
fn every_reason_is_there_from_the_start() {
    let place = Place::new("");
    let mut control = place.control(&["--listen", "127.0.0.1:0"]);
    let address = control.says("listening on http://").rsplit('/').next().unwrap().to_owned();
    let metrics = fetch(&address, "/metrics").1;
    let reasons = metrics.lines().filter(|line| line.starts_with("weir_control_http_refused"));
    let zeros = reasons.filter(|line| line.ends_with(" 0")).count();
    assert_eq!(zeros, 13, "{metrics}");
    assert!(!metrics.contains("weir_control_certificate_expiry_timestamp_seconds "));
}

#[test]
fn who_sends_slowly_or_never_reads_is_left_and_others_are_served_meanwhile() {
    let desk = Desk::new();
    let address = desk.address.clone();
    let ada = token(&desk.place, "ada", "analyst");
    let began = Instant::now();
    let head = connect(&address);
    let mut ended = head.try_clone().unwrap();
    (&head).write_all(b"GET /healthz HTTP/1.1\r\nHost: ").unwrap();
    let _trickle = trickle(head);
    // Nothing has begun here: that is no slow head.
    let mut idle = connect(&address);
    let body = connect(&address);
    let mut late = body.try_clone().unwrap();
    let post = format!(
        "POST /api/v1/incidents/1/status HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {ada}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    );
    (&body).write_all(post.as_bytes()).unwrap();
    let _trickle = trickle(body);
    // Answers to all of these are more than the system keeps for a reader.
    let mut deaf = connect(&address);
    deaf.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let get = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n").repeat(100);
    while deaf.write_all(get.as_bytes()).is_ok() && began.elapsed() < Duration::from_secs(10) {}

    assert_eq!(rest(&mut ended), "");
    let took = began.elapsed();
    assert!((9..15).contains(&took.as_secs()), "{took:?}");
    assert_eq!(refused(&address, "head_time"), 1.0);
    let answer = rest(&mut late);
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("did not come in time"),
        "{answer}"
    );
    assert!(began.elapsed().as_secs() >= 29, "{:?}", began.elapsed());
    assert_eq!(refused(&address, "body_time"), 1.0);
    let deadline = Instant::now() + Duration::from_secs(40);
    while refused(&address, "write_time") != 1.0 {
        assert!(Instant::now() < deadline, "nobody leaves who never reads");
        thread::sleep(Duration::from_millis(50));
    }
    write!(idle, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    assert!(rest(&mut idle).starts_with("HTTP/1.1 200"), "who was idle is served");
}

#[test]
fn what_is_too_long_or_no_request_is_refused() {
    let desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    let send = |text: String| {
        let mut stream = connect(&desk.address);
        // It may have answered before it has read everything.
        let _ = stream.write_all(text.as_bytes());
        rest(&mut stream)
    };
    let long = "a".repeat(1 << 20);
    let head = send(format!("GET /healthz HTTP/1.1\r\nHost: weir\r\nX-Long: {long}\r\n\r\n"));
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 431"), "{head}");
    let many: String = (0..100).map(|number| format!("X-{number}: 1\r\n")).collect();
    let head = send(format!("GET /healthz HTTP/1.1\r\nHost: weir\r\n{many}\r\n"));
    assert!(head.starts_with("HTTP/1.1 431"), "{head}");
    assert!(send("no request at all\r\n\r\n".into()).starts_with("HTTP/1.1 400"));
    let note = json!({ "status": "closed", "note": "a".repeat(70_000) }).to_string();
    let body = send(format!(
        "POST /api/v1/incidents/1/status HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer {ada}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{note}",
        note.len()
    ));
    assert!(body.starts_with("HTTP/1.1 413") && body.contains("too long"), "{body}");
    let counted = ["head_size", "malformed", "body_size"].map(|it| refused(&desk.address, it));
    assert_eq!(counted, [2.0, 1.0, 1.0]);
}

#[test]
fn ten_thousand_connections_keep_nobody_out_for_longer_than_they_last() {
    let place = Place::new("");
    let mut control = place.control(&["--listen", "127.0.0.1:0"]);
    let address = control.says("listening on http://").rsplit('/').next().unwrap().to_owned();
    let to: SocketAddr = address.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open = |last: u8| {
        runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 1, last], 0))).unwrap();
            socket.connect(to).await.unwrap().into_std().unwrap()
        })
    };
    // One address has what it may, and not what others have.
    let own: Vec<TcpStream> = (0..300).map(|_| open(1)).collect();
    await_that("the others are refused", || {
        (refused(&address, "connections_of_address") >= 172.0).then_some(())
    });
    assert_eq!(fetch(&address, "/healthz").0, 200);
    drop(own);
    let mut held = VecDeque::new();
    for number in 0..10_000_u32 {
        held.push_back(open(2 + (number % 200) as u8));
        if held.len() > 800 {
            held.pop_front();
        }
    }
    drop(held);
    let served = await_that("there is room again", || {
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    });
    let name = "weir_control_http_refused_total{reason=\"connections\"}";
    let refused = series(&served, name);
    assert!((200.0..10_000.0).contains(&refused), "{refused}");
}

#[test]
fn who_asks_too_often_is_told_when_to_ask_again() {
    let desk = Desk::new();
    let (ada, eve) = (token(&desk.place, "ada", "viewer"), token(&desk.place, "eve", "viewer"));
    let ask = |token: &str, times: usize, from: u8| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 2, from], 0))).unwrap();
            let stream = socket.connect(desk.address.parse().unwrap()).await.unwrap();
            stream.into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!("Host: {}\r\nAuthorization: Bearer {token}\r\n", desk.address);
        let path = if token.is_empty() { "/healthz" } else { "/api/v1/detections" };
        let writer = stream.try_clone().unwrap();
        let requests = format!("GET {path} HTTP/1.1\r\n{head}\r\n").repeat(times - 1)
            + &format!("GET {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n");
        let sent = thread::spawn(move || (&writer).write_all(requests.as_bytes()));
        let answers = rest(&mut stream);
        sent.join().unwrap().unwrap();
        let count = |status: &str| answers.matches(&format!("HTTP/1.1 {status}")).count();
        assert_eq!(count("200") + count("429"), times);
        let waits = answers.to_lowercase().matches("retry-after: 1\r\n").count();
        assert_eq!(waits, count("429"));
        count("429")
    };
    assert!(ask(&ada, 1, 1) == 0, "it is known from now on");
    let of_ada = ask(&ada, 1_900, 2);
    assert!((1..=900).contains(&of_ada), "{of_ada}");
    assert_eq!(ask(&eve, 20, 2), 0, "a page's requests at once, with another token");
    let of_address = ask("", 6_000, 3);
    assert!((1..=4_000).contains(&of_address), "{of_address}");
    assert_eq!(ask("", 20, 4), 0, "another address");
    assert_eq!(refused(&desk.address, "rate_of_token"), of_ada as f64);
    assert_eq!(refused(&desk.address, "rate_of_address"), of_address as f64);
}

#[test]
fn who_guesses_is_kept_out_and_who_is_known_is_not() {
    let desk = Desk::new();
    let ada = token(&desk.place, "ada", "viewer");
    assert_eq!(desk.get(&ada, "health").0, 200);
    let guess = |number: u64| desk.get(&format!("weir_ada_{number:064x}"), "health");
    let codes: Vec<u16> = (0..10).map(|number| guess(number).0).collect();
    assert_eq!(codes[..8], [401; 8]);
    assert_eq!(codes[9], 429);
    assert!(guess(99).1["error"].as_str().unwrap().contains("from this address; ask again in"));
    assert_eq!(desk.get(&ada, "health").0, 200);
    assert_eq!(desk.get("weir_nobody_00", "health").0, 401, "costs nothing");
    assert!(refused(&desk.address, "wrong_tokens") >= 2.0);
}
