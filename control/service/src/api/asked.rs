//! What a request says: who asks, from where, and for which rows.

use axum::http::{HeaderMap, header};
use serde::Deserialize;
use weir_engine::Nanos;
use weir_engine::contract::verdict::Severity;
use weir_engine::detect::CATALOGUE;
use weir_policy::remedy;

use super::answer::Failure;
use crate::cases::status::Status;
use crate::store::{Filter, Page};

/// Rows of a page, unless another number is asked for, and at most.
const ROWS: u32 = 100;
const MOST: u32 = 500;

/// The token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a request names this machine as its host. A page of somebody else's whose name suddenly
/// leads to this machine names itself.
pub(super) fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What is asked for of a list, as it stands behind the question mark.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    status: Option<String>,
    severity: Option<String>,
    detection: Option<String>,
    equipment: Option<String>,
    incident: Option<u64>,
    since: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

/// The same of incidents.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedIncidents {
    status: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

/// The same of a list that only has pages.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paged {
    limit: Option<u32>,
    after: Option<String>,
}

impl Paged {
    pub(super) fn page(&self) -> Result<Page, Failure> {
        page(self.limit, self.after.as_deref())
    }
}

/// How many rows a page has.
pub(super) fn rows(limit: Option<u32>) -> Result<u32, Failure> {
    let most = limit.unwrap_or(ROWS);
    if !(1..=MOST).contains(&most) {
        return Err(Failure::invalid(format!("limit is a number from 1 to {MOST}")));
    }
    Ok(most)
}

pub(super) fn page(limit: Option<u32>, after: Option<&str>) -> Result<Page, Failure> {
    let most = rows(limit)?;
    let place = |after: &str| {
        let (time, number) = after.split_once('-')?;
        Some((time.parse().ok()?, number.parse().ok()?))
    };
    let behind = match after.map(place) {
        Some(None) => return Err(Failure::invalid("after is the `next` of the page before")),
        Some(place) => place,
        None => None,
    };
    Ok(Page { behind, most })
}

/// A moment as RFC 3339 writes it.
pub(super) fn moment(text: &str) -> Result<Nanos, Failure> {
    let wrong = || Failure::invalid("a time is written as in 2026-11-26T12:00:00Z, after 1970");
    let moment: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(moment.as_nanosecond()).map(Nanos).map_err(|_| wrong())
}

impl Asked {
    pub(super) fn page(&self) -> Result<Page, Failure> {
        page(self.limit, self.after.as_deref())
    }

    pub(super) fn filter(self) -> Result<Filter, Failure> {
        let status = self.status.map(|name| status(&name)).transpose()?;
        let severity = self.severity.map(|name| {
            let known = Severity::ALL.into_iter().find(|severity| severity.name() == name);
            let names = Severity::ALL.map(Severity::name);
            known.ok_or_else(|| Failure::invalid(format!("severity: {}", remedy(&name, names))))
        });
        if let Some(detection) = &self.detection {
            let ids = CATALOGUE.iter().map(|known| known.id);
            if !ids.clone().any(|id| id == detection) {
                return Err(Failure::invalid(format!("detection: {}", remedy(detection, ids))));
            }
        }
        Ok(Filter {
            status,
            severity: severity.transpose()?,
            detection: self.detection,
            equipment: self.equipment,
            incident: self.incident,
            since: self.since.as_deref().map(moment).transpose()?,
        })
    }
}

impl AskedIncidents {
    pub(super) fn page(&self) -> Result<Page, Failure> {
        page(self.limit, self.after.as_deref())
    }

    /// Whether only open ones are wanted.
    pub(super) fn only_open(&self) -> Result<bool, Failure> {
        match self.status.as_deref() {
            None | Some("all") => Ok(false),
            Some("open") => Ok(true),
            Some(name) => {
                Err(Failure::invalid(format!("status: {}", remedy(name, ["open", "all"]))))
            }
        }
    }
}

/// A status by its name.
pub(super) fn status(name: &str) -> Result<Status, Failure> {
    let known = Status::ALL.into_iter().find(|status| status.name() == name);
    known.ok_or_else(|| {
        Failure::invalid(format!("status: {}", remedy(name, Status::ALL.map(Status::name))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_token_stands_behind_its_scheme() {
        let of = |value: &str| bearer(&headers(header::AUTHORIZATION, value)).map(str::to_owned);
        assert_eq!(of("Bearer weir_a_1").as_deref(), Some("weir_a_1"));
        assert_eq!(of("bearer  weir_a_1 ").as_deref(), Some("weir_a_1"));
        assert_eq!((of("Basic YTpi"), of("weir_a_1")), (None, None));
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn a_name_that_somebody_else_chose_is_not_this_machine() {
        let local = |host: &str| is_local(&headers(header::HOST, host));
        for host in ["localhost:9810", "127.0.0.1:9810", "[::1]:9810", "LOCALHOST", "127.8.8.8"] {
            assert!(local(host), "{host}");
        }
        for host in ["evil.example:9810", "localhost.evil.example", "192.0.2.1", "[::2]:1", ""] {
            assert!(!local(host), "{host}");
        }
        assert!(!is_local(&HeaderMap::new()));
    }

    #[test]
    fn what_can_not_be_meant_so_is_told_with_what_can() {
        let refused = |asked: Asked| format!("{:?}", asked.filter().unwrap_err());
        let asked = |status: &str| Asked { status: Some(status.into()), ..Asked::default() };
        assert!(refused(asked("aknowledged")).contains("did you mean `acknowledged`?"));
        let since = Asked { since: Some("yesterday".into()), ..Asked::default() };
        assert!(refused(since).contains("2026-11-26T12:00:00Z"));
        let early = Asked { since: Some("1960-01-01T00:00:00Z".into()), ..Asked::default() };
        assert!(refused(early).contains("after 1970"));
        for (limit, after) in
            [(Some(0), None), (Some(501), None), (None, Some("x")), (None, Some("1-"))]
        {
            assert!(page(limit, after).is_err(), "{limit:?} {after:?}");
        }
        assert_eq!(page(Some(5), Some("7-9")).unwrap().behind, Some((7, 9)));
    }
}
