//! The one thread that writes, and its group commit: everything that is waiting shares one COMMIT, each job in a
//! savepoint of its own, and nobody is answered before the commit is on disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::{StoreError, Tx, View};

/// Jobs in one transaction at most: a bound on what a failure has to run again.
const GROUP: usize = 256;

/// A handle to the thread.
pub(super) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    fatal: watch::Receiver<Option<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on its connection.
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (jobs, queue) = channel();
        let (tell, fatal) = watch::channel(None);
        let desk = Desk { connection, fatal: tell };
        let thread = std::thread::Builder::new()
            .name("vault-writer".into())
            .spawn(move || desk.serve(&queue))
            .map_err(|error| StoreError::Stopped(format!("no thread for the writer: {error}")))?;
        Ok(Self { jobs: Some(jobs), fatal, thread: Some(thread) })
    }

    /// See [`super::Store::write`].
    pub(super) async fn write<T, E>(&self, work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Waiting { work, done: None, answer });
        let gone = || StoreError::Stopped("the writer is gone".into());
        let jobs = self.jobs.as_ref().expect("only dropping takes it");
        jobs.send(job).map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone().into()))
    }

    /// See [`super::Store::fatal`].
    pub(super) async fn fatal(&self) -> String {
        let mut fatal = self.fatal.clone();
        match fatal.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the writer is gone".into(),
        }
    }
}

impl Drop for Writer {
    /// Lets the thread finish what it was given, and close its connection.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // The thread catches the panics of jobs; a panic of its own has nobody left to report it to.
            let _ = thread.join();
        }
    }
}

/// Something to be done inside a transaction, with somebody who waits for it.
trait Job: Send {
    /// Does it and keeps the result; whether its changes are to stay.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    /// Answers with the kept result.
    fn answer(self: Box<Self>);
    /// Answers that nothing was stored. Its own result does not count: it may rest on what others did in the group.
    fn refuse(self: Box<Self>, error: StoreError);
    /// Answers a job that was alone: its own error where it had one, else `error`.
    fn fail(self: Box<Self>, error: StoreError);
}

struct Waiting<F, T, E> {
    work: F,
    done: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Waiting<F, T, E>
where
    F: Fn(&Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> bool {
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)));
        let result = result.unwrap_or_else(|_| Err(StoreError::Sqlite("a write panicked".into()).into()));
        self.done.insert(result).is_ok()
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

/// How a group's transaction ended.
enum Ended {
    /// Everything that was not refused by itself is on disk.
    Committed,
    /// Nothing is on disk.
    Refused(StoreError),
    /// An error inside one job took the whole transaction with it; nothing is on disk.
    Lost(StoreError),
    /// COMMIT failed, and whether it is on disk only the next start can tell.
    Unknown(StoreError),
}

/// The thread's side.
struct Desk {
    connection: Connection,
    fatal: watch::Sender<Option<String>>,
}

