//! `strongroom user`: manage users.

use clap::Subcommand;

use super::confirm::Confirmation;
use super::context::Context;
use super::failure::Failure;
use super::names::check_user;
use super::output::Output;
use super::runtime::block_on;
use crate::broker::{Administrator, AuditContext, Broker, CredentialPage};
use crate::id::UserId;

/// Manage the users whose credentials are stored
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user; does nothing if the user exists
    Add {
        /// User id in your application
        #[arg(allow_hyphen_values = true)]
        id: UserId,
    },
    /// List the users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a user with its API keys and credentials, then revoke its tokens at the providers
    Remove {
        /// User id
        #[arg(allow_hyphen_values = true)]
        id: UserId,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl UserCommand {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Add { id } => add(&id, context, out),
            Self::List { json } => list(json, context, out),
            Self::Remove { id, confirmation } => {
                confirmation.confirm(&format!(
                    "Remove user {id}? This revokes and deletes all credentials and API keys of the user."
                ))?;
                remove(&id, context, out)
            }
        }
    }
}

fn add(id: &UserId, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let new = block_on(context.admin()?.add_user(id))??;
    out.line(if new { format!("added user {id}") } else { format!("user {id} exists already") })
}

fn list(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    out.list(json, &context.admin()?.users()?, ["USER", "CREDENTIALS", "SINCE"], |user| {
        [user.id.to_string(), user.credentials.to_string(), user.created_at.to_string()]
    })
}

/// Prints the revocations that providers have not confirmed: all that remains of a removed user.
fn not_revoked(id: &UserId, broker: &Broker, out: &mut Output) -> Result<(), Failure> {
    let administrator = Administrator::command_line(Some(id.clone()));
    for waiting in broker.revocations(&administrator, CredentialPage::default())?.revocations {
        out.line(format!(
            "not revoked: {} {}; its sealed token stays in the revocation queue until {}",
            waiting.provider, waiting.credential_id, waiting.give_up_at
        ))?;
    }
    Ok(())
}

fn remove(id: &UserId, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let broker = context.broker()?;
    let mut lines = Vec::new();
    let removed = block_on(broker.remove_user(id, |provider, gone| {
        let revoked = match gone.revoked {
            Some(true) => "deleted and revoked",
            Some(false) => "deleted; the revocation failed and will be retried by the server",
            None => "deleted; there was nothing to revoke",
        };
        lines.push(format!("{provider} {}: {revoked}", gone.credentials_id));
    }))?;
    lines.iter().try_for_each(|line| out.line(line))?;
    if !removed? {
        return check_user(&broker.admin(AuditContext::command_line()), id);
    }
    let credentials = if lines.len() == 1 { "credential" } else { "credentials" };
    out.line(format!("removed user {id} with {} {credentials}", lines.len()))?;
    not_revoked(id, &broker, out)
}
