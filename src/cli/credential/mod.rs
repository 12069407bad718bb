//! `strongroom credential`: what is kept for whom; adding and removing by hand.

mod add;
mod export;
mod import;
mod list;
mod remove;
mod revocations;
mod service_account;

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::id::{CredentialId, ProviderName, UserId};

/// The credentials that are kept
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Credential {
    /// List credentials, oldest first; never a secret
    List {
        /// Of this user alone
        #[arg(long)]
        user: Option<UserId>,
        /// Of this provider alone
        #[arg(long)]
        provider: Option<ProviderName>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Store an API key, a user name with password, or headers for a host
    Add(Box<add::Add>),
    Import(Box<import::Import>),
    Export(export::Export),
    /// List the revocations that no provider has confirmed yet; with --retry, try them all now
    Revocations(revocations::Revocations),
    /// Delete a credential, and revoke it at the provider
    Remove {
        /// Its id, as `credential list` shows it
        id: CredentialId,
        /// Whose it is [default: whoever has it]
        #[arg(long)]
        user: Option<UserId>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl Credential {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::List { user, provider, json } => list::list(user, provider.as_ref(), json, context, out),
            Self::Add(add) => add.run(context, out),
            Self::Import(import) => import.run(context, out),
            Self::Export(export) => export.run(context, out),
            Self::Revocations(revocations) => revocations.run(context, out),
            Self::Remove { id, user, json } => remove::remove(id, user, json, context, out),
        }
    }
}
