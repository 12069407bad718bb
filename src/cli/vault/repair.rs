//! `strongroom vault repair`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::broker::Repair;
use crate::cli::confirm::{Confirmation, ask};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::visible::plain;

/// Erase the rows that do not open, and count the others again
///
/// Lists the rows, asks, and copies the vault beside itself first. Rows of users, API keys and the audit log cannot be repaired:
/// if one of them is damaged, nothing is changed and the exit code is 4.
#[derive(Debug, Args)]
pub(in crate::cli) struct VaultRepairArgs {
    #[command(flatten)]
    confirmation: Confirmation,
    /// Accept what the manifest misses in addition to these rows: another program may have removed other rows
    #[arg(long)]
    accept_rest: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl VaultRepairArgs {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let admin = context.admin()?;
        let plan = block_on(admin.plan_repair())??;
        for (what, rows) in [("does not open", &plan.damaged), ("missing in addition", &plan.rest)] {
            for one in rows {
                note(plain(&format!("{what}: table {}, row {}: {}", one.table, one.row, one.what)));
            }
        }
        let mut copy = None;
        if !plan.is_empty() {
            self.agree(&plan)?;
            let told = |copy: &PathBuf| note(format!("the vault as it was is in {}", copy.display()));
            copy = Some(block_on(admin.repair(&plan, told))??);
        }
        if self.json {
            out.json(&json!({ "copy": copy, "erased": plan.damaged, "rest": plan.rest }))?;
        } else if plan.is_empty() {
            out.line("nothing to repair")?;
        } else {
            out.line(format!("erased {} rows; the vault is consistent again", plan.damaged.len()))?;
        }
        for (table, advice) in [
            ("credential", "an erased credential was not revoked: end its grant at the provider"),
            (
                "revocation",
                "an erased revocation may have held a token that is still valid: end that grant at the provider",
            ),
        ] {
            if plan.damaged.iter().any(|one| one.table == table) {
                note(advice);
            }
        }
        Ok(())
    }

    /// Asks the operator to agree to the whole plan.
    fn agree(&self, plan: &Repair) -> Result<(), Failure> {
        let rows = plan.damaged.len();
        if rows > 0 {
            self.confirmation.confirm(&format!("Erase these {rows} rows?"))?;
        }
        if !plan.rest.is_empty()
            && !self.accept_rest
            && !ask("More rows are missing. Accept the remaining rows as the whole vault?", false)
        {
            return Err(Failure::damaged("the vault misses more than the rows that do not open; nothing was changed").advise(
                "bring back a backup. If you know that nothing else is missing: `strongroom vault repair --accept-rest`",
            ));
        }
        Ok(())
    }
}
