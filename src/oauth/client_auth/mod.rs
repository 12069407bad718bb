//! Client authentication (RFC 6749 §2.3, RFC 7523 §2.2) and proofs of possession (RFC 9449).

pub(in crate::oauth) mod assertion;
pub(in crate::oauth) mod client;
pub(in crate::oauth) mod dpop;
pub(in crate::oauth) mod request;

pub use client::Client;
