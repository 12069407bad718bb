//! `strongroom user`: the users whose credentials are kept.

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

/// The users whose credentials are kept
#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Add a user; one that is there already stays as it is
    Add {
        /// The id, as your application knows the user
        id: UserId,
    },
    /// List the users
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a user: revoke and delete every credential, then the API keys and the user
    Remove {
        /// The id
        id: UserId,
    },
}

#[derive(Serialize)]
struct Listed {
    id: UserId,
    created_at: UnixTime,
    credentials: u64,
}

impl User {
    /// Runs the command.
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
    let new = block_on(vault.add_user(id, &AuditContext::command_line()))??;
    out.line(if new { format!("added user {id}") } else { format!("user {id} was there already") })
}

fn list(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let users = context.vault()?.users()?;
    if json {
        let listed: Vec<Listed> = users
            .into_iter()
            .map(|user| Listed { id: user.id, created_at: user.created_at, credentials: user.credentials })
            .collect();
        return out.json(&listed);
    }
    let rows: Vec<_> = users
        .into_iter()
        .map(|user| [user.id.to_string(), user.credentials.to_string(), user.created_at.to_string()])
        .collect();
    out.columns(["USER", "CREDENTIALS", "SINCE"], &rows)
}

/// What its providers have not confirmed, of now and of before: all that is still kept of a user that was removed.
fn not_revoked(id: &UserId, broker: &Broker, out: &mut Output) -> Result<(), Failure> {
    let administrator = Administrator { holder: KeyHolder::User(id.clone()), who: AuditContext::command_line() };
    for waiting in broker.revocations(&administrator, CredentialPage::default())?.revocations {
        out.line(format!(
            "not revoked: {} {}; its token is kept, sealed, and tried again until {}",
            waiting.provider, waiting.credential_id, waiting.give_up_at
        ))?;
    }
    Ok(())
}

fn remove(id: &UserId, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let broker = context.broker()?;
    let vault = broker.vault();
    if !vault.has_user(id)? {
        return Err(Failure::new(format!("there is no user {id}")).advise("`strongroom user list` shows all of them"));
    }
    let caller = Caller { user: id.clone(), who: AuditContext::command_line() };
    let mut deleted = 0;
    // A server may store a credential of this user meanwhile: then there is one more to delete.
    for _ in 0..10 {
        for credential in vault.list(id, None, CredentialPage::default())? {
            let (provider, credential) = (credential.provider.to_string(), credential.id.to_string());
            let answer = block_on(broker.delete(&caller, &provider, &credential))??;
            deleted += 1;
            let revoked = match answer.revoked {
                Some(true) => "revoked and deleted",
                Some(false) => "deleted; the revocation failed, and the server will try it again",
                None => "deleted; nothing was to be revoked",
            };
            out.line(format!("{provider} {credential}: {revoked}"))?;
        }
        match block_on(vault.remove_user(id, &AuditContext::command_line()))? {
            Ok(_) => {
                let credentials = if deleted == 1 { "credential" } else { "credentials" };
                out.line(format!("removed user {id} with {deleted} {credentials}"))?;
                return not_revoked(id, &broker, out);
            }
            Err(VaultError::UserHasCredentials) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(format!("user {id} gets new credentials faster than they are deleted"))
        .advise("revoke the API keys that store them (`strongroom key list`), then try again"))
}
