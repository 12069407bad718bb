//! The API key of a run: a given one, or one that is made on the server's machine and revoked at the
//! end.

use std::path::Path;

use crate::broker::{KeyHolder, KeyLimits, NewApiKey, VaultAdmin};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::names::check_user;
use crate::cli::output::note;
use crate::cli::runtime::block_on;
use crate::cli::secret_input;
use crate::clock::UnixTime;
use crate::config::{Environment, Unlock};
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};
use crate::permission::{Permission, Permissions};
use crate::secret::Secret;

/// Variable that has the key.
const VARIABLE: &str = "STRONGROOM_API_KEY";

/// Name of a key that is made here.
const NAME: &str = "strongroom run";

/// Returns the key of `--key-file` or of the environment.
pub(super) fn given(file: Option<&Path>, environment: &Environment) -> Result<Option<Secret>, Failure> {
    let key = match file {
        Some(file) => Some(secret_input::from_file(file)?),
        None => environment.get(VARIABLE).and_then(|text| Secret::trimmed(&text)),
    };
    if key.as_ref().is_some_and(Secret::is_empty) {
        return Err(Failure::configuration("the file of the API key is empty"));
    }
    Ok(key)
}

/// A key that was made for this run.
pub(super) struct MadeKey {
    pub(super) id: ApiKeyId,
    pub(super) text: Secret,
    /// Credentials that the key may use.
    pub(super) credentials: Vec<(CredentialId, ProviderName)>,
    /// False if the vault cannot be opened again without a question to the user.
    is_revocable: bool,
}

/// Makes a key that can only send requests, and closes the vault.
pub(super) fn make(
    context: &Context,
    user: Option<&UserId>,
    credentials: &[CredentialId],
    expires_at: UnixTime,
) -> Result<MadeKey, Failure> {
    let (installation, admin) = context.opened()?;
    let user = match user {
        Some(user) => {
            check_user(&admin, user)?;
            user.clone()
        }
        None => only_user(&admin)?,
    };
    let limits = KeyLimits::new(Vec::new(), credentials.to_vec()).map_err(|error| Failure::new(error.to_string()))?;
    let holder = KeyHolder::User(user.clone());
    admin.check_limits(&holder, &limits).map_err(|error| {
        Failure::new(error.to_string()).advise("`strongroom credential list` lists all credentials")
    })?;
    let (listed, _) = admin.credentials(Some(user), None)?;
    let mut found: Vec<_> = listed
        .into_iter()
        .map(|row| (row.credential.summary.id, row.credential.summary.provider))
        .filter(|(id, _)| credentials.is_empty() || credentials.contains(id))
        .collect();
    found.sort_by_key(|(id, _)| credentials.iter().position(|named| named == id));
    let new = NewApiKey {
        name: Some(NAME.to_owned()),
        holder,
        permissions: Permissions::from_iter([Permission::ProxyIntegrations]),
        limits,
        expires_at: Some(expires_at),
    };
    let (key, text) = block_on(admin.create_api_key(new))??;
    let is_revocable = !matches!(installation.config().vault.unlock, Unlock::Prompt | Unlock::Stdin);
    Ok(MadeKey { id: key.id, text, credentials: found, is_revocable })
}

impl MadeKey {
    /// Revokes the key. A failure is only reported, because the command has ended and the key expires.
    pub(super) fn revoke(&self, context: &Context) {
        let id = self.id;
        let revoked = if self.is_revocable {
            context.admin().and_then(|admin| Ok(block_on(admin.revoke_api_key(id))??))
        } else {
            Err(Failure::new("the passphrase of the vault is not kept"))
        };
        if let Err(failure) = revoked {
            let reason = failure.parts().0;
            note(format!(
                "API key {id} is not revoked: {reason}; run `strongroom key revoke {id}`, or wait until it expires"
            ));
        }
    }
}

fn only_user(admin: &VaultAdmin) -> Result<UserId, Failure> {
    let users = admin.users()?;
    match &users[..] {
        [only] => Ok(only.id.clone()),
        [] => Err(Failure::configuration("there is no user yet, and no credential to use")),
        _ => {
            Err(Failure::configuration(format!("there are {} users", users.len())).advise("name the user with --user"))
        }
    }
}
