//! `strongroom dev`: a server with nothing to set up, for a first look and for test suites.
//!
//! It uses a temporary vault, one user, a fresh API key and a sandbox provider. It sends no request
//! to another machine.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use serde_json::json;
use tempfile::TempDir;

use super::serve;
use crate::broker::{Installation, KeyHolder, KeyLimits, NewApiKey};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::runtime;
use crate::clock::Clock;
use crate::config::{CallbackOrigin, ClientSecrets, Config, EntryPatch, Listen, ProviderSettings};
use crate::http::Listener;
use crate::id::ProviderName;
use crate::permission::{Permission, Permissions};
use crate::random::Random;
use crate::sandbox::Sandbox;
use crate::secret::Secret;

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
        let installation = settings.installation(ClientSecrets::Try)?;
        let mut config = installation.config().clone();
        for warning in config.warnings.iter().filter(|warning| warning.key.starts_with("providers.")) {
            tracing::warn!(place = %warning.location, key = warning.key, "{}", warning.message);
        }
        if let Some(address) = self.listen {
            config.server.listen = Listen::Tcp { host: address.ip().to_string(), port: address.port() };
        }
        let files = DevVault::of(context.vault.as_deref())?;
        // The configuration describes a real vault: of its settings, dev takes none.
        config.vault.path.clone_from(&files.vault);
        (config.vault.epoch_file, config.vault.ballast) = (None, 0);
        (config.backup.directory, config.audit.retention) = (None, None);
        runtime::multi_threaded()?.block_on(run(config, &files, self.print == Print::Json))
    }
}

/// Runs until a signal comes. `config` is the configuration or the defaults; `dev` adds its own
/// settings.
async fn run(mut config: Config, files: &DevVault, json: bool) -> Result<(), Failure> {
    let sandbox = Sandbox::start(Clock::system(), Random).await;
    let sandbox = sandbox.map_err(|error| Failure::new(format!("cannot start the sandbox provider: {error}")))?;
    add_defaults(&mut config, &sandbox);
    let installation = Installation::new(config)?;
    let admin = installation.open_or_create(files.key_file.as_deref())?;
    let key = admin.renew_api_key(new_key()).await?;
    let broker = installation.server_broker(&admin).await?;
    let server = &installation.config().server;
    let listener = Listener::open(server).await?;
    let url = match (&server.listen, listener.address()) {
        (Listen::Tcp { .. }, Some(address)) => {
            let scheme = if server.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{address}{}", server.base_path)
        }
        _ => server.listen.to_string(),
    };
    let signals = runtime::signals()?;
    announce(&url, &key, files, json)?;
    serve::until_stopped(broker, listener, signals).await
}

/// Files of this run. A temporary folder is deleted on drop.
struct DevVault {
    vault: PathBuf,
    key_file: Option<PathBuf>,
    _folder: Option<TempDir>,
}

impl DevVault {
    fn of(kept: Option<&Path>) -> Result<Self, Failure> {
        if let Some(vault) = kept {
            let vault = std::path::absolute(vault).unwrap_or_else(|_| vault.to_owned());
            let mut key_file = vault.clone().into_os_string();
            key_file.push(".key");
            return Ok(Self { vault, key_file: Some(key_file.into()), _folder: None });
        }
        let folder = tempfile::Builder::new().prefix("strongroom-dev-").tempdir();
        let folder = folder.map_err(|error| {
            Failure::new(format!("cannot create a folder in {}: {error}", std::env::temp_dir().display()))
        })?;
        Ok(Self { vault: folder.path().join("strongroom.db"), key_file: None, _folder: Some(folder) })
    }
}

/// Returns the key of each run, of the user `dev`: every permission but `ADMIN`.
fn new_key() -> NewApiKey {
    let permissions: Permissions = Permission::ALL.into_iter().filter(|p| *p != Permission::Admin).collect();
    let holder = KeyHolder::User(USER.parse().expect("a legal user id"));
    NewApiKey { name: Some(KEY_NAME.to_owned()), holder, permissions, limits: KeyLimits::default(), expires_at: None }
}

/// Adds the settings of `dev`: callbacks to localhost, egress to this machine, and the sandbox
/// provider.
pub fn add_defaults(config: &mut Config, sandbox: &Sandbox) {
    let localhost = CallbackOrigin::parse_entry("http://localhost").expect("a legal origin");
    config.oauth.callback_origins = std::mem::take(&mut config.oauth.callback_origins).with(localhost);
    let loopback = "127.0.0.0/8".parse::<IpNet>().expect("a legal network");
    config.egress.allow.push(loopback);
    let mcp = config.providers.entry("mcp".parse::<ProviderName>().expect("a legal name")).or_default();
    mcp.allow_private.push(loopback);
    let entry = EntryPatch::parse(Path::new("sandbox.toml"), &sandbox.entry_toml());
    let settings = ProviderSettings {
        client_id: Some(sandbox.client_id().to_owned()),
        client_secrets: vec![sandbox.client_secret().clone()],
        lend_client: true,
        lend_scopes: ["profile", "read"].map(str::to_owned).into(),
        entry: entry.expect("the sandbox describes itself in good TOML"),
        ..ProviderSettings::default()
    };
    config.providers.insert("sandbox".parse::<ProviderName>().expect("a legal name"), settings);
}

fn announce(url: &str, key: &Secret, files: &DevVault, as_json: bool) -> Result<(), Failure> {
    let line = json!({
        "url": url, "api_key": key.expose(), "user": USER,
        "vault": files.vault.display().to_string(), "pid": std::process::id(),
    });
    let text = if as_json { format!("{line}\n") } else { greeting(url, key, files) };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::of_output(&error))
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
