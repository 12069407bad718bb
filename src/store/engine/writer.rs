//! The writer thread and its group commit: waiting jobs share one COMMIT, and no caller is answered
//! before it is on disk.
//!
//! A job that fails loses only its own changes. Most failing jobs have changed nothing yet. If one
//! has, the group is run again with a savepoint for each job, which makes every job about 10 %
//! slower.
//!
//! After each commit, and each second, the thread checks that the vault's files are still at their
//! paths. If they were moved or replaced, the commit is not acknowledged and no more are accepted.
//!
//! On a full disk the ballast is released for critical jobs. Normal jobs are then refused without
//! being tried, so that they do not use the released room, until the ballast can be made again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::ballast::Ballast;
use super::connection::execute;
use super::job::{Done, Job, Waiting, WritePriority};
use super::open_files::OpenFiles;
use super::txn_state::{Tx, TxnState};
use crate::store::error::{JobError, StoreError};

/// Largest number of jobs in one transaction. It bounds the work that a failure repeats.
const GROUP: usize = 256;

/// Time between two checks that the vault's files are still at their paths, if nothing is written.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Sealed bytes after which no further job joins a transaction.
const GROUP_BYTES: usize = 1 << 20;

/// Handle to the thread.
pub(crate) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    fatal: watch::Receiver<Option<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection, ballast: Ballast, files: OpenFiles) -> Result<Self, StoreError> {
        let (jobs, queue) = channel();
        let (report, fatal) = watch::channel(None);
        let writer = WriterThread { connection, ballast, files, fatal: report };
        let thread = std::thread::Builder::new()
            .name("vault-writer".into())
            .spawn(move || writer.serve(&queue))
            .map_err(|error| StoreError::Stopped(format!("cannot start the writer thread: {error}")))?;
        Ok(Self { jobs: Some(jobs), fatal, thread: Some(thread) })
    }

    /// See [`super::Store::write`].
    pub(crate) async fn write<T: Send + 'static, E: JobError>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.send(priority, work).await.unwrap_or_else(|_| Err(gone().into()))
    }

    /// See [`super::Store::write_now`].
    pub(crate) fn write_now<T: Send + 'static, E: JobError>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let mut answered = self.send(priority, work);
        loop {
            match answered.try_recv() {
                Ok(result) => return result,
                Err(oneshot::error::TryRecvError::Closed) => return Err(gone().into()),
                // tokio forbids blocking on the channel inside a runtime, and a server starts
                // inside one.
                Err(oneshot::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Sends a job to the thread. If the thread has ended, the receiver reports a closed channel.
    fn send<T: Send + 'static, E: JobError>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, E>> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Waiting { priority, work, done: None, answer });
        // A job that cannot be sent is dropped together with its answer channel.
        let _ = self.jobs.as_ref().expect("only dropping takes it").send(job);
        answered
    }

    /// See [`super::Store::fatal`].
    pub(crate) async fn fatal(&self) -> String {
        let mut fatal = self.fatal.clone();
        match fatal.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the writer has ended".into(),
        }
    }
}

fn gone() -> StoreError {
    StoreError::Stopped("the writer has ended".into())
}

impl Drop for Writer {
    /// Lets the thread finish its jobs and close its connection.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // The thread catches panics of jobs. A panic of the thread itself cannot be reported
            // any more.
            let _ = thread.join();
        }
    }
}

/// Outcome of a group's transaction.
enum Ended {
    /// The first jobs are on disk, if they did not fail. The others were not run.
    Committed {
        /// Number of these jobs.
        jobs: usize,
    },
    /// Nothing is on disk.
    Refused(StoreError),
    /// An error inside a job ended the whole transaction; nothing is on disk.
    Lost(StoreError),
    /// COMMIT failed. Only the next start can tell whether it is on disk.
    Unknown(StoreError),
}

/// Part of a transaction that a failing job can undo.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undo {
    /// Nothing; the job must not have changed anything.
    Nothing,
    /// Its own part.
    Job,
}

/// Reason why a group could not be run to its end.
enum Broken {
    /// A job failed after changes that only a rollback of the transaction undoes.
    Mixed,
    /// An error that ends the transaction.
    By(StoreError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::By(error)
    }
}

