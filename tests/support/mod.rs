//! Starts the real server in this process, on a free port, with a vault of its own and a clock that tests move.

#![allow(dead_code, unreachable_pub, reason = "each file of tests uses a part of this")]

pub mod canaries;
pub mod chance;
pub mod command;
#[cfg(target_os = "linux")]
pub mod disk;
pub mod flow;
pub mod http;
pub mod http2;
pub mod process;
pub mod provider;
pub mod raw;
pub mod sample;
#[cfg(target_os = "linux")]
pub mod world;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::http::Method;
use serde_json::Value;
use strongroom::broker::Broker;
use strongroom::catalog::Catalog;
use strongroom::cli::dev;
use strongroom::clock::{Clock, UnixTime};
use strongroom::config::Config;
use strongroom::egress::{self, Egress};
use strongroom::http::{App, Limits, Listener, Settings, serve};
use strongroom::permission::Permission;
use strongroom::random::Random;
use strongroom::sandbox::Sandbox;
use strongroom::vault::{AuditContext, KeyHolder, KeyLimits, MasterKey, NewApiKey, Unmatched, Vault};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::http::Ask;
use self::raw::Raw;

/// The permissions of everyday use.
pub const EVERYDAY: [Permission; 4] = [
    Permission::ReadIntegrations,
    Permission::ManageIntegrations,
    Permission::DeleteIntegrations,
    Permission::UseIntegrations,
];

/// Options for starting a server.
#[derive(Default)]
pub struct Setup {
    /// The configuration in TOML.
    pub config: String,
    pub settings: Settings,
    /// Listener; by default a free TCP port on loopback.
    pub listener: Option<Listener>,
    /// Vault of another server, which this one takes over; by default a new one.
    pub vault: Option<Vault>,
    /// The bounds of requests to providers, and who resolves names for them.
    pub egress: (egress::EgressLimits, Option<egress::Lookup>),
    /// Private networks in which a provider may be; by default those of the configuration and of
    /// `dev`.
    pub allow: Option<Vec<ipnet::IpNet>>,
    /// Clock of another server; by default its own.
    pub clock: Option<Clock>,
}

impl Setup {
    pub fn limits(limits: Limits) -> Self {
        Self { settings: Settings { limits, ..Settings::default() }, ..Self::default() }
    }
}

