//! Signed tokens (JOSE): a JWT is signed with a key of ours, or verified against the keys that its issuer publishes.
//!
//! - Ours: [`SigningKey`] is read from PKCS#8 (or made: [`SigningKey::generate`]), [`sign`] makes a JWT with it, and
//!   [`SigningKey::public_jwk`] is what others verify that with. [`sign_with_secret`] is for `client_secret_jwt` alone.
//! - Theirs: [`Jwks::parse`] reads a key set, [`verify`] checks a signature against it within a list of allowed algorithms
//!   and gives the [`Verified`] token, and [`ExpectedClaims::check`] holds its claims against issuer, audience and time.
//!
//! What cannot go wrong here (RFC 8725): `none` is no [`Algorithm`]; a symmetric algorithm can only sign, so that no public
//! key is ever taken for a secret; a key is used with its own algorithms alone; `crit`, and a member that is there twice, are
//! refused; what a token's header says about where its key is (`jku`, `x5u`, `jwk`, `x5c`) is never looked at.
//!
//! The primitives are ring's, which TLS has in the binary anyway.

mod algorithm;
mod claims;
mod jwks;
mod jws;
mod signing;

#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use claims::{ClaimError, Claims, ExpectedClaims};
pub use jwks::{Jwks, JwksError};
pub use jws::{Header, JwsError, SignError, Verified, claimed_issuer, sign, sign_with_secret, verify};
pub use signing::{KeyError, SigningKey};
