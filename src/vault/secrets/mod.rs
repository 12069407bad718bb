//! The secret half of a credential, as typed values.

pub(in crate::vault) mod credential_secret;
pub(in crate::vault) mod renewal;
