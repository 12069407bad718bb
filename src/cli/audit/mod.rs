//! `strongroom audit`: who did what, and whether the log of it is whole.

mod list;

use clap::Subcommand;

use super::output::Output;
use super::{Context, Failure};

/// Who did what: every change, and every secret that was read
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// List the log, the newest row last
    List(list::List),
    /// Check that no row was changed, removed or put in since it was written
    Verify,
}

/// How many faults are told one by one; an attacker must not fill somebody's screen.
const TOLD: u64 = 20;

impl Audit {
    /// Runs the command.
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(context, out),
            Self::Verify => verify(context, out),
        }
    }
}

fn verify(context: &Context, out: &mut Output) -> Result<(), Failure> {
    let vault = context.vault()?;
    let (mut told, mut first) = (0, None);
    let verdict = vault.verify_audit(&mut |fault| {
        told += 1;
        first.get_or_insert(fault);
        if told <= TOLD {
            // Where nobody reads the output, the exit code says it all the same.
            let _ = out.line(fault.to_string());
        }
    })?;
    let Some(first) = first else {
        return out.line(match verdict.first {
            1 => format!("all {} rows of the audit log are as they were written", verdict.sound),
            first => format!("all {} rows of the audit log since row {first} are as they were written", verdict.sound),
        });
    };
    out.flush()?;
    let more = if told > TOLD { format!(" ({} more faults)", told - TOLD) } else { String::new() };
    Err(Failure::damaged(format!("the audit log does not hold: {first}{more}")).advise(
        "keep the file as it is, and hold it against a backup or an exported head (`strongroom audit verify --head FILE`)",
    ))
}
