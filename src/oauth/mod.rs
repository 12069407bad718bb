//! An OAuth client that knows the RFCs and no provider's name; how a provider differs is in its catalogue entry.
//!
//! One flow, in order: [`StateToken`] and [`CodeVerifier`] are made, [`AuthorizationRequest`] is the URL that the user
//! opens, [`callback`] reads what comes back, [`exchange`] turns the code into a [`Grant`], [`identify`] asks whose
//! account it is, [`refresh()`] makes it last, and [`revoke()`] ends it.

mod answer;
mod assertion;
mod authorize;
pub mod callback;
mod cleaning;
mod client;
mod device;
mod discovery;
mod dpop;
mod exchange;
mod grant;
mod id_token;
mod identity;
mod introspect;
mod issuer_keys;
mod issuer_metadata;
mod parameters;
#[cfg(any(test, fuzzing))]
pub(crate) mod parsers;
mod pkce;
mod protected_resource;
mod push;
mod refresh;
mod registration;
mod request;
mod resolve;
mod retry_after;
mod revoke;
mod scope;
mod service;
mod state;
mod token;

#[cfg(test)]
mod tests;

use crate::json;

pub use answer::Unintelligible;
pub use authorize::AuthorizationRequest;
pub use client::Client;
pub use device::{DeviceAuthorization, Undecided, authorize_device, poll_device, slower};
pub use discovery::{DiscoveryError, Metadata};
pub use exchange::{AuthorizationCode, CodeExchange, exchange, round_off};
pub use grant::Grant;
pub use id_token::{Awaited, IdTokenError, Nonce, check as check_id_token};
pub use identity::{Identity, IdentityError, identify, identify_by_id_token};
pub use issuer_keys::{IssuerKeys, Unverified};
pub use issuer_metadata::IssuerMetadata;
pub use pkce::CodeVerifier;
pub use protected_resource::{ProtectedResource, ResourceError};
pub use push::{PushError, Pushed, push};
pub use refresh::{OldTokens, refresh};
pub use registration::{Registration, RegistrationError, RegistrationRequest, preferred_way, register};
pub use request::Unbuildable;
pub use resolve::resolve;
pub use retry_after::RetryAfter;
pub use revoke::{Revocable, RevokeError, revoke};
pub use service::{AssertionIssuer, client_credentials, jwt_bearer};
pub use state::StateToken;
pub use token::TokenError;
