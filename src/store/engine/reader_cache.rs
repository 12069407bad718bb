//! Values that callers keep with a read connection until another connection commits.
//!
//! `PRAGMA data_version` is per connection. Its value changes when another connection, of this
//! process or of another one, has committed. The pragma reads it in a read transaction, whose file
//! locks are system calls. A request therefore checks once, and its later reads use the result.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rusqlite::Connection;

use crate::store::error::StoreError;

/// A type of which each reader keeps one value.
pub(crate) trait Cached: Any + Default + Send {}

/// Values of one state of the file, each of another type.
#[derive(Default)]
pub(crate) struct StateCache(Mutex<Vec<Box<dyn Any + Send>>>);

impl StateCache {
    /// Runs `work` on the value of this type, a default value at first.
    pub(crate) fn with<C: Cached, T>(&self, work: impl FnOnce(&mut C) -> T) -> T {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = values.iter_mut().find_map(|value| value.downcast_mut()) {
            return work(value);
        }
        let mut value = C::default();
        let done = work(&mut value);
        values.push(Box::new(value));
        done
    }
}

/// A state of the file that was current when a reader checked it.
///
/// It holds no memory: the values are dropped when the reader sees a later commit.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckedState(Weak<StateCache>);

impl CheckedState {
    pub(in crate::store) fn new(cache: &Arc<StateCache>) -> Self {
        Self(Arc::downgrade(cache))
    }

    /// Returns the values, if the reader has seen no later commit.
    pub(crate) fn cache(&self) -> Option<Arc<StateCache>> {
        self.0.upgrade()
    }
}

/// The values of one connection.
#[derive(Default)]
pub(super) struct ReaderCache {
    data_version: Cell<i64>,
    current: RefCell<Arc<StateCache>>,
}

impl ReaderCache {
    /// Returns the values of the current state. There are none if another connection has committed
    /// since the last call.
    pub(super) fn check(&self, connection: &Connection) -> Result<Arc<StateCache>, StoreError> {
        let version: i64 = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.data_version.replace(version) != version {
            self.current.take();
        }
        Ok(self.current.borrow().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::connection::{open_reader, open_writer};

    #[derive(Default)]
    struct Counter(u32);

    impl Cached for Counter {}

    #[test]
    fn values_are_kept_until_another_connection_commits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("t.db");
        std::fs::write(&path, "").unwrap();
        let writer = open_writer(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (a)").unwrap();
        let reader = open_reader(&path).unwrap();
        let cache = ReaderCache::default();
        let count = || {
            let next = |counter: &mut Counter| {
                counter.0 += 1;
                counter.0
            };
            cache.check(&reader).unwrap().with(next)
        };
        assert_eq!([count(), count()], [1, 2]);
        for sql in ["SELECT * FROM t", "BEGIN IMMEDIATE; INSERT INTO t VALUES (2); ROLLBACK", "BEGIN IMMEDIATE; COMMIT"]
        {
            let before = count();
            writer.execute_batch(sql).unwrap();
            assert_eq!(count(), before + 1, "{sql}");
        }
        for sql in ["INSERT INTO t VALUES (1)", "UPDATE t SET a = 2", "PRAGMA user_version = 7", "DELETE FROM t"] {
            writer.execute_batch(sql).unwrap();
            assert_eq!([count(), count()], [1, 2], "{sql}");
            open_writer(&path).unwrap().execute_batch("INSERT INTO t VALUES (3)").unwrap();
            assert_eq!([count(), count()], [1, 2], "another writer after {sql}");
        }
    }
}
