//! Credentials in the files of other programs: bytes in, typed items out. Knows neither vault nor catalogue: what the items become
//! is `broker/import.rs`.
//!
//! A file comes from somebody else's program and is read as from a stranger: bounded, without a panic, each item by itself, so that
//! one that cannot be understood keeps no other from coming. Nothing that is said about an item has anything of its secrets in it.

mod autogpt;
mod document;
mod fernet;
mod n8n;
mod names;
mod nango;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use fernet::{FernetKey, NotAFernetKey};
#[cfg(test)]
pub(crate) use names::{Made, known_names, n8n_table};

use crate::clock::UnixTime;
use crate::secret::Secret;

/// More than this of a file is not read, in bytes.
pub const LARGEST_FILE: u64 = 32 << 20;

/// One credential of a file, or why it is none for us.
pub struct Item {
    /// What the other program calls it, the same each time: its program, and its id there.
    pub origin: String,
    /// Its id there, fit to be shown.
    pub id: String,
    /// Whose it is there, as far as the file says.
    pub user: Option<String>,
    /// What the other program calls its provider: what `--map` is told.
    pub own_name: String,
    /// What its provider may be called, the likeliest first, the other program's own names among them.
    pub names: Vec<String>,
    /// What people call it, without any of its secrets; may be empty.
    pub title: String,
    /// What it is made of.
    pub found: Result<Found, NotTaken>,
}

/// What a credential is made of, as the other program has it. It has no `Debug`: it holds secrets.
pub enum Found {
    /// Tokens of an OAuth 2 authorization server.
    OAuth2(Box<FoundTokens>),
    /// An API key, in as many parts as it consists of.
    ApiKey {
        /// Its parts.
        parts: Vec<Secret>,
        /// When it ends.
        expires_at: Option<UnixTime>,
    },
    /// A user name and a password.
    UserPassword {
        /// The user name.
        username: Secret,
        /// The password.
        password: Secret,
    },
    /// Headers for one host.
    HostScoped {
        /// Which, where the file says.
        host: Option<String>,
        /// The headers by name.
        headers: BTreeMap<String, Secret>,
    },
}

/// Tokens, and what is known about them.
pub struct FoundTokens {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token.
    pub refresh_token: Option<Secret>,
    /// How the access token is used, where the file says.
    pub token_type: Option<String>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// The account's name.
    pub username: Option<String>,
    /// Through which client it was connected.
    pub client_id: Option<String>,
    /// That client's secret, where the client asks for itself (RFC 6749 §4.4).
    pub own_client: Option<Secret>,
    /// When the access token ends.
    pub expires_at: Option<UnixTime>,
    /// When the refresh token ends.
    pub refresh_expires_at: Option<UnixTime>,
    /// What the provider's URLs may need to know.
    pub values: BTreeMap<String, String>,
    /// Members of the token answer, of which some are kept.
    pub members: Members,
}

/// Members of a token answer: there are tokens in them, so they are wiped when dropped.
#[derive(Default)]
pub struct Members(pub Map<String, Value>);

impl Drop for Members {
    fn drop(&mut self) {
        self.0.values_mut().for_each(document::wipe);
    }
}

/// Why an item is none for us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It is sealed with another key.
    #[error("this key does not open it, or it was changed")]
    DoesNotOpen,
    /// n8n exports credentials encrypted unless told otherwise.
    #[error("its data is still encrypted: export with `n8n export:credentials --all --decrypted`")]
    Encrypted,
    /// A list of connections, which has no secrets.
    #[error(
        "there are no credentials in it: a list has none; fetch each connection by itself (GET /connection/{{id}})"
    )]
    WithoutCredentials,
    /// It was made, and no account connected.
    #[error("there is no token in it: no account was connected")]
    NeverConnected,
    /// Strongroom keeps nothing of that kind.
    #[error("Strongroom keeps no credentials of the type {0}")]
    NoSuchKind(String),
    /// The platform's own, which no user of it holds.
    #[error("it belongs to the platform itself, and not to the user")]
    Managed,
    /// A member is missing, or is not what it should be.
    #[error("{0} is missing, or is not what it should be")]
    Member(&'static str),
}

impl NotTaken {
    /// A type is a word; what is none is not said back.
    fn of_kind(name: &str) -> Self {
        let is_word = name.len() <= 64 && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        Self::NoSuchKind(if is_word { name.to_owned() } else { "that it names".to_owned() })
    }
}

