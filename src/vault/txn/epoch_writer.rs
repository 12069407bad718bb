//! The thread that writes the epoch file: at most once a second for ordinary commits, at once for
//! durable ones, and once more when the vault is closed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::epoch_file::EpochFile;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;

/// Time between two writes. Each is two syncs, which ordinary commits do not need at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Handle of the thread. Dropping it writes the last epoch.
pub(crate) struct EpochWriter {
    notes: Option<Sender<Note>>,
    thread: Option<JoinHandle<()>>,
}

/// A commit that the file does not record yet.
struct Note {
    epoch: i64,
    keyring: Arc<Keyring>,
    /// Told when the file is written.
    at_once: Option<oneshot::Sender<()>>,
}

impl EpochWriter {
    pub(crate) fn start(file: EpochFile) -> Result<Self, VaultError> {
        let (notes, queue) = channel();
        let path = file.path().to_owned();
        let worker = Worker { file, left: None, written: None, fails: false };
        let thread = std::thread::Builder::new().name("epoch-keeper".into()).spawn(move || worker.serve(&queue));
        let what = "cannot start the thread that writes the epoch file";
        let thread = thread.map_err(|source| VaultError::File { what, path, source })?;
        Ok(Self { notes: Some(notes), thread: Some(thread) })
    }

    /// Reports a commit. If `is_final`, waits until the file records it. A file that cannot be
    /// written does not undo the commit; the log and `doctor` report it.
    pub(crate) async fn note(&self, epoch: i64, keyring: Arc<Keyring>, is_final: bool) {
        let Some(notes) = &self.notes else { return };
        let (told, waits) = oneshot::channel();
        let at_once = is_final.then_some(told);
        // The thread lives as long as this handle, so sending cannot fail.
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
            // A panic of the thread was already reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// State of the thread.
struct Worker {
    file: EpochFile,
    /// The newest commit that the file does not record.
    left: Option<(i64, Arc<Keyring>)>,
    written: Option<Instant>,
    /// True if the last write failed, so that the failure is logged once.
    fails: bool,
}

impl Worker {
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
                        // The waiting request may be gone; the file is
                        // written anyway.
                        let _ = told.send(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.write(),
                Err(RecvTimeoutError::Disconnected) => return self.write(),
            }
        }
    }

    /// Time until an ordinary commit may be written.
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
                    tracing::warn!(%error, "the epoch file cannot be written, so an older copy of the vault would not be detected");
                }
                self.fails = true;
            }
        }
    }
}
