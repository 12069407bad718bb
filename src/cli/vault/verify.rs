//! `strongroom vault verify`: whether everything in the vault is as it was written.

use clap::Args;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, plain};
use crate::vault::{IntegrityFinding, Verification};

/// Open every record, count everything again, and name what is damaged, moved, missing, extra or put back
///
/// It works beside a server and changes nothing. Exit code 4 where something does not hold.
#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'r> {
    holds: bool,
    records: u64,
    api_keys: u64,
    audit_rows: u64,
    findings: Vec<Finding<'r>>,
    more: u64,
}

/// Something that does not hold, as JSON has it.
#[derive(Serialize)]
pub(in crate::cli) struct Finding<'r> {
    table: &'r str,
    row: &'r str,
    what: &'r str,
}

impl<'r> From<&'r IntegrityFinding> for Finding<'r> {
    fn from(one: &'r IntegrityFinding) -> Self {
        Self { table: &one.table, row: &one.row, what: &one.what }
    }
}

impl Verify {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        tell(&context.vault()?.verify()?, self.json, out)
    }
}

/// Says what was found; a failure where something does not hold.
pub(in crate::cli) fn tell(found: &Verification, json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        out.json(&Report {
            holds: found.holds(),
            records: found.records,
            api_keys: found.api_keys,
            audit_rows: found.audit_rows,
            findings: found.findings.iter().map(Finding::from).collect(),
            more: found.more,
        })?;
    } else {
        for one in &found.findings {
            out.line(plain(&format!("table {}, row {}: {}", one.table, one.row, one.what)))?;
        }
        if found.more > 0 {
            out.line(format!("and {} findings more", found.more))?;
        }
    }
    out.flush()?;
    if !found.holds() {
        let count = found.findings.len() as u64 + found.more;
        let things = if count == 1 { "one thing does".to_owned() } else { format!("{count} things do") };
        return Err(Failure::damaged(format!("{things} not hold in this vault")));
    }
    if json {
        return Ok(());
    }
    out.line(format!(
        "everything holds: {} records, {} API keys, {} audit rows",
        found.records, found.api_keys, found.audit_rows
    ))
}