/// Why a file as a whole cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// Larger than [`LARGEST_FILE`].
    #[error("the file is larger than 32 MiB; import it in parts")]
    TooLarge,
    /// Neither JSON nor what else is understood.
    #[error("the file is not {0}")]
    Form(&'static str),
}

/// Reads a file of AutoGPT's encrypted `integrations`: one by itself, or rows of `id, integrations` as JSON or CSV.
pub fn autogpt(bytes: &[u8], key: &FernetKey) -> Result<Vec<Item>, FileFault> {
    bounded(bytes)?;
    autogpt::items(bytes, key)
}

/// Reads connections as Nango's API gives them: one, or several as a list or line by line.
pub fn nango(bytes: &[u8]) -> Result<Vec<Item>, FileFault> {
    bounded(bytes)?;
    nango::items(bytes)
}

/// Reads what `n8n export:credentials --decrypted` wrote.
pub fn n8n(bytes: &[u8]) -> Result<Vec<Item>, FileFault> {
    bounded(bytes)?;
    n8n::items(bytes)
}

/// What AutoGPT's column holds once it is opened, for the property tests and the fuzz targets, which have no key.
#[cfg(any(test, fuzzing))]
pub(crate) fn autogpt_opened(bytes: &[u8]) -> Vec<Item> {
    let opened = document::Document::parse(bytes);
    opened.and_then(|opened| autogpt::of_opened(opened.value(), Some("alice")).ok()).unwrap_or_default()
}

fn bounded(bytes: &[u8]) -> Result<(), FileFault> {
    if bytes.len() as u64 > LARGEST_FILE { Err(FileFault::TooLarge) } else { Ok(()) }
}

impl Found {
    /// Every secret in it.
    pub(crate) fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::OAuth2(tokens) => {
                let more = tokens.refresh_token.iter().chain(&tokens.own_client);
                std::iter::once(&tokens.access_token).chain(more).collect()
            }
            Self::ApiKey { parts, .. } => parts.iter().collect(),
            Self::UserPassword { username, password } => vec![username, password],
            Self::HostScoped { headers, .. } => headers.values().collect(),
        }
    }
}

impl Item {
    /// An item of which nothing has a secret in it but the secrets: people do call a key by the key.
    fn new(origin: String, id: &str, user: Option<String>, title: &str) -> Self {
        let found = Err(NotTaken::NeverConnected);
        Self { origin, id: shown(id), user, own_name: String::new(), names: Vec::new(), title: shown(title), found }
    }

    fn called(self, own_name: &str, names: Vec<String>) -> Self {
        Self { own_name: shown(own_name), names, ..self }
    }

    fn with(mut self, found: Result<Found, NotTaken>) -> Self {
        self.found = found;
        if let Ok(found) = &mut self.found {
            if found.secrets().iter().any(|secret| gives_away(&self.title, secret)) {
                self.title = String::new();
            }
            if let Found::OAuth2(tokens) = found {
                let secrets = [Some(&tokens.access_token), tokens.refresh_token.as_ref(), tokens.own_client.as_ref()];
                let known = |name: &String| secrets.iter().flatten().any(|secret| gives_away(name, secret));
                tokens.username = tokens.username.take().filter(|name| !known(name));
            }
        }
        self
    }
}

/// Whether a text has a secret in it.
fn gives_away(text: &str, secret: &Secret) -> bool {
    let secret = secret.expose();
    text == secret || (secret.len() >= 8 && text.contains(secret))
}

/// A text of the file as it can be shown: of one line, and not long.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// A token as the OAuth endpoints let one pass (RFC 6749 §A.12): visible ASCII.
fn token(text: Option<&str>, name: &'static str) -> Result<Option<Secret>, NotTaken> {
    match text {
        None | Some("") => Ok(None),
        Some(text) if text.bytes().all(|c| (0x20..=0x7e).contains(&c)) => Ok(Some(Secret::new(text))),
        Some(_) => Err(NotTaken::Member(name)),
    }
}

/// Scopes, each once, without what no scope is.
fn scopes<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in texts.into_iter().flat_map(|text| text.split([' ', ',', '\t', '\n', '\r'])) {
        let is_one = !scope.is_empty() && scope.len() <= 500 && !scope.contains(char::is_control);
        if is_one && scopes.len() < 500 && !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}
