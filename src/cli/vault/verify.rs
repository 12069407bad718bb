//! `strongroom vault verify`: checks everything in the vault.

use clap::Args;
use serde::Serialize;

use crate::broker::Verification;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::visible::plain;

/// Verify the vault: open every record, recount everything, and list what is damaged, missing or
/// unexpected
///
/// It works beside a running server and changes nothing. Exit code 4 if something is wrong.
#[derive(Debug, Args)]
pub(in crate::cli) struct VaultVerifyArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct VerificationOutput<'v> {
    holds: bool,
    #[serde(flatten)]
    found: &'v Verification,
}

impl VaultVerifyArgs {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        tell(&context.admin()?.verify()?, self.json, out)
    }
}

/// Prints the findings; fails if there are any.
fn tell(found: &Verification, json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        out.json(&VerificationOutput { holds: found.holds(), found })?;
    } else {
        for one in &found.findings {
            out.line(plain(&format!("table {}, row {}: {}", one.table, one.row, one.what)))?;
        }
        if found.more > 0 {
            out.line(format!("and {} more findings", found.more))?;
        }
    }
    out.flush()?;
    if !found.holds() {
        let count = found.findings.len() as u64 + found.more;
        let things = if count == 1 { "one finding".to_owned() } else { format!("{count} findings") };
        return Err(Failure::damaged(format!("the vault failed verification: {things}")));
    }
    if json {
        return Ok(());
    }
    out.line(format!(
        "verified: {} records, {} API keys, {} audit rows",
        found.records, found.api_keys, found.audit_rows
    ))
}
