//! What the jobs of one transaction hand on to each other: each finds what the one before it left, and what the last one
//! left is written before the COMMIT, once. A job that fails takes its part with it, as its savepoint does with the rows.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rusqlite::Connection;

use super::{StoreError, Tx, View};

/// Something that goes with the rows of every job, and that it is enough to write once for all of them.
pub(crate) trait Carried: Any {
    /// Writes it, behind the last job of the transaction.
    fn write(&self, tx: &Tx<'_>) -> Result<(), StoreError>;
}

/// What is carried within one transaction. It goes with it, whatever becomes of it.
#[derive(Default)]
pub(super) struct Carrier {
    left: RefCell<Option<Rc<dyn Carried>>>,
    /// The keyring's current data key, where a job of this transaction has asked for it.
    pub(super) data_key: Cell<Option<u32>>,
}

/// What a job found, to be put back where it fails.
pub(super) struct Found(Option<Rc<dyn Carried>>);

impl Carrier {
    /// A job begins.
    pub(super) fn found(&self) -> Found {
        Found(self.left.borrow().clone())
    }

    /// The job failed, and its rows are undone.
    pub(super) fn undo(&self, Found(found): Found) {
        self.left.replace(found);
        self.data_key.set(None);
    }

    /// Writes what the last job left.
    pub(super) fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        match self.left.take() {
            Some(left) => left.write(&self.job(connection)),
            None => Ok(()),
        }
    }

    /// What one job works with.
    pub(super) fn job<'c>(&'c self, connection: &'c Connection) -> Tx<'c> {
        Tx { view: View { connection }, carrier: self }
    }

    /// Runs the one job of a transaction of its own.
    pub(super) fn alone<T, E: From<StoreError>>(
        connection: &Connection,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let carrier = Self::default();
        let done = work(&carrier.job(connection))?;
        carrier.write(connection)?;
        Ok(done)
    }
}

impl Tx<'_> {
    /// What the jobs before this one left, where it is of this kind.
    pub(crate) fn carried<T: Carried>(&self) -> Option<Rc<T>> {
        let left: Rc<dyn Any> = self.carrier.left.borrow().clone()?;
        left.downcast().ok()
    }

    /// Leaves something for the jobs behind this one, in the place of what was there.
    pub(crate) fn carry(&self, what: impl Carried) {
        self.carrier.left.replace(Some(Rc::new(what)));
    }
}