impl Desk {
    fn serve(&self, queue: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            group.extend(queue.try_iter().take(GROUP - 1));
            self.settle(group);
        }
    }

    /// Runs a group, and one by one what a lost transaction took down.
    fn settle(&self, mut group: Vec<Box<dyn Job>>) {
        if let Some(reason) = self.fatal.borrow().clone() {
            return refuse_all(group, &StoreError::Stopped(reason));
        }
        match self.attempt(&mut group) {
            Ended::Committed => group.into_iter().for_each(Job::answer),
            Ended::Refused(error) => refuse_all(group, &error),
            Ended::Lost(error) if group.len() == 1 => group.into_iter().for_each(|job| job.fail(error.clone())),
            Ended::Lost(_) => group.into_iter().for_each(|job| self.settle(vec![job])),
            Ended::Unknown(error) => {
                let reason = format!("a commit failed and its outcome is unknown: {error}");
                self.fatal.send_replace(Some(reason.clone()));
                refuse_all(group, &StoreError::Stopped(reason));
            }
        }
    }

    /// One transaction. After every error SQLite is asked whether the transaction is still there: a full disk, an
    /// I/O error or a lack of memory can end it as a whole, and what came after would commit alone.
    fn attempt(&self, group: &mut [Box<dyn Job>]) -> Ended {
        if let Err(error) = self.connection.execute_batch("BEGIN IMMEDIATE") {
            return Ended::Refused(error.into());
        }
        for job in group.iter_mut() {
            if let Err(error) = self.in_savepoint(job.as_mut()) {
                return self.abandon(error);
            }
        }
        match self.connection.execute_batch("COMMIT") {
            Ok(()) => Ended::Committed,
            Err(error) => match StoreError::from(error) {
                // These are known to have left nothing behind.
                error @ (StoreError::Full | StoreError::Busy | StoreError::ReadOnly(_)) => self.give_up(error),
                error => {
                    self.roll_back();
                    Ended::Unknown(error)
                }
            },
        }
    }

    /// An error here means that the savepoint could not be kept or undone, so that the group cannot go on.
    fn in_savepoint(&self, job: &mut dyn Job) -> Result<(), StoreError> {
        self.connection.execute_batch("SAVEPOINT job")?;
        let keep = job.run(&Tx { view: View { connection: &self.connection } });
        if self.connection.is_autocommit() {
            return Err(StoreError::Sqlite("the transaction was ended by an error".into()));
        }
        let end = if keep { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
        Ok(self.connection.execute_batch(end)?)
    }

    fn abandon(&self, error: StoreError) -> Ended {
        self.roll_back();
        if self.connection.is_autocommit() { Ended::Lost(error) } else { Ended::Unknown(error) }
    }

    fn give_up(&self, error: StoreError) -> Ended {
        self.roll_back();
        if self.connection.is_autocommit() { Ended::Refused(error) } else { Ended::Unknown(error) }
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // Whether it worked is seen from `is_autocommit`, which the callers ask.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

fn refuse_all(group: Vec<Box<dyn Job>>, error: &StoreError) {
    for job in group {
        job.refuse(error.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::Receiver;

    use super::*;
    use crate::store::connection;

    /// A file with one table, and the writer on it.
    struct Bench {
        writer: Arc<Writer>,
        path: std::path::PathBuf,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().canonicalize().unwrap().join("t.db");
            std::fs::write(&path, "").unwrap();
            let connection = connection::open_writer(&path).unwrap();
            connection
                .execute_batch(
                    "CREATE TABLE t (a INTEGER UNIQUE, b BLOB);
                     CREATE TABLE late (a INTEGER REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)",
                )
                .unwrap();
            Self { writer: Arc::new(Writer::start(connection).unwrap()), path, _folder: folder }
        }

        /// Keeps the writer busy until the returned sender is dropped, so that what comes next makes one group.
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
            let writer = self.writer.clone();
            tokio::spawn(async move { writer.write(move |tx: &Tx<'_>| work(tx.connection)).await })
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
    async fn a_job_that_fails_in_a_group_loses_only_itself() {
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
    async fn a_group_whose_transaction_was_ended_is_run_again_one_by_one() {
        let bench = Bench::new();
        let release = bench.hold().await;
        let first = bench.spawn(|connection| insert(connection, 1));
        tokio::task::yield_now().await;
        // What a full disk or an I/O error inside a job can do: the outer transaction is gone.
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

    #[tokio::test]
    async fn a_full_disk_refuses_what_does_not_fit_and_goes_on() {
        let bench = Bench::new();
        bench.run("PRAGMA max_page_count = 8").await.unwrap();
        let large = bench.run("INSERT INTO t VALUES (1, randomblob(100000))").await;
        assert!(matches!(large, Err(StoreError::Full)), "{large:?}");
        bench.run("INSERT INTO t (a) VALUES (2)").await.unwrap();
        assert_eq!(bench.stored(), [2]);
    }

    #[tokio::test]
    async fn a_commit_of_unknown_outcome_stops_the_writer() {
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
    async fn a_job_that_panics_loses_only_itself() {
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
    async fn what_was_given_to_the_writer_is_done_before_it_goes() {
        let bench = Bench::new();
        let release = bench.hold().await;
        let late = bench.spawn(|connection| insert(connection, 1));
        tokio::task::yield_now().await;
        drop(release);
        late.await.unwrap().unwrap();
        let Bench { writer, path, _folder } = bench;
        drop(Arc::into_inner(writer).unwrap());
        assert_eq!(stored(&Connection::open(path).unwrap()), [1]);
    }
}
