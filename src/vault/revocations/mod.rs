//! The queue of tokens that still have to be revoked at their providers.

pub(in crate::vault) mod queue;
pub(in crate::vault) mod queued_revocation;
