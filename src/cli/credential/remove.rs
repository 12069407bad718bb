//! `strongroom credential remove`: deletes and revokes a credential.

use crate::broker::{AuditContext, Error, VaultAdmin};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::names::check_user;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::id::{CredentialId, UserId};

/// Deletes a credential and revokes it.
pub(in crate::cli) fn remove(
    id: CredentialId,
    user: Option<&UserId>,
    json: bool,
    context: &Context,
    out: &mut Output,
) -> Result<(), Failure> {
    let broker = context.broker()?;
    let deleted = block_on(broker.delete_for_operator(user.cloned(), id))?.map_err(|error| match error {
        Error::CredentialNotFound => not_found(id, user, &broker.admin(AuditContext::command_line())),
        other => other.into(),
    })?;
    if json {
        return out.json(&deleted);
    }
    out.line(match deleted.revoked {
        Some(true) => format!("deleted and revoked {id}"),
        Some(false) => format!("deleted {id}; the revocation failed and will be retried by the server"),
        None => format!("deleted {id}; there was nothing to revoke"),
    })
}

/// Explains that there is no such credential, or no such user.
pub(super) fn not_found(id: CredentialId, user: Option<&UserId>, admin: &VaultAdmin) -> Failure {
    let known = user.map_or(Ok(()), |user| check_user(admin, user));
    let absent = || {
        Failure::new(format!("there is no credential {id}"))
            .advise("`strongroom credential list` lists all credentials")
    };
    known.err().unwrap_or_else(absent)
}
