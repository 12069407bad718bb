//! The secret half of a credential, as typed values.

pub(crate) mod credential_secret;
pub(crate) mod renewal;
