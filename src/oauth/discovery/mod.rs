//! Metadata of authorization servers (RFC 8414) and protected resources (RFC 9728), and dynamic
//! client registration (RFC 7591).

pub(in crate::oauth) mod cache;
mod issuer_metadata;
pub(in crate::oauth) mod metadata;
mod protected_resource;
mod registration;
mod resolve;

pub use issuer_metadata::IssuerMetadata;
pub use metadata::{DiscoveryError, Metadata, is_same_issuer};
pub use protected_resource::{ProtectedResource, ResourceError};
pub use registration::{Registration, RegistrationError, RegistrationRequest, preferred_auth, register, unregister};
pub use resolve::resolve;
