//! JSON Web Tokens: signed with our keys, or verified with the keys that an issuer publishes.
//!
//! - Signing: [`SigningKey`] is read from PKCS#8 or generated, [`sign`] makes a token with it, and
//!   [`SigningKey::public_jwk`] is the key for verification. [`sign_with_secret`] is for
//!   `client_secret_jwt` only.
//! - Verification: [`Jwks::parse`] reads a key set, [`verify`] checks a signature with a list of
//!   allowed algorithms and returns the [`Verified`] token, and [`ExpectedClaims::check`] checks
//!   issuer, audience and time.
//!
//! Known attacks (RFC 8725) are ruled out: [`Algorithm`] has no `none`. Symmetric algorithms only
//! sign, so a public key is never used as a secret. A key is used with its own algorithms only.
//! `crit` and duplicate members are rejected. Key references in a token's header (`jku`, `x5u`,
//! `jwk`, `x5c`) are ignored.
//!
//! The primitives are ring's, which TLS needs anyway.

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
pub use jws::{Header, JwsError, Verified, claimed_issuer, sign, sign_with_secret, verify};
pub use signing::{KeyError, SigningKey};
