//! `strongroom dev`: a server with nothing to set up, for a first look and for test suites.
//!
//! It uses a temporary vault, one user, a fresh API key and a sandbox provider. It sends no request
//! to another machine.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::serve;
use crate::broker::{Installation, KeyHolder, KeyLimits, NewApiKey, Unmatched};
use crate::cli::context::Context;
use crate::cli::dev_instance::{DevFolder, DevInstance, SandboxClient};
use crate::cli::failure::Failure;
use crate::cli::runtime;
use crate::clock::Clock;
use crate::config::{Config, Listen};
use crate::http::{CallbackPage, Listener, curl_config};
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
///
/// A configuration is read only if --config names it, and of it only the sections providers, catalog
/// and egress, and oauth.callback_origins. The forward proxy listens on a free port of 127.0.0.1.
/// While this server runs, `strongroom --dev COMMAND` uses its vault.
#[derive(Debug, Args)]
pub struct Dev {
    /// Address to listen on, for example 127.0.0.1:0 for a free port [default: 127.0.0.1:8484]
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
    /// One line {"url", "proxy_url", "api_key", "user", "vault", "pid"}, and nothing else on standard
    /// output
    Json,
}

impl Dev {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<(), Failure> {
        let _log = serve::begin_log();
        runtime::multi_threaded()?.block_on(self.serve(context))
    }

    /// Serves until a signal comes.
    async fn serve(self, context: &Context) -> Result<(), Failure> {
        let sandbox = Sandbox::start(Clock::system(), Random).await;
        let sandbox = sandbox.map_err(|error| Failure::new(format!("cannot start the sandbox provider: {error}")))?;
        // Deleted on drop.
        let folder = DevFolder::create()?;
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let kept = context.vault.as_ref().map(absolute);
        let vault = kept.clone().unwrap_or_else(|| folder.path().join("strongroom.db"));
        let mut key_file = vault.clone().into_os_string();
        key_file.push(".key");
        let mut instance = DevInstance {
            config: context.config.as_ref().map(absolute),
            listen: self.listen,
            forward_proxy: None,
            vault,
            key_file: key_file.into(),
            sandbox: SandboxClient::of(&sandbox),
        };
        let mut config = instance.settings()?;
        let listener = Listener::open(&config.server.listen, None).await?;
        instance.listen = listener.address();
        let loopback = Listen::Tcp { host: "127.0.0.1".to_owned(), port: 0 };
        let forward = Listener::open(&loopback, None).await?.for_forward_proxy();
        instance.forward_proxy = forward.address();
        instance.set_address(&mut config);
        for warning in config.warnings.iter().filter(|warning| warning.key.starts_with("providers.")) {
            tracing::warn!(place = %warning.location, key = warning.key, "{}", warning.message);
        }
        let installation = Installation::new(config)?;
        let admin = installation.open_or_create(&instance.key_file)?;
        let key = admin.renew_api_key(new_key()).await?;
        let broker = installation.server_broker(&admin).await?;
        let unknown = || Failure::new("the address of the server is unknown");
        let address = listener.address().ok_or_else(unknown)?;
        let ready = Ready {
            url: format!("http://{address}"),
            proxy_url: format!("http://{}", forward.address().ok_or_else(unknown)?),
            callback: format!("http://localhost:{}/callback/sandbox", address.port()),
            curl_config: folder.write_curl_config(&key)?,
            key,
            vault: instance.vault.display().to_string(),
            is_kept: kept.is_some(),
        };
        let signals = runtime::signals()?;
        instance.save(folder.path())?;
        ready.announce(self.print)?;
        let page = CallbackPage { url: ready.url, curl_config: ready.curl_config };
        serve::until_stopped(broker, vec![listener, forward], Some(page), signals).await
    }
}

/// Returns the key of each run, of the user `dev`: every permission but `ADMIN`.
fn new_key() -> NewApiKey {
    let permissions: Permissions = Permission::ALL.into_iter().filter(|p| *p != Permission::Admin).collect();
    let holder = KeyHolder::User(USER.parse().expect("a legal user id"));
    NewApiKey {
        name: Some(KEY_NAME.to_owned()),
        holder,
        permissions,
        limits: KeyLimits::default(),
        unmatched: Unmatched::default(),
        expires_at: None,
    }
}

/// Adds the settings of `dev`: callbacks to this machine, egress to this machine, and the sandbox
/// provider.
pub fn add_defaults(config: &mut Config, sandbox: &Sandbox) {
    SandboxClient::of(sandbox).add_to(config);
}

/// The running server, as it is announced.
struct Ready {
    url: String,
    /// URL of the forward proxy, without a key.
    proxy_url: String,
    /// Callback URL of the page that shows the result of a login.
    callback: String,
    key: Secret,
    /// File with the key for `curl --config`.
    curl_config: PathBuf,
    vault: String,
    is_kept: bool,
}

impl Ready {
    fn announce(&self, form: Print) -> Result<(), Failure> {
        let text = match form {
            Print::Text => self.greeting(),
            Print::Json => {
                let line = json!({
                    "url": self.url, "proxy_url": self.proxy_url, "api_key": self.key.expose(), "user": USER,
                    "vault": self.vault, "pid": std::process::id(),
                });
                format!("{line}\n")
            }
        };
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::of_output(&error))
    }

    fn greeting(&self) -> String {
        let Self { url, proxy_url, callback, vault, .. } = self;
        let (key, config) = (self.key.expose(), curl_config(&self.curl_config));
        let kept = if self.is_kept { "kept" } else { "deleted on exit" };
        let base = format!("{url}/v1/integrations");
        format!(
            "Strongroom is ready at {url}\n\
             API key   {key}   (user '{USER}', every permission but ADMIN)\n\
             proxy     {proxy_url}   (forward proxy; `strongroom --dev run` uses it)\n\
             vault     {vault}   ({kept})\n\
             \n\
             Three commands to try in a second terminal: list the providers; start a login at the sandbox; list the\n\
             credentials. Open the login_url of the second one in a browser and press Approve: the page that follows says\n\
             what to run next. curl reads the key from the file, because arguments are visible to other users.\n\
             \n\
             curl -s {config} {base}/providers\n\
             curl -s {config} {base}/sandbox/oauth/initiate --json '{{\"callback_url\": \"{callback}\"}}'\n\
             curl -s {config} {base}/credentials\n\
             \n\
             The command line works beside this server, for example: strongroom --dev connect sandbox\n\
             Ctrl-C stops it.\n"
        )
    }
}
