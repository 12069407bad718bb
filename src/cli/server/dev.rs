//! `strongroom dev`: a server with nothing to set up, for a first look and for test suites.
//!
//! It uses a temporary vault, one user, a fresh API key and a sandbox provider. It sends no request
//! to another machine.

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

/// Run a server with nothing to set up: temporary vault, user, API key and sandbox provider
///
/// The temporary vault is deleted on exit. --vault FILE keeps the vault, with its master key in
/// FILE.key. Each start creates a fresh API key for the same user.
#[derive(Debug, Args)]
pub struct Dev {
    /// Address to listen on, for example 127.0.0.1:0 for a free port [default: server.listen]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Output when ready
    #[arg(long, value_name = "FORM", default_value = "text")]
    print: Print,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Print {
    /// The address, the key, and three curl commands to copy
    Text,
    /// One line {"url", "api_key", "user", "vault", "pid"}, and nothing else on standard output
    Json,
}

impl Dev {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<(), Failure> {
        let _log = serve::begin_log();
        // The configuration's vault holds real data; dev does not open it.
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

/// Options of `dev`.
#[derive(Debug)]
pub struct Options {
    /// A vault to keep, with its master key in `FILE.key`.
    pub vault: Option<PathBuf>,
    /// Prints one line of JSON and nothing else.
    pub json: bool,
}

/// Reason why `dev` did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// An error of the server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A file or folder of `dev` failed.
    #[error("{what} {path}: {source}")]
    File {
        /// Attempted operation.
        what: &'static str,
        /// File.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The vault exists, but its key does not.
    #[error("{vault} exists but its master key {key} does not")]
    KeyMissing {
        /// Vault file.
        vault: PathBuf,
        /// Expected key file.
        key: PathBuf,
    },
    /// The sandbox did not start.
    #[error("cannot start the sandbox provider: {0}")]
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
            DevError::KeyMissing { .. } => Self::configuration(error.to_string())
                .advise("restore the key file, or name another vault with --vault"),
            DevError::Output(error) => Self::of_output(&error),
            DevError::File { .. } | DevError::Sandbox(_) => Self::new(error.to_string()),
        }
    }
}

/// Runs until a signal comes. `config` is the configuration or the defaults; `dev` adds its own
/// settings.
pub async fn run(mut config: Config, options: Options) -> Result<(), DevError> {
    let clock = Clock::system();
    let files = DevVault::of(options.vault)?;
    config.vault.path.clone_from(&files.vault);
    let vault = files.open(&clock)?;
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
    announce(&url, &key, &files, options.json).map_err(DevError::Output)?;
    serve::until_stopped(broker, listener, clock, signals).await?;
    Ok(())
}

/// Files of this run. A temporary folder is deleted on drop.
struct DevVault {
    vault: PathBuf,
    key_file: Option<PathBuf>,
    _folder: Option<TempDir>,
}

impl DevVault {
    fn of(kept: Option<PathBuf>) -> Result<Self, DevError> {
        if let Some(vault) = kept {
            let vault = std::path::absolute(&vault).unwrap_or(vault);
            let mut key_file = vault.clone().into_os_string();
            key_file.push(".key");
            return Ok(Self { vault, key_file: Some(key_file.into()), _folder: None });
        }
        let folder = tempfile::Builder::new().prefix("strongroom-dev-").tempdir();
        let folder = folder.map_err(|source| DevError::File {
            what: "cannot create a folder in",
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

/// Creates a master key in a file that only its owner can read.
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

/// Creates the user `dev` and a key with every permission but `ADMIN`. Revokes the keys of earlier
/// runs.
async fn fresh_key(vault: &Vault) -> Result<Secret, VaultError> {
    let user: UserId = USER.parse().expect("a legal user id");
    let who = AuditContext::command_line();
    vault.users().add(&user, &who).await?;
    for old in vault.api_keys().list()? {
        if old.name.as_deref() == Some(KEY_NAME) && old.revoked_at.is_none() {
            vault.api_keys().revoke(old.id, &who).await?;
        }
    }
    let permissions: Permissions = Permission::ALL.into_iter().filter(|p| *p != Permission::Admin).collect();
    let new =
        NewApiKey { name: Some(KEY_NAME.to_owned()), holder: KeyHolder::User(user), permissions, expires_at: None };
    Ok(vault.api_keys().create(new, &who).await?.1)
}

/// Adds the settings of `dev`: callbacks to localhost, egress to this machine, and the sandbox
/// provider.
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

fn announce(url: &str, key: &Secret, files: &DevVault, as_json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if as_json {
        let line = json!({
            "url": url, "api_key": key.expose(), "user": USER,
            "vault": files.vault.display().to_string(), "pid": std::process::id(),
        });
        writeln!(out, "{line}")?;
    } else {
        write!(out, "{}", greeting(url, key, files))?;
    }
    out.flush()
}

fn greeting(url: &str, key: &Secret, files: &DevVault) -> String {
    let (key, vault) = (key.expose(), files.vault.display());
    let kept = if files.key_file.is_some() { "kept" } else { "deleted on exit" };
    let base = format!("{url}/v1/integrations");
    format!(
        "Strongroom is ready at {url}\n\
         API key   {key}   (user '{USER}', every permission but ADMIN)\n\
         vault     {vault}   ({kept})\n\
         \n\
         Three commands to try: list the providers; start a login at the sandbox (open its login_url); list the credentials.\n\
         \n\
         curl -s {base}/providers -H 'X-API-Key: {key}'\n\
         curl -s {base}/sandbox/oauth/initiate -H 'X-API-Key: {key}' --json '{{\"callback_url\": \"http://localhost:3000/callback\"}}'\n\
         curl -s {base}/credentials -H 'X-API-Key: {key}'\n\
         \n\
         Ctrl-C stops it.\n"
    )
}
