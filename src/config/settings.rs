//! The settings as the rest of the program sees them: typed, checked, with absolute paths.
//! [`crate::validation`] reads the types; their defaults are in the table of settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use super::callback_origin::{CallbackOrigins, LocalhostPorts};
use super::fields;
use super::finding::Finding;
use super::listen::Listen;
use super::provider_settings::{CatalogSettings, ProviderSettings};
use super::secret_source::{SecretReader, SecretSource, Unlock};
use super::show::Shown;
use super::trusted_issuers::TrustedIssuer;
use crate::egress::{EgressProxy, ProviderEgress};
use crate::id::{IssuerName, ProviderName};

const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;

/// All settings, with warnings about them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[server]`
    pub server: ServerSettings,
    /// `[limits]`
    pub limits: LimitSettings,
    /// `[vault]`
    pub vault: VaultSettings,
    /// `[backup]`
    pub backup: BackupSettings,
    /// `[audit]`
    #[serde(default)]
    pub audit: AuditSettings,
    /// `[oauth]`
    pub oauth: OAuthSettings,
    /// `[egress]`
    pub egress: EgressSettings,
    /// `[proxy]`
    pub proxy: ProxySettings,
    /// `[catalog]`
    #[serde(default)]
    pub catalog: CatalogSettings,
    /// `[providers.NAME]`: our client at the provider, and changes of the provider's entry.
    #[serde(default)]
    pub providers: BTreeMap<ProviderName, ProviderSettings>,
    /// `[trusted_issuers.NAME]`: OpenID providers whose access tokens callers may present.
    #[serde(default)]
    pub trusted_issuers: BTreeMap<IssuerName, TrustedIssuer>,
    /// The file that was read; `None` if none was found and the defaults are in force.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// True for the settings of `strongroom dev`.
    #[serde(skip)]
    pub is_dev: bool,
    /// Warnings: settings that work and are not advisable.
    #[serde(skip)]
    pub warnings: Vec<Finding>,
    /// Reads the secrets that are not read yet.
    #[serde(skip)]
    pub secrets: SecretReader,
    /// Every setting that is in force, with where it was written, for `config show`. Secrets are
    /// masked.
    #[serde(skip)]
    pub shown: Vec<Shown>,
}

impl Config {
    /// Returns the source of every secret, with its key.
    pub(super) fn secret_sources(&self) -> Vec<(String, &SecretSource)> {
        let mut sources = match &self.vault.unlock {
            Unlock::MasterKey(source) => vec![("vault.master_key".to_owned(), source)],
            Unlock::Passphrase(source) => vec![("vault.passphrase".to_owned(), source)],
            Unlock::Prompt | Unlock::Stdin => Vec::new(),
        };
        let password = self.egress.proxy_password.iter();
        sources.extend(password.map(|source| ("egress.proxy_password".to_owned(), source)));
        for (name, provider) in &self.providers {
            sources.extend(provider.secret_sources().map(|(key, source)| (format!("providers.{name}.{key}"), source)));
        }
        sources
    }

    /// Returns the files that this configuration consists of or names: itself, secrets, TLS files,
    /// certification authorities and the epoch file.
    pub fn files(&self) -> Vec<&Path> {
        let secrets = self.secret_sources().into_iter().filter_map(|(_, source)| match source {
            SecretSource::File(path) => Some(path),
            _ => None,
        });
        let tls = self.server.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
        let others = self.file.iter().chain(&self.vault.epoch_file).chain(self.authorities().map(|(_, path)| path));
        secrets.chain(tls).chain(others).map(PathBuf::as_path).collect()
    }

    /// Returns each file with certification authorities, with its key.
    pub(super) fn authorities(&self) -> impl Iterator<Item = (String, &PathBuf)> {
        let all = self.egress.ca_certificates.iter().enumerate();
        let all = all.map(|(at, path)| (format!("egress.ca_certificates[{at}]"), path));
        let own = self.providers.iter().filter_map(|(name, provider)| Some((name, provider.ca.as_ref()?)));
        all.chain(own.map(|(name, path)| (format!("providers.{name}.ca"), path)))
    }

