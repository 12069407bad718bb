//! State that all requests share: the broker, the limits, and the counters that enforce them.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ipnet::IpNet;

use super::auth_rate_limit::FailedAttempts;
use super::denial_audit::DenialAudit;
use super::limits::Limits;
use super::load_shed::LoadShed;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::config::ServerSettings;
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
}

impl From<&ServerSettings> for Settings {
    fn from(settings: &ServerSettings) -> Self {
        let limits = Limits { shutdown_grace: settings.shutdown_grace, ..Limits::default() };
        Self {
            base_path: settings.base_path.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            limits: limits.with_connections(settings.max_connections),
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
        let denial_audit = DenialAudit::new(&settings.limits, clock);
        let load_shed = LoadShed::new(&settings.limits);
        Self(Arc::new(AppState {
            broker,
            settings,
            random,
            failed_attempts,
            denial_audit,
            load_shed,
            openapi: OnceLock::new(),
        }))
    }

    /// Returns the description of the API, written on first use.
    pub(crate) fn openapi(&self, describe: impl FnOnce(&str) -> Bytes) -> Bytes {
        self.openapi.get_or_init(|| describe(&self.settings.base_path)).clone()
    }
}
