//! Verification of the whole vault, and repair of what does not open.

pub(in crate::vault) mod audit_replay;
pub(in crate::vault) mod repair;
pub(in crate::vault) mod rollback;
pub(in crate::vault) mod verify;
pub(in crate::vault) mod walk;
