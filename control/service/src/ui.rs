//! The analyst's page: files that are built into the program, so that page and interface are always
//! of one release.
//!
//! The files hold no data and need no token; what they show they ask of `/api/v1`, with the token of
//! whoever looks. The texts of the detections are the pages of the documentation themselves.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// What a browser may do with the page: run and show what comes from here, and nothing else.
/// `require-trusted-types-for` forbids that a text becomes markup or code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";
const TEXT: &str = "text/markdown; charset=utf-8";

/// A file under its name below `/ui/`.
struct File {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

macro_rules! files {
    ($($kind:ident $root:literal: $($name:literal)+;)+) => {
        &[$($(File {
            name: $name,
            kind: $kind,
            content: include_bytes!(concat!($root, $name)),
        }),+),+]
    };
}

const FILES: &[File] = files! {
    HTML "../../ui/": "index.html";
    STYLE "../../ui/": "weir.css";
    PICTURE "../../ui/": "weir.svg";
    SCRIPT "../../ui/":
        "api.js" "catalogue.js" "dom.js" "live.js" "main.js" "markdown.js" "plain.js" "shell.js" "text.js"
        "theme.js"
        "parts/badge.js" "parts/chart.js" "parts/dialog.js" "parts/fact.js" "parts/hand.js"
        "parts/list.js" "parts/notice.js" "parts/reveal.js"
        "views/alert.js" "views/alerts.js" "views/audit.js" "views/detections.js"
        "views/equipment.js" "views/incident.js" "views/incidents.js" "views/node.js"
        "views/overview.js" "views/policy.js" "views/sessions.js" "views/signin.js"
        "views/status.js" "views/suppress.js" "views/suppressions.js" "views/tiers.js"
        "views/topology.js";
    TEXT "../../../docs/":
        "detections/bcn-periodic.md" "detections/cns-balance.md" "detections/cns-dup.md"
        "detections/cov-dns.md" "detections/cov-icmp.md" "detections/cov-time.md"
        "detections/egr-cohort.md" "detections/egr-crypto.md" "detections/egr-longconn.md"
        "detections/egr-notallowed.md" "detections/egr-volume.md" "detections/gtp-cpinup.md"
        "detections/gtp-hdrcov.md" "detections/gtp-nest.md" "detections/gtp-orphan.md"
        "detections/gtp-peer.md" "detections/gtp-teidclone.md" "detections/gtp-teidscan.md"
        "detections/gtp-uespoof.md" "detections/inv-unknown.md" "detections/li-unmatched.md"
        "detections/oam-window.md" "detections/ops-blind.md" "detections/pfcp-dupl.md"
        "detections/pfcp-flood.md" "detections/pfcp-ghost.md" "detections/pfcp-peer.md"
        "detections/pfcp-redir.md" "detections/tun-foreign.md";
};

/// What tells each file's content from another one's, in the order of the files.
static TAGS: LazyLock<Vec<String>> =
    LazyLock::new(|| FILES.iter().map(|file| tag(file.content)).collect());

/// The page's routes.
pub fn router() -> Router {
    let page = |headers: HeaderMap| async move { serve("index.html", &headers) };
    let file = |Path(name): Path<String>, headers: HeaderMap| async move { serve(&name, &headers) };
    Router::new().route("/", get(page)).route("/ui/{*name}", get(file))
}

/// What tells one content of a file from another.
fn tag(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let digits: String = digest[..16].iter().map(|octet| format!("{octet:02x}")).collect();
    format!("\"{digits}\"")
}

fn serve(name: &str, asked: &HeaderMap) -> Response {
    let found = FILES.iter().zip(TAGS.iter()).find(|(file, _)| file.name == name);
    let Some((file, tag)) = found else {
        return (StatusCode::NOT_FOUND, guards(), "there is no such file; open /\n")
            .into_response();
    };
    // A browser asks each time, and gets the file only if a new release brought another one.
    let fresh = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    let held = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_held = held
        .is_some_and(|held| held.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    if is_held {
        return (StatusCode::NOT_MODIFIED, fresh, guards()).into_response();
    }
    let kind = [(header::CONTENT_TYPE, file.kind)];
    (fresh, guards(), kind, file.content).into_response()
}

fn guards() -> [(HeaderName, &'static str); 4] {
    [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use weir_engine::detect::CATALOGUE;

    use super::*;

    fn asked(name: &str, held: Option<&str>) -> Response {
        let held = held.map(|tag| (header::IF_NONE_MATCH, tag.parse().unwrap()));
        serve(name, &HeaderMap::from_iter(held))
    }

    fn below(folder: PathBuf, within: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let name = format!("{within}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                below(entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_file_of_the_page_and_every_detections_text_is_there() {
        let mut wanted = BTreeSet::new();
        below(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../ui"), "", &mut wanted);
        let texts = CATALOGUE.iter().map(|known| known.id.to_lowercase());
        wanted.extend(texts.map(|id| format!("detections/{id}.md")));
        let served: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(served, wanted);
    }

    #[test]
    fn each_detections_text_tells_what_the_catalogue_page_shows() {
        for file in FILES.iter().filter(|file| file.kind == TEXT) {
            let text = std::str::from_utf8(file.content).unwrap();
            let id = file.name.trim_start_matches("detections/").trim_end_matches(".md");
            assert!(text.starts_with(&format!("# {}\n", id.to_uppercase())), "{id}");
            assert!(text.lines().nth(2).is_some_and(|line| line.len() > 20), "{id}: what it means");
        }
    }

    #[test]
    fn a_file_comes_with_its_guards_and_once() {
        let first = asked("main.js", None);
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CONTENT_TYPE], SCRIPT);
        assert_eq!(first.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let policy = first.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(
            !policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        let tag = first.headers()[header::ETAG].to_str().unwrap();
        let again = asked("main.js", Some(&format!("\"0\", W/{tag}")));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(again.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        assert_eq!(asked("api.js", Some(tag)).status(), StatusCode::OK, "another file's tag");
        assert_eq!(asked("../src/ui.rs", None).status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn no_text_becomes_markup() {
        let sinks =
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style="];
        for file in FILES.iter().filter(|file| matches!(file.kind, SCRIPT | HTML)) {
            let text = std::str::from_utf8(file.content).unwrap();
            for sink in sinks {
                assert!(!text.contains(sink), "{}: {sink}", file.name);
            }
        }
    }
}
