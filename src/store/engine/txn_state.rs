//! What the jobs of one transaction hand on to each other: each finds what the one before it left, and what the last one
//! left is written before the COMMIT, once. A job that fails takes its part with it, as it does its rows.
//! Behind the COMMIT it is told to whoever keeps things in memory, with whose rows were changed.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::rc::Rc;

use rusqlite::Connection;

use super::moment::Moment;
use crate::store::error::StoreError;

/// What one transaction sees.
pub(crate) struct View<'c> {
    pub(in crate::store) connection: &'c Connection,
}

/// One job's part of a write transaction: everything that a [`View`] can, and the verbs that change.
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

/// Something that goes with the rows of every job, and that it is enough to write once for all of them.
pub(crate) trait DeferredWrite: Any {
    /// Writes it, behind the last job of the transaction.
    fn write(&self, tx: &Tx<'_>) -> Result<(), StoreError>;
}

/// What is carried within one transaction. It goes with it, whatever becomes of it.
#[derive(Default)]
pub(crate) struct TxnState {
    left: RefCell<Option<Rc<dyn DeferredWrite>>>,
    /// The keyring's current data key, where a job of this transaction has asked for it.
    pub(crate) data_key: Cell<Option<u32>>,
    /// The users whose credentials were written, by jobs that failed too.
    touched: RefCell<BTreeSet<String>>,
}

/// What a job found, to be put back where it fails.
pub(crate) struct Savepoint(Option<Rc<dyn DeferredWrite>>);

impl TxnState {
    /// A job begins.
    pub(crate) fn found(&self) -> Savepoint {
        Savepoint(self.left.borrow().clone())
    }

    /// The job failed, and its rows are undone.
    pub(crate) fn undo(&self, Savepoint(found): Savepoint) {
        self.left.replace(found);
        self.data_key.set(None);
    }

    /// Writes what the last job left.
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        let left = self.left.borrow().clone();
        left.map_or(Ok(()), |left| left.write(&self.job(connection)))
    }

    /// The transaction is on disk. Nothing can be said of it where another process may have committed beside it.
    pub(crate) fn committed(self, from: Option<Moment>, to: Option<Moment>) -> Option<Commit> {
        let (from, to) = from.zip(to).filter(|(from, to)| from.is_just_before(*to))?;
        Some(Commit { from, to, touched: self.touched.into_inner(), left: self.left.into_inner() })
    }

    /// What one job works with.
    pub(crate) fn job<'c>(&'c self, connection: &'c Connection) -> Tx<'c> {
        Tx { view: View { connection }, state: self }
    }

    /// Runs the one job of a transaction of its own.
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

/// A commit of this process, between two moments between which there was no other.
pub(crate) struct Commit {
    pub(crate) from: Moment,
    pub(crate) to: Moment,
    /// The users whose credentials are not what they were.
    pub(crate) touched: BTreeSet<String>,
    left: Option<Rc<dyn DeferredWrite>>,
}

impl Commit {
    /// What was carried and written in it, where it is of this kind.
    pub(crate) fn deferred<T: DeferredWrite>(&self) -> Option<Rc<T>> {
        let left: Rc<dyn Any> = self.left.clone()?;
        left.downcast().ok()
    }
}

impl Tx<'_> {
    /// Notes that a credential of this user is written.
    pub(crate) fn touch(&self, user: &str) {
        let mut touched = self.state.touched.borrow_mut();
        if !touched.contains(user) {
            touched.insert(user.to_owned());
        }
    }

    /// What the jobs before this one left, where it is of this kind.
    pub(crate) fn deferred<T: DeferredWrite>(&self) -> Option<Rc<T>> {
        let left: Rc<dyn Any> = self.state.left.borrow().clone()?;
        left.downcast().ok()
    }

    /// Leaves something for the jobs behind this one, in the place of what was there.
    pub(crate) fn defer(&self, what: impl DeferredWrite) {
        self.state.left.replace(Some(Rc::new(what)));
    }
}
