//! `strongroom vault verify`: checks everything in the vault.

use clap::Args;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, plain};
use crate::vault::{IntegrityFinding, Verification};

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
struct Report<'r> {
    holds: bool,
    records: u64,
    api_keys: u64,
    audit_rows: u64,
    findings: &'r [IntegrityFinding],
    more: u64,
}

impl VaultVerifyArgs {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        tell(&context.vault()?.integrity().verify()?, self.json, out)
    }
}

/// Prints the findings; fails if there are any.
pub(in crate::cli) fn tell(found: &Verification, json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        out.json(&Report {
            holds: found.holds(),
            records: found.records,
            api_keys: found.api_keys,
            audit_rows: found.audit_rows,
            findings: &found.findings,
            more: found.more,
        })?;
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
