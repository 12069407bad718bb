//! An item of a file: one credential, its secrets, and the reason if it cannot be imported.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::placeholder::is_placeholder;
use crate::clock::UnixTime;
use crate::secret::Secret;
use crate::validation::wipe;
use crate::visible::visible;

/// One credential of a file, or the reason why it cannot be imported.
pub struct Item {
    /// Stable origin: the other program and the id there.
    pub origin: String,
    /// The id there, fit to be shown.
    pub id: String,
    /// Name of the file, if there are several.
    pub file: Option<String>,
    /// Number of the entry in its file, from 1; 0 for a whole file.
    pub number: usize,
    /// Line at which the entry begins, if known.
    pub line: Option<usize>,
    /// The user there, if the file names one.
    pub user: Option<String>,
    /// The other program's name of the provider, for `--map`.
    pub own_name: String,
    /// Possible names of the provider, the likeliest first, with the other program's own names.
    pub names: Vec<String>,
    /// Title without any of the item's secrets; may be empty.
    pub title: String,
    /// The secrets.
    pub found: Result<ItemSecret, ItemError>,
}

/// Secrets of an item, as the other program has them. `Debug` is not implemented.
pub enum ItemSecret {
    /// Tokens of an OAuth 2 authorization server.
    OAuth2(Box<ItemTokens>),
    /// An API key in one or more parts.
    ApiKey {
        /// The parts.
        parts: Vec<Secret>,
        /// Expiry.
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
        /// The host, if the file names it.
        host: Option<String>,
        /// The headers by name.
        headers: BTreeMap<String, Secret>,
    },
}

/// OAuth tokens and their properties.
pub struct ItemTokens {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token.
    pub refresh_token: Option<Secret>,
    /// Token type, if the file names it.
    pub token_type: Option<String>,
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// User name of the account.
    pub username: Option<String>,
    /// Id of the client that connected the account.
    pub client_id: Option<String>,
    /// Secret of that client, if the grant is client credentials (RFC 6749 §4.4).
    pub own_client: Option<Secret>,
    /// Expiry of the access token.
    pub expires_at: Option<UnixTime>,
    /// Expiry of the refresh token.
    pub refresh_expires_at: Option<UnixTime>,
    /// Possible values for placeholders in the provider's URLs.
    pub values: BTreeMap<String, String>,
    /// Members of the token response; some of them are kept.
    pub members: Members,
}

/// Members of a token response. They include tokens, so they are wiped when dropped.
#[derive(Default)]
pub struct Members(pub Map<String, Value>);

