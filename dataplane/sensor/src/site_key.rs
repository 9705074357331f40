//! The site's key: what turns subscribers' identities into pseudonyms. It is made
//! once, at random, and never leaves the sensor's own directory.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};

const FILE: &str = "site.key";

/// The key in a directory, made if there is none.
///
/// # Errors
/// If it can't be read or kept, or if others may read it.
pub(crate) fn site_key(directory: &Path) -> anyhow::Result<[u8; 32]> {
    let path = directory.join(FILE);
    let place = || path.display().to_string();
    let mut key = [0; 32];
    match OpenOptions::new().read(true).open(&path) {
        Ok(mut file) => {
            let mode = file.metadata().with_context(place)?.mode();
            if mode & 0o077 != 0 {
                bail!("others may read the site's key; {}; chmod 600 it", place());
            }
            file.read_exact(&mut key).with_context(|| {
                format!("the site's key is no key; {}; put its copy back", place())
            })?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            getrandom::fill(&mut key)
                .map_err(|error| anyhow::anyhow!("no random bytes; {error}"))?;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .with_context(|| format!("can't keep the site's key; {}", place()))?;
            file.write_all(&key)
                .and_then(|()| file.sync_all())
                .with_context(|| format!("can't keep the site's key; {}; make room", place()))?;
        }
        Err(error) => {
            return Err(error).with_context(|| format!("can't read the site's key; {}", place()));
        }
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_from_others() {
        let directory = tempfile::tempdir().unwrap();
        let key = site_key(directory.path()).unwrap();
        assert_ne!(key, [0; 32]);
        assert_eq!(site_key(directory.path()).unwrap(), key);
        let path = directory.path().join(FILE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(site_key(directory.path()).unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(site_key(directory.path()).unwrap_err().to_string().contains("no key"));
    }
}
