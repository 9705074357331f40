//! Who may ask: tokens with a role, of which only a hash is kept.
//!
//! `tokens.toml` in the state directory, which nobody but its owner may read:
//!
//! ```toml
//! [[token]]
//! name = "ada"
//! role = "analyst"
//! hash = "$argon2id$v=19$…"
//! expires = "2027-01-01T00:00:00Z"
//! ```
//!
//! A token is `weir_NAME_SECRET`: its name says whose hash it is to be compared with, so that one
//! attempt costs one comparison. What was found right once is known by its SHA-256 until the file
//! changes.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Tokens in the file, and bytes of it.
const TOKENS: usize = 1_000;
const BYTES: u64 = 1 << 20;
/// Octets of a secret.
const SECRET: usize = 32;
/// Wrong tokens that are compared within [`SPAN`]: each costs as much as a right one.
const ATTEMPTS: u32 = 20;
pub(super) const SPAN: Duration = Duration::from_secs(10);

/// What somebody may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May look.
    Viewer,
    /// May also acknowledge, close and suppress.
    Analyst,
    /// May also see what shows who is intercepted. Nobody else may, not even an admin.
    Restricted,
    /// May do what an analyst may, and see who did what.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Analyst, Role::Restricted, Role::Admin];

    /// As files and options name it.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Analyst => "analyst",
            Role::Restricted => "restricted",
            Role::Admin => "admin",
        }
    }

    /// Whether restricted alerts are there for it.
    pub const fn sees_restricted(self) -> bool {
        matches!(self, Role::Restricted)
    }

    /// Whether it may change where alerts stand.
    pub const fn may_write(self) -> bool {
        !matches!(self, Role::Viewer)
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|role| role.name() == text);
        known.ok_or_else(|| weir_policy::remedy(text, Self::ALL.map(Role::name)))
    }
}

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// The token's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// Why somebody may not ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denied {
    /// The token is none that is known, or it is over.
    Unknown,
    /// Too many wrong ones came lately.
    TooMany,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Token {
    name: String,
    role: Role,
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<jiff::Timestamp>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "token")]
    tokens: Vec<Token>,
}

/// The tokens of a state directory.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    /// What told this file from another one: inode, change time, length.
    seen: Option<(u64, i64, i64, u64)>,
    tokens: HashMap<String, Token>,
    /// Right ones, by their SHA-256.
    known: HashMap<[u8; 32], String>,
    wrong: (u32, Option<Instant>),
}

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The system says so.
    #[error("{0}")]
    System(#[from] io::Error),
    /// Others could read or change it.
    #[error("mode {0:04o} lets others read it; chmod 600 it")]
    Open(u32),
    /// It says what can't be.
    #[error("{0}")]
    Content(String),
}

impl Tokens {
    /// Reads the tokens of a state directory. No file is no token.
    ///
    /// # Errors
    /// What is amiss with the file.
    pub fn read(state_dir: &Path) -> Result<Self, TokenError> {
        let mut tokens = Self {
            path: path(state_dir),
            seen: None,
            tokens: HashMap::new(),
            known: HashMap::new(),
            wrong: (0, None),
        };
        tokens.refresh()?;
        Ok(tokens)
    }

    /// Reads the file again if it is another one.
    ///
    /// # Errors
    /// What is amiss with it; what was read before stays.
    pub fn refresh(&mut self) -> Result<(), TokenError> {
        let metadata = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (self.tokens, self.known, self.seen) = (HashMap::new(), HashMap::new(), None);
                return Ok(());
            }
            other => other?,
        };
        let seen = (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len());
        if self.seen == Some(seen) {
            return Ok(());
        }
        let tokens = load(&self.path)?;
        self.tokens = tokens.into_iter().map(|token| (token.name.clone(), token)).collect();
        self.known.clear();
        self.seen = Some(seen);
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// What a token is to be compared with, if that is not known already; else whose it is.
    ///
    /// # Errors
    /// That it is nobody's.
    pub fn look_up(&mut self, token: &str, now: jiff::Timestamp) -> Result<Found, Denied> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let name = self.known.get(&digest).cloned().or_else(|| name_of(token).map(str::to_owned));
        let known = name.and_then(|name| self.tokens.get(&name));
        let Some(known) = known.filter(|it| it.expires.is_none_or(|end| now < end)) else {
            return Err(Denied::Unknown);
        };
        let person = Person { name: known.name.clone(), role: known.role };
        if self.known.contains_key(&digest) {
            return Ok(Found::Known(person));
        }
        if self.wrong.0 >= ATTEMPTS {
            if self.wrong.1.is_some_and(|since| since.elapsed() < SPAN) {
                return Err(Denied::TooMany);
            }
            self.wrong = (0, None);
        }
        Ok(Found::Compare { hash: known.hash.clone(), person, digest })
    }

    /// Notes what a comparison with a hash showed; answers whether the token may be used. One that was
    /// taken out of the file meanwhile may not.
    pub fn compared(
        &mut self,
        (digest, hash): ([u8; 32], &str),
        person: &Person,
        is_right: bool,
    ) -> bool {
        if !is_right {
            self.wrong.0 += 1;
            self.wrong.1.get_or_insert_with(Instant::now);
            return false;
        }
        let holds = self.tokens.get(&person.name).is_some_and(|token| token.hash == hash);
        if holds {
            // As many as there are tokens: others are none.
            self.known.insert(digest, person.name.clone());
        }
        holds
    }
}

