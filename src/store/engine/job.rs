//! Jobs of the writer thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::txn_state::Tx;
use crate::store::error::{JobError, StoreError};

/// Priority of a job when the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WritePriority {
    /// The job waits until there is room.
    Normal,
    /// The job cannot wait: it hands out a secret, deletes, revokes, or stores what a provider
    /// gave.
    Critical,
}

/// Work within a transaction, which may be run more than once, and the caller that waits for it.
pub(crate) trait Job: Send {
    /// Returns the priority.
    fn priority(&self) -> WritePriority;
    /// Runs the work and keeps its result.
    fn run(&mut self, tx: &Tx<'_>) -> Done;
    /// Answers with the kept result.
    fn answer(self: Box<Self>);
    /// Answers that nothing was stored. The kept result is dropped, because it may depend on other
    /// jobs of the group.
    fn refuse(self: Box<Self>, error: StoreError);
    /// Answers a job that ran alone: with its own error if it has one, else with `error`.
    fn fail(self: Box<Self>, error: StoreError);
}

/// Outcome of a job.
pub(crate) enum Done {
    /// Its changes stay.
    Succeeded,
    /// It failed, and its changes must be undone.
    Failed,
    /// It failed because the disk is full.
    Full,
}

/// A job with the channel for its answer.
pub(crate) struct Waiting<F, T, E> {
    pub(super) priority: WritePriority,
    pub(super) work: F,
    pub(super) done: Option<Result<T, E>>,
    pub(super) answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Waiting<F, T, E>
where
    F: Fn(&Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: JobError,
{
    fn priority(&self) -> WritePriority {
        self.priority
    }

    fn run(&mut self, tx: &Tx<'_>) -> Done {
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)));
        let result = result.unwrap_or_else(|_| Err(StoreError::Sqlite("a write panicked".into()).into()));
        match self.done.insert(result) {
            Ok(_) => Done::Succeeded,
            Err(error) if error.is_full() => Done::Full,
            Err(_) => Done::Failed,
        }
    }

    fn answer(self: Box<Self>) {
        let Self { done, answer, .. } = *self;
        let result = done.unwrap_or_else(|| Err(StoreError::Stopped("a write was not run".into()).into()));
        // The caller may have gone away; the write stands.
        let _ = answer.send(result);
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.answer.send(Err(error.into()));
    }

    fn fail(self: Box<Self>, error: StoreError) {
        if matches!(self.done, Some(Err(_))) { self.answer() } else { self.refuse(error) }
    }
}
