//! `strongroom credential remove`.

use crate::broker::Broker;
use crate::broker::Caller;
use crate::cli::context::Context;
use crate::cli::credential::list::users;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::id::CredentialId;
use crate::id::UserId;
use crate::vault::AuditContext;
use crate::vault::CredentialMetadata;
use crate::vault::DamagedRemoval;

/// Deletes a credential and revokes it.
pub(in crate::cli) fn remove(
    id: CredentialId,
    user: Option<UserId>,
    json: bool,
    context: &Context,
    out: &mut Output,
) -> Result<(), Failure> {
    let broker = context.broker()?;
    let summary = owner(&broker, user, &id)?;
    let caller = Caller { user: summary.user, who: AuditContext::command_line() };
    let text = id.to_string();
    let deleted = block_on(broker.delete(&caller, summary.provider.as_str(), &text))??;
    if json {
        return out.json(&deleted);
    }
    out.line(match deleted.revoked {
        Some(true) => format!("revoked and deleted {id}"),
        Some(false) => format!("deleted {id}; the revocation failed, and the server will try it again"),
        None => format!("deleted {id}; nothing was to be revoked"),
    })
}

/// Erases what does not open.
pub(in crate::cli) fn remove_damaged(
    id: CredentialId,
    json: bool,
    context: &Context,
    out: &mut Output,
) -> Result<(), Failure> {
    let vault = context.vault()?;
    let holds = match block_on(vault.remove_damaged(&id, &AuditContext::command_line()))?? {
        DamagedRemoval::Done { holds } => holds,
        DamagedRemoval::Absent => return Err(absent(&id)),
        DamagedRemoval::Sound => {
            return Err(Failure::new(format!("the credential {id} is not damaged"))
                .advise("remove it without --damaged: then it is revoked at its provider too"));
        }
    };
    if json {
        out.json(&serde_json::json!({"deleted": true, "credentials_id": id, "revoked": null, "vault_holds": holds}))?;
    } else {
        out.line(format!("erased {id}; nothing of it could be revoked: end its grant by hand, at the provider"))?;
    }
    out.flush()?;
    if holds {
        return Ok(());
    }
    Err(Failure::damaged("it is erased; that nothing else is missing from this vault cannot be shown").advise(
        "`strongroom vault verify` names what does not hold. Where you know that what is left is all that there should be: \
         `strongroom vault repair --accept`",
    ))
}

fn absent(id: &CredentialId) -> Failure {
    Failure::new(format!("there is no credential {id}")).advise("`strongroom credential list` shows all of them")
}

/// The credential's summary, whoever has it.
fn owner(broker: &Broker, user: Option<UserId>, id: &CredentialId) -> Result<CredentialMetadata, Failure> {
    for user in users(broker.vault(), user)? {
        if let Some(summary) = broker.vault().credential(&user, id)? {
            return Ok(summary);
        }
    }
    Err(absent(id))
}
