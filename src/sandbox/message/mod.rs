//! Request parameters and responses.

pub(super) mod decision;
pub(super) mod error;
pub(super) mod form;
pub(super) mod reply;
