//! Load shedding: limits the requests that wait for the disk or for a provider, in total and by
//! provider.
//!
//! Requests beyond a limit are refused with 503 before they are authenticated. A request takes its
//! permit only when its whole body has arrived, so that a caller who sends slowly holds none. One
//! provider gets a part of all permits: if it hangs, the others go on.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::Limits;
use super::permits::{KeyedPermit, KeyedSemaphore};
use super::problem::{self, Problem};

/// Resources that a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Answered from memory or from pages of the vault; never refused.
    Cheap,
    /// Waits for a commit or for a provider.
    Waiting,
}

/// Permits for requests that wait.
#[derive(Debug)]
pub(crate) struct LoadShed {
    total: Arc<Semaphore>,
    per_provider: Arc<KeyedSemaphore<String>>,
    limits: Limits,
}

/// Permit of a request, returned when it is dropped. A cheap request needs none.
pub(crate) type Permit = Option<(OwnedSemaphorePermit, KeyedPermit<String>)>;

impl LoadShed {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            total: Arc::new(Semaphore::new(limits.waiting)),
            per_provider: KeyedSemaphore::new(limits.waiting_per_provider),
            limits: limits.clone(),
        }
    }

    /// Refuses a request that would find no permit now. `provider` is the one in its path, or
    /// empty.
    pub(crate) fn check(&self, cost: Cost, provider: &str) -> Result<(), Problem> {
        let free = || self.total.available_permits() > 0 && self.per_provider.is_available(provider);
        if cost == Cost::Cheap || free() { Ok(()) } else { Err(self.overloaded()) }
    }

    /// Takes the permit of a request that has arrived as a whole.
    pub(crate) fn acquire(&self, cost: Cost, provider: &str) -> Result<Permit, Problem> {
        if cost == Cost::Cheap {
            return Ok(None);
        }
        let total = self.total.clone().try_acquire_owned().map_err(|_| self.overloaded())?;
        let of_provider = self.per_provider.try_acquire(provider.to_owned()).ok_or_else(|| self.overloaded())?;
        Ok(Some((total, of_provider)))
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
        let take = |provider| shed.acquire(Cost::Waiting, provider);
        let admits = |cost, provider| shed.check(cost, provider).is_ok();
        let acme = (take("acme").unwrap(), take("acme").unwrap());
        assert!(take("acme").is_err() && !admits(Cost::Waiting, "acme"), "a provider that hangs has a part of all");
        assert!(admits(Cost::Waiting, "other") && admits(Cost::Waiting, "third"), "a check takes no permit");
        let other = take("other").unwrap();
        assert!(take("third").is_err() && !admits(Cost::Waiting, "third"), "the total is limited too");
        assert!(admits(Cost::Cheap, "acme") && shed.acquire(Cost::Cheap, "acme").is_ok());
        drop(acme);
        assert!(admits(Cost::Waiting, "third"));
        drop(other);
    }
}
