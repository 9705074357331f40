//! How long the analyst's page takes in a real browser: `page.py` opens its views.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

/// The browser.
const CHROMIUM: &str = "/usr/bin/chromium";

/// A view, and the seconds that it took until it was drawn, each time that it was opened, in order of length.
pub type View = (String, Vec<f64>);

/// The Python that has the browser's driver, where deploy/setup.sh put it.
fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let python = cache.join("weir/browser/bin/python");
    (python.exists() && Path::new(CHROMIUM).exists()).then_some(python)
}

/// Opens the page that an address serves; none where there is no browser.
///
/// # Errors
/// When a view is not drawn.
pub fn measure(address: &str) -> anyhow::Result<Option<Vec<View>>> {
    let Some(python) = python() else { return Ok(None) };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("page.py");
    let done = Command::new(python).arg(script).arg(address).output()?;
    if !done.status.success() {
        bail!("the page can't be opened: {}", String::from_utf8_lossy(&done.stderr));
    }
    let took: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&done.stdout)?;
    let views = took.into_iter().map(|(view, took)| {
        let mut seconds: Vec<f64> = serde_json::from_value(took)?;
        seconds.iter_mut().for_each(|took| *took /= 1e3);
        seconds.sort_by(f64::total_cmp);
        Ok((view, seconds))
    });
    views.collect::<anyhow::Result<_>>().map(Some)
}
