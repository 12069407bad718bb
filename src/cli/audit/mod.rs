//! `strongroom audit`: list, verify, export and prune the audit log.

mod export;
mod list;
mod prune;
mod verify;

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// Show and verify the audit log: every change, and every secret that was read
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List audit rows, newest last
    List(list::AuditListArgs),
    /// Verify that no row was changed, removed or inserted
    Verify(verify::AuditVerifyArgs),
    /// Export the whole log as JSON lines; the last line is a signed head
    Export(export::AuditExportArgs),
    /// Remove old rows, as the server does after audit.retention; the log stays verifiable
    Prune(prune::Prune),
    /// Print a signed head of the log; keep it out of reach of anyone who can change the vault
    Head,
    /// Print the public key that verifies signed heads
    Key {
        /// Print PEM for openssl [default: a JWK set (RFC 7517)]
        #[arg(long)]
        pem: bool,
    },
}

impl AuditCommand {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(context, out),
            Self::Verify(verify) => verify.run(context, out),
            Self::Export(export) => export.run(context, out),
            Self::Prune(prune) => prune.run(context, out),
            Self::Head => export::head(context, out),
            Self::Key { pem } => export::key(pem, context, out),
        }
    }
}
