//! What the door works with: the broker behind it, its limits, and what is answered from memory.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ipnet::IpNet;

use super::auth_rate_limit::FailedAttempts;
use super::denial_audit::Refusals;
use super::limits::Limits;
use super::load_shed::Gate;
use super::openapi;
use super::routes::Routes;
use super::server::service::Door;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::config::ServerSettings;
use crate::random::Random;
use crate::vault::Vault;

/// How the door is set up.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What stands before `/v1/integrations`: empty, or `/external-api`, without a slash at its end.
    pub base_path: String,
    /// Whose `X-Forwarded-For` counts.
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

/// Everything that the handlers need. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

struct Parts {
    broker: Broker,
    settings: Settings,
    random: Random,
    failed_attempts: FailedAttempts,
    refusals: Refusals,
    gate: Gate,
    openapi: OnceLock<Bytes>,
}

impl App {
    /// Puts the door before the broker.
    pub fn new(broker: Broker, settings: Settings, clock: Clock, random: Random) -> Self {
        let failed_attempts = FailedAttempts::new(&settings.limits, clock.clone());
        let refusals = Refusals::new(&settings.limits, clock);
        let gate = Gate::new(&settings.limits);
        Self(Arc::new(Parts { broker, settings, random, failed_attempts, refusals, gate, openapi: OnceLock::new() }))
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.0.broker
    }

    pub(crate) fn vault(&self) -> &Vault {
        self.0.broker.vault()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.settings.limits
    }

    pub(crate) fn base_path(&self) -> &str {
        &self.0.settings.base_path
    }

    pub(crate) fn failed_attempts(&self) -> &FailedAttempts {
        &self.0.failed_attempts
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// The description of the API, written when it is first asked for.
    pub(crate) fn openapi(&self) -> Bytes {
        let describe = || serde_json::to_vec(&openapi::describe(self.base_path()));
        let written = || Bytes::from(describe().expect("the description has text keys alone"));
        self.0.openapi.get_or_init(written).clone()
    }

    pub(crate) fn door(&self) -> Door {
        let routes = Arc::new(Routes::new(self.clone()));
        Door {
            routes: Box::new(move |head, body, arrival| Box::pin(routes.clone().answer(head, body, arrival))),
            trusted_proxies: self.0.settings.trusted_proxies.clone(),
            come_back: self.limits().come_back,
            random: self.0.random,
        }
    }
}
