//! Confirmation of commands that destroy something.

use std::io::{IsTerminal as _, stderr, stdin};

use clap::Args;

use super::failure::Failure;
use super::output::note;
use crate::visible::plain;

/// Option of every command that destroys something.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Confirmation {
    /// Do not ask on the terminal. Without a terminal, no command asks
    #[arg(long)]
    pub(super) yes: bool,
}

impl Confirmation {
    /// Asks on the terminal, if there is one and `--yes` is not given. Any answer but yes is a
    /// failure.
    pub(super) fn confirm(self, question: &str) -> Result<(), Failure> {
        if self.yes || ask(question, true) {
            return Ok(());
        }
        Err(Failure::new("not confirmed; nothing was changed").advise("--yes answers the question"))
    }
}

/// Asks on the terminal. Without one, the answer is `otherwise`, because a script cannot answer.
pub(super) fn ask(question: &str, otherwise: bool) -> bool {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return otherwise;
    }
    note(plain(&format!("{question} [y/N]")));
    let mut answer = String::new();
    stdin().read_line(&mut answer).is_ok() && ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))
}
