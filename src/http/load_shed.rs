//! Load shedding: limits the requests that wait for the disk or for a provider, in total, by
//! provider and by API key.
//!
//! Requests beyond the total or the provider's part are refused with 503 before they are
//! authenticated; requests beyond the part of an API key with 429. A request takes its permit only
//! when its whole body has arrived, so that a caller who sends slowly holds none. One provider, and
//! one key, gets a part of all permits: if it hangs, the others go on.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::Limits;
use super::problem::{self, Problem};
use crate::permits::{KeyedPermit, KeyedSemaphore};

/// Resources that a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Answered from memory or from pages of the vault; never refused.
    Cheap,
    /// Waits for a commit, and maybe for a provider: its handler takes the provider's permit.
    Commit,
    /// Waits for a provider.
    Provider,
}

/// Permits for requests that wait.
#[derive(Debug)]
pub(crate) struct LoadShed {
    total: Arc<Semaphore>,
    per_provider: Arc<KeyedSemaphore<String>>,
    per_key: Arc<KeyedSemaphore<String>>,
    limits: Limits,
}

/// Permit of a request, returned when it is dropped. A cheap request needs none.
#[derive(Debug, Default)]
pub(crate) struct Permit {
    _waits: Option<(OwnedSemaphorePermit, KeyedPermit<String>)>,
    of_provider: Option<KeyedPermit<String>>,
}

impl LoadShed {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            total: Arc::new(Semaphore::new(limits.waiting)),
            per_provider: KeyedSemaphore::new(limits.waiting_per_provider),
            per_key: KeyedSemaphore::new(limits.waiting_per_key),
            limits: limits.clone(),
        }
    }

    /// Refuses a request that would find no permit now. `provider` is the one in its path, or
    /// empty.
    pub(crate) fn check(&self, cost: Cost, provider: &str) -> Result<(), Problem> {
        let of_provider = || cost != Cost::Provider || self.per_provider.is_available(provider);
        let free = || self.total.available_permits() > 0 && of_provider();
        if cost == Cost::Cheap || free() { Ok(()) } else { Err(self.overloaded()) }
    }

    /// Takes the permit of a request that has arrived as a whole. `key` names its API key.
    pub(crate) fn acquire(&self, cost: Cost, provider: &str, key: impl FnOnce() -> String) -> Result<Permit, Problem> {
        if cost == Cost::Cheap {
            return Ok(Permit::default());
        }
        let of_key = self.per_key.try_acquire(key()).ok_or_else(|| {
            let detail = "Too many requests of this API key are waiting. Nothing was done of this; try again later.";
            Problem::new(&problem::RATE_LIMITED, detail).retry_after(self.limits.retry_after)
        })?;
        let total = self.total.clone().try_acquire_owned().map_err(|_| self.overloaded())?;
        let mut permit = Permit { _waits: Some((total, of_key)), of_provider: None };
        if cost == Cost::Provider {
            self.acquire_provider(&mut permit, provider, || true)?;
        }
        Ok(permit)
    }

    /// Adds the provider's permit. If none is free, `sends` tells if the request needs it.
    pub(crate) fn acquire_provider(
        &self,
        permit: &mut Permit,
        provider: &str,
        sends: impl FnOnce() -> bool,
    ) -> Result<(), Problem> {
        permit.of_provider = self.per_provider.try_acquire(provider.to_owned());
        if permit.of_provider.is_none() && sends() { Err(self.overloaded()) } else { Ok(()) }
    }

    fn overloaded(&self) -> Problem {
        let detail = "The server has more to do than it can do in time. Nothing was done of this; try again later.";
        Problem::new(&problem::OVERLOADED, detail).retry_after(self.limits.retry_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_requests_are_limited_in_total_and_by_provider() {
        let shed = LoadShed::new(&Limits { waiting: 3, waiting_per_provider: 2, ..Limits::default() });
        let take = |provider| shed.acquire(Cost::Provider, provider, || "key".to_owned());
        let admits = |cost, provider| shed.check(cost, provider).is_ok();
        let acme = (take("acme").unwrap(), take("acme").unwrap());
        assert!(take("acme").is_err() && !admits(Cost::Provider, "acme"), "a provider that hangs has a part of all");
        assert!(admits(Cost::Provider, "other") && admits(Cost::Provider, "third"), "a check takes no permit");
        let other = take("other").unwrap();
        assert!(take("third").is_err() && !admits(Cost::Provider, "third"), "the total is limited too");
        assert!(admits(Cost::Cheap, "acme") && shed.acquire(Cost::Cheap, "acme", String::new).is_ok());
        drop(acme);
        assert!(admits(Cost::Provider, "third"));
        drop(other);
    }

    #[test]
    fn one_key_gets_a_part_of_all_permits() {
        let shed = LoadShed::new(&Limits { waiting: 8, waiting_per_key: 2, ..Limits::default() });
        let take = |key: &str| shed.acquire(Cost::Commit, "acme", || key.to_owned());
        let (first, second) = (take("a").unwrap(), take("a").unwrap());
        assert_eq!(take("a").unwrap_err().kind(), &problem::RATE_LIMITED);
        assert!(take("b").is_ok());
        drop((first, second));
        assert!(take("a").is_ok());
    }

    #[test]
    fn a_request_that_sends_nothing_needs_no_permit_of_the_provider() {
        let shed = LoadShed::new(&Limits { waiting: 8, waiting_per_provider: 1, ..Limits::default() });
        let take = |cost| shed.acquire(cost, "acme", || "key".to_owned());
        let hanging = take(Cost::Provider).unwrap();
        assert!(shed.check(Cost::Provider, "acme").is_err() && shed.check(Cost::Commit, "acme").is_ok());
        let mut permit = take(Cost::Commit).unwrap();
        assert!(shed.acquire_provider(&mut permit, "acme", || false).is_ok());
        assert!(shed.acquire_provider(&mut permit, "acme", || true).is_err());
        drop(hanging);
        assert!(shed.acquire_provider(&mut permit, "acme", || true).is_ok() && take(Cost::Provider).is_err());
    }
}
