//! An OAuth client that follows the RFCs and knows no provider by name. Differences between
//! providers are data of their catalogue entries.
//!
//! One flow, in order: [`StateToken`] and [`CodeVerifier`] are generated, [`AuthorizationRequest`]
//! is the URL that the user opens, [`callback`] reads the response, [`exchange`] turns the code
//! into a [`Grant`], [`identify`] asks for the account, [`refresh()`] renews the access token, and
//! [`revoke()`] ends the grant.

mod account;
mod authorization;
mod client_auth;
mod discovery;
mod message;
mod openid;
#[cfg(any(test, fuzzing))]
pub(crate) mod parsers;
mod revoke;
mod token;

#[cfg(test)]
mod tests;

pub use account::Account;
pub use authorization::{AuthorizationRequest, CodeVerifier, Nonce, Pushed, StateToken, callback, push};
pub use client_auth::Client;
pub use client_auth::dpop::DpopProver;
pub use discovery::{
    DiscoveryError, IssuerMetadata, Metadata, ProtectedResource, Registration, RegistrationError, RegistrationRequest,
    ResourceError, is_same_issuer, preferred_auth, register, resolve, unregister,
};
pub use message::{BuildError, ErrorResponse, InvalidResponse, OAuthError, RetryAfter};
pub use openid::{
    ExpectedIdToken, IdTokenError, IdentityError, IssuerKeys, VerifyError, check_id_token, identify,
    identify_by_id_token,
};
pub use revoke::{RevocableTokens, RevokeError, revoke};
pub use token::{
    AssertionIssuer, AuthorizationCode, CodeExchange, DeviceAuthorization, Grant, PollError, RefreshRequest,
    authorize_device, client_credentials, complete_grant, exchange, jwt_bearer, poll_device, refresh, slower,
};
