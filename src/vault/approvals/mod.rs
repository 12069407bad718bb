//! Requests that a person approves before they are sent.

pub(crate) mod approval;
pub(crate) mod store;
