//! Registered clients that an authorization server rejected last.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::vault::RegisteredAt;

/// Maximum number of places, because callers choose them.
const MAX_PLACES: usize = 1000;

/// Places whose last registration was rejected. A registration that follows a rejected one is kept
/// until it was accepted once: a server that rejects every client must not collect registrations.
#[derive(Default)]
pub(in crate::broker) struct RejectedClients(Mutex<BTreeSet<RegisteredAt>>);

impl RejectedClients {
    /// Records a rejection. Returns true if the client before it was accepted, so that a new
    /// registration may help.
    pub(in crate::broker) fn reject(&self, at: RegisteredAt) -> bool {
        let mut rejected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rejected.len() >= MAX_PLACES {
            rejected.clear();
        }
        rejected.insert(at)
    }

    /// Records that the client of this place was accepted.
    pub(in crate::broker) fn accept(&self, at: &RegisteredAt) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(at);
    }
}