    /// Returns what each provider has for its requests alone.
    pub fn provider_egress(&self) -> impl Iterator<Item = ProviderEgress<'_>> {
        self.providers.iter().map(|(name, provider)| ProviderEgress {
            name: name.as_str(),
            allow_private: &provider.allow_private,
            ca: provider.ca.as_deref(),
        })
    }

    /// Makes every relative path absolute.
    pub(super) fn resolve(&mut self, folder: &Path) {
        let paths = [self.vault.epoch_file.as_mut(), self.backup.directory.as_mut()];
        let tls = self.server.tls.iter_mut().chain(&mut self.proxy.tls);
        let tls = tls.flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        let listen = [&mut self.server.listen].into_iter().chain(&mut self.proxy.listen);
        let listen = listen.filter_map(|listen| match listen {
            Listen::Unix(path) => Some(path),
            Listen::Tcp { .. } => None,
        });
        let unlock = match &mut self.vault.unlock {
            Unlock::MasterKey(source) | Unlock::Passphrase(source) => Some(source),
            Unlock::Prompt | Unlock::Stdin => None,
        };
        for path in self.providers.values_mut().filter_map(|provider| provider.ca.as_mut()) {
            *path = folder.join(&*path);
        }
        let clients = self.providers.values_mut().flat_map(|provider| {
            let secrets = provider.client_secret_source.iter_mut().chain(&mut provider.further_secret_sources);
            secrets.chain(&mut provider.client_key_source)
        });
        let sources =
            unlock.into_iter().chain(&mut self.egress.proxy_password).chain(clients).filter_map(
                |source| match source {
                    SecretSource::File(path) => Some(path),
                    _ => None,
                },
            );
        let paths = paths.into_iter().flatten().chain(tls).chain(listen).chain(sources);
        for path in paths.chain(&mut self.egress.ca_certificates).chain([&mut self.vault.path]) {
            *path = folder.join(&*path);
        }
    }
}

/// Addresses, TLS and limits of the server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// The address that the server listens on.
    pub listen: Listen,
    /// The path before `/v1/integrations`: empty, or with a leading and without a trailing slash.
    #[serde(deserialize_with = "fields::base_path")]
    pub base_path: String,
    /// The server's URL for others, for URLs that it hands out; without a trailing slash in its
    /// path.
    #[serde(deserialize_with = "fields::public_url")]
    pub public_url: Url,
    /// Peers whose `X-Forwarded-For` counts.
    #[serde(deserialize_with = "fields::each")]
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate and key; `None`: plain HTTP.
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    /// The time that requests may still take after a stop was asked for.
    #[serde(deserialize_with = "fields::duration::<_, 0, 3600>")]
    pub shutdown_grace: Duration,
    /// The number of connections that may be open at once.
    #[serde(deserialize_with = "fields::number::<_, 1, 1_000_000>")]
    pub max_connections: usize,
}

/// Limits of one caller's share of the server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Bytes of request bodies and large lists in memory at one time.
    #[serde(deserialize_with = "fields::mebibytes::<_, 1, 65_536>")]
    pub body_memory: u64,
    /// Bytes of one API key's request bodies and large lists in memory at one time.
    #[serde(deserialize_with = "fields::mebibytes::<_, 1, 65_536>")]
    pub body_memory_per_key: u64,
    /// Requests that wait for the disk or for a provider at one time.
    #[serde(deserialize_with = "fields::number::<_, 1, 1_000_000>")]
    pub waiting: usize,
    /// Requests of one API key that wait at one time.
    #[serde(deserialize_with = "fields::number::<_, 1, 1_000_000>")]
    pub waiting_per_key: usize,
    /// Requests of one API key that are sent to providers at one time.
    #[serde(deserialize_with = "fields::number::<_, 1, 1_000_000>")]
    pub proxied_per_key: usize,
    /// Secrets that one API key may read at once for one user.
    #[serde(deserialize_with = "fields::number::<_, 1, 1_000_000_000>")]
    pub secrets_burst: usize,
    /// Secrets a second that one API key may read for one user.
    #[serde(deserialize_with = "fields::number::<_, 1, 1_000_000_000>")]
    pub secrets_per_second: usize,
    /// Secrets a second that a service key may read for all its users.
    #[serde(deserialize_with = "fields::number::<_, 1, 1_000_000_000>")]
    pub secrets_per_second_in_all: usize,
    /// Credentials that one user may have.
    #[serde(deserialize_with = "fields::number::<_, 1, 1_000_000_000>")]
    pub credentials_per_user: usize,
    /// Sealed bytes of the credentials of one user.
    #[serde(deserialize_with = "fields::mebibytes::<_, 1, 65_536>")]
    pub bytes_per_user: u64,
    /// Clients that logins of one user may register at authorization servers in a day.
    #[serde(deserialize_with = "fields::number::<_, 1, 1_000_000>")]
    pub registrations_per_day: usize,
}