/// A running server. Dropped, it is gone.
pub struct Server {
    /// `http://127.0.0.1:port`
    pub url: String,
    pub address: SocketAddr,
    /// The forward proxy.
    pub forward: SocketAddr,
    /// An API key of the user `alice` with the permissions of everyday use.
    pub key: String,
    pub clock: Clock,
    pub vault: Vault,
    pub broker: Broker,
    /// The authorization server behind the provider `sandbox`.
    pub sandbox: Sandbox,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    /// Keeps the vault's files: a vault whose file was removed stops.
    pub folder: Arc<tempfile::TempDir>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let clock = setup.clock.unwrap_or_else(|| Clock::manual(UnixTime(1_800_000_000)));
        let vault = setup.vault.unwrap_or_else(|| new_vault(folder.path(), &clock));
        let mut config = Config::from_toml(&setup.config, folder.path()).expect("the configuration is right");
        let sandbox = Sandbox::start(clock.clone(), Random).await.expect("the sandbox starts");
        dev::add_defaults(&mut config, &sandbox);
        if let Some(allow) = setup.allow {
            for provider in config.providers.values_mut() {
                provider.allow_private.clone_from(&allow);
            }
            config.proxy.allow_private.clone_from(&allow);
            config.egress.allow = allow;
        }
        let config = Arc::new(config);
        let (limits, lookup) = setup.egress;
        let (allow, authorities) = (&config.egress.allow, &config.egress.ca_certificates);
        let (lookup, proxy) = (lookup.unwrap_or_else(egress::system_resolver), config.egress.proxy.clone());
        let egress = Egress::assemble(allow, authorities, limits, lookup, proxy);
        let egress = egress.and_then(|egress| egress.with_providers(config.provider_egress()));
        let egress = egress.and_then(|egress| egress.with_unmatched(&config.proxy.allow_private)).expect("the way out");
        let patches = config.providers.iter().map(|(name, settings)| (name, &settings.entry));
        let catalog = Arc::new(
            Catalog::build(patches).and_then(|catalog| catalog.restricted_to(&config)).expect("the catalogue is right"),
        );
        strongroom::broker::prepare_signing_key(&vault, &config, &catalog).await.expect("the vault takes a key");
        let broker = Broker::new(config, catalog, vault.clone(), egress, clock.clone(), Random);
        let broker = broker.expect("the vault's keys can be read");
        let listener = match setup.listener {
            Some(listener) => listener,
            None => Listener::tcp("127.0.0.1:0").await.expect("a free port"),
        };
        let address = listener.address().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let forward_listener = Listener::tcp("127.0.0.1:0").await.expect("a free port").for_forward_proxy();
        let forward = forward_listener.address().expect("an address");
        let app = App::new(broker.clone(), setup.settings, clock.clone(), Random);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(vec![listener, forward_listener], app, async {
            let _ = stopped.await;
        }));
        let url = format!("http://{address}");
        let mut server = Self {
            url,
            address,
            forward,
            key: String::new(),
            clock,
            vault,
            broker,
            sandbox,
            stop: Some(stop),
            serving,
            folder,
        };
        server.key = server.key_with(&EVERYDAY).await;
        server
    }

    /// A server that knows one more provider, whose authorization server is at `base`.
    pub async fn with_provider(name: &str, base: &str) -> Self {
        let config = format!(
            "[providers.{name}]\ndisplay_name = \"{name}\"\nclient_id = \"c\"\nclient_secret = \"s\"\n\
             [providers.{name}.oauth]\nauthorize_url = \"{base}/authorize\"\ntoken_url = \"{base}/token\"\n"
        );
        Self::with(Setup { config, ..Setup::default() }).await
    }

    /// Asks the server to stop; the task ends when it has.
    pub fn stop(&mut self) -> &mut JoinHandle<()> {
        drop(self.stop.take());
        &mut self.serving
    }

    pub fn ask(&self, method: Method, path: &str) -> Ask {
        Ask::new(method, format!("{}{path}", self.url))
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Ask {
        self.ask(Method::POST, path)
    }

    pub fn delete(&self, path: &str) -> Ask {
        self.ask(Method::DELETE, path)
    }

    /// A connection that is spoken to in bytes.
    pub async fn raw(&self) -> Raw<TcpStream> {
        Raw::new(TcpStream::connect(self.address).await.expect("the server listens"))
    }

    /// All credentials of `alice`.
    pub async fn list(&self) -> Value {
        self.get("/v1/integrations/credentials").key(&self.key).send().await.is(200).json()
    }

    /// A key of `alice` with these permissions.
    pub async fn key_with(&self, permissions: &[Permission]) -> String {
        self.new_key(KeyHolder::User("alice".parse().expect("a user id")), permissions, None).await
    }

    /// A key of `user` with the permissions of everyday use.
    pub async fn key_of(&self, user: &str) -> String {
        self.new_key(KeyHolder::User(user.parse().expect("a user id")), &EVERYDAY, None).await
    }

    /// A service key with `permissions` for the users that these patterns cover; none means all.
    pub async fn service_key_with(&self, users: &[&str], permissions: &[Permission]) -> String {
        let users = users.iter().map(|pattern| pattern.parse().expect("a pattern")).collect();
        self.new_key(KeyHolder::Service { users }, permissions, None).await
    }

    /// A service key for the users that these patterns cover; none means all.
    pub async fn service_key(&self, users: &[&str]) -> String {
        let users = users.iter().map(|pattern| pattern.parse().expect("a pattern")).collect();
        self.new_key(KeyHolder::Service { users }, &EVERYDAY, None).await
    }

    /// A key that was revoked.
    pub async fn revoked_key(&self) -> String {
        let new = new_key(KeyHolder::User("alice".parse().expect("a user id")), &EVERYDAY, None);
        let (key, text) =
            self.vault.api_keys().create(new, &AuditContext::command_line()).await.expect("the key is stored");
        assert!(self.vault.api_keys().revoke(key.id, &AuditContext::command_line()).await.expect("the key is revoked"));
        text.expose().to_owned()
    }

    /// A key that has expired.
    pub async fn expired_key(&self) -> String {
        let past = UnixTime(self.clock.now().0 - 1);
        self.new_key(KeyHolder::User("alice".parse().expect("a user id")), &EVERYDAY, Some(past)).await
    }

    /// A key of `user` with every permission, limited to these providers and credentials.
    pub async fn limited_key(&self, user: &str, providers: &[&str], credentials: &[&str]) -> String {
        let providers = providers.iter().map(|name| name.parse().expect("a provider's name")).collect();
        let credentials = credentials.iter().map(|id| id.parse().expect("a credential's id")).collect();
        let limits = KeyLimits::new(providers, credentials).expect("few limits");
        let holder = KeyHolder::User(user.parse().expect("a user id"));
        let new = NewApiKey { limits, ..new_key(holder, &Permission::ALL, None) };
        let made = self.vault.api_keys().create(new, &AuditContext::command_line()).await.expect("the key is stored");
        made.1.expose().to_owned()
    }

    async fn new_key(&self, holder: KeyHolder, permissions: &[Permission], expires_at: Option<UnixTime>) -> String {
        let new = new_key(holder, permissions, expires_at);
        let made = self.vault.api_keys().create(new, &AuditContext::command_line()).await.expect("the key is stored");
        made.1.expose().to_owned()
    }
}

