//! `strongroom vault repair`: what is damaged and can be done without is taken out of the vault.

use clap::Args;
use serde::Serialize;

use super::verify::Finding;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note, plain};
use crate::cli::runtime::block_on;
use crate::vault::{AuditContext, IntegrityFinding, Rest};

/// Erase what is damaged of begun logins, queued revocations, our registrations (RFC 7591) and our own keys
///
/// They end by themselves or are made anew when they are wanted. A damaged credential stays: `credential remove ID --damaged`
/// erases it. Nothing that opens is touched. Exit code 4 where something does not hold afterwards.
#[derive(Debug, Args)]
pub(in crate::cli) struct Repair {
    /// Take what is left for the whole vault, although it cannot be shown that nothing else is missing. All of it has to open, and
    /// API keys and audit log to hold
    #[arg(long)]
    accept: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'r> {
    erased: Vec<Finding<'r>>,
    accepted: Vec<Finding<'r>>,
    holds: bool,
}

impl Repair {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let rest = if self.accept { Rest::Accepted } else { Rest::Doubted };
        let done = block_on(context.vault()?.repair(rest, &AuditContext::command_line()))??;
        if self.json {
            out.json(&Report { erased: told(&done.erased), accepted: told(&done.accepted), holds: done.holds })?;
        } else {
            for (what, rows) in [("erased", &done.erased), ("accepted", &done.accepted)] {
                for one in rows {
                    out.line(plain(&format!("{what}: table {}, row {}: {}", one.table, one.row, one.what)))?;
                }
            }
            if self.accept && done.holds {
                out.line("what is left is the whole vault")?;
            } else if done.erased.is_empty() {
                out.line("nothing of this kind is damaged")?;
            }
        }
        out.flush()?;
        if done.erased.iter().any(|one| one.table == "revocation") {
            note("what a damaged revocation was to end is unknown: look for it at the providers, by hand");
        }
        if !done.holds {
            return Err(Failure::damaged("it cannot be shown that nothing else is missing from this vault").advise(
                "`strongroom vault verify` names what does not hold. Where you know that what is left is all that there should be: \
                 `strongroom vault repair --accept`",
            ));
        }
        Ok(())
    }
}

fn told(findings: &[IntegrityFinding]) -> Vec<Finding<'_>> {
    findings.iter().map(Finding::from).collect()
}
