//! The command: started with its environment, sent the signals of this process, and waited for.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use futures_util::FutureExt as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::environment::ChildEnvironment;
use crate::cli::failure::Failure;
use crate::cli::hardening;

/// Signals that are passed on to the command.
const FORWARDED: [Signal; 6] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// Exit codes of shells for a command that cannot be started.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The signals of this process, from the time of [`Signals::catch`] on.
pub(super) struct Signals(Vec<(Signal, tokio::signal::unix::Signal)>);

impl Signals {
    /// From now on, the signals no longer end this process.
    pub(super) fn catch() -> Result<Self, Failure> {
        let caught = FORWARDED.iter().map(|kind| Ok((*kind, signal(SignalKind::from_raw(kind.as_raw()))?)));
        let caught: io::Result<Vec<_>> = caught.collect();
        caught.map(Self).map_err(|error| Failure::new(format!("cannot install signal handlers: {error}")))
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Signal {
        let waiting = self.0.iter_mut().map(|(kind, signal)| {
            Box::pin(async move {
                signal.recv().await;
                *kind
            })
        });
        futures_util::future::select_all(waiting).await.0
    }
}

/// Builds the command.
pub(super) fn command(words: &[OsString], environment: &ChildEnvironment) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    for name in &environment.removed {
        command.env_remove(name);
    }
    command.envs(&environment.set);
    command
}

/// Runs the command to its end, and returns its exit code: 128 and the number of the signal that
/// ended it.
pub(super) async fn run(mut command: Command, signals: &mut Signals) -> Result<u8, (u8, io::Error)> {
    // One that came during the set-up.
    if let Some(signal) = signals.next().now_or_never() {
        return Ok(code_of(signal));
    }
    let spawned = hardening::with_inherited_umask(|| command.spawn());
    let mut child = spawned.map_err(|error| {
        let is_absent = error.kind() == io::ErrorKind::NotFound;
        (if is_absent { NOT_FOUND } else { NOT_EXECUTABLE }, error)
    })?;
    loop {
        tokio::select! {
            ended = child.wait() => return ended.map(exit_code).map_err(|error| (1, error)),
            signal = signals.next() => forward(&child, signal),
        }
    }
}

fn forward(child: &Child, signal: Signal) {
    // The terminal sends these to the command too, and a second one would often mean "at once".
    let is_of_terminal = matches!(signal, Signal::INT | Signal::QUIT) && is_in_foreground();
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let (Some(pid), false) = (pid, is_of_terminal) {
        // The command may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

/// Returns true if this process is in the foreground of a terminal.
fn is_in_foreground() -> bool {
    io::stdin().is_terminal() && rustix::termios::tcgetpgrp(io::stdin()) == Ok(rustix::process::getpgrp())
}

/// Returns the exit code of a process that was ended by a signal.
pub(super) fn code_of(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(1)
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
