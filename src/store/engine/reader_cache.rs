//! Values that callers keep with a read connection until another connection commits.
//!
//! `PRAGMA data_version` is per connection. Its value changes when another connection, of this
//! process or of another one, has committed.

use std::any::Any;
use std::cell::{Cell, RefCell};

use rusqlite::Connection;

use crate::store::error::StoreError;

/// A type of which each reader keeps one value.
pub(crate) trait Cached: Any + Default + Send {}

/// The values of one connection, each of another type.
#[derive(Default)]
pub(super) struct ReaderCache {
    data_version: Cell<i64>,
    values: RefCell<Vec<Box<dyn Any + Send>>>,
}

impl ReaderCache {
    /// Runs `work` on the value of this type. If another connection has committed since the last
    /// call, it is a default value.
    pub(super) fn with<C: Cached, T>(
        &self,
        connection: &Connection,
        work: impl FnOnce(&mut C) -> T,
    ) -> Result<T, StoreError> {
        let version: i64 = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        let mut values = self.values.borrow_mut();
        if self.data_version.replace(version) != version {
            values.clear();
        }
        if let Some(value) = values.iter_mut().find_map(|value| value.downcast_mut()) {
            return Ok(work(value));
        }
        let mut value = C::default();
        let done = work(&mut value);
        values.push(Box::new(value));
        Ok(done)
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
            cache.with(&reader, next).unwrap()
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
