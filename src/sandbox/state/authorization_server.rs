//! The state that all endpoints share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::devices::Devices;
use super::grants::Grants;
use crate::clock::Clock;
use crate::random::Random;
use crate::sandbox::client;
use crate::sandbox::endpoint::EndpointStates;
use crate::secret::Secret;

/// The authorization server. Each endpoint's file adds the method that handles it.
pub(in crate::sandbox) struct AuthorizationServer {
    pub(in crate::sandbox) base_url: String,
    pub(in crate::sandbox) client_secret: Secret,
    pub(in crate::sandbox) random: Random,
    pub(in crate::sandbox) endpoints: EndpointStates,
    grants: Mutex<Grants>,
    devices: Mutex<Devices>,
}

impl AuthorizationServer {
    pub(in crate::sandbox) fn new(base_url: String, clock: Clock, random: Random) -> Self {
        Self {
            base_url,
            client_secret: client::new_secret(random),
            random,
            endpoints: EndpointStates::new(),
            grants: Mutex::new(Grants::new(&clock, random)),
            devices: Mutex::new(Devices::new(clock, random)),
        }
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
