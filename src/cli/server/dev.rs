//! `strongroom dev`: everything on and nothing to set up, for a first look and for test suites.
//!
//! A temporary vault, one user, one fresh API key, and an authorization server of its own. Nothing leaves the machine.

use super::serve;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use serde_json::json;
use tempfile::TempDir;

use super::serve::ServeError;
use crate::cli::bootstrap::StartError;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::{bootstrap, runtime};
use crate::clock::Clock;
use crate::config::{CallbackOrigin, ClientSecrets, Config, EntryPatch, Listen, ProviderSettings};
use crate::http::Listener;
use crate::id::{ProviderName, UserId};
use crate::permission::{Permission, Permissions};
use crate::random::Random;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::secret::Secret;
use crate::vault::{AuditContext, KeyHolder, MasterKey, NewApiKey, OpenMode, Vault, VaultError};

const USER: &str = "dev";
const KEY_NAME: &str = "strongroom dev";

/// Run everything with nothing to set up: a vault that is gone at the end, a user, an API key, a sandbox provider
///
/// With --vault FILE the vault is kept, with its master key in FILE.key: the same user, and a fresh API key at each start.
#[derive(Debug, Args)]
pub struct Dev {
    /// Where to listen, for example 127.0.0.1:0 for a free port [default: server.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// What to print when ready
    #[arg(long, value_name = "FORM", default_value = "text")]
    print: Print,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Print {
    /// The address, the key, and three curl lines to copy
    Text,
    /// One line {"url", "api_key", "user", "vault", "pid"}, and nothing else on the standard output
    Json,
}

impl Dev {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context) -> Result<(), Failure> {
        let _log = serve::begin_log();
        // The vault of the configuration is a real one: dev does not touch it.
        let settings = Context { config: context.config.clone(), vault: None, accept_rollback: false };
        let (mut config, _) = settings.settings(ClientSecrets::Try)?;
        for warning in config.warnings.iter().filter(|warning| warning.key.starts_with("providers.")) {
            tracing::warn!(place = %warning.location, key = warning.key, "{}", warning.message);
        }
        if let Some(address) = self.listen {
            config.server.listen = Listen::Tcp { host: address.ip().to_string(), port: address.port() };
        }
        let options = Options { vault: context.vault.clone(), json: self.print == Print::Json };
        Ok(runtime::multi_threaded()?.block_on(run(config, options))?)
    }
}

/// What `dev` was asked for beyond its defaults.
#[derive(Debug)]
pub struct Options {
    /// A vault that is kept, with its master key beside it in `FILE.key`.
    pub vault: Option<PathBuf>,
    /// Print one line of JSON and nothing else.
    pub json: bool,
}

/// Why `dev` did not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// As for the server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A file or a folder of its own.
    #[error("{what} {path}: {source}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The vault is there and its key is not.
    #[error("{vault} exists and {key} does not: without its master key the vault cannot be opened")]
    KeyMissing {
        /// The vault.
        vault: PathBuf,
        /// Where its key should be.
        key: PathBuf,
    },
    /// The sandbox.
    #[error("the sandbox provider cannot start: {0}")]
    Sandbox(io::Error),
    /// Standard output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

impl From<StartError> for DevError {
    fn from(error: StartError) -> Self {
        Self::Serve(error.into())
    }
}

impl From<VaultError> for DevError {
    fn from(error: VaultError) -> Self {
        StartError::from(error).into()
    }
}

impl From<DevError> for Failure {
    fn from(error: DevError) -> Self {
        match error {
            DevError::Serve(error) => error.into(),
            DevError::KeyMissing { .. } => {
                Self::configuration(error.to_string()).advise("bring the key back, or name another file with --vault")
            }
            DevError::Output(error) => Self::of_output(&error),
            DevError::File { .. } | DevError::Sandbox(_) => Self::new(error.to_string()),
        }
    }
}

/// Runs until it is stopped. `config` is what `--config` says, or the defaults; `dev` adds to it what it needs.
pub async fn run(mut config: Config, options: Options) -> Result<(), DevError> {
    let clock = Clock::system();
    let place = Place::of(options.vault)?;
    config.vault.path.clone_from(&place.vault);
    let vault = place.open(&clock)?;
    let key = fresh_key(&vault).await?;

    let sandbox_options = SandboxOptions::new(Random);
    let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let sandbox = Sandbox::start(loopback, clock.clone(), Random, sandbox_options).await.map_err(DevError::Sandbox)?;
    add_defaults(&mut config, &sandbox);

    let config = Arc::new(config);
    let broker = bootstrap::server_broker(Arc::clone(&config), vault, clock.clone()).await?;
    let listener = Listener::open(&config.server).await.map_err(ServeError::from)?;
    let url = match (&config.server.listen, listener.address()) {
        (Listen::Tcp { .. }, Some(address)) => {
            format!(
                "{}://{address}{}",
                if config.server.tls.is_some() { "https" } else { "http" },
                config.server.base_path
            )
        }
        _ => config.server.listen.to_string(),
    };
    let signals = runtime::signals().map_err(ServeError::Signals)?;
    announce(&url, &key, &place, options.json).map_err(DevError::Output)?;
    serve::until_stopped(broker, listener, clock, signals).await?;
    Ok(())
}

/// Where the vault of this run is; the folder of a temporary one goes when this is dropped.
struct Place {
    vault: PathBuf,
    key_file: Option<PathBuf>,
    _folder: Option<TempDir>,
}