pub fn new_key(holder: KeyHolder, permissions: &[Permission], expires_at: Option<UnixTime>) -> NewApiKey {
    let permissions = permissions.iter().copied().collect();
    NewApiKey {
        name: None,
        holder,
        permissions,
        limits: KeyLimits::default(),
        unmatched: Unmatched::default(),
        expires_at,
    }
}

fn new_vault(folder: &Path, clock: &Clock) -> Vault {
    let master = MasterKey::generate(Random);
    Vault::create(&folder.join("strongroom.db"), &master, clock.clone(), Random).expect("a new vault")
}

/// Waits until `holds`; fails after ten seconds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came true: {what}");
}

/// Returns true in a process that runs only the test of this name. Elsewhere it runs the test in such a process, fails if
/// that fails, and returns false. For tests that change or read what all threads share, such as the panic hook.
#[expect(clippy::disallowed_methods, reason = "the child process is told by its environment that it is the child")]
pub fn in_own_process(test: &str) -> bool {
    const MARK: &str = "STRONGROOM_TEST_IN_OWN_PROCESS";
    if std::env::var_os(MARK).is_some_and(|name| name == *test) {
        return true;
    }
    let program = std::env::current_exe().expect("the path of this program");
    let child = std::process::Command::new(program).args(["--exact", test, "--nocapture"]).env(MARK, test).output();
    let output = child.expect("this program starts again");
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && said.contains("test result: ok. 1 passed");
    assert!(passed, "{test} in its own process: {said}{}", String::from_utf8_lossy(&output.stderr));
    false
}

/// Returns true in CI, where a test that cannot run fails.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment where it runs")]
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// Repetitions of a campaign: `short` in `cargo test`, `reduced` in `.ci/run`, `full` in `.ci/campaigns`, which set
/// `STRONGROOM_CAMPAIGN`.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment how long it may take")]
pub fn campaign(short: u32, reduced: u32, full: u32) -> u32 {
    match std::env::var("STRONGROOM_CAMPAIGN").as_deref() {
        Ok("full") => full,
        Ok("reduced") => reduced,
        Ok(other) if other != "short" => panic!("STRONGROOM_CAMPAIGN is {other:?}; it can be short, reduced or full"),
        _ => short,
    }
}
