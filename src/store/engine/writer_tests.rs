//! Tests of the writer: groups, failing jobs, a full disk, an unknown outcome.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::*;
use crate::store::engine::connection;
use crate::store::engine::txn_state::DeferredWrite;

/// A file with one table, and a writer.
struct Bench {
    writer: Arc<Writer>,
    path: std::path::PathBuf,
    folder: tempfile::TempDir,
}

/// Size of the ballast.
const BALLAST: u64 = 4096;

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("t.db");
        std::fs::write(&path, "").unwrap();
        let connection = connection::open_writer(&path).unwrap();
        let ballast = Ballast::for_tests(&path, BALLAST);
        connection
            .execute_batch(
                "CREATE TABLE t (a INTEGER UNIQUE, b BLOB);
                 CREATE TABLE late (a INTEGER REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)",
            )
            .unwrap();
        Self { writer: Arc::new(Writer::start(connection, ballast, OpenFiles::default()).unwrap()), path, folder }
    }

    /// Keeps the writer busy until the returned sender is dropped, so that the next jobs form one
    /// group.
    async fn hold(&self) -> Sender<()> {
        let (release, wait) = channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let (wait, begun) = (std::sync::Mutex::new(wait), std::sync::Mutex::new(Some(begun)));
        self.spawn(move |_| {
            begun.lock().unwrap().take().unwrap().send(()).unwrap();
            let wait: &Receiver<()> = &wait.lock().unwrap();
            wait.recv().unwrap_err();
            Ok(())
        });
        has_begun.await.unwrap();
        release
    }

    fn spawn<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> tokio::task::JoinHandle<Result<T, StoreError>> {
        self.spawn_as(WritePriority::Normal, work)
    }

    fn spawn_as<T: Send + 'static>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> tokio::task::JoinHandle<Result<T, StoreError>> {
        let writer = self.writer.clone();
        tokio::spawn(async move { writer.write(priority, move |tx: &Tx<'_>| work(tx.connection)).await })
    }

    /// Inserts `a` if the ballast is released.
    fn insert_on_a_full_disk(
        &self,
        priority: WritePriority,
        a: i64,
    ) -> tokio::task::JoinHandle<Result<(), StoreError>> {
        let ballast = self.ballast();
        self.spawn_as(priority, move |connection| {
            insert(connection, a)?;
            if ballast.is_file() { Err(StoreError::Full) } else { Ok(()) }
        })
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.folder.path().canonicalize().unwrap().join("t.db.ballast")
    }

    async fn run(&self, sql: &'static str) -> Result<(), StoreError> {
        self.spawn(move |connection| Ok(connection.execute_batch(sql)?)).await.unwrap()
    }

    fn stored(&self) -> Vec<i64> {
        stored(&Connection::open(&self.path).unwrap())
    }
}

fn stored(connection: &Connection) -> Vec<i64> {
    let mut statement = connection.prepare("SELECT a FROM t ORDER BY a").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn insert(connection: &Connection, a: i64) -> Result<(), StoreError> {
    connection.execute("INSERT INTO t (a) VALUES (?)", [a])?;
    Ok(())
}

#[tokio::test]
async fn failing_job_loses_only_its_own_changes() {
    let bench = Bench::new();
    let release = bench.hold().await;
    let mut jobs = Vec::new();
    for (first, second) in [(101, 1), (102, 2), (103, 2), (104, 3)] {
        jobs.push(bench.spawn(move |connection| {
            insert(connection, first)?;
            insert(connection, second)
        }));
        tokio::task::yield_now().await;
    }
    let path = bench.path.clone();
    let witness = bench.spawn(move |own| Ok((stored(own), stored(&Connection::open(&path)?))));
    tokio::task::yield_now().await;
    drop(release);
    let mut results = Vec::new();
    for job in jobs {
        results.push(job.await.unwrap().is_ok());
    }
    assert_eq!(results, [true, true, false, true]);
    let (own, others) = witness.await.unwrap().unwrap();
    assert_eq!((own.len(), others.len()), (6, 0), "one transaction, and nobody sees it before its commit");
    assert_eq!(bench.stored(), [1, 2, 3, 101, 102, 104]);
}

#[tokio::test]
async fn failure_before_a_change_repeats_no_job() {
    use std::sync::atomic::{AtomicU32, Ordering};

    for (changes_first, runs) in [(false, 1), (true, 2)] {
        let bench = Bench::new();
        let release = bench.hold().await;
        let ran = Arc::new(AtomicU32::new(0));
        let mut jobs = Vec::new();
        for a in 1..=3 {
            let ran = ran.clone();
            jobs.push(bench.spawn(move |connection| {
                if a != 2 {
                    ran.fetch_add(1, Ordering::Relaxed);
                    return insert(connection, a);
                }
                if changes_first {
                    insert(connection, a)?;
                }
                Err(StoreError::Busy)
            }));
            tokio::task::yield_now().await;
        }
        drop(release);
        for (a, job) in (1..).zip(jobs) {
            assert_eq!(job.await.unwrap().is_ok(), a != 2, "job {a}");
        }
        assert_eq!(bench.stored(), [1, 3]);
        // The first may have been alone in its group, with the one that was held.
        assert!((2 * runs - 1..=2 * runs).contains(&ran.load(Ordering::Relaxed)), "{changes_first}: {ran:?}");
    }
}

/// SQLite's count of changed rows covers each kind of change.
#[tokio::test]
async fn failure_after_any_kind_of_change_undoes_it() {
    for change in [
        "DELETE FROM t WHERE a = 1 RETURNING a",
        "DELETE FROM t RETURNING a",
        "DELETE FROM t",
        "UPDATE t SET b = x'01' RETURNING a",
        "INSERT OR REPLACE INTO t (a, b) VALUES (1, x'02') RETURNING a",
    ] {
        let bench = Bench::new();
        bench.run("INSERT INTO t (a) VALUES (1), (2)").await.unwrap();
        let release = bench.hold().await;
        let fails = bench.spawn(move |connection| -> Result<(), StoreError> {
            // As the vault does it: the first row is looked at, and no further.
            let _ = connection.prepare_cached(change)?.query([])?.next()?;
            Err(StoreError::Busy)
        });
        tokio::task::yield_now().await;
        let stands = bench.spawn(|connection| insert(connection, 3));
        tokio::task::yield_now().await;
        drop(release);
        assert!(fails.await.unwrap().is_err() && stands.await.unwrap().is_ok(), "{change}");
        assert_eq!(bench.stored(), [1, 2, 3], "{change}");
        let connection = Connection::open(&bench.path).unwrap();
        let changed = "SELECT count(*) FROM t WHERE b IS NOT NULL";
        assert_eq!(connection.query_row(changed, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "{change}");
    }
}

#[tokio::test]
async fn lost_transaction_is_run_again_job_by_job() {
    let bench = Bench::new();
    let release = bench.hold().await;
    let first = bench.spawn(|connection| insert(connection, 1));
    tokio::task::yield_now().await;
    // A full disk or an I/O error inside a job can end the outer transaction.
    let breaker = bench.spawn(|connection| -> Result<(), StoreError> {
        insert(connection, 2)?;
        connection.execute_batch("ROLLBACK")?;
        Err(StoreError::Full)
    });
    tokio::task::yield_now().await;
    let last = bench.spawn(|connection| insert(connection, 3));
    tokio::task::yield_now().await;
    drop(release);
    assert!(first.await.unwrap().is_ok() && last.await.unwrap().is_ok());
    assert!(matches!(breaker.await.unwrap(), Err(StoreError::Full)));
    assert_eq!(bench.stored(), [1, 3]);
}

/// A number that each job increments, written once for all of them.
struct Count(i64);

impl DeferredWrite for Count {
    fn write(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        tx.connection.execute("INSERT INTO t (b) VALUES (?)", [self.0])?;
        Ok(())
    }
}

impl Bench {
    /// Runs a job that increments the number and then ends with this result.
    fn count(&self, end: fn(&Connection) -> Result<(), StoreError>) -> tokio::task::JoinHandle<Result<(), StoreError>> {
        let writer = self.writer.clone();
        let work = move |tx: &Tx<'_>| {
            tx.defer(Count(tx.deferred::<Count>().map_or(0, |count| count.0) + 1));
            end(tx.connection)
        };
        tokio::spawn(async move { writer.write(WritePriority::Normal, work).await })
    }

    /// Returns the numbers written at the end of each transaction.
    fn counts(&self) -> Vec<i64> {
        let connection = Connection::open(&self.path).unwrap();
        let mut statement = connection.prepare("SELECT b FROM t WHERE b IS NOT NULL ORDER BY rowid").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

#[tokio::test]
async fn deferred_value_is_written_once_without_failed_jobs() {
    let bench = Bench::new();
    for (end, counted) in [
        ((|_| Err(StoreError::Busy)) as fn(&Connection) -> Result<(), StoreError>, vec![2]),
        (|_| panic!("a bug in a job"), vec![2]),
        // The transaction as a whole is lost, and each is run again alone.
        (|connection| Ok(connection.execute_batch("ROLLBACK")?), vec![1, 1]),
        (|_| Err(StoreError::Full), vec![1, 1]),
    ] {
        let release = bench.hold().await;
        let mut jobs = Vec::new();
        for end in [(|_| Ok(())) as fn(&Connection) -> _, end, |_| Ok(())] {
            jobs.push(bench.count(end));
            tokio::task::yield_now().await;
        }
        drop(release);
        let mut results = Vec::new();
        for job in jobs {
            results.push(job.await.unwrap().is_ok());
        }
        assert_eq!((results, bench.counts()), (vec![true, false, true], counted));
        bench.run("DELETE FROM t").await.unwrap();
    }
}

#[tokio::test]
async fn failing_deferred_write_undoes_the_transaction() {
    struct Unwritable;
    impl DeferredWrite for Unwritable {
        fn write(&self, _: &Tx<'_>) -> Result<(), StoreError> {
            Err(StoreError::StaleDataKey)
        }
    }
    let bench = Bench::new();
    let release = bench.hold().await;
    let sound = bench.spawn(|connection| insert(connection, 1));
    tokio::task::yield_now().await;
    let writer = bench.writer.clone();
    let refused = tokio::spawn(async move {
        let work = |tx: &Tx<'_>| {
            tx.defer(Unwritable);
            insert(tx.connection, 2)
        };
        writer.write(WritePriority::Normal, work).await
    });
    tokio::task::yield_now().await;
    drop(release);
    assert!(sound.await.unwrap().is_ok());
    let refused = refused.await.unwrap();
    assert!(matches!(refused, Err(StoreError::StaleDataKey)), "{refused:?}");
    assert_eq!(bench.stored(), [1]);
}

#[tokio::test]
async fn full_disk_refuses_a_job_and_goes_on() {
    let bench = Bench::new();
    bench.run("PRAGMA max_page_count = 8").await.unwrap();
    let large = bench.run("INSERT INTO t VALUES (1, randomblob(100000))").await;
    assert!(matches!(large, Err(StoreError::Full)), "{large:?}");
    bench.run("INSERT INTO t (a) VALUES (2)").await.unwrap();
    assert_eq!(bench.stored(), [2]);
}

#[tokio::test]
async fn ballast_is_released_for_critical_jobs_only() {
    let bench = Bench::new();
    let release = bench.hold().await;
    let mut jobs = Vec::new();
    for (priority, a) in [
        (WritePriority::Normal, 1),
        (WritePriority::Critical, 2),
        (WritePriority::Normal, 3),
        (WritePriority::Critical, 4),
    ] {
        jobs.push(bench.insert_on_a_full_disk(priority, a));
        tokio::task::yield_now().await;
    }
    // Nothing can be made under this name for as long as the folder is there: the disk stays full.
    let ballast = bench.ballast();
    let blocked = bench.spawn_as(WritePriority::Critical, move |_| {
        std::fs::create_dir(&ballast).map_err(|_| StoreError::Full)?;
        Ok(())
    });
    tokio::task::yield_now().await;
    drop(release);
    let mut results = Vec::new();
    for job in jobs {
        results.push(job.await.unwrap().is_ok());
    }
    assert!(blocked.await.unwrap().is_ok());
    assert!(!results[0] && results[1] && results[3], "{results:?}");

    let tried = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = tried.clone();
    let late = bench.spawn(move |connection| {
        seen.store(true, std::sync::atomic::Ordering::SeqCst);
        insert(connection, 5)
    });
    assert!(matches!(late.await.unwrap(), Err(StoreError::Full)));
    assert!(!tried.load(std::sync::atomic::Ordering::SeqCst), "it would have eaten what was freed");
    bench.insert_on_a_full_disk(WritePriority::Critical, 6).await.unwrap().unwrap();

    std::fs::remove_dir(bench.ballast()).unwrap();
    bench.run("INSERT INTO t (a) VALUES (7)").await.unwrap();
    assert_eq!(std::fs::metadata(bench.ballast()).unwrap().len(), BALLAST);
    let stored = bench.stored();
    assert!([2, 4, 6, 7].iter().all(|a| stored.contains(a)) && !stored.contains(&1), "{stored:?}");
}

#[tokio::test]
async fn normal_jobs_never_release_the_ballast() {
    let bench = Bench::new();
    let refused = bench.insert_on_a_full_disk(WritePriority::Normal, 1).await.unwrap();
    assert!(matches!(refused, Err(StoreError::Full)));
    assert!(bench.ballast().is_file() && bench.stored().is_empty());
}

#[tokio::test]
async fn job_too_large_for_the_ballast_is_refused() {
    let bench = Bench::new();
    let refused = bench.spawn_as(WritePriority::Critical, |connection| -> Result<(), StoreError> {
        insert(connection, 1)?;
        Err(StoreError::Full)
    });
    assert!(matches!(refused.await.unwrap(), Err(StoreError::Full)));
    assert_eq!(bench.stored(), Vec::<i64>::new());
    bench.run("INSERT INTO t (a) VALUES (2)").await.unwrap();
    assert_eq!(bench.stored(), [2]);
}

#[tokio::test]
async fn unknown_commit_outcome_stops_the_writer() {
    let bench = Bench::new();
    bench.run("INSERT INTO t (a) VALUES (1)").await.unwrap();
    // A deferred constraint is the one way to make COMMIT itself fail without a faulty disk.
    let failed = bench.run("INSERT INTO late VALUES (99)").await;
    assert!(matches!(failed, Err(StoreError::Stopped(_))), "{failed:?}");
    assert!(bench.writer.fatal().await.contains("unknown"));
    assert!(matches!(bench.run("INSERT INTO t (a) VALUES (2)").await, Err(StoreError::Stopped(_))));
    assert_eq!(bench.stored(), [1]);
}

#[tokio::test]
async fn panicking_job_loses_only_itself() {
    let bench = Bench::new();
    let panicked = bench.spawn(|connection| -> Result<(), StoreError> {
        insert(connection, 1)?;
        panic!("a bug in a job")
    });
    assert!(panicked.await.unwrap().is_err());
    bench.run("INSERT INTO t (a) VALUES (2)").await.unwrap();
    assert_eq!(bench.stored(), [2]);
}

#[tokio::test]
async fn writer_finishes_its_jobs_before_it_ends() {
    let bench = Bench::new();
    let release = bench.hold().await;
    let late = bench.spawn(|connection| insert(connection, 1));
    tokio::task::yield_now().await;
    drop(release);
    late.await.unwrap().unwrap();
    let Bench { writer, path, folder: _folder } = bench;
    drop(Arc::into_inner(writer).unwrap());
    assert_eq!(stored(&Connection::open(path).unwrap()), [1]);
}

/// A copy of the file without its log is complete, even while another connection is slow to close.
#[tokio::test]
async fn log_is_copied_into_the_file_when_the_writer_ends() {
    let bench = Bench::new();
    let slow = connection::open_reader(&bench.path).unwrap();
    let count =
        |connection: &Connection| connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
    assert_eq!(count(&slow).unwrap(), 0);
    bench.run("INSERT INTO t VALUES (1, NULL)").await.unwrap();
    let Bench { writer, path, folder } = bench;
    drop(Arc::into_inner(writer).expect("nobody else has it"));
    let copy = folder.path().canonicalize().unwrap().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    assert_eq!(count(&connection::open_reader(&copy).unwrap()).unwrap(), 1);
}

#[tokio::test]
async fn groups_are_bounded_by_bytes() {
    let bench = Bench::new();
    let release = bench.hold().await;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        let writer = bench.writer.clone();
        let work = move |tx: &Tx<'_>| {
            tx.defer(Count(tx.deferred::<Count>().map_or(0, |count| count.0) + 1));
            tx.state.sealed_bytes.set(tx.state.sealed_bytes.get() + GROUP_BYTES * 2 / 3);
            Ok::<_, StoreError>(())
        };
        jobs.push(tokio::spawn(async move { writer.write(WritePriority::Normal, work).await }));
        tokio::task::yield_now().await;
    }
    drop(release);
    for job in jobs {
        job.await.unwrap().unwrap();
    }
    assert_eq!(bench.counts(), [2, 2, 1]);
}
