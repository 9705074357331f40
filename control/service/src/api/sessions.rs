//! Sessions of subscribers, under pseudonyms; and who a pseudonym is, for a reason that is kept.

use std::net::IpAddr;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::sync::Arc;
use weir_engine::contract::session::SessionState;
use weir_policy::remedy;

use super::Api;
use super::answer::Failure;
use super::asked::{moment, page};
use super::cases::{Answer, asked, said};
use crate::cases::command::Command;
use crate::live::lock;
use crate::site::seal::{Kind, Seal};
use crate::store::{SessionFilter, identity, pseudonym};

/// Which sessions are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    dnn: Option<String>,
    slice: Option<String>,
    up: Option<IpAddr>,
    cp: Option<IpAddr>,
    state: Option<String>,
    teid: Option<u32>,
    supi: Option<String>,
    /// An address of a subscriber, which needs a reason.
    ue: Option<IpAddr>,
    reason: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

pub(super) fn seal(api: &Api) -> Result<Arc<Seal>, Failure> {
    let seal = lock(&api.live).seal.clone();
    seal.ok_or_else(|| {
        Failure::unavailable("the key of subscribers' addresses is not there yet; ask again")
    })
}

/// The number in a pseudonym.
fn hashed(text: &str) -> Result<u64, Failure> {
    let wrong = || Failure::invalid("a pseudonym is written as in h:0123456789abcdef");
    let digits = text.strip_prefix("h:").filter(|digits| {
        digits.len() == 16 && digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    });
    u64::from_str_radix(digits.ok_or_else(wrong)?, 16).map_err(|_| wrong())
}

fn state(name: &str) -> Result<SessionState, Failure> {
    let known = SessionState::ALL.into_iter().find(|state| state.name() == name);
    let names = SessionState::ALL.map(SessionState::name);
    known.ok_or_else(|| Failure::invalid(format!("state: {}", remedy(name, names))))
}

/// Sessions, the one that was agreed last first.
pub(super) async fn list(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<impl IntoResponse, Failure> {
    let person = api.person(&headers).await?;
    let wanted = asked(query)?;
    let page = page(wanted.limit, wanted.after.as_deref())?;
    let seal = seal(&api)?;
    let mut hashes = Vec::new();
    // What fewest sessions have comes first.
    if let Some(address) = wanted.ue {
        hashes.push(seal.pseudonym(address));
    }
    if let Some(supi) = &wanted.supi {
        hashes.push(seal.hash(Kind::Supi, &hashed(supi)?.to_be_bytes()));
    }
    if let Some(teid) = wanted.teid {
        hashes.push(seal.hash(Kind::Teid, &teid.to_be_bytes()));
    }
    let filter = SessionFilter {
        dnn: wanted.dnn,
        slice: wanted.slice,
        up: wanted.up.map(|address| address.to_string()),
        cp: wanted.cp.map(|address| address.to_string()),
        state: wanted.state.as_deref().map(state).transpose()?,
        hashes,
    };
    if let Some(address) = wanted.ue {
        if !person.role.may_write() {
            return Err(Failure::forbidden("analyst"));
        }
        let reason = wanted.reason.unwrap_or_default();
        let pseudonym = pseudonym(seal.pseudonym(address));
        api.order(person, Command::LookUp { pseudonym, reason }).await?;
    }
    Ok(Json(api.ask(move |reader| Ok(reader.sessions(&filter, &page)?)).await?))
}

/// Whose addresses are wanted, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reveal {
    cp_seid: String,
    up_seid: String,
    cp: Option<IpAddr>,
    generation: u32,
    /// When it was agreed, as lists have it; null where they have none.
    #[serde(default, deserialize_with = "given")]
    established: Option<Option<String>>,
    reason: String,
}

/// What is given, which may be null.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

fn seid(text: &str) -> Result<u64, Failure> {
    let wrong = || Failure::invalid("a SEID is written as in 0x2a");
    let is_hex =
        |digits: &&str| digits.len() <= 16 && digits.bytes().all(|it| it.is_ascii_hexdigit());
    let digits = text.strip_prefix("0x").filter(is_hex);
    u64::from_str_radix(digits.ok_or_else(wrong)?, 16).map_err(|_| wrong())
}

/// The addresses of a session's subscriber. The deed is on the disk before anybody is named.
pub(super) async fn reveal(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Json<Reveal>, JsonRejection>,
) -> Answer<Value> {
    let person = api.writer(&headers).await?;
    let Reveal { cp_seid, up_seid, cp, generation, established, reason } = said(body)?;
    let established = established.map(|it| it.as_deref().map(moment).transpose()).transpose()?;
    let (cp_seid, up_seid) = (seid(&cp_seid)?, seid(&up_seid)?);
    let seal = seal(&api)?;
    let identity = identity(&seal, cp, (cp_seid, up_seid), generation);
    let found = api.ask(move |reader| Ok(reader.sealed(identity, established)?)).await?;
    let sealed = match &found[..] {
        [] => return Err(Failure::absent()),
        [one] => one,
        _ => {
            return Err(Failure::ambiguous(
                "more than one session had these SEIDs; say which by established, as GET sessions has it",
            ));
        }
    };
    let of = cp.map_or_else(|| "an unknown node".into(), |cp| cp.to_string());
    let agreed = sealed.established.as_ref();
    let agreed =
        agreed.map_or_else(|| "agreement not seen".into(), |at| format!("established {at}"));
    let session = format!("{cp_seid:#x} {up_seid:#x} of {of}, generation {generation}, {agreed}");
    api.order(person, Command::Reveal { session, reason }).await?;
    let addresses = seal.unseal(identity, &sealed.addresses).ok_or_else(|| {
        Failure::unavailable(
            "the addresses were sealed with another key; restore subscribers.key of the state directory",
        )
    })?;
    Ok(Json(json!({ "ue": addresses })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_and_seids_are_read_as_they_are_shown_and_in_no_other_way() {
        assert_eq!(hashed("h:00000000000000ff").unwrap(), 0xff);
        assert_eq!(hashed(&pseudonym(-1)).unwrap(), u64::MAX);
        for wrong in
            ["", "h:", "00000000000000ff", "h:ff", "h:+0000000000000ff", "h:00000000000000FF"]
        {
            assert!(hashed(wrong).is_err(), "{wrong}");
        }
        assert_eq!((seid("0x0").unwrap(), seid("0xffffffffffffffff").unwrap()), (0, u64::MAX));
        for wrong in ["", "0x", "2a", "0x+1", "0x1ffffffffffffffff"] {
            assert!(seid(wrong).is_err(), "{wrong}");
        }
    }
}