/// What is known of a token.
#[derive(Debug)]
pub enum Found {
    /// Whose it is.
    Known(Person),
    /// It may be this one's, if it fits the hash.
    Compare {
        /// The hash.
        hash: String,
        /// Whose it is then.
        person: Person,
        /// By what it is known then.
        digest: [u8; 32],
    },
}

/// Whether a token fits a hash: some 20 ms of work.
pub fn fits(token: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(token.as_bytes(), &hash).is_ok())
}

/// Makes a token and adds its hash to the file.
///
/// # Errors
/// That the name can't be used or is taken; what the system says.
pub fn issue(
    state_dir: &Path,
    name: &str,
    role: Role,
    expires: Option<jiff::Timestamp>,
) -> Result<String, TokenError> {
    let content = |what: &str| TokenError::Content(what.into());
    if !is_name(name) {
        return Err(content("a name has 1 to 32 characters of a-z, 0-9 and -"));
    }
    let path = path(state_dir);
    let mut tokens = if path.exists() { load(&path)? } else { Vec::new() };
    if tokens.iter().any(|token| token.name == name) {
        return Err(content("there is a token of that name; remove its [[token]] first"));
    }
    let mut secret = [0; SECRET];
    getrandom::fill(&mut secret).map_err(|error| TokenError::Content(error.to_string()))?;
    let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("weir_{name}_{secret}");
    let hash = Argon2::default().hash_password(token.as_bytes());
    let hash = hash.map_err(|error| TokenError::Content(error.to_string()))?;
    tokens.push(Token { name: name.into(), role, hash: hash.to_string(), expires });
    let text = toml::to_string(&File { tokens }).map_err(|error| content(&error.to_string()))?;
    fs::create_dir_all(state_dir)?;
    let fresh = path.with_extension("toml.new");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    Ok(token)
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("tokens.toml")
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=32).contains(&name.len()) && name.bytes().all(allowed)
}

fn name_of(token: &str) -> Option<&str> {
    let (name, secret) = token.strip_prefix("weir_")?.split_once('_')?;
    (is_name(name) && secret.len() == 2 * SECRET).then_some(name)
}

