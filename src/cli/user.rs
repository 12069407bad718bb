//! `strongroom user`: manage users.

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::Output;
use super::runtime::block_on;
use crate::broker::{Administrator, Broker, Caller};
use crate::clock::UnixTime;
use crate::id::UserId;
use crate::vault::{AuditContext, CredentialPage, KeyHolder, VaultError};

/// Manage the users whose credentials are stored
#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Add a user; does nothing if the user exists
    Add {
        /// User id in your application
        id: UserId,
    },
    /// List the users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a user: revokes and deletes every credential, then removes the API keys and the user
    Remove {
        /// User id
        id: UserId,
    },
}

#[derive(Serialize)]
struct UserRow {
    id: UserId,
    created_at: UnixTime,
    credentials: u64,
}

impl User {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Add { id } => add(&id, context, out),
            Self::List { json } => list(json, context, out),
            Self::Remove { id } => remove(&id, context, out),
        }
    }
}

fn add(id: &UserId, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let vault = context.vault()?;
    let new = block_on(vault.users().add(id, &AuditContext::command_line()))??;
    out.line(if new { format!("added user {id}") } else { format!("user {id} exists already") })
}

fn list(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let users = context.vault()?.users().list()?;
    if json {
        let listed: Vec<UserRow> = users
            .into_iter()
            .map(|user| UserRow { id: user.id, created_at: user.created_at, credentials: user.credentials })
            .collect();
        return out.json(&listed);
    }
    let rows: Vec<_> = users
        .into_iter()
        .map(|user| [user.id.to_string(), user.credentials.to_string(), user.created_at.to_string()])
        .collect();
    out.columns(["USER", "CREDENTIALS", "SINCE"], &rows)
}

/// Prints the revocations that providers have not confirmed: all that remains of a removed user.
fn not_revoked(id: &UserId, broker: &Broker, out: &mut Output) -> Result<(), Failure> {
    let administrator = Administrator { holder: KeyHolder::User(id.clone()), who: AuditContext::command_line() };
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
    let vault = broker.vault();
    if !vault.users().exists(id)? {
        return Err(Failure::new(format!("there is no user {id}")).advise("`strongroom user list` lists all users"));
    }
    let caller = Caller { user: id.clone(), who: AuditContext::command_line() };
    let mut deleted = 0;
    // A server may store another credential of this user meanwhile.
    for _ in 0..10 {
        for credential in vault.credentials().list(id, None, CredentialPage::default())? {
            let (provider, credential) = (credential.provider.to_string(), credential.id.to_string());
            let answer = block_on(broker.delete(&caller, &provider, &credential))??;
            deleted += 1;
            let revoked = match answer.revoked {
                Some(true) => "deleted and revoked",
                Some(false) => "deleted; the revocation failed and will be retried by the server",
                None => "deleted; there was nothing to revoke",
            };
            out.line(format!("{provider} {credential}: {revoked}"))?;
        }
        match block_on(vault.users().remove(id, &AuditContext::command_line()))? {
            Ok(_) => {
                let credentials = if deleted == 1 { "credential" } else { "credentials" };
                out.line(format!("removed user {id} with {deleted} {credentials}"))?;
                return not_revoked(id, &broker, out);
            }
            Err(VaultError::UserHasCredentials) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(format!("user {id} gets new credentials while they are being deleted"))
        .advise("revoke the API keys that create them (`strongroom key list`), then run the command again"))
}
