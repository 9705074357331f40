//! The frames of an alert, with the addresses of its subscribers: who took them is noted before they
//! are given.

use std::path::PathBuf;
use std::{fs, io};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use serde::Deserialize;

use super::Api;
use super::answer::Failure;
use super::cases::{alert_id, named};
use crate::cases::command::Command;
use crate::evidence;

/// The part of an event that says where its frames are.
#[derive(Deserialize)]
struct Event {
    weir: Weir,
}

#[derive(Deserialize)]
struct Weir {
    evidence: Option<Evidence>,
}

#[derive(Deserialize)]
struct Evidence {
    pcap: String,
    sha256: String,
}

fn read(directory: &std::path::Path, event: &str) -> Result<Vec<u8>, Failure> {
    let event: Event = serde_json::from_str(event).map_err(|_| Failure::absent())?;
    let Evidence { pcap, sha256 } = event.weir.evidence.ok_or_else(Failure::absent)?;
    let place: PathBuf = evidence::place(directory, &pcap).ok_or_else(Failure::absent)?;
    let mut capture = fs::read(place).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::gone(
            "the frames were removed for their age or their size: see [control.evidence]",
        ),
        _ => Failure::unavailable(format!("the frames can't be read: {error}; ask again")),
    })?;
    let told = evidence::told(&capture, &sha256).map(<[u8]>::len).ok_or_else(|| {
        Failure::unavailable(
            "the frames are not those that the alert tells of: they are written just now, or somebody changed them; ask again",
        )
    })?;
    capture.truncate(told);
    Ok(capture)
}

/// An alert's capture.
pub(super) async fn evidence(
    State(api): State<Api>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
) -> Result<impl IntoResponse, Failure> {
    let person = api.writer(&headers).await?;
    let (id, sees) = (alert_id(&named(path)?)?, person.role.sees_restricted());
    let directory = api.evidence.clone().ok_or_else(Failure::absent)?;
    let capture = api
        .ask(move |reader| {
            let page = reader.alert(id, sees)?.ok_or_else(Failure::absent)?;
            read(&directory, page.event.get())
        })
        .await?;
    api.order(person, Command::TakeEvidence(id)).await?;
    let name = format!("attachment; filename=\"weir-{id}.pcapng\"");
    let kind = "application/x-pcapng".to_owned();
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], capture))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use sha2::{Digest, Sha256};
    use weir_engine::Nanos;
    use weir_engine::contract::exhibit::{Head, Kept};

    use crate::evidence::{Cabinet, Capture, Exhibit, Limits};
    use crate::rulebook::hex;

    const EXHIBIT: Exhibit<'_> = Exhibit {
        id: "00000000000000ab",
        detection: "GTP-PEER",
        text: "a peer",
        first: Nanos(1),
        is_apart: false,
    };

    fn frames(time: u64) -> Vec<Kept> {
        let head =
            Head { time: Nanos(time), tap: 0, link_type: 1, wire_len: 61, len: 61, cause: 0 };
        vec![Kept { head, bytes: vec![7; 61] }; 3]
    }

    fn event(capture: &Capture) -> String {
        let (pcap, sha256) = (&capture.pcap, hex(&capture.sha256));
        format!(r#"{{"weir":{{"evidence":{{"pcap":"{pcap}","sha256":"{sha256}"}}}}}}"#)
    }

    fn status(read: Result<Vec<u8>, Failure>) -> StatusCode {
        read.expect_err("it is not what the event tells of").into_response().status()
    }

    #[test]
    fn what_is_given_is_what_the_event_tells_of_and_nothing_that_was_added_since() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().to_owned();
        let mut cabinet =
            Cabinet::open(place.clone(), Limits::default(), std::iter::empty()).unwrap();
        let mut add =
            |before, time| cabinet.add(&EXHIBIT, before, &frames(time), |_| "n3").unwrap().unwrap();
        let first = add(None, 1);
        let second = add(Some(&first), 2);
        for capture in [&first, &second] {
            let given = read(&place, &event(capture)).unwrap();
            assert_eq!(<[u8; 32]>::from(Sha256::digest(&given)), capture.sha256);
        }
        // Half a frame is written.
        let path = place.join(&first.pcap);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 7]).unwrap();
        let given = read(&place, &event(&first)).unwrap();
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&given)), first.sha256);
        assert_eq!(status(read(&place, &event(&second))), StatusCode::SERVICE_UNAVAILABLE);
        // Somebody changed a byte.
        let mut changed = whole;
        changed[40] ^= 1;
        fs::write(&path, &changed).unwrap();
        assert_eq!(status(read(&place, &event(&first))), StatusCode::SERVICE_UNAVAILABLE);
        fs::write(&path, []).unwrap();
        assert_eq!(status(read(&place, &event(&first))), StatusCode::SERVICE_UNAVAILABLE);
        fs::remove_file(&path).unwrap();
        assert_eq!(status(read(&place, &event(&first))), StatusCode::NOT_FOUND);
    }
}