/// State of the thread.
struct WriterThread {
    connection: Connection,
    ballast: Ballast,
    files: OpenFiles,
    fatal: watch::Sender<Option<String>>,
}

impl WriterThread {
    fn serve(&self, queue: &Receiver<Box<dyn Job>>) {
        self.ballast.hold();
        loop {
            let first = match queue.recv_timeout(CHECK_EVERY) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    // The error is kept in `fatal`.
                    let _ = self.check_files_in_place();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut group = vec![first];
            group.extend(queue.try_iter().take(GROUP - 1));
            self.run_group(group);
        }
        // The last connection that closes does the same. A reader that another thread is about to
        // close would prevent it, and the file without its log would be incomplete.
        let _ = self.checkpoint();
    }

    /// Copies the log into the file, as far as no reader needs it, without waiting.
    fn checkpoint(&self) -> Result<(), rusqlite::Error> {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    /// Runs a group in as few transactions as its bytes allow.
    fn run_group(&self, mut group: Vec<Box<dyn Job>>) {
        while !group.is_empty() {
            group = self.run_some(group);
        }
    }

    /// Runs a group, or as much of it as one transaction takes, and returns the rest. Jobs of a lost
    /// transaction and of a full disk are run again one by one.
    fn run_some(&self, group: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        if let Some(reason) = self.fatal.borrow().clone() {
            refuse_all(group, &StoreError::Stopped(reason));
            return Vec::new();
        }
        let mut group = self.admit(group);
        if group.is_empty() {
            return group;
        }
        let has_critical = group.iter().any(|job| job.priority() == WritePriority::Critical);
        match self.attempt(&mut group) {
            Ended::Committed { jobs } => {
                let rest = group.split_off(jobs);
                match self.check_files_in_place() {
                    Ok(()) => group.into_iter().for_each(Job::answer),
                    // The changes are in a file that is not the vault any more.
                    Err(error) => refuse_all(group, &error),
                }
                return rest;
            }
            Ended::Refused(StoreError::Full) if has_critical && group.len() > 1 => {
                for job in group {
                    self.run_group(vec![job]);
                }
            }
            Ended::Refused(StoreError::Full) | Ended::Lost(StoreError::Full)
                if has_critical && group.len() == 1 && self.make_room() =>
            {
                return group;
            }
            Ended::Refused(error) => refuse_all(group, &error),
            Ended::Lost(error) if group.len() == 1 => group.into_iter().for_each(|job| job.fail(error.clone())),
            Ended::Lost(_) => group.into_iter().for_each(|job| self.run_group(vec![job])),
            Ended::Unknown(error) => {
                let reason = format!("a commit failed and its outcome is unknown: {error}");
                self.fatal.send_replace(Some(reason.clone()));
                refuse_all(group, &StoreError::Stopped(reason));
            }
        }
        Vec::new()
    }

    /// Checks that the vault's files are still at their paths. If not, no write is accepted any
    /// more.
    fn check_files_in_place(&self) -> Result<(), StoreError> {
        let checked = self.files.check();
        if let Err(StoreError::Stopped(reason)) = &checked
            && self.fatal.borrow().is_none()
        {
            self.fatal.send_replace(Some(reason.clone()));
        }
        checked
    }

    /// Refuses normal jobs while the ballast is released, and returns the others.
    fn admit(&self, group: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        if group.iter().all(|job| job.priority() == WritePriority::Critical) || self.ballast.hold() {
            return group;
        }
        let (ordinary, essential) = group.into_iter().partition(|job| job.priority() == WritePriority::Normal);
        refuse_all(ordinary, &StoreError::Full);
        essential
    }

    /// Releases the ballast. The checkpoint then makes the room of the log reusable, so that small
    /// writes succeed as long as the database hardly grows.
    fn make_room(&self) -> bool {
        let released = self.ballast.release();
        if released {
            // If this fails, the log grows into the released room instead.
            let _ = self.checkpoint();
        }
        released
    }

    /// Runs the group in one transaction.
    fn attempt(&self, group: &mut [Box<dyn Job>]) -> Ended {
        let at_once = self.attempt_with(group, Undo::Nothing);
        at_once.or_else(|| self.attempt_with(group, Undo::Job)).expect("a job can undo its own part")
    }

    /// Runs the group in one transaction; returns `None` if a job could not undo its changes. After
    /// every error SQLite is asked whether the transaction still exists: a full disk, an I/O error
    /// or a lack of memory can end it, and later changes would commit alone.
    fn attempt_with(&self, group: &mut [Box<dyn Job>], undo: Undo) -> Option<Ended> {
        if let Err(error) = execute(&self.connection, "BEGIN IMMEDIATE") {
            return Some(Ended::Refused(error));
        }
        let state = TxnState::default();
        let mut jobs = 0;
        let mut run = Ok(());
        for job in group {
            jobs += 1;
            run = match undo {
                Undo::Nothing => self.run_plain(job.as_mut(), &state),
                Undo::Job => self.in_savepoint(job.as_mut(), &state).map_err(Broken::By),
            };
            if run.is_err() || state.sealed_bytes.get() >= GROUP_BYTES {
                break;
            }
        }
        match run.and_then(|()| Ok(state.write(&self.connection)?)) {
            Ok(()) => Some(self.commit(jobs)),
            Err(Broken::By(error)) => Some(self.lose(error)),
            Err(Broken::Mixed) => {
                self.roll_back();
                let gone = self.connection.is_autocommit();
                (!gone).then(|| Ended::Unknown(StoreError::Sqlite("a transaction could not be undone".into())))
            }
        }
    }

    fn commit(&self, jobs: usize) -> Ended {
        match execute(&self.connection, "COMMIT") {
            Ok(()) => Ended::Committed { jobs },
            Err(error) => match error {
                // After these errors nothing was written.
                error @ (StoreError::Full | StoreError::Busy | StoreError::ReadOnly(_)) => self.refuse(error),
                error => {
                    self.roll_back();
                    Ended::Unknown(error)
                }
            },
        }
    }

    /// Runs a job that must not fail after a change. Jobs change rows only, and SQLite counts them.
    fn run_plain(&self, job: &mut dyn Job, state: &TxnState) -> Result<(), Broken> {
        let (before, changes) = (state.savepoint(), self.connection.total_changes());
        let done = job.run(&state.job(&self.connection));
        self.check_transaction(&done)?;
        if matches!(done, Done::Failed) {
            if self.connection.total_changes() != changes {
                return Err(Broken::Mixed);
            }
            state.undo(before);
        }
        Ok(())
    }

    /// Runs a job in a savepoint. If the savepoint itself fails, the group cannot continue.
    fn in_savepoint(&self, job: &mut dyn Job, state: &TxnState) -> Result<(), StoreError> {
        let before = state.savepoint();
        execute(&self.connection, "SAVEPOINT job")?;
        let done = job.run(&state.job(&self.connection));
        self.check_transaction(&done)?;
        if matches!(done, Done::Failed) {
            execute(&self.connection, "ROLLBACK TO job")?;
            state.undo(before);
        }
        execute(&self.connection, "RELEASE job")
    }

    /// Returns an error if the transaction cannot continue after a job.
    fn check_transaction(&self, done: &Done) -> Result<(), StoreError> {
        match done {
            // The job is run alone next, which shows whether it needs too much itself.
            Done::Full => Err(StoreError::Full),
            _ if self.connection.is_autocommit() => {
                Err(StoreError::Sqlite("the transaction was ended by an error".into()))
            }
            Done::Succeeded | Done::Failed => Ok(()),
        }
    }

    fn lose(&self, error: StoreError) -> Ended {
        self.roll_back();
        if self.connection.is_autocommit() { Ended::Lost(error) } else { Ended::Unknown(error) }
    }

    fn refuse(&self, error: StoreError) -> Ended {
        self.roll_back();
        if self.connection.is_autocommit() { Ended::Refused(error) } else { Ended::Unknown(error) }
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // The callers ask `is_autocommit` for the outcome.
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
#[path = "writer_tests.rs"]
mod tests;
