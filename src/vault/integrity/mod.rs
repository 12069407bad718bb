//! Verification of the whole vault, and repair of what does not open.

pub(crate) mod audit_replay;
pub(crate) mod findings;
pub(crate) mod repair;
pub(crate) mod rollback;
pub(crate) mod verify;
pub(crate) mod walk;
