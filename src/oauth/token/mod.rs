//! The token endpoint (RFC 6749 §3.2): one file per grant, one way to send the request and to read the response.

pub(in crate::oauth) mod device;
pub(in crate::oauth) mod endpoint;
pub(in crate::oauth) mod exchange;
pub(in crate::oauth) mod grant;
pub(in crate::oauth) mod introspect;
pub(in crate::oauth) mod refresh;
pub(in crate::oauth) mod response;
pub(in crate::oauth) mod service;

pub use device::{DeviceAuthorization, Undecided, authorize_device, poll_device, slower};
pub use endpoint::TokenError;
pub use exchange::{AuthorizationCode, CodeExchange, exchange, round_off};
pub use grant::Grant;
pub use refresh::{OldTokens, refresh};
pub use response::Unintelligible;
pub use service::{AssertionIssuer, client_credentials, jwt_bearer};
