//! `strongroom audit prune`: removes old rows; the log stays verifiable.

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

/// Age of the rows to remove.
#[derive(Debug, Args)]
pub(in crate::cli) struct Prune {
    /// Remove rows older than this, for example 400d [default: audit.retention]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    older_than: Option<Duration>,
}

impl Prune {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let (config, _) = context.settings(ClientSecrets::Leave)?;
        let retention = self.older_than.or(config.audit.retention).ok_or_else(|| {
            Failure::configuration("no retention is set for the audit log")
                .advise("set audit.retention in the configuration, or give --older-than 400d")
        })?;
        let vault = open_vault(&config)?;
        let (before, mut removed) = (Clock::system().now().minus(retention), 0);
        loop {
            match block_on(vault.audit().prune(before, &AuditContext::command_line()))?? {
                0 => break,
                rows => removed += rows,
            }
        }
        out.line(format!("removed {removed} audit rows older than {before}"))
    }
}
