//! The queue of tokens that still have to be revoked at their providers.

pub(crate) mod queue;
pub(crate) mod queued_revocation;
