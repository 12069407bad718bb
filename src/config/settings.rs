//! The settings as the rest of the program sees them: typed, checked, with every path made absolute.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::backup::BackupSettings;
use super::callback_origin::CallbackOrigins;
use super::fault::{Finding, Place};
use super::secret_source::{SecretReader, SecretSource};
use super::show::Shown;
use crate::id::{IssuerName, ProviderName};
use crate::jose::{Algorithm, SigningKey};
use crate::permission::Permissions;
use crate::secret::Secret;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: ServerSettings,
    /// `[vault]`
    pub vault: VaultSettings,
    /// `[backup]`
    pub backup: BackupSettings,
    /// `[audit]`
    pub audit: AuditSettings,
    /// `[oauth]`
    pub oauth: OAuthSettings,
    /// `[egress]`
    pub egress: EgressSettings,
    /// `[providers.NAME]`: our client there, and what is said about the provider itself.
    pub providers: BTreeMap<ProviderName, ProviderSettings>,
    /// `[trusted_issuers.NAME]`: whose access tokens callers may present.
    pub trusted_issuers: BTreeMap<IssuerName, TrustedIssuer>,
    /// The file that was read; `None` where none was found and the defaults hold.
    pub file: Option<PathBuf>,
    /// What works and had better be otherwise.
    pub warnings: Vec<Finding>,
    /// Reads the secrets that are not read yet.
    pub secrets: SecretReader,
    /// Every setting that is in force, with where it was written, for `config show`; secrets are masked.
    pub shown: Vec<Shown>,
}

/// How the server is reached.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where it listens.
    pub listen: Listen,
    /// What stands before `/v1/integrations`: empty, or a path with a leading and without a trailing slash.
    pub base_path: String,
    /// How others reach it, for URLs that are handed out; without a trailing slash in its path.
    pub public_url: Url,
    /// Peers whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate and key; `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How long answers that are under way may take after a stop was asked for.
    pub shutdown_grace: Duration,
    /// How many connections may be open at once.
    pub max_connections: usize,
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port; the host is a name or an address, without brackets. Port 0: a free one.
    Tcp {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket at this path.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    /// As it is written in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Two PEM files, read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where the vault is and what opens it.
#[derive(Clone, Debug)]
pub struct VaultSettings {
    /// The file.
    pub path: PathBuf,
    /// What opens it.
    pub unlock: Unlock,
    /// How long a revocation that failed is tried again.
    pub revoke_retry: Duration,
    /// How many bytes are held back beside the file, for what must be written even where the disk is full.
    pub ballast: u64,
    /// How often the server looks whether everything in the vault holds; zero: never.
    pub verify_every: Duration,
    /// The file outside the vault that knows its epoch.
    pub epoch_file: Option<PathBuf>,
    /// Whether to go on where the vault is older than that file says: `--accept-rollback` alone says so.
    pub accept_rollback: bool,
}

/// What opens the vault: where to read it, not the thing itself.
#[derive(Clone, Debug)]
pub enum Unlock {
    /// The master key's text, as `strongroom init` writes it.
    MasterKey(SecretSource),
    /// A passphrase.
    Passphrase(SecretSource),
    /// A passphrase that a person types at start.
    Prompt,
    /// A passphrase, the first line of the standard input.
    Stdin,
}

/// What becomes of the audit log.
#[derive(Clone, Debug, Default)]
pub struct AuditSettings {
    /// For how long its rows are kept; `None`: for ever.
    pub retention: Option<Duration>,
}

/// What the OAuth flows do.
#[derive(Clone, Debug)]
pub struct OAuthSettings {
    /// Where logins may return to.
    pub callback_origins: CallbackOrigins,
    /// The callback URLs that our client-id metadata document names.
    pub redirect_uris: Vec<String>,
    /// How long a begun login may take.
    pub state_ttl: Duration,
    /// Whether an `iss` that a provider announces must be given at complete (RFC 9207).
    pub require_iss: bool,
    /// Whether applications may begin the device flow (RFC 8628), which no browser session is bound to.
    pub device: bool,
    /// Whether tokens are refreshed before anybody asks for them.
    pub background_refresh: bool,
}

/// What outbound connections may reach.
#[derive(Clone, Debug, Default)]
pub struct EgressSettings {
    /// Networks that may be reached although they are not public.
    pub allow: Vec<IpNet>,
    /// PEM files with certification authorities that are trusted besides Mozilla's.
    pub ca_certificates: Vec<PathBuf>,
}

/// An OpenID provider whose access tokens are taken, and what they are worth here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// What `iss` must be, to the letter; its metadata lead to the keys.
    pub issuer: Url,
    /// As it was written: `iss` is compared with this text, not with what a URL parser makes of it.
    pub iss: String,
    /// `aud` must name one of these.
    pub audience: Vec<String>,
    /// With which algorithms a token may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How an access token is told from an ID token.
    pub told_by: ToldBy,
    /// The claim that names the user.
    pub user_claim: String,
    /// What is put before it, so that two issuers' users are never one.
    pub user_prefix: String,
    /// What every token of this issuer may do.
    pub permissions: Permissions,
    /// The claim that says what a token may do besides: a text with spaces, or a list.
    pub permissions_claim: String,
    /// What a value of that claim stands for; without an entry, a permission's own name stands for it.
    pub claim_permissions: BTreeMap<String, Permissions>,
}

