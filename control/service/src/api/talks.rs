//! Who talked to whom, hour by hour.

use std::net::IpAddr;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde::Deserialize;

use super::Api;
use super::answer::Failure;
use super::asked::{moment, page};
use super::cases::asked;
use super::equipment::rulebook;
use crate::rulebook::Rulebook;
use crate::site::far::Far;
use crate::store::TalkFilter;

/// Which conversations are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    equipment: Option<String>,
    /// An address, a network, the id of an equipment, `subscribers` or `other`.
    peer: Option<String>,
    since: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

/// Who is meant by the name of a peer.
fn meant(peer: &str, rulebook: Option<&Rulebook>) -> Far {
    if let Ok(address) = peer.parse::<IpAddr>() {
        return Far::of(address, rulebook);
    }
    match peer {
        "subscribers" => Far::Subscribers,
        "other" => Far::Other,
        net if net.parse::<ipnet::IpNet>().is_ok() => Far::Network(net.into()),
        id => Far::Equipment(id.into()),
    }
}

/// Conversations, the latest hour first.
pub(super) async fn flows(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<impl IntoResponse, Failure> {
    api.person(&headers).await?;
    let wanted = asked(query)?;
    let page = page(wanted.limit, wanted.after.as_deref())?;
    let rulebook = rulebook(&api);
    let filter = TalkFilter {
        equipment: wanted.equipment,
        far: wanted.peer.map(|peer| meant(&peer, rulebook.as_deref())),
        since: wanted.since.as_deref().map(moment).transpose()?,
    };
    Ok(Json(api.ask(move |reader| Ok(reader.talks(&filter, &page)?)).await?))
}
