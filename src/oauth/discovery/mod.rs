//! Metadata of authorization servers (RFC 8414) and protected resources (RFC 9728), and client registration (RFC 7591).

pub(in crate::oauth) mod issuer_metadata;
pub(in crate::oauth) mod metadata;
pub(in crate::oauth) mod protected_resource;
pub(in crate::oauth) mod registration;
pub(in crate::oauth) mod resolve;

pub use issuer_metadata::IssuerMetadata;
pub use metadata::{DiscoveryError, Metadata};
pub use protected_resource::{ProtectedResource, ResourceError};
pub use registration::{Registration, RegistrationError, RegistrationRequest, preferred_way, register};
pub use resolve::resolve;
