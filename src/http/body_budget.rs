//! Budget for the bytes of bodies in memory: in total, and a share for each API key.
//!
//! A request body that announces its length reserves it before a byte is read. A chunked body
//! reserves more as it grows. A large list reserves its length until it is sent. Bodies that are
//! streamed to a provider are not counted.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::Limits;
use super::problem::{self, Problem};
use crate::permits::{KeyedPermit, KeyedSemaphore};

/// Step in bytes in which the reservation of a chunked body grows.
const STEP: usize = 64 * 1024;

/// Length in bytes up to which a list reserves nothing.
const SMALL: usize = 64 * 1024;

/// Bytes that bodies may still take.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    total: Arc<Semaphore>,
    per_key: Arc<KeyedSemaphore<String>>,
    limits: Limits,
}

/// Reservation of one body; its bytes are returned when it is dropped.
#[derive(Debug)]
pub(crate) struct BodyShare<'b> {
    budget: &'b BodyBudget,
    /// Name of the API key.
    key: String,
    bytes: usize,
    held: Vec<(OwnedSemaphorePermit, KeyedPermit<String>)>,
}

/// A body with its reservation.
struct Reserved {
    body: Bytes,
    _held: Vec<(OwnedSemaphorePermit, KeyedPermit<String>)>,
}

impl AsRef<[u8]> for Reserved {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl BodyBudget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            total: Arc::new(Semaphore::new(limits.body_memory.min(Semaphore::MAX_PERMITS))),
            per_key: KeyedSemaphore::new(limits.body_memory_per_key),
            limits: limits.clone(),
        }
    }

    /// Returns an empty reservation for a body that this API key sends.
    pub(crate) fn share(&self, key: String) -> BodyShare<'_> {
        BodyShare { budget: self, key, bytes: 0, held: Vec::new() }
    }

    /// Reserves memory for a body that this API key sends to a provider; `None` if too much is taken.
    pub(crate) fn take(&self, key: String, bytes: usize) -> Option<impl Send + Sync + 'static> {
        let mut share = self.share(key);
        share.reserve(bytes).ok()?;
        Some(share.held)
    }

    /// Reserves the length of a list that this API key gets, if it is large. The bytes are returned
    /// when the list is dropped, so that clients who do not read cost no more than the budget.
    ///
    /// # Errors
    /// Like [`BodyShare::reserve`].
    pub(crate) fn hold(&self, key: impl FnOnce() -> String, body: Bytes) -> Result<Bytes, Problem> {
        if body.len() <= SMALL {
            return Ok(body);
        }
        let mut share = self.share(key());
        // A key whose whole share is smaller than one list gets one list at a time.
        share.reserve(body.len().min(self.limits.body_memory_per_key))?;
        Ok(Bytes::from_owner(Reserved { body, _held: share.held }))
    }
}

impl BodyShare<'_> {
    /// Reserves the announced length of a body.
    ///
    /// # Errors
    /// 429 if the key has used up its share, 503 if all bodies have used up the budget.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Problem> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let BodyBudget { total, per_key, limits } = self.budget;
        let of_key = per_key.try_acquire_many(self.key.clone(), more).ok_or_else(|| {
            let detail = "The bodies and lists of this API key are too large together. Nothing was done of this; try again later.";
            Problem::new(&problem::RATE_LIMITED, detail).retry_after(limits.retry_after)
        })?;
        let permits = u32::try_from(more).ok().and_then(|more| total.clone().try_acquire_many_owned(more).ok());
        let of_total = permits.ok_or_else(|| {
            let detail =
                "The bodies and lists of all requests are too large together. Nothing was done of this; try again later.";
            Problem::new(&problem::OVERLOADED, detail).retry_after(limits.retry_after)
        })?;
        self.held.push((of_total, of_key));
        self.bytes = bytes;
        Ok(())
    }

    /// Reserves room for a body that has grown to this length, and some in advance.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        if bytes <= self.bytes { Ok(()) } else { self.reserve(bytes.next_multiple_of(STEP)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_a_budget_and_each_key_a_share() {
        let limits = Limits { body_memory: 5 * STEP, body_memory_per_key: 3 * STEP, ..Limits::default() };
        let budget = BodyBudget::new(&limits);
        let [mut first, mut second, mut other] = ["a", "a", "b"].map(|key| budget.share(key.to_owned()));
        assert!(first.reserve(2 * STEP).is_ok() && second.grow(1).is_ok() && second.grow(STEP).is_ok());
        assert_eq!(second.grow(STEP + 1).unwrap_err().kind(), &problem::RATE_LIMITED);
        assert!(other.reserve(2 * STEP).is_ok());
        assert_eq!(other.grow(2 * STEP + 1).unwrap_err().kind(), &problem::OVERLOADED);
        drop(first);
        assert!(other.grow(3 * STEP).is_ok() && second.grow(2 * STEP).is_ok());
    }

    #[test]
    fn large_list_takes_its_share_until_it_is_sent() {
        let limits = Limits { body_memory_per_key: 3 * SMALL, ..Limits::default() };
        let budget = BodyBudget::new(&limits);
        let list = |bytes: usize| budget.hold(|| "a".to_owned(), vec![0; bytes].into());
        let (first, small) = (list(2 * SMALL).unwrap(), list(SMALL).unwrap());
        assert_eq!((first.len(), small.len()), (2 * SMALL, SMALL));
        assert_eq!(list(2 * SMALL).unwrap_err().kind(), &problem::RATE_LIMITED);
        let sent = first.slice(1..);
        drop(first);
        assert!(list(2 * SMALL).is_err(), "a part of it is not sent yet");
        drop(sent);
        assert!(list(2 * SMALL).is_ok());
    }
}
