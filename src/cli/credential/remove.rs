//! `strongroom credential remove`: deletes and revokes a credential.

use crate::broker::Caller;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::id::CredentialId;
use crate::id::UserId;
use crate::vault::AuditContext;

/// Deletes a credential and revokes it.
pub(in crate::cli) fn remove(
    id: CredentialId,
    user: Option<UserId>,
    json: bool,
    context: &Context,
    out: &mut Output,
) -> Result<(), Failure> {
    let broker = context.broker()?;
    let summary = broker.find_credential(user, &id)?.ok_or_else(|| absent(&id))?;
    let caller = Caller { user: summary.user, who: AuditContext::command_line() };
    let text = id.to_string();
    let deleted = block_on(broker.delete(&caller, summary.provider.as_str(), &text))??;
    if json {
        return out.json(&deleted);
    }
    out.line(match deleted.revoked {
        Some(true) => format!("deleted and revoked {id}"),
        Some(false) => format!("deleted {id}; the revocation failed and will be retried by the server"),
        None => format!("deleted {id}; there was nothing to revoke"),
    })
}

fn absent(id: &CredentialId) -> Failure {
    Failure::new(format!("there is no credential {id}")).advise("`strongroom credential list` lists all credentials")
}
