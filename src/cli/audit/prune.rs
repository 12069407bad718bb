//! `strongroom audit prune`: removes old rows; the log stays verifiable.

use std::time::Duration;

use clap::Args;

use crate::cli::confirm::Confirmation;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::duration;

/// Age of the rows to remove.
#[derive(Debug, Args)]
pub(in crate::cli) struct Prune {
    /// Remove rows older than this, for example 400d [default: audit.retention]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    older_than: Option<Duration>,
    #[command(flatten)]
    confirmation: Confirmation,
}

impl Prune {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let admin = context.admin()?;
        let retention = self.older_than.or(admin.config().audit.retention).ok_or_else(|| {
            Failure::configuration("no retention is set for the audit log")
                .advise("set audit.retention in the configuration, or give --older-than 400d")
        })?;
        let age = duration::show(retention);
        self.confirmation.confirm(&format!("Remove all audit rows older than {age}?"))?;
        let (removed, before) = block_on(admin.prune_audit(retention))??;
        out.line(format!("removed {removed} audit rows older than {before}"))
    }
}