/// How an access token is told from an ID token, which is refused: it says who somebody is, and allows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToldBy {
    /// By its header's `typ`: `at+jwt` (RFC 9068 §2.1).
    Type,
    /// By a claim with this value: `token_use = access`, say.
    Claim(String, String),
}

/// What is configured for one provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderSettings {
    /// Our client's id there.
    pub client_id: Option<String>,
    /// Our client's secrets there, in the order in which they are tried; empty also where secrets were left unread.
    pub client_secrets: Vec<Secret>,
    /// Where each of them comes from, with the key that it was written under.
    pub client_secret_sources: Vec<(String, SecretSource)>,
    /// Our private key there (RFC 7523); `None` also where secrets were left unread.
    pub client_key: Option<Arc<SigningKey>>,
    /// Where the private key comes from.
    pub client_key_source: Option<SecretSource>,
    /// What the provider calls the private key (`kid`); its thumbprint where absent.
    pub client_key_id: Option<String>,
    /// What changes the catalogue's entry, or is a whole one.
    pub entry: EntryPatch,
}

impl ProviderSettings {
    /// Whether the operator gave a secret, be it readable now or not.
    pub fn has_client_secret(&self) -> bool {
        !self.client_secret_sources.is_empty()
    }

    /// Where every secret of the client comes from, with its key below `[providers.NAME]`.
    pub fn secret_sources(&self) -> impl Iterator<Item = (&str, &SecretSource)> {
        let secrets = self.client_secret_sources.iter().map(|(key, source)| (key.as_str(), source));
        secrets.chain(self.client_key_source.iter().map(|source| ("client_key", source)))
    }
}

/// The part of `[providers.NAME]` that is the catalogue's, unread, with where each key was written.
#[derive(Clone, Debug, Default)]
pub struct EntryPatch {
    /// The keys below `[providers.NAME]`, without the client's id and secret.
    pub table: toml::Table,
    /// Where each key was written: `oauth.token_url` → the file and line, or the environment variable.
    pub places: BTreeMap<String, Place>,
}

impl EntryPatch {
    /// Where `key` was written (`oauth.scopes[1]`), else the nearest key above it.
    pub fn place(&self, key: &str) -> Place {
        let mut key = key;
        loop {
            if let Some(place) = self.places.get(key) {
                return place.clone();
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = &key[..end],
                None => return self.places.get("").cloned().unwrap_or(Place::Default),
            }
        }
    }
}
