//! `strongroom audit prune`: rows that were kept long enough are removed now, and the log stays verifiable.

use std::time::Duration;

use clap::Args;

use crate::cli::context::{Context, open_vault};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::clock::Clock;
use crate::config::ClientSecrets;
use crate::duration;
use crate::vault::AuditContext;

/// What is removed.
#[derive(Debug, Args)]
pub(in crate::cli) struct Prune {
    /// Rows that are older than this, 400d say [default: audit.retention]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    older_than: Option<Duration>,
}

impl Prune {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let (config, _) = context.settings(ClientSecrets::Leave)?;
        let retention = self.older_than.or(config.audit.retention).ok_or_else(|| {
            Failure::configuration("nothing says for how long the audit log is kept")
                .advise("set audit.retention in the configuration, or name a time: --older-than 400d")
        })?;
        let vault = open_vault(&config)?;
        let (before, mut removed) = (Clock::system().now().minus(retention), 0);
        loop {
            match block_on(vault.prune_audit(before, &AuditContext::command_line()))?? {
                0 => break,
                rows => removed += rows,
            }
        }
        out.line(format!("removed {removed} audit rows from before {before}"))
    }
}
