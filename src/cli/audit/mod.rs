//! `strongroom audit`: who did what, and whether the log of it is whole.

mod export;
mod list;
mod prune;
mod verify;

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// Who did what: every change, and every secret that was read
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// List the log, the newest row last
    List(list::List),
    /// Check that no row was changed, removed or put in since it was written
    Verify(verify::Verify),
    /// Write the whole log as JSON lines, the last of which is a signed head
    Export(export::Export),
    /// Remove rows that were kept long enough, as the server does by audit.retention; the log stays verifiable
    Prune(prune::Prune),
    /// Print a signed head of the log, to be kept where nobody who has the vault can change it
    Head,
    /// Print the public key that signed heads are checked with
    Key {
        /// In PEM, for openssl [default: a set of JWKs (RFC 7517)]
        #[arg(long)]
        pem: bool,
    },
}

impl Audit {
    /// Runs the command.
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
