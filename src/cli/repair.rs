//! `strongroom vault repair`: what is damaged and can be done without is taken out of the vault.

use clap::Args;
use serde::Serialize;

use super::context::block_on;
use super::output::{Output, note, plain};
use super::verify::Finding;
use super::{Context, Failure};
use crate::vault::Who;

/// Erase what is damaged of begun logins, queued revocations, our registrations (RFC 7591) and our own keys
///
/// They end by themselves or are made anew when they are wanted. A damaged credential stays: `credential remove ID --damaged`
/// erases it. Nothing that opens is touched. Exit code 4 where something does not hold afterwards.
#[derive(Debug, Args)]
pub(super) struct Repair {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'r> {
    erased: Vec<Finding<'r>>,
    holds: bool,
}

impl Repair {
    /// Runs the command.
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let done = block_on(context.vault()?.repair(&Who::command_line()))??;
        if self.json {
            out.json(&Report { erased: done.erased.iter().map(Finding::from).collect(), holds: done.holds })?;
        } else {
            for one in &done.erased {
                out.line(plain(&format!("erased: table {}, row {}: {}", one.table, one.row, one.what)))?;
            }
            if done.erased.is_empty() {
                out.line("nothing of this kind is damaged")?;
            }
        }
        out.flush()?;
        if done.erased.iter().any(|one| one.table == "revocation") {
            note("what a damaged revocation was to end is unknown: look for it at the providers, by hand");
        }
        if !done.holds {
            return Err(Failure::damaged("something else does not hold in this vault")
                .advise("`strongroom vault verify` names it"));
        }
        Ok(())
    }
}
