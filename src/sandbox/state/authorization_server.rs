//! The state that all endpoints share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::devices::Devices;
use super::grants::Grants;
use crate::clock::Clock;
use crate::random::Random;
use crate::sandbox::endpoint::{Conducts, RequestCounts};
use crate::sandbox::options::{Behaviour, SandboxClient, SandboxOptions};

/// The authorization server. Each endpoint's file adds the method that handles it.
pub(in crate::sandbox) struct AuthorizationServer {
    pub(in crate::sandbox) base_url: String,
    pub(in crate::sandbox) clients: Vec<SandboxClient>,
    pub(in crate::sandbox) random: Random,
    pub(in crate::sandbox) requests: RequestCounts,
    pub(in crate::sandbox) conducts: Conducts,
    behaviour: ArcSwap<Behaviour>,
    grants: Mutex<Grants>,
    devices: Mutex<Devices>,
}

impl AuthorizationServer {
    pub(in crate::sandbox) fn new(base_url: String, clock: Clock, random: Random, options: SandboxOptions) -> Self {
        Self {
            base_url,
            clients: options.clients,
            random,
            requests: RequestCounts::default(),
            conducts: Conducts::normal(),
            behaviour: ArcSwap::from_pointee(options.behaviour),
            grants: Mutex::new(Grants::new(clock.clone(), random)),
            devices: Mutex::new(Devices::new(clock, random)),
        }
    }

    pub(in crate::sandbox) fn first_client(&self) -> &SandboxClient {
        &self.clients[0]
    }

    /// Returns the current behaviour.
    pub(in crate::sandbox) fn behaviour(&self) -> Arc<Behaviour> {
        self.behaviour.load_full()
    }

    pub(in crate::sandbox) fn adjust(&self, change: impl FnOnce(&mut Behaviour)) {
        let mut behaviour = Behaviour::clone(&self.behaviour.load());
        change(&mut behaviour);
        self.behaviour.store(Arc::new(behaviour));
    }

    /// Locks the grants. Every call leaves them consistent, so a panic of another holder does not
    /// matter.
    pub(in crate::sandbox) fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the logins on other devices.
    pub(in crate::sandbox) fn devices(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
