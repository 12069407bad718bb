//! `strongroom credential`: manage stored credentials.

mod add;
mod export;
mod import;
mod list;
mod remove;
mod revocations;
mod service_account;
mod token;

use clap::Subcommand;

pub(in crate::cli) use self::list::report_damage;
use crate::cli::confirm::Confirmation;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::id::{CredentialId, ProviderName, UserId};

/// Manage stored credentials
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CredentialCommand {
    /// List credentials, oldest first; never shows a secret
    List {
        /// Only this user's credentials
        #[arg(long, allow_hyphen_values = true)]
        user: Option<UserId>,
        /// Only this provider's credentials
        #[arg(long)]
        provider: Option<ProviderName>,
        /// Only credentials with this status
        #[arg(long)]
        status: Option<list::Status>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Store an API key, a user name and password, or headers for a host
    Add(Box<add::Add>),
    Import(Box<import::Import>),
    Export(export::CredentialExportArgs),
    Token(token::TokenArgs),
    /// List revocations that no provider has confirmed yet; --retry tries them now
    Revocations(revocations::RevocationsArgs),
    /// Delete a credential and revoke it at the provider
    Remove {
        /// Credential id, as `credential list` shows it
        id: CredentialId,
        /// User that owns it [default: any user]
        #[arg(long, allow_hyphen_values = true)]
        user: Option<UserId>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl CredentialCommand {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::List { user, provider, status, json } => {
                list::list(user.as_ref(), provider.as_ref(), status, json, context, out)
            }
            Self::Add(add) => add.run(context, out),
            Self::Import(import) => import.run(context, out),
            Self::Export(export) => export.run(context, out),
            Self::Token(token) => token.run(context, out),
            Self::Revocations(revocations) => revocations.run(context, out),
            Self::Remove { id, user, json, confirmation } => {
                confirmation.confirm(&format!("Delete credential {id} and revoke it?"))?;
                remove::remove(id, user.as_ref(), json, context, out)
            }
        }
    }
}