fn load(path: &Path) -> Result<Vec<Token>, TokenError> {
    let metadata = fs::metadata(path)?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TokenError::Open(mode));
    }
    let content = |what: String| TokenError::Content(what);
    if metadata.len() > BYTES {
        return Err(content(format!("it is longer than {BYTES} bytes")));
    }
    let file: File = toml::from_str(&fs::read_to_string(path)?).map_err(|error| {
        // The place, and not the line that may hold a hash.
        content(error.message().to_owned())
    })?;
    if file.tokens.len() > TOKENS {
        return Err(content(format!("it has more than {TOKENS} tokens")));
    }
    let mut names = std::collections::HashSet::new();
    for token in &file.tokens {
        if !is_name(&token.name) || !names.insert(&token.name) {
            return Err(content(format!(
                "the name {:?} can't be used, or comes twice",
                token.name
            )));
        }
        if PasswordHash::new(&token.hash).is_err() {
            return Err(content(format!("the hash of {} is none of Argon2", token.name)));
        }
    }
    Ok(file.tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn asks(tokens: &mut Tokens, token: &str) -> Result<Person, Denied> {
        match tokens.look_up(token, jiff::Timestamp::now())? {
            Found::Known(person) => Ok(person),
            Found::Compare { hash, person, digest } => {
                let is_right = fits(token, &hash);
                let holds = tokens.compared((digest, &hash), &person, is_right);
                if holds { Ok(person) } else { Err(Denied::Unknown) }
            }
        }
    }

    #[test]
    fn a_token_is_known_by_its_hash_and_no_other_is() {
        let directory = tempfile::tempdir().unwrap();
        let ada = issue(directory.path(), "ada", Role::Analyst, None).unwrap();
        let eve = issue(directory.path(), "eve", Role::Viewer, None).unwrap();
        let text = fs::read_to_string(path(directory.path())).unwrap();
        assert!(text.contains("$argon2id$") && !text.contains(&ada[9..]));
        let mut tokens = Tokens::read(directory.path()).unwrap();
        let person = Person { name: "ada".into(), role: Role::Analyst };
        assert_eq!(asks(&mut tokens, &ada), Ok(person.clone()));
        assert!(matches!(tokens.look_up(&ada, jiff::Timestamp::now()), Ok(Found::Known(_))));
        // The secret of one under the name of another.
        let mixed = eve.replace("eve", "ada");
        for wrong in ["", "weir_ada_", &ada[..ada.len() - 1], &mixed, "weir_nobody_00"] {
            assert_eq!(asks(&mut tokens, wrong), Err(Denied::Unknown), "{wrong}");
        }
        assert!(issue(directory.path(), "ada", Role::Admin, None).is_err(), "the name is taken");
        assert!(issue(directory.path(), "Ada_1", Role::Admin, None).is_err());
    }

    #[test]
    fn what_is_over_or_taken_out_is_known_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        let now = jiff::Timestamp::now();
        let soon = now + jiff::SignedDuration::from_secs(60);
        let ada = issue(directory.path(), "ada", Role::Analyst, Some(soon)).unwrap();
        let mut tokens = Tokens::read(directory.path()).unwrap();
        assert!(asks(&mut tokens, &ada).is_ok());
        assert_eq!(tokens.look_up(&ada, soon).unwrap_err(), Denied::Unknown);
        fs::remove_file(path(directory.path())).unwrap();
        tokens.refresh().unwrap();
        assert!(tokens.is_empty() && asks(&mut tokens, &ada).is_err());
    }

    #[test]
    fn what_is_taken_out_while_it_is_compared_is_not_known_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let old = issue(directory.path(), "ada", Role::Admin, None).unwrap();
        let mut tokens = Tokens::read(directory.path()).unwrap();
        let now = jiff::Timestamp::now();
        let Ok(Found::Compare { hash, person, digest }) = tokens.look_up(&old, now) else {
            panic!("it was not seen before")
        };
        // Another one of that name takes its place.
        fs::remove_file(path(directory.path())).unwrap();
        issue(directory.path(), "ada", Role::Viewer, None).unwrap();
        tokens.refresh().unwrap();
        assert!(!tokens.compared((digest, &hash), &person, true));
        assert!(matches!(tokens.look_up(&old, now), Ok(Found::Compare { .. })));
        assert_eq!(asks(&mut tokens, &old), Err(Denied::Unknown));
    }

    #[test]
    fn who_guesses_is_slowed_down() {
        let directory = tempfile::tempdir().unwrap();
        issue(directory.path(), "ada", Role::Analyst, None).unwrap();
        let mut tokens = Tokens::read(directory.path()).unwrap();
        let person = Person { name: "ada".into(), role: Role::Analyst };
        for guess in 0..ATTEMPTS {
            let token = format!("weir_ada_{guess:064x}");
            assert!(tokens.look_up(&token, jiff::Timestamp::now()).is_ok());
            tokens.compared(([0; 32], ""), &person, false);
        }
        let token = format!("weir_ada_{:064x}", 1);
        assert_eq!(tokens.look_up(&token, jiff::Timestamp::now()).unwrap_err(), Denied::TooMany);
    }

    #[test]
    fn a_file_that_others_may_read_or_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        issue(directory.path(), "ada", Role::Analyst, None).unwrap();
        let path = path(directory.path());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Tokens::read(directory.path()).unwrap_err().to_string().contains("chmod 600"));
        for wrong in [
            "[[token]]\nname = \"a\"\n",
            "x = 1",
            "[[token]]\nname=\"a\"\nrole=\"admin\"\nhash=\"x\"\n",
        ] {
            fs::write(&path, wrong).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(Tokens::read(directory.path()).is_err(), "{wrong}");
        }
    }
}
