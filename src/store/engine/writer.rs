//! The one thread that writes, and its group commit: everything that is waiting shares one COMMIT, and nobody is answered
//! before the commit is on disk.
//!
//! A job that fails takes its own changes with it and nothing else. Nearly all that fail have changed nothing yet. Where one has,
//! the group begins again with each job in a savepoint of its own, which costs every job a tenth of its time.
//!
//! On a full disk there are two kinds of jobs. For those that cannot wait the ballast is given up; those that can are then
//! refused without being tried, so that they do not eat what was freed, until the ballast could be made again.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::ballast::Ballast;
use super::connection::execute;
use super::job::{Done, Job, Waiting, WritePriority};
use super::txn_state::Tx;
use super::txn_state::TxnState;
use crate::store::error::{JobError, StoreError};

/// Jobs in one transaction at most: a bound on what a failure has to run again.
const GROUP: usize = 256;

/// A handle to the thread.
pub(crate) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    fatal: watch::Receiver<Option<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on its connection, with what it may give up.
    pub(crate) fn start(connection: Connection, ballast: Ballast) -> Result<Self, StoreError> {
        let (jobs, queue) = channel();
        let (tell, fatal) = watch::channel(None);
        let desk = Desk { connection, ballast, fatal: tell };
        let thread = std::thread::Builder::new()
            .name("vault-writer".into())
            .spawn(move || desk.serve(&queue))
            .map_err(|error| StoreError::Stopped(format!("no thread for the writer: {error}")))?;
        Ok(Self { jobs: Some(jobs), fatal, thread: Some(thread) })
    }

    /// See [`super::Store::write`].
    pub(crate) async fn write<T: Send + 'static, E: JobError>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.give(priority, work).await.unwrap_or_else(|_| Err(gone().into()))
    }

    /// See [`super::Store::write_now`].
    pub(crate) fn write_now<T: Send + 'static, E: JobError>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let mut answered = self.give(priority, work);
        loop {
            match answered.try_recv() {
                Ok(result) => return result,
                Err(oneshot::error::TryRecvError::Closed) => return Err(gone().into()),
                // Waiting on the channel itself is forbidden to whoever is inside a runtime, as a server's start is.
                Err(oneshot::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Hands a job over; where the thread is gone the answer never comes, and says so.
    fn give<T: Send + 'static, E: JobError>(
        &self,
        priority: WritePriority,
        work: impl Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, E>> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Waiting::new(priority, work, answer));
        // A job that cannot be sent is dropped, and its answer with it.
        let _ = self.jobs.as_ref().expect("only dropping takes it").send(job);
        answered
    }

    /// See [`super::Store::fatal`].
    pub(crate) async fn fatal(&self) -> String {
        let mut fatal = self.fatal.clone();
        match fatal.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the writer is gone".into(),
        }
    }
}

fn gone() -> StoreError {
    StoreError::Stopped("the writer is gone".into())
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

/// How much of a transaction a failing job can undo.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undo {
    /// Nothing: it must not have changed anything.
    Nothing,
    /// Its own part.
    Job,
}

/// Why the jobs of a group could not be run to their end in one transaction.
enum Broken {
    /// A job failed behind changes that only the end of the transaction undoes.
    Mixed,
    /// An error that ends the transaction.
    By(StoreError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::By(error)
    }
}

/// The thread's side.
struct Desk {
    connection: Connection,
    ballast: Ballast,
    fatal: watch::Sender<Option<String>>,
}

