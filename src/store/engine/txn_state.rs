//! Transactions: what one sees and changes, and the state that the jobs of one write transaction
//! share.
//!
//! Each job finds what the job before it left, and what the last one left is written before the
//! COMMIT, once. If a job fails, its part is undone together with its rows.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use rusqlite::Connection;

use super::connection::execute;
use super::reader_cache::{Cached, ReaderCache};
use crate::store::error::StoreError;

/// One transaction, for reading.
pub(crate) struct View<'c> {
    pub(in crate::store) connection: &'c Connection,
    pub(super) cache: Option<&'c ReaderCache>,
}

impl<'c> View<'c> {
    /// Returns a transaction on a connection that keeps nothing.
    pub(in crate::store) fn uncached(connection: &'c Connection) -> Self {
        Self { connection, cache: None }
    }

    /// Runs `work` on what this reader has kept since the last commit. A connection without a cache
    /// keeps nothing.
    pub(crate) fn cached<C: Cached, T>(&self, work: impl FnOnce(&mut C) -> T) -> Result<T, StoreError> {
        match self.cache {
            Some(cache) => Ok(cache.check(self.connection)?.with(work)),
            None => Ok(work(&mut C::default())),
        }
    }
}

/// One job's part of a write transaction: reads as [`View`] does, and writes.
pub(crate) struct Tx<'c> {
    view: View<'c>,
    pub(in crate::store) state: &'c TxnState,
}

impl<'c> Deref for Tx<'c> {
    type Target = View<'c>;

    fn deref(&self) -> &View<'c> {
        &self.view
    }
}

/// A value that jobs pass on, and that is written once a transaction.
pub(crate) trait DeferredWrite: Any {
    /// Writes it, after the last job of the transaction.
    fn write(&self, tx: &Tx<'_>) -> Result<(), StoreError>;
}

/// State of one write transaction; dropped with it.
#[derive(Default)]
pub(crate) struct TxnState {
    deferred: RefCell<Option<Rc<dyn DeferredWrite>>>,
    /// The keyring's current data key, if a job of this transaction has read it.
    pub(in crate::store) data_key: Cell<Option<u32>>,
    /// Bytes of the sealed records that the jobs have written.
    pub(in crate::store) sealed_bytes: Cell<usize>,
}

/// The state before a job, restored if the job fails.
pub(crate) struct Savepoint(Option<Rc<dyn DeferredWrite>>);

impl TxnState {
    /// Returns the state before a job.
    pub(crate) fn savepoint(&self) -> Savepoint {
        Savepoint(self.deferred.borrow().clone())
    }

    /// Restores the state before a job that failed.
    pub(crate) fn undo(&self, Savepoint(before): Savepoint) {
        self.deferred.replace(before);
        self.data_key.set(None);
    }

    /// Writes what the last job deferred.
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        let deferred = self.deferred.borrow().clone();
        deferred.map_or(Ok(()), |deferred| deferred.write(&self.job(connection)))
    }

    /// Returns the transaction of one job.
    pub(crate) fn job<'c>(&'c self, connection: &'c Connection) -> Tx<'c> {
        Tx { view: View::uncached(connection), state: self }
    }

    /// Runs the only job of a transaction.
    pub(crate) fn alone<T, E: From<StoreError>>(
        connection: &Connection,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let state = Self::default();
        let done = work(&state.job(connection))?;
        state.write(connection)?;
        Ok(done)
    }
}

impl Tx<'_> {
    /// Returns the value that the jobs before this one deferred, if it is of this type.
    pub(crate) fn deferred<T: DeferredWrite>(&self) -> Option<Rc<T>> {
        let deferred: Rc<dyn Any> = self.state.deferred.borrow().clone()?;
        deferred.downcast().ok()
    }

    /// Runs `work`, and undoes what it changed.
    pub(crate) fn undone<T, E: From<StoreError>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        execute(self.connection, "SAVEPOINT undone")?;
        let done = work();
        execute(self.connection, "ROLLBACK TO undone")?;
        execute(self.connection, "RELEASE undone")?;
        done
    }

    /// Passes a value on to the jobs after this one, in place of the one before.
    pub(crate) fn defer(&self, value: impl DeferredWrite) {
        self.state.deferred.replace(Some(Rc::new(value)));
    }
}
