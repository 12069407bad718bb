//! State that all requests share: the broker, the limits, and the counters that enforce them.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ipnet::IpNet;

use super::auth_rate_limit::FailedAttempts;
use super::body_budget::BodyBudget;
use super::denial_audit::DenialAudit;
use super::limits::Limits;
use super::load_shed::LoadShed;
use super::secret_rate::SecretRate;
use crate::broker::{Broker, Caller};
use crate::clock::Clock;
use crate::config::Config;
use crate::proxy::{CallerShare, Proxy, ProxyLimits, Reservation};
use crate::random::Random;

/// Settings of the HTTP server.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Prefix of `/v1/integrations`: empty, or `/external-api`, without a slash at its end.
    pub base_path: String,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Sizes, times and numbers.
    pub limits: Limits,
    /// Page that shows a login at its callback: `dev` only.
    pub callback_page: Option<CallbackPage>,
}

/// The page at the callback of `dev`.
#[derive(Clone, Debug)]
pub struct CallbackPage {
    /// URL of this server.
    pub url: String,
    /// File with the API key for `curl --config`.
    pub curl_config: PathBuf,
}

impl From<&Config> for Settings {
    fn from(Config { server, limits, .. }: &Config) -> Self {
        let rate = |number| u32::try_from(number).unwrap_or(u32::MAX);
        let bytes = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let limits = Limits {
            shutdown_grace: server.shutdown_grace,
            body_memory: bytes(limits.body_memory),
            body_memory_per_key: bytes(limits.body_memory_per_key),
            waiting: limits.waiting,
            // One provider that hangs leaves a quarter to others.
            waiting_per_provider: (limits.waiting - limits.waiting / 4).max(1),
            waiting_per_key: limits.waiting_per_key,
            proxied_per_key: limits.proxied_per_key,
            secrets_burst: rate(limits.secrets_burst),
            secrets_per_second: rate(limits.secrets_per_second),
            secrets_per_second_in_all: rate(limits.secrets_per_second_in_all),
            ..Limits::default()
        };
        Self {
            base_path: server.base_path.clone(),
            trusted_proxies: server.trusted_proxies.clone(),
            limits: limits.with_connections(server.max_connections),
            callback_page: None,
        }
    }
}

/// State of the HTTP server. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<AppState>);

/// Fields of [`App`].
pub struct AppState {
    pub(crate) broker: Broker,
    pub(crate) settings: Settings,
    pub(crate) random: Random,
    pub(crate) failed_attempts: FailedAttempts,
    pub(crate) denial_audit: DenialAudit,
    pub(crate) load_shed: LoadShed,
    pub(crate) body_budget: BodyBudget,
    pub(crate) secret_rate: SecretRate,
    /// The data path of all entry points: the rates of grants are counted in it.
    pub(crate) proxy: Proxy,
    openapi: OnceLock<Bytes>,
}

impl Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl App {
    /// Creates the state of a server in front of this broker.
    pub fn new(broker: Broker, settings: Settings, clock: Clock, random: Random) -> Self {
        let failed_attempts = FailedAttempts::new(&settings.limits, clock.clone());
        let denial_audit = DenialAudit::new(&settings.limits, &clock);
        let secret_rate = SecretRate::new(&settings.limits, clock);
        let load_shed = LoadShed::new(&settings.limits);
        let body_budget = BodyBudget::new(&settings.limits);
        let Limits { proxied_per_key: requests_per_caller, body_time, connections, .. } = settings.limits;
        // The other half is for the API, and for requests with a credential.
        let limits = ProxyLimits { requests_per_caller, tunnels: connections / 2, body_time };
        let proxy = Proxy::new(broker.clone(), &broker.config().proxy, limits);
        Self(Arc::new(AppState {
            broker,
            settings,
            random,
            failed_attempts,
            denial_audit,
            load_shed,
            body_budget,
            secret_rate,
            proxy,
            openapi: OnceLock::new(),
        }))
    }

    /// Returns the part of the server that this caller may take with requests to providers.
    pub(crate) fn share_of(&self, caller: &Caller) -> CallerShare {
        let (app, name) = (self.clone(), caller.share_name());
        let key = name.clone();
        let reserve = move |bytes| {
            let held = app.body_budget.take(key.clone(), bytes)?;
            Some(Box::new(held) as Reservation)
        };
        CallerShare { name, reserve: Arc::new(reserve) }
    }

    /// Returns the description of the API, written on first use.
    pub(crate) fn openapi(&self, describe: impl FnOnce(&str) -> Bytes) -> Bytes {
        self.openapi.get_or_init(|| describe(&self.settings.base_path)).clone()
    }
}