impl Place {
    fn of(kept: Option<PathBuf>) -> Result<Self, DevError> {
        if let Some(vault) = kept {
            let vault = std::path::absolute(&vault).unwrap_or(vault);
            let mut key_file = vault.clone().into_os_string();
            key_file.push(".key");
            return Ok(Self { vault, key_file: Some(key_file.into()), _folder: None });
        }
        let folder = tempfile::Builder::new().prefix("strongroom-dev-").tempdir();
        let folder = folder.map_err(|source| DevError::File {
            what: "cannot make a folder in",
            path: std::env::temp_dir(),
            source,
        })?;
        Ok(Self { vault: folder.path().join("strongroom.db"), key_file: None, _folder: Some(folder) })
    }

    fn open(&self, clock: &Clock) -> Result<Vault, DevError> {
        let key = match &self.key_file {
            None => MasterKey::generate(Random),
            Some(file) if file.exists() => read_key(file)?,
            Some(file) if self.vault.exists() => {
                return Err(DevError::KeyMissing { vault: self.vault.clone(), key: file.clone() });
            }
            Some(file) => write_key(file)?,
        };
        if self.vault.exists() {
            Ok(Vault::open(&self.vault, &key, OpenMode::Server, clock.clone(), Random)?)
        } else {
            Ok(Vault::create(&self.vault, &key, clock.clone(), Random)?)
        }
    }
}

fn read_key(file: &Path) -> Result<MasterKey, DevError> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|source| DevError::File { what: "cannot read", path: file.to_owned(), source })?;
    Ok(MasterKey::parse_file_text(Secret::new(text).expose()).map_err(StartError::from)?)
}

/// Makes a master key and writes it where only its owner can read it.
fn write_key(file: &Path) -> Result<MasterKey, DevError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let key = MasterKey::generate(Random);
    let text = key.to_file_text().expect("a generated key is a key, not a passphrase");
    let write = || {
        let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(file)?;
        out.write_all(text.expose().as_bytes())?;
        out.sync_all()
    };
    write().map_err(|source| DevError::File { what: "cannot write", path: file.to_owned(), source })?;
    Ok(key)
}

/// The user `dev` and a key with every permission but `ADMIN`; keys of earlier runs are revoked.
async fn fresh_key(vault: &Vault) -> Result<Secret, VaultError> {
    let user: UserId = USER.parse().expect("a legal user id");
    let who = AuditContext::command_line();
    vault.add_user(&user, &who).await?;
    for old in vault.api_keys()? {
        if old.name.as_deref() == Some(KEY_NAME) && old.revoked_at.is_none() {
            vault.revoke_api_key(old.id, &who).await?;
        }
    }
    let permissions: Permissions = Permission::ALL.into_iter().filter(|p| *p != Permission::Admin).collect();
    let new =
        NewApiKey { name: Some(KEY_NAME.to_owned()), holder: KeyHolder::User(user), permissions, expires_at: None };
    Ok(vault.create_api_key(new, &who).await?.1)
}

/// What `dev` has over a bare configuration: callbacks to localhost, the way to this machine, and the sandbox.
pub fn add_defaults(config: &mut Config, sandbox: &Sandbox) {
    let localhost = CallbackOrigin::parse_entry("http://localhost").expect("a legal origin");
    config.oauth.callback_origins = std::mem::take(&mut config.oauth.callback_origins).with(localhost);
    config.egress.allow.push("127.0.0.0/8".parse::<IpNet>().expect("a legal network"));
    let entry = EntryPatch::parse(Path::new("sandbox.toml"), &sandbox.entry_toml());
    let settings = ProviderSettings {
        client_id: Some(sandbox.client_id().to_owned()),
        client_secrets: sandbox.client_secret().cloned().into_iter().collect(),
        entry: entry.expect("the sandbox describes itself in good TOML"),
        ..ProviderSettings::default()
    };
    config.providers.insert("sandbox".parse::<ProviderName>().expect("a legal name"), settings);
}

fn announce(url: &str, key: &Secret, place: &Place, as_json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if as_json {
        let line = json!({
            "url": url, "api_key": key.expose(), "user": USER,
            "vault": place.vault.display().to_string(), "pid": std::process::id(),
        });
        writeln!(out, "{line}")?;
    } else {
        write!(out, "{}", greeting(url, key, place))?;
    }
    out.flush()
}

fn greeting(url: &str, key: &Secret, place: &Place) -> String {
    let (key, vault) = (key.expose(), place.vault.display());
    let kept = if place.key_file.is_some() { "kept" } else { "gone when this ends" };
    let base = format!("{url}/v1/integrations");
    format!(
        "Strongroom is ready at {url}\n\
         API key   {key}   (user '{USER}', every permission but ADMIN)\n\
         vault     {vault}   ({kept})\n\
         \n\
         Three lines to copy: the providers; a login at the built-in sandbox (open its login_url); what is stored.\n\
         \n\
         curl -s {base}/providers -H 'X-API-Key: {key}'\n\
         curl -s {base}/sandbox/oauth/initiate -H 'X-API-Key: {key}' --json '{{\"callback_url\": \"http://localhost:3000/callback\"}}'\n\
         curl -s {base}/credentials -H 'X-API-Key: {key}'\n\
         \n\
         Ctrl-C stops it.\n"
    )
}
