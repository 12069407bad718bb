//! The account of a login: ID tokens (OpenID Connect Core §3.1.3.7) and the identity request
//! (§5.3).

pub(in crate::oauth) mod id_token;
pub(in crate::oauth) mod issuer_keys;
pub(in crate::oauth) mod userinfo;

pub use id_token::{ExpectedIdToken, IdTokenError, check as check_id_token};
pub use issuer_keys::{IssuerKeys, VerifyError};
pub use userinfo::{IdentityError, identify, identify_by_id_token};
