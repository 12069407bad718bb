//! Checks of the limits that an operator gives to an API key.

use crate::broker::{Installation, KeyHolder, KeyLimits, UselessLimit, VaultAdmin};
use crate::cli::failure::Failure;

/// Builds the failure of a key that does not exist, or is not active.
pub(super) fn no_key(message: String) -> Failure {
    Failure::new(message).advise("`strongroom key list` lists all keys")
}

/// Checks that each provider of the limits is known, and that the holder has each credential.
pub(super) fn check_limits(
    installation: &Installation,
    admin: &VaultAdmin,
    holder: &KeyHolder,
    limits: &KeyLimits,
) -> Result<(), Failure> {
    for provider in limits.providers() {
        installation.provider(provider.as_str())?;
    }
    let useless = |error: UselessLimit| {
        Failure::new(error.to_string()).advise("`strongroom credential list` lists all credentials")
    };
    admin.check_limits(holder, limits).map_err(useless)
}
