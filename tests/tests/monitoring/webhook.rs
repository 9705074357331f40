//! A receiver of notifications, as an incident system would have it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What was delivered: the path that it was sent to, and what it says.
pub(crate) struct Webhook {
    pub(crate) address: String,
    delivered: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Webhook {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let box_ = Arc::clone(&delivered);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(notification) = take(stream) {
                    box_.lock().expect("nobody panics with it").push(notification);
                }
            }
        });
        Self { address, delivered }
    }

    /// An alert of a notification to `path` that is as wanted.
    pub(crate) fn find(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let delivered = self.delivered.lock().expect("nobody panics with it");
        let to_path = delivered.iter().filter(|(to, _)| to == path);
        let alerts = to_path.flat_map(|(_, said)| said["alerts"].as_array().into_iter().flatten());
        alerts.into_iter().find(|alert| wanted(alert)).cloned()
    }
}

fn take(mut stream: TcpStream) -> Option<(String, Value)> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    Some((path, serde_json::from_slice(&body).ok()?))
}
