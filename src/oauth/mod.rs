//! An OAuth client that knows the RFCs and no provider's name; how a provider differs is in its catalogue entry.
//!
//! One flow, in order: [`StateToken`] and [`CodeVerifier`] are made, [`AuthorizationRequest`] is the URL that the user
//! opens, [`callback`] reads what comes back, [`exchange`] turns the code into a [`Grant`], [`identify`] asks whose
//! account it is, [`refresh()`] makes it last, and [`revoke()`] ends it.

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

pub use authorization::{AuthorizationRequest, CodeVerifier, PushError, Pushed, StateToken, callback, push};
pub use client_auth::Client;
pub use discovery::{
    DiscoveryError, IssuerMetadata, Metadata, ProtectedResource, Registration, RegistrationError, RegistrationRequest,
    ResourceError, preferred_way, register, resolve,
};
pub use message::{RetryAfter, Unbuildable};
pub use openid::{
    Awaited, IdTokenError, Identity, IdentityError, IssuerKeys, Nonce, Unverified, check_id_token, identify,
    identify_by_id_token,
};
pub use revoke::{Revocable, RevokeError, revoke};
pub use token::{
    AssertionIssuer, AuthorizationCode, CodeExchange, DeviceAuthorization, Grant, OldTokens, TokenError, Undecided,
    Unintelligible, authorize_device, client_credentials, exchange, jwt_bearer, poll_device, refresh, round_off,
    slower,
};