/// `[proxy]`: requests that are sent with a credential which the caller never sees.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxySettings {
    /// Time to resolve a name and to connect, TLS included.
    #[serde(deserialize_with = "fields::duration::<_, 1, 600>")]
    pub connect_timeout: Duration,
    /// Time without progress until the head of the response arrives.
    #[serde(deserialize_with = "fields::duration::<_, 1, 86_400>")]
    pub first_byte_timeout: Duration,
    /// Time in which a response may pause.
    #[serde(deserialize_with = "fields::duration::<_, 1, 86_400>")]
    pub idle_timeout: Duration,
    /// The address of the forward proxy; `None`: there is none.
    #[serde(default)]
    pub listen: Option<Listen>,
    /// Certificate and key of the forward proxy; `None`: clients speak plain HTTP to it.
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    /// Allows plain HTTP to a forward proxy that other machines reach.
    pub allow_plaintext: bool,
    /// Networks that are not public, and that API keys may reach without a credential.
    #[serde(deserialize_with = "fields::each")]
    pub allow_private: Vec<IpNet>,
}

/// Two PEM files, read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate and its chain.
    #[serde(deserialize_with = "fields::path")]
    pub certificate: PathBuf,
    /// Its private key.
    #[serde(deserialize_with = "fields::path")]
    pub key: PathBuf,
}

/// The vault's file and the key that opens it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultSettings {
    /// The file.
    #[serde(deserialize_with = "fields::path")]
    pub path: PathBuf,
    /// The source of the master key or of the passphrase.
    #[serde(rename = "master_key", deserialize_with = "fields::master_key")]
    pub unlock: Unlock,
    /// The passphrase; it takes the place of the master key.
    #[serde(default, deserialize_with = "fields::passphrase")]
    pub(super) passphrase: Option<Unlock>,
    /// The time for which a revocation that failed is tried again.
    #[serde(deserialize_with = "fields::duration::<_, 0, YEAR>")]
    pub revoke_retry: Duration,
    /// The number of bytes that are held back beside the file, for writes that must succeed on a
    /// full disk.
    #[serde(deserialize_with = "fields::mebibytes::<_, 0, 1024>")]
    pub ballast: u64,
    /// The time between two verifications of the whole vault; zero: never.
    #[serde(deserialize_with = "fields::duration::<_, 0, YEAR>")]
    pub verify_every: Duration,
    /// The file outside the vault that records the vault's epoch.
    #[serde(default, deserialize_with = "fields::some_path")]
    pub epoch_file: Option<PathBuf>,
    /// Set by `--accept-rollback` alone: go on although the vault is older than that file says.
    #[serde(skip)]
    pub accept_rollback: bool,
}

/// Scheduled backups, and the defaults of those by hand.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupSettings {
    /// The folder that backups are written to; `None`: the server writes none.
    #[serde(default, deserialize_with = "fields::some_path")]
    pub directory: Option<PathBuf>,
    /// The age of the newest backup at which the next one is written.
    #[serde(deserialize_with = "fields::duration::<_, 60, { 366 * DAY }>")]
    pub every: Duration,
    /// The number of backups that are kept.
    #[serde(deserialize_with = "fields::number::<_, 1, 10_000>")]
    pub keep: usize,
}

/// The audit log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSettings {
    /// The time for which its rows are kept; `None`: for ever.
    #[serde(default, deserialize_with = "fields::some_duration::<_, DAY, { 36_500 * DAY }>")]
    pub retention: Option<Duration>,
}

/// The OAuth flows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuthSettings {
    /// The origins that a login may return to.
    #[serde(deserialize_with = "fields::callback_origins")]
    pub callback_origins: CallbackOrigins,
    pub(super) localhost_ports: LocalhostPorts,
    /// The callback URLs that our client-id metadata document names.
    pub redirect_uris: Vec<String>,
    /// The time that a login may take.
    #[serde(deserialize_with = "fields::duration::<_, 1, DAY>")]
    pub state_ttl: Duration,
    /// Requires at complete the `iss` that a provider announces (RFC 9207).
    pub require_iss: bool,
    /// Allows applications to begin the device flow (RFC 8628), which is not bound to a browser
    /// session.
    pub device: bool,
    /// Refreshes tokens before they expire.
    pub background_refresh: bool,
    /// The time after which refusals of a refresh that are not understood are reported.
    #[serde(deserialize_with = "fields::duration::<_, 1, { 365 * DAY }>")]
    pub unclear_refusals_after: Duration,
}

/// Outbound connections.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressSettings {
    /// Networks that may be reached although they are not public, at URLs that the catalogue or
    /// the operator fixes.
    #[serde(deserialize_with = "fields::each")]
    pub allow: Vec<IpNet>,
    /// PEM files with certification authorities that are trusted in addition to Mozilla's.
    #[serde(deserialize_with = "fields::each")]
    pub ca_certificates: Vec<PathBuf>,
    /// The HTTP proxy through which connections leave, with its password if that was read; `None`:
    /// they leave directly.
    #[serde(default, deserialize_with = "fields::egress_proxy")]
    pub proxy: Option<EgressProxy>,
    /// The source of the password of the proxy's user.
    #[serde(default)]
    pub(super) proxy_password: Option<SecretSource>,
}