impl Desk {
    fn serve(&self, queue: &Receiver<Box<dyn Job>>) {
        self.ballast.hold();
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            group.extend(queue.try_iter().take(GROUP - 1));
            self.settle(group);
        }
        // Closing the connection does the same where it is the last one. A reader that another thread is about to close would
        // be in its way, and leave what was written in the log alone.
        let _ = self.checkpoint();
    }

    /// Puts what is in the log into the file, as far as no reader needs it; waits for nobody.
    fn checkpoint(&self) -> Result<(), rusqlite::Error> {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    /// Runs a group, and one by one what a lost transaction took down or a full disk refused.
    fn settle(&self, group: Vec<Box<dyn Job>>) {
        if let Some(reason) = self.fatal.borrow().clone() {
            return refuse_all(group, &StoreError::Stopped(reason));
        }
        let mut group = self.admit(group);
        if group.is_empty() {
            return;
        }
        let has_critical = group.iter().any(|job| job.priority() == WritePriority::Critical);
        match self.attempt(&mut group) {
            Ended::Committed => group.into_iter().for_each(Job::answer),
            Ended::Refused(StoreError::Full) if has_critical && group.len() > 1 => {
                for job in group {
                    self.settle(vec![job]);
                }
            }
            Ended::Refused(StoreError::Full) | Ended::Lost(StoreError::Full)
                if has_critical && group.len() == 1 && self.make_room() =>
            {
                self.settle(group);
            }
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

    /// Refuses what can wait while the ballast is given up, and gives the rest.
    fn admit(&self, group: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        if group.iter().all(|job| job.priority() == WritePriority::Critical) || self.ballast.hold() {
            return group;
        }
        let (ordinary, essential) = group.into_iter().partition(|job| job.priority() == WritePriority::Normal);
        refuse_all(ordinary, &StoreError::Full);
        essential
    }

    /// Gives the ballast up. A checkpoint then makes the log's room usable again, so that small writes go on for as long as
    /// the database itself hardly grows.
    fn make_room(&self) -> bool {
        let freed = self.ballast.give_up();
        if freed {
            // Where it does not work the log grows instead, into the room that was just freed.
            let _ = self.checkpoint();
        }
        freed
    }

    /// The group in one transaction.
    fn attempt(&self, group: &mut [Box<dyn Job>]) -> Ended {
        let at_once = self.attempt_with(group, Undo::Nothing);
        at_once.or_else(|| self.attempt_with(group, Undo::Job)).expect("a job can undo its own part")
    }

    /// The same; nothing where a job could not undo what it had to. After every error SQLite is asked whether the transaction is
    /// still there: a full disk, an I/O error or a lack of memory can end it as a whole, and what came after would commit alone.
    fn attempt_with(&self, group: &mut [Box<dyn Job>], undo: Undo) -> Option<Ended> {
        if let Err(error) = execute(&self.connection, "BEGIN IMMEDIATE") {
            return Some(Ended::Refused(error));
        }
        let state = TxnState::default();
        let run = group.iter_mut().try_for_each(|job| match undo {
            Undo::Nothing => self.in_the_open(job.as_mut(), &state),
            Undo::Job => Ok(self.in_savepoint(job.as_mut(), &state)?),
        });
        match run.and_then(|()| Ok(state.write(&self.connection)?)) {
            Ok(()) => Some(self.commit()),
            Err(Broken::By(error)) => Some(self.abandon(error)),
            Err(Broken::Mixed) => {
                self.roll_back();
                let gone = self.connection.is_autocommit();
                (!gone).then(|| Ended::Unknown(StoreError::Sqlite("a transaction could not be undone".into())))
            }
        }
    }

    fn commit(&self) -> Ended {
        match execute(&self.connection, "COMMIT") {
            Ok(()) => Ended::Committed,
            Err(error) => match error {
                // These are known to have left nothing behind.
                error @ (StoreError::Full | StoreError::Busy | StoreError::ReadOnly(_)) => self.give_up(error),
                error => {
                    self.roll_back();
                    Ended::Unknown(error)
                }
            },
        }
    }

    /// Runs a job that must not fail behind a change. Jobs change rows and nothing else, and SQLite counts them.
    fn in_the_open(&self, job: &mut dyn Job, state: &TxnState) -> Result<(), Broken> {
        let (found, changes) = (state.savepoint(), self.connection.total_changes());
        let done = job.run(&state.job(&self.connection));
        self.look_after(&done)?;
        if matches!(done, Done::Badly) {
            if self.connection.total_changes() != changes {
                return Err(Broken::Mixed);
            }
            state.undo(found);
        }
        Ok(())
    }

    /// An error here means that the savepoint could not be kept or undone, so that the group cannot go on.
    fn in_savepoint(&self, job: &mut dyn Job, state: &TxnState) -> Result<(), StoreError> {
        let found = state.savepoint();
        execute(&self.connection, "SAVEPOINT job")?;
        let done = job.run(&state.job(&self.connection));
        self.look_after(&done)?;
        if matches!(done, Done::Badly) {
            execute(&self.connection, "ROLLBACK TO job")?;
            state.undo(found);
        }
        execute(&self.connection, "RELEASE job")
    }

    /// Whether a transaction can go on behind a job.
    fn look_after(&self, done: &Done) -> Result<(), StoreError> {
        match done {
            // Whether it is the job that needs too much, or those before it in the group, is seen when it is alone.
            Done::Full => Err(StoreError::Full),
            _ if self.connection.is_autocommit() => {
                Err(StoreError::Sqlite("the transaction was ended by an error".into()))
            }
            Done::Well | Done::Badly => Ok(()),
        }
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
#[path = "writer_tests.rs"]
mod tests;
