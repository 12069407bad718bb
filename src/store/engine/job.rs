//! What the writer is given to do, and who is told what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::txn_state::Tx;
use crate::store::error::{JobError, StoreError};

/// What a job is priority where the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WritePriority {
    /// It can wait until there is room.
    Normal,
    /// It cannot: a secret is handed out, something is deleted or revoked, or what a provider gave is to be stored.
    Critical,
}

/// Something to be done within a transaction, perhaps more than once, with somebody who waits for it.
pub(crate) trait Job: Send {
    /// What it is priority where the disk is full.
    fn priority(&self) -> WritePriority;
    /// Does it and keeps the result; what is to become of its changes.
    fn run(&mut self, tx: &Tx<'_>) -> Done;
    /// Answers with the kept result.
    fn answer(self: Box<Self>);
    /// Answers that nothing was stored. Its own result does not count: it may rest on what others did in the group.
    fn refuse(self: Box<Self>, error: StoreError);
    /// Answers a job that was alone: its own error where it had one, else `error`.
    fn fail(self: Box<Self>, error: StoreError);
}

/// How a job ended.
pub(crate) enum Done {
    /// Its changes stay.
    Well,
    /// It failed, and its changes are to be undone.
    Badly,
    /// It failed because the disk is full.
    Full,
}

/// A job, and where its answer goes.
pub(crate) struct Waiting<F, T, E> {
    priority: WritePriority,
    work: F,
    done: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Waiting<F, T, E> {
    pub(crate) fn new(priority: WritePriority, work: F, answer: oneshot::Sender<Result<T, E>>) -> Self {
        Self { priority, work, done: None, answer }
    }
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
            Ok(_) => Done::Well,
            Err(error) if error.is_full() => Done::Full,
            Err(_) => Done::Badly,
        }
    }

    fn answer(self: Box<Self>) {
        let Self { done, answer, .. } = *self;
        let result = done.unwrap_or_else(|| Err(StoreError::Stopped("a write was never run".into()).into()));
        // Nobody waits any more: the write stands all the same, as it was promised.
        let _ = answer.send(result);
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.answer.send(Err(error.into()));
    }

    fn fail(self: Box<Self>, error: StoreError) {
        if matches!(self.done, Some(Err(_))) { self.answer() } else { self.refuse(error) }
    }
}
