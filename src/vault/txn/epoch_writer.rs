//! The thread that writes the epoch file: at most once a second for what can wait, at once for what cannot, and whatever is
//! left when the vault is closed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::epoch_file::EpochFile;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;

/// Each writing is two syncs, which nobody needs after every commit.
const PAUSE: Duration = Duration::from_secs(1);

/// A handle to the thread. Dropping it writes what is left.
pub(in crate::vault) struct EpochWriter {
    notes: Option<Sender<Note>>,
    thread: Option<JoinHandle<()>>,
}

/// A commit.
struct Note {
    epoch: i64,
    keyring: Arc<Keyring>,
    /// Who waits until the file says so.
    at_once: Option<oneshot::Sender<()>>,
}

impl EpochWriter {
    pub(in crate::vault) fn start(file: EpochFile) -> Result<Self, VaultError> {
        let (notes, queue) = channel();
        let desk = Desk { file, left: None, written: None, fails: false };
        let thread = std::thread::Builder::new().name("epoch-keeper".into()).spawn(move || desk.serve(&queue));
        let thread = thread.map_err(|error| VaultError::Database(format!("no thread for the epoch file: {error}")))?;
        Ok(Self { notes: Some(notes), thread: Some(thread) })
    }

    /// Notes a commit; where it is `final_`, waits until the file says so. A file that cannot be written takes nothing back:
    /// the commit is on disk. The log says so, and `doctor` too.
    pub(in crate::vault) async fn note(&self, epoch: i64, keyring: Arc<Keyring>, is_final: bool) {
        let Some(notes) = &self.notes else { return };
        let (told, waits) = oneshot::channel();
        let at_once = is_final.then_some(told);
        // The thread ends with the handle alone.
        let _ = notes.send(Note { epoch, keyring, at_once });
        if is_final {
            let _ = waits.await;
        }
    }
}

impl Drop for EpochWriter {
    fn drop(&mut self) {
        self.notes = None;
        if let Some(thread) = self.thread.take() {
            // A panic of its own has nobody left to report it to.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Desk {
    file: EpochFile,
    /// The newest commit that the file does not know.
    left: Option<(i64, Arc<Keyring>)>,
    written: Option<Instant>,
    /// Whether the last try failed, so that the log says it once.
    fails: bool,
}

impl Desk {
    fn serve(mut self, notes: &Receiver<Note>) {
        loop {
            let note = if self.left.is_some() {
                notes.recv_timeout(self.wait())
            } else {
                notes.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match note {
                Ok(Note { epoch, keyring, at_once }) => {
                    if self.left.as_ref().is_none_or(|(left, _)| *left < epoch) {
                        self.left = Some((epoch, keyring));
                    }
                    if at_once.is_some() || self.wait().is_zero() {
                        self.write();
                    }
                    if let Some(told) = at_once {
                        // Whoever asked may be gone; the file is written all the same.
                        let _ = told.send(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.write(),
                Err(RecvTimeoutError::Disconnected) => return self.write(),
            }
        }
    }

    /// How long until what can wait is written.
    fn wait(&self) -> Duration {
        self.written.map_or(Duration::ZERO, |at| PAUSE.saturating_sub(at.elapsed()))
    }

    fn write(&mut self) {
        let Some((epoch, keyring)) = self.left.take() else { return };
        self.written = Some(Instant::now());
        match self.file.write(epoch, &keyring) {
            Ok(()) => self.fails = false,
            Err(error) => {
                if !self.fails {
                    tracing::warn!(%error, "an older copy of the vault would not be found out: the epoch file cannot be written");
                }
                self.fails = true;
            }
        }
    }
}