impl Drop for Members {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// Reason why an item cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// It is sealed with another key, or was modified.
    #[error("the key does not decrypt it, or it was modified")]
    DoesNotOpen,
    /// n8n encrypts exports by default.
    #[error("its data is still encrypted: export with `n8n export:credentials --all --decrypted`")]
    Encrypted,
    /// It is an entry of a list of connections, which has no secrets.
    #[error("it has no credentials, because lists have none; fetch each connection with GET /connection/{{id}}")]
    WithoutCredentials,
    /// No account was ever connected.
    #[error("it has no token: no account was connected")]
    NeverConnected,
    /// Strongroom has no such kind of credential.
    #[error("Strongroom stores no credentials of type {0}")]
    NoSuchKind(String),
    /// It belongs to the platform and not to the user.
    #[error("it belongs to the platform and not to the user")]
    Managed,
    /// A member is missing or malformed.
    #[error("{0} is missing or malformed")]
    Member(&'static str),
    /// A secret is an expression, a mask or an example.
    #[error("{0} is an expression or a placeholder, not a secret: store the real one with `strongroom credential add`")]
    Placeholder(String),
    /// A time has an unknown form.
    #[error("{0} is not a time: use Unix seconds or milliseconds, or 2027-01-31T00:00:00Z (without a zone: UTC)")]
    Time(&'static str),
    /// It is not JSON.
    #[error("it is not JSON, or a member occurs twice{}", .until.map_or_else(String::new, |line| format!(" (up to line {line})")))]
    NotJson {
        /// Last line, if it has several.
        until: Option<usize>,
    },
    /// It is not an item of the program.
    #[error("it has not the form of the other program's items")]
    Foreign,
    /// It is a whole file of a folder.
    #[error(transparent)]
    File(FileError),
    /// The other program answered with an error in place of the item.
    #[error("the other program answered with an error{0}")]
    ErrorAnswer(String),
}

impl ItemError {
    /// Names the error's code only if it is a plain word.
    pub(super) fn error_answer(code: &str) -> Self {
        Self::ErrorAnswer(if is_word(code) { format!(": {code}") } else { String::new() })
    }

    /// Names the type only if it is a plain word, because the text could be a secret.
    pub(super) fn of_kind(name: &str) -> Self {
        Self::NoSuchKind(if is_word(name) { name.to_owned() } else { "that it names".to_owned() })
    }
}

/// Returns true if the text is a short plain word, and therefore fit to be shown.
fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Reason why a whole file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It has another form.
    #[error("the file is not {0}")]
    Form(&'static str),
    /// It has too many items.
    #[error("there are more than {0} items")]
    Items(usize),
    /// It has too many members and list items.
    #[error("there are more than {0} JSON values")]
    Values(usize),
}

impl ItemSecret {
    /// Returns all secrets of the item.
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

    /// Returns the name of a secret that is a placeholder.
    fn placeholder(&self) -> Option<&'static str> {
        let named = |secrets: &[(&'static str, Option<&Secret>)]| {
            let is_one = |secret: &Secret| is_placeholder(secret);
            secrets.iter().find(|(_, secret)| secret.is_some_and(is_one)).map(|(name, _)| *name)
        };
        match self {
            Self::OAuth2(tokens) => named(&[
                ("the access token", Some(&tokens.access_token)),
                ("the refresh token", tokens.refresh_token.as_ref()),
                ("the client secret", tokens.own_client.as_ref()),
            ]),
            Self::ApiKey { parts, .. } => parts.iter().any(is_placeholder).then_some("the key"),
            Self::UserPassword { username, password } => {
                named(&[("the user name", Some(username)), ("the password", Some(password))])
            }
            Self::HostScoped { headers, .. } => headers.values().any(is_placeholder).then_some("the value of a header"),
        }
    }
}

impl Item {
    /// Creates an item whose texts contain no secret. Some people use the key itself as a name.
    pub(super) fn new(origin: String, id: &str, user: Option<String>, title: &str) -> Self {
        let found = Err(ItemError::NeverConnected);
        let (id, title) = (shown(id), shown(title));
        Self {
            origin,
            id,
            file: None,
            number: 0,
            line: None,
            user,
            own_name: String::new(),
            names: Vec::new(),
            title,
            found,
        }
    }

    /// Creates the item of a file that cannot be read.
    pub(crate) fn of_file(why: FileError) -> Self {
        Self::new("file".to_owned(), "file", None, "").with(Err(ItemError::File(why)))
    }

    pub(super) fn called(self, own_name: &str, names: Vec<String>) -> Self {
        Self { own_name: shown(own_name), names, ..self }
    }

    pub(super) fn with(mut self, found: Result<ItemSecret, ItemError>) -> Self {
        self.found = found.and_then(|found| match found.placeholder() {
            Some(name) => Err(ItemError::Placeholder(name.to_owned())),
            None => Ok(found),
        });
        if let Ok(found) = &mut self.found {
            if found.secrets().iter().any(|secret| contains_secret(&self.title, secret)) {
                self.title = String::new();
            }
            if let ItemSecret::OAuth2(tokens) = found {
                let secrets = [Some(&tokens.access_token), tokens.refresh_token.as_ref(), tokens.own_client.as_ref()];
                let known = |name: &String| secrets.iter().flatten().any(|secret| contains_secret(name, secret));
                tokens.username = tokens.username.take().filter(|name| !known(name));
            }
        }
        self
    }
}

/// Returns true if the text contains the secret.
fn contains_secret(text: &str, secret: &Secret) -> bool {
    let secret = secret.expose();
    text == secret || (secret.len() >= 8 && text.contains(secret))
}

/// Returns a text of the file for display: one line of limited length.
pub(super) fn shown(text: &str) -> String {
    visible(text).take(200).collect()
}

/// Reads a token of visible ASCII (RFC 6749 §A.12).
pub(super) fn token(text: Option<&str>, name: &'static str) -> Result<Option<Secret>, ItemError> {
    match text.and_then(Secret::trimmed) {
        Some(token) if !token.expose().bytes().all(|c| (0x20..=0x7e).contains(&c)) => Err(ItemError::Member(name)),
        token => Ok(token),
    }
}

/// Returns the valid scopes without duplicates.
pub(super) fn scopes<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in texts.into_iter().flat_map(|text| text.split([' ', ',', '\t', '\n', '\r'])) {
        let is_one = !scope.is_empty() && scope.len() <= 500 && !scope.contains(char::is_control);
        if is_one && scopes.len() < 500 && !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}
