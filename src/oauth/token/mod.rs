//! The token endpoint (RFC 6749 §3.2): one file per grant, one way to build and send a request, one
//! way to read a response.

pub(in crate::oauth) mod device;
pub(in crate::oauth) mod endpoint;
pub(in crate::oauth) mod exchange;
pub(in crate::oauth) mod grant;
mod introspect;
mod lifetime;
pub(in crate::oauth) mod refresh;
pub(in crate::oauth) mod response;
mod service;

pub use device::{DeviceAuthorization, PollError, authorize_device, poll_device, slower};
pub use exchange::{AuthorizationCode, CodeExchange, complete_grant, exchange};
pub use grant::Grant;
pub use refresh::{RefreshRequest, refresh};
pub use service::{AssertionIssuer, client_credentials, jwt_bearer};
