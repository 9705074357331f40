//! Subscribers in what an alert tells: their addresses stand under pseudonyms, those of the
//! sessions, until somebody has a reason to know.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Api;
use super::answer::Failure;
use super::cases::{Answer, alert_id, named, said};
use super::equipment::rulebook;
use super::sessions::seal;
use crate::cases::AlertId;
use crate::cases::command::Command;
use crate::rulebook::Rulebook;
use crate::site::seal::Seal;
use crate::store::{AlertLine, AlertPage, pseudonym};

/// An alert with its event, of which nobody can tell who its subscribers are.
#[derive(Serialize)]
pub(super) struct Veiled {
    #[serde(flatten)]
    line: AlertLine,
    event: Box<RawValue>,
    /// Subscribers that it names.
    subscribers: usize,
}

/// The part of an event that says whose session it is about, and whose packet.
#[derive(Deserialize)]
struct Event {
    weir: Weir,
}

#[derive(Deserialize)]
struct Weir {
    session: Option<Session>,
    direction: Option<String>,
    inner: Option<Inner>,
}

#[derive(Deserialize)]
struct Session {
    ue: Option<IpAddr>,
}

#[derive(Deserialize)]
struct Inner {
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
}

impl Weir {
    /// The end of the packet in the tunnel that is the user's, whatever the pools say.
    fn users_end(&self) -> Option<IpAddr> {
        let inner = self.inner.as_ref()?;
        match self.direction.as_deref()? {
            "ul" => inner.src,
            "dl" => inner.dst,
            _ => None,
        }
    }
}

/// Who is a subscriber, and under which pseudonym.
#[derive(Clone)]
pub(super) struct Cover {
    rulebook: Option<Arc<Rulebook>>,
    seal: Arc<Seal>,
}

impl Api {
    pub(super) fn cover(&self) -> Result<Cover, Failure> {
        Ok(Cover { rulebook: rulebook(self), seal: seal(self)? })
    }
}

impl Cover {
    fn is_equipment(&self, address: IpAddr) -> bool {
        self.rulebook.as_ref().is_some_and(|it| it.holder(address).is_some())
    }

    fn is_subscribers(&self, address: IpAddr) -> bool {
        self.rulebook.as_ref().is_some_and(|it| it.is_subscribers(address))
            && !self.is_equipment(address)
    }

    /// Covers the peer of an alert that is a subscriber.
    pub(super) fn line(&self, mut line: AlertLine) -> AlertLine {
        line.peer = line.peer.map(|peer| self.peer(peer));
        line
    }

    /// An alert's peer, or the pseudonym of one that is a subscriber.
    pub(super) fn peer(&self, peer: String) -> String {
        match peer.parse() {
            Ok(address) if self.is_subscribers(address) => pseudonym(self.seal.pseudonym(address)),
            _ => peer,
        }
    }

    /// Covers an alert's event: addresses of the pools, that of its session, and the user's end of its packet.
    fn event(&self, event: &str) -> Veil {
        let told = serde_json::from_str(event).ok().map(|Event { weir }| weir);
        let users_end = told.as_ref().and_then(Weir::users_end);
        let session = told.and_then(|weir| weir.session?.ue);
        // Of IPv6 the session has a prefix, and its user any address of that.
        let session = session.map(|ue| self.seal.pseudonym(ue));
        Veil::of(event, &self.seal, |address| {
            session == Some(self.seal.pseudonym(address))
                || self.is_subscribers(address)
                || users_end == Some(address) && !self.is_equipment(address)
        })
    }
}

/// A text without subscribers' addresses, and which it had under each pseudonym.
struct Veil {
    text: String,
    hidden: BTreeMap<i64, Vec<IpAddr>>,
}

impl Veil {
    /// Covers each address in a text that is a subscriber's. Networks, as in 10.60.0.0/16, are nobody.
    fn of(text: &str, seal: &Seal, is_subscribers: impl Fn(IpAddr) -> bool) -> Self {
        let may_be = |it: char| it.is_ascii_hexdigit() || matches!(it, ':' | '.');
        let mut veil = Self { text: String::with_capacity(text.len()), hidden: BTreeMap::new() };
        let mut rest = text;
        while let Some(start) = rest.find(may_be) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|it| !may_be(it)).unwrap_or(from.len());
            let (run, after) = from.split_at(end);
            veil.text.push_str(before);
            match address(run)
                .filter(|(_, found)| !after.starts_with('/') && is_subscribers(*found))
            {
                Some((place, address)) => {
                    let hash = seal.pseudonym(address);
                    let known = veil.hidden.entry(hash).or_default();
                    if !known.contains(&address) {
                        known.push(address);
                    }
                    veil.text.push_str(&run[..place.start]);
                    veil.text.push_str(&pseudonym(hash));
                    veil.text.push_str(&run[place.end..]);
                }
                None => veil.text.push_str(run),
            }
            rest = after;
        }
        veil.text.push_str(rest);
        veil
    }
}

