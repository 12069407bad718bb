//! The API key of a run: a given one, or one that is made on the server's machine and revoked at the
//! end.

use std::path::Path;

use crate::broker::{Installation, KeyHolder, KeyLimits, NewApiKey, OpenMode, Unmatched, VaultAdmin};
use crate::cli::context::open;
use crate::cli::failure::Failure;
use crate::cli::names::check_user;
use crate::cli::output::note;
use crate::cli::runtime::block_on;
use crate::cli::secret_input;
use crate::clock::UnixTime;
use crate::config::{Environment, Unlock};
use crate::id::{ApiKeyId, CredentialId, UserId};
use crate::permission::{Permission, Permissions};
use crate::secret::Secret;

/// Variable that has the key.
const VARIABLE: &str = "STRONGROOM_API_KEY";

/// Name of a key that is made here.
const NAME: &str = "strongroom run";

/// Returns the key of `--key-file` or of the environment.
pub(super) fn given(file: Option<&Path>, environment: &Environment) -> Result<Option<Secret>, Failure> {
    let is_set = environment.names_beginning_with(VARIABLE).iter().any(|name| name == VARIABLE);
    let (key, place) = match file {
        Some(file) => (secret_input::from_file(file)?, "the file of the API key"),
        None if is_set => (Secret::new(environment.get(VARIABLE).unwrap_or_default()), VARIABLE),
        None => return Ok(None),
    };
    let key = Secret::trimmed(key.expose()).ok_or_else(|| Failure::configuration(format!("{place} is empty")))?;
    Ok(Some(key))
}

/// A key that was made for this run.
pub(super) struct MadeKey {
    id: ApiKeyId,
    pub(super) text: Secret,
    /// False if the vault cannot be opened again without a question to the user.
    is_revocable: bool,
}

/// Makes a key that can only send requests, and closes the vault.
pub(super) fn make(
    (installation, admin): (Installation, VaultAdmin),
    user: Option<&UserId>,
    credentials: &[CredentialId],
    expires_at: UnixTime,
) -> Result<MadeKey, Failure> {
    let user = match user {
        Some(user) => {
            check_user(&admin, user)?;
            user.clone()
        }
        None => only_user(&admin)?,
    };
    let limits = KeyLimits::new(Vec::new(), credentials.to_vec()).map_err(|error| Failure::new(error.to_string()))?;
    let holder = KeyHolder::User(user);
    admin.check_limits(&holder, &limits).map_err(|error| {
        Failure::new(error.to_string()).advise("`strongroom credential list` lists all credentials")
    })?;
    let new = NewApiKey {
        name: Some(NAME.to_owned()),
        holder,
        permissions: Permissions::from_iter([Permission::ProxyIntegrations]),
        limits,
        unmatched: Unmatched::default(),
        expires_at: Some(expires_at),
    };
    let (key, text) = block_on(admin.create_api_key(new))??;
    let is_revocable = !matches!(installation.config().vault.unlock, Unlock::Prompt | Unlock::Stdin);
    Ok(MadeKey { id: key.id, text, is_revocable })
}

impl MadeKey {
    /// Revokes the key. A failure is only reported, because the command has ended and the key expires.
    pub(super) fn revoke(&self, installation: &Installation) {
        let id = self.id;
        let revoked = if self.is_revocable {
            open(installation, OpenMode::Command).and_then(|(admin, _)| Ok(block_on(admin.revoke_api_key(id))??))
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