/// The address in a run of the signs that addresses have, and where it stands: before it a colon may
/// stand, behind it a port may follow, or the sentence end.
fn address(run: &str) -> Option<(Range<usize>, IpAddr)> {
    let lead = run.len() - run.trim_start_matches(':').len();
    [0, lead].iter().find_map(|start| {
        let run = &run[*start..];
        let sentence = run.trim_end_matches(['.', ':']);
        let before_port = run.split(':').next().filter(|part| part.contains('.')).unwrap_or(run);
        let candidates = [run, sentence, before_port];
        let found = |text: &&str| Some((*start..start + text.len(), text.parse().ok()?));
        candidates.iter().find_map(found)
    })
}

async fn found(api: &Api, id: AlertId, sees_restricted: bool) -> Result<AlertPage, Failure> {
    let found = api.ask(move |reader| Ok(reader.alert(id, sees_restricted)?)).await?;
    found.ok_or_else(Failure::absent)
}

/// An alert with its event.
pub(super) async fn alert(
    State(api): State<Api>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
) -> Answer<Veiled> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let AlertPage { line, event } = found(&api, alert_id(&named(path)?)?, sees).await?;
    let cover = api.cover()?;
    let (line, veil) = (cover.line(line), cover.event(event.get()));
    let event = RawValue::from_string(veil.text)
        .map_err(|_| Failure::unavailable("the stored event can't be read; look at the journal"))?;
    Ok(Json(Veiled { line, event, subscribers: veil.hidden.len() }))
}

/// Why somebody wants to know.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reveal {
    reason: String,
}

/// The addresses behind an alert's pseudonyms. The deed is on the disk before anybody is named.
pub(super) async fn reveal(
    State(api): State<Api>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
    body: Result<Json<Reveal>, JsonRejection>,
) -> Answer<Value> {
    let person = api.writer(&headers).await?;
    let (id, Reveal { reason }) = (alert_id(&named(path)?)?, said(body)?);
    let page = found(&api, id, person.role.sees_restricted()).await?;
    let veil = api.cover()?.event(page.event.get());
    api.order(person, Command::RevealAlert { id, reason }).await?;
    let subscribers = veil
        .hidden
        .iter()
        .map(|(hash, addresses)| json!({ "pseudonym": pseudonym(*hash), "addresses": addresses }));
    Ok(Json(json!({ "subscribers": subscribers.collect::<Vec<_>>() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn veiled(text: &str) -> (String, Vec<IpAddr>) {
        let directory = tempfile::tempdir().unwrap();
        let seal = Seal::open(directory.path()).unwrap();
        let pools = ["10.60.0.0/16", "2001:db8:60::/48"].map(|net| net.parse().unwrap());
        let veil = Veil::of(text, &seal, |address| {
            pools.iter().any(|pool: &ipnet::IpNet| pool.contains(&address))
        });
        let mut text = veil.text;
        for hash in veil.hidden.keys() {
            text = text.replace(&pseudonym(*hash), "h");
        }
        (text, veil.hidden.into_values().flatten().collect())
    }

    #[test]
    fn addresses_of_subscribers_are_covered_wherever_they_stand_and_nothing_else_is() {
        for (text, covered) in [
            (r#"{"ue":"10.60.0.1","dst":"10.0.1.1"}"#, r#"{"ue":"h","dst":"10.0.1.1"}"#),
            ("the session of 10.60.0.1.", "the session of h."),
            ("10.60.0.1: it spoke to 10.60.0.1", "h: it spoke to h"),
            ("10.60.0.1:2152", "h:2152"),
            ("to:10.60.0.1", "to:h"),
            ("from 2001:db8:60::7.", "from h."),
            ("the prefix of 2001:db8:60:5::", "the prefix of h"),
            ("2001:db8:61::7 and 10.61.0.1", "2001:db8:61::7 and 10.61.0.1"),
            ("in none of 10.60.0.0/16", "in none of 10.60.0.0/16"),
            (
                r#""first":"2026-11-27T10:60:00.1Z","teid":1060"#,
                r#""first":"2026-11-27T10:60:00.1Z","teid":1060"#,
            ),
            ("ü10.60.0.1ü", "ühü"),
            ("", ""),
        ] {
            assert_eq!(veiled(text).0, covered);
        }
    }

    #[test]
    fn a_subscriber_of_an_ipv6_prefix_has_one_pseudonym_and_all_its_addresses() {
        let (text, addresses) = veiled("2001:db8:60:7::1 2001:db8:60:7::2 2001:db8:60:7::1");
        assert_eq!(text, "h h h");
        assert_eq!(
            addresses,
            ["2001:db8:60:7::1", "2001:db8:60:7::2"].map(|it| it.parse::<IpAddr>().unwrap())
        );
    }
}
